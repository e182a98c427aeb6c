"""What every page does alike: say who speaks, ask for a token, and turn a failure into a sentence and a button."""

from collections.abc import Callable
from functools import wraps

import streamlit as st

from ui import desk_state, html_parts, strings
from ui.api_client import ApiDown, ApiError, Problem

UNAUTHORIZED = 401


def guarded(page: Callable[[], None]) -> Callable[[], None]:
    @wraps(page)
    def whole() -> None:
        try:
            _head()
            page()
        except Problem as problem:
            if problem.status == UNAUTHORIZED:
                _ask_for_token()
            else:
                _failed(problem)
        except ApiError as error:
            _failed(error)

    return whole


def _head() -> None:
    """Nothing but a missing token keeps the page from being drawn."""
    try:
        st.html(html_parts.head(desk_state.info()))
    except Problem as problem:
        if problem.status == UNAUTHORIZED:
            raise
        st.html(html_parts.head(None) + html_parts.note(str(problem), "warning"))
    except ApiDown as down:
        st.html(html_parts.head(None) + html_parts.note(str(down), "warning"))


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
