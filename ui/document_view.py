"""A document of the knowledge base, whole, scrolled to what is marked in it."""

from collections.abc import Sequence
from typing import Any

import streamlit as st

from ui import html_parts, strings
from ui.api_client import ApiError
from ui.desk_state import api
from ui.marking import FIRST_MARK, Span, document

Json = dict[str, Any]
_SCROLL = "<script>document.getElementById('{mark}')?.scrollIntoView({{block: 'center'}}); // {turn}</script>"


@st.dialog(strings.DOCUMENT, width="medium")
def show_document(document_id: str, spans: Sequence[Span] = ()) -> None:
    """Without `spans`, a section can be chosen to be highlighted."""
    try:
        found = api().document(document_id)
    except ApiError as error:
        st.html(html_parts.note(str(error), "error"))
        return
    st.html(html_parts.title(found["title"]) + f'<div class="cs cs-quiet">{html_parts.source(found)}</div>')
    if spans:
        st.caption(strings.MARKED_HERE)
    else:
        spans = _chosen(found)
    st.html(f'<div class="cs cs-text cs-document" tabindex="0">{document(found["text"], spans)}</div>')
    if spans:
        st.html(_SCROLL.format(mark=FIRST_MARK, turn=spans[0][0]), unsafe_allow_javascript=True)


def _chosen(found: Json) -> list[Span]:
    sections = list(dict.fromkeys(passage["section"] for passage in found["passages"] if passage["section"]))
    if not sections:
        return []
    chosen = st.selectbox(strings.SECTION, [strings.WHOLE, *sections])
    return [(p["start"], p["end"]) for p in found["passages"] if p["section"] == chosen]
