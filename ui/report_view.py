"""The draft by section, each sentence to be accepted, edited, deleted or added; beside it current and prior study."""

from typing import Any

import streamlit as st

from ui import desk_state, html_parts, report_parts, report_state, strings
from ui.conversation import case_picture
from ui.editing import Line
from ui.report_state import FOCUS, Open
from ui.study_view import SHOWN, about

Json = dict[str, Any]


def show_studies(open_: Open, run: Json) -> None:
    """Current and prior side by side, picture by picture."""
    current, prior = st.columns(2)
    with current:
        st.html(html_parts.title(strings.CURRENT))
        _pictures(desk_state.study(open_.report["study"]), _region(open_))
    with prior:
        st.html(html_parts.title(strings.PRIOR_STUDY))
        if run["prior"]:
            _pictures(desk_state.study(run["prior"]))
        elif case := run["request"].get("prior_case"):
            case_picture(case, width="stretch")
        else:
            st.html(html_parts.quiet(strings.NO_PRIOR))
    if before := run["request"].get("prior_report"):
        with st.expander(strings.PRIOR_REPORT):
            st.html(html_parts.quiet(before))


def _pictures(study: Json, region: Json | None = None) -> None:
    for picture in study["pictures"]:
        png = desk_state.picture(study["id"], picture["number"], SHOWN)
        if region and region["picture"] == picture["number"]:
            png = report_parts.with_region(png, tuple(region["box"]), picture["width"])
        alt = strings.PICTURE_ALT.format(number=picture["number"], about=about(picture))
        st.image(png, width="stretch", alt=alt)
        st.html(html_parts.quiet(about(picture)))


def _region(open_: Open) -> Json | None:
    focus = st.session_state.get(FOCUS)
    found = (said["region"] for said in report_parts.statements(open_.report["draft"]) if said["id"] == focus)
    return next(found, None)


def show_draft(open_: Open, run: Json) -> None:
    """Section by section; read only once it is signed."""
    numbers = {said["id"]: n for n, said in enumerate(report_parts.statements(open_.report["draft"]), 1)}
    for section in open_.report["draft"]["sections"]:
        name = section["name"]
        if not open_.editable:
            _read(section, numbers, run)
            continue
        with st.container(gap="xsmall"):
            with st.container(horizontal=True, vertical_alignment="bottom"):
                st.html(report_parts.section(section["title"]), width="content")
                st.button(strings.ADD_SENTENCE, key=f"add-{name}", type="tertiary", icon=":material/add:",
                          on_click=_add, args=(open_, name))  # fmt: skip
            for line in open_.copy.sections[name]:
                _line(open_, line, numbers.get(line.id or ""), run)


def _read(section: Json, numbers: dict[str, int], run: Json) -> None:
    """A section of which something was said."""
    if not section["statements"]:
        return
    with st.container(gap="xsmall"):
        st.html(report_parts.section(section["title"]))
        for said in section["statements"]:
            with st.container(horizontal=True, vertical_alignment="center"):
                st.html(report_parts.sentence(said, numbers[said["id"]]), width="content")
                _grounds(said, said["id"], run)


def _line(open_: Open, line: Line, number: int | None, run: Json) -> None:
    with st.container(key=f"line-{line.key}", gap="xxsmall"):
        key = f"text-{line.key}-{open_.copy.version}"  # of another version the words may be others
        if line.deleted:
            _theirs(open_, line, key)
            with st.container(horizontal=True, vertical_alignment="center"):
                st.html(f'<div class="cs">{report_parts.words_changed(line.was or line.text, "")}</div>')
                st.button(strings.UNDO, key=f"undo-{line.key}", on_click=_mark, args=(open_, line, "deleted", False))
            return
        st.session_state.setdefault(key, line.text)
        st.text_area(strings.SENTENCE, key=key, height="content", label_visibility="collapsed",
                     on_change=_typed, args=(open_, line, key))  # fmt: skip
        if line.id and line.changed:
            st.html(f'<div class="cs cs-quiet">{report_parts.words_changed(line.was, line.text)}</div>')
        _theirs(open_, line, key)
        with st.container(horizontal=True, vertical_alignment="center"):
            st.html(report_parts.anchor(number) + report_parts.marks({} if line.changed else line.statement),
                    width="content")  # fmt: skip
            _grounds(line.statement, line.key, run)
            if line.id and not line.changed:
                label, icon = (strings.ACCEPTED, "check_circle") if line.accepted else (strings.ACCEPT, "check")
                st.button(label, key=f"accept-{line.key}", type="tertiary", icon=f":material/{icon}:",
                          on_click=_mark, args=(open_, line, "accepted", not line.accepted))  # fmt: skip
            st.button(strings.DELETE, key=f"delete-{line.key}", type="tertiary", icon=":material/delete:",
                      on_click=_delete, args=(open_, line))  # fmt: skip


def _theirs(open_: Open, line: Line, key: str) -> None:
    """Where somebody else changed the same sentence meanwhile."""
    if line.theirs is None:
        return
    told = strings.THEIRS.format(text=line.theirs) if line.theirs else strings.THEY_DELETED
    st.html(html_parts.note(told, "warning"))
    with st.container(horizontal=True):
        st.button(strings.KEEP_MINE, key=f"mine-{line.key}", on_click=_settle, args=(open_, line))
        if line.theirs:
            st.button(strings.USE_THEIRS, key=f"theirs-{line.key}", on_click=_use_theirs, args=(open_, line, key))


def _grounds(statement: Json, key: str, run: Json) -> None:
    """Region and evidence of a sentence, one press away."""
    if statement.get("region"):
        shown = st.session_state.get(FOCUS) == statement["id"]
        st.button(strings.HIDE_REGION if shown else strings.SHOW_REGION, key=f"region-{key}", type="tertiary",
                  icon=":material/crop_free:", on_click=_focus, args=(None if shown else statement["id"],))  # fmt: skip
    cited = {citation["number"] for citation in statement.get("citations", ())}
    items = [item for item in run["result"]["evidence"] if item["number"] in cited]
    if not items:
        return
    with st.popover(strings.EVIDENCE, type="tertiary", key=f"evidence-{key}"):
        for item in items:
            if item["kind"] == "case":
                case_picture(item["id"])
            spans = [(c["start"], c["end"]) for c in statement["citations"] if c["number"] == item["number"]]
            st.html(html_parts.card(item, spans))


def _typed(open_: Open, line: Line, key: str) -> None:
    line.text, line.accepted = st.session_state[key], True
    report_state.keep(open_.copy)


def _mark(open_: Open, line: Line, what: str, value: bool) -> None:
    setattr(line, what, value)
    report_state.keep(open_.copy)


def _delete(open_: Open, line: Line) -> None:
    if line.id is None and not line.text.strip():
        open_.copy.drop(line)
    line.deleted = True
    report_state.keep(open_.copy)


def _use_theirs(open_: Open, line: Line, key: str) -> None:
    line.text = st.session_state[key] = line.theirs or ""
    line.deleted = False
    _settle(open_, line)


def _settle(open_: Open, line: Line) -> None:
    line.theirs, line.accepted = None, True
    report_state.keep(open_.copy)


def _add(open_: Open, section: str) -> None:
    open_.copy.add(section)
    report_state.keep(open_.copy)


def _focus(statement: str | None) -> None:
    st.session_state[FOCUS] = statement
