"""What every page does alike: say who speaks, ask for a token, and turn a failure into a sentence and a button."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import streamlit as st

from ui import desk_state, html_parts, strings
from ui.api_client import ApiError, Problem

UNAUTHORIZED = 401


def guarded(page: Callable[[], None]) -> Callable[[], None]:
    @wraps(page)
    def whole() -> None:
        head, warning = st.empty(), st.empty()
        try:
            _head(head, warning)
            page()
        except ApiError as error:
            warning.empty()  # the same would be said twice
            if isinstance(error, Problem) and error.status == UNAUTHORIZED:
                _ask_for_token()
            else:
                _failed(error)

    return whole


def _head(head: Any, warning: Any) -> None:
    """Nothing but a missing token keeps the page from being drawn."""
    head.html(html_parts.head(None))
    try:
        head.html(html_parts.head(desk_state.info()))
    except ApiError as error:
        if isinstance(error, Problem) and error.status == UNAUTHORIZED:
            raise
        warning.html(html_parts.note(str(error), "warning"))


def _failed(error: ApiError) -> None:
    st.html(html_parts.note(str(error), "error"))
    if pending := desk_state.pending():
        st.html(html_parts.quiet(strings.QUESTION_KEPT.format(question=pending.question)))
    st.button(strings.TRY_AGAIN, key="try_again")


def _ask_for_token() -> None:
    refused = bool(desk_state.api().token)
    st.html(html_parts.note(strings.TOKEN_REFUSED if refused else strings.TOKEN_NEEDED, "warning"))
    with st.form("token_form", width=460):
        token = st.text_input(strings.TOKEN, type="password", key="token_typed", help=strings.TOKEN_HELP)
        if st.form_submit_button(strings.USE_TOKEN) and token.strip():
            st.session_state.token = token.strip()
            st.rerun()
