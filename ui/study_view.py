"""Bringing a study in, and showing its pictures."""

from typing import Any

import streamlit as st

from ui import desk_state, html_parts, strings
from ui.api_client import ApiError
from ui.desk_state import api

Json = dict[str, Any]
SUFFIXES = ["dcm", "dicom", "ima", "nii", "gz", "png", "jpg", "jpeg", "tif", "tiff"]
THUMBNAIL, SHOWN = 240, 1024
PAGE, MOST = 8, 200  # studies shown at first; the API gives no more at once


def choose_study() -> None:
    """The page before a study is open."""
    with st.container(key="start"):
        new, earlier = st.columns([1, 1], gap="large")
    with new:
        upload()
    with earlier:
        earlier_studies()


def upload() -> None:
    st.subheader(strings.NEW_STUDY_TITLE, anchor=False)
    # No list of types: DICOM files often have no suffix, and the readers say better what a file is not.
    files = st.file_uploader(strings.PICTURES, accept_multiple_files=True, key="files", help=strings.PICTURES_HELP)
    standard = st.checkbox(strings.STANDARD_DISPLAY, key="standard_display")
    st.caption(strings.STANDARD_DISPLAY_HELP)
    if not st.button(strings.OPEN_STUDY, key="open_study", type="primary", disabled=not files):
        return
    try:
        with st.spinner(strings.READING_STUDY):
            study = api().upload([(file.name, file.getvalue()) for file in files], standard)
    except ApiError as error:
        st.html(html_parts.note(str(error), "error"))
        return
    desk_state.show_study(study["id"])
    st.rerun()


def earlier_studies() -> None:
    st.subheader(strings.EARLIER_STUDIES, anchor=False)
    shown = st.session_state.setdefault("studies_shown", PAGE)
    studies = api().studies(shown)
    if not studies:
        st.caption(strings.NO_STUDIES)
        return
    for start in range(0, len(studies), 4):
        for column, study in zip(st.columns(4), studies[start : start + 4], strict=False):
            with column:
                _thumbnail(study)
    if len(studies) == shown < MOST and st.button(strings.MORE, key="more_studies", type="tertiary"):
        st.session_state.studies_shown = min(shown + 2 * PAGE, MOST)
        st.rerun()


def _thumbnail(study: Json) -> None:
    first = study["pictures"][0]
    st.image(
        desk_state.picture(study["id"], first["number"], THUMBNAIL),
        width="stretch", alt=strings.THUMBNAIL_ALT.format(about=about(first)),
    )  # fmt: skip
    count = len(study["pictures"])
    more = [strings.PICTURE_COUNT.format(count=count)] if count > 1 else []
    lines = (" · ".join([about(first, sides=False), *more]), study["created"][:10])
    st.html("".join(map(html_parts.quiet, lines)))
    st.button(strings.OPEN, key=f"study-{study['id']}", on_click=desk_state.show_study, args=(study["id"],))


def show_pictures(study: Json) -> None:
    for picture in study["pictures"]:
        told = about(picture)
        alt = strings.PICTURE_ALT.format(number=picture["number"], about=told)
        st.image(desk_state.picture(study["id"], picture["number"], SHOWN), width="stretch", alt=alt)
        st.html(html_parts.quiet(told))
    st.html("".join(html_parts.note(warning) for warning in study["warnings"]) or "<span></span>")


def earlier_questions(study: str) -> None:
    """The last questions of earlier conversations about this study."""
    runs = api().runs(study)
    continued = {run["after_run"] for run in runs}
    ends = [run for run in runs if run["id"] not in continued][:5]
    if ends:
        st.html(html_parts.quiet(strings.EARLIER_QUESTIONS))
    for run in ends:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.button(strings.OPEN, key=f"run-{run['id']}", on_click=desk_state.show_run, args=(run["id"],))
            st.html(html_parts.earlier_question(run), width="content")


def about(picture: Json, *, sides: bool = True) -> str:
    """Modality, view, place and sides: what is known of a picture, and nothing of the patient."""
    kind = " ".join(part for part in (picture["modality"], picture["view"]) if part) or strings.UNKNOWN_KIND
    known = strings.SIDES_KNOWN if picture["shows_sides"] else strings.SIDES_UNKNOWN
    return " · ".join(part for part in (kind, picture["origin"], known if sides else "") if part)
