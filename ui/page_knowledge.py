"""Knowledge: what answers can rest on. Search it, read it, add to it."""

from typing import Any

import streamlit as st

from ui import html_parts, strings
from ui.api_client import ApiError
from ui.conversation import scores
from ui.desk_state import api
from ui.document_view import show_document
from ui.guard import guarded

Json = dict[str, Any]


@guarded
def knowledge_page() -> None:
    found, documents = st.columns([3, 2], gap="large")
    with found:
        _search()
    with documents:
        _documents()
        _add()


def _search() -> None:
    text = st.text_input(strings.SEARCH, placeholder=strings.SEARCH_HINT, key="search", max_chars=2000)
    if not text.strip():
        return
    answer = api().search(text.strip())
    told = strings.FOUND if answer["hits"] else strings.NOTHING_FOUND
    st.caption(told.format(count=len(answer["hits"]), considered=answer["considered"]))
    for item in answer["hits"]:
        with st.container(border=True):
            st.html(html_parts.card(item, ()))
            with st.container(horizontal=True, vertical_alignment="center"):
                if item["document_id"] and st.button(strings.OPEN_DOCUMENT, key=f"hit-{item['number']}"):
                    show_document(item["document_id"], [(item["start"], item["end"])])
                scores(item)


def _documents() -> None:
    page = api().documents()
    st.subheader(strings.DOCUMENTS.format(total=page["total"]), anchor=False)
    if not page["items"]:
        st.caption(strings.NO_DOCUMENTS)
    with st.container(height=520 if len(page["items"]) > 6 else "content", border=False):
        for item in page["items"]:
            text, button = st.columns([5, 1], vertical_alignment="center")
            text.html(html_parts.document_line(item))
            if button.button(strings.OPEN, key=f"document-{item['id']}", type="tertiary"):
                show_document(item["id"])


def _add() -> None:
    st.subheader(strings.ADD, anchor=False)
    files = st.file_uploader(strings.ADD_FILES, accept_multiple_files=True, key="new_documents", help=strings.ADD_HELP)
    if not st.button(strings.ADD_BUTTON, key="add_documents", disabled=not files):
        return
    try:
        with st.spinner(strings.ADDING):
            report = api().add_documents([(file.name, file.getvalue()) for file in files])
    except ApiError as error:
        st.html(html_parts.note(str(error), "error"))
        return
    st.html(html_parts.report(report))
