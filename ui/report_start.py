"""Before a report is open: the worklist, and what a new draft is asked for with."""

from typing import Any
from uuid import uuid4

import streamlit as st

from ui import desk_state, html_parts, report_state, strings
from ui.api_client import ApiError
from ui.desk_state import api
from ui.study_view import MOST, PAGE, THUMBNAIL, about, earlier_studies, show_pictures, upload

Json = dict[str, Any]
TEMPLATES = ("chest",)  # what an older server knows at least


def start() -> None:
    with st.container(key="start"):
        new, worklist = st.columns([1, 1], gap="large")
    with new:
        if study := desk_state.open_study():
            _request(study)
        else:
            upload()
            earlier_studies()
    with worklist:
        _worklist()


def _worklist() -> None:
    st.subheader(strings.WORKLIST, anchor=False)
    status = st.pills(strings.STATUS_FILTER, list(strings.STATUS), format_func=strings.STATUS.get, key="status",
                      label_visibility="collapsed")  # fmt: skip
    shown = st.session_state.setdefault("reports_shown", PAGE)
    reports = api().reports(status, shown)
    if not reports:
        st.caption(strings.NO_REPORTS)
    for report in reports:
        with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"work-{report['id']}"):
            first = desk_state.study(report["study"])["pictures"][0]
            st.image(desk_state.picture(report["study"], first["number"], THUMBNAIL), width=72,
                     alt=strings.THUMBNAIL_ALT.format(about=about(first)))  # fmt: skip
            line = strings.WORK_LINE.format(status=strings.STATUS[report["status"]], version=report["version"])
            st.html(html_parts.title(line) + html_parts.quiet(f"{about(first, sides=False)} · {_when(report)}"))
            st.button(strings.OPEN, key=f"report-{report['id']}", on_click=report_state.show, args=(report["id"],))
    if len(reports) == shown < MOST and st.button(strings.MORE, key="more_reports", type="tertiary"):
        st.session_state.reports_shown = min(shown + 2 * PAGE, MOST)
        st.rerun()


def _when(report: Json) -> str:
    return str(report["created"][:16].replace("T", " "))


def _request(study: str) -> None:
    """What a draft is made with; only the study itself is needed."""
    st.subheader(strings.NEW_REPORT, anchor=False)
    pictures, asked = st.columns([2, 3])
    with pictures:
        show_pictures(desk_state.study(study))
        st.button(strings.NEW_STUDY, key="new_study", on_click=desk_state.show_study, args=(None,))
    with asked:
        body = {"task": "report", "study": study, **_words()}
        prior, prior_files = _prior(study)
        if not st.button(strings.DRAFT, key="draft", type="primary"):
            return
        try:
            if prior_files:
                standard = st.session_state.get("standard_display", False)
                prior = api().upload([(file.name, file.getvalue()) for file in prior_files], standard)["id"]
            key = st.session_state.setdefault("draft_key", uuid4().hex)
            run = api().start(body | ({"prior": prior} if prior else {}), key)
        except ApiError as error:
            st.html(html_parts.note(str(error), "error"))
            return
        st.session_state.pop("draft_key")
        report_state.show(run=run["id"])
        st.rerun()


def _words() -> Json:
    templates = desk_state.info().get("templates") or TEMPLATES
    first = templates.index("chest") if "chest" in templates else 0
    return {
        "template": st.selectbox(strings.TEMPLATE, templates, index=first, key="template",
                                 format_func=lambda name: strings.TEMPLATES.get(name, name)),
        "indication": st.text_area(strings.INDICATION, key="indication", height="content").strip(),
        "history": st.text_area(strings.HISTORY, key="history", height="content").strip(),
        "prior_report": st.text_area(strings.PRIOR_REPORT, key="prior_report", height="content").strip(),
    }  # fmt: skip


def _prior(study: str) -> tuple[str | None, list[Any]]:
    """A prior study that is here already, or the files of one."""
    others = [other for other in api().studies(PAGE) if other["id"] != study]
    named = {
        other["id"]: f"{other['created'][:16].replace('T', ' ')} · {about(other['pictures'][0])}" for other in others
    }
    prior = st.selectbox(strings.PRIOR_STUDY, [None, *named], key="prior",
                         format_func=lambda id_: named[id_] if id_ else strings.NO_PRIOR)  # fmt: skip
    if prior:
        st.image(
            desk_state.picture(prior, 1, THUMBNAIL), width=96, alt=strings.THUMBNAIL_ALT.format(about=named[prior])
        )
    with st.expander(strings.PRIOR_FILES):
        files = st.file_uploader(strings.PICTURES, accept_multiple_files=True, key="prior_files")
    return prior, files
