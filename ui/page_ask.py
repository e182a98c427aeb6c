"""Ask: a study, a question, an answer with what it rests on, and the next question."""

from dataclasses import replace
from typing import Any

import streamlit as st

from ui import desk_state, html_parts, strings
from ui.api_client import ApiError, Problem
from ui.conversation import Turn, case_picture
from ui.desk_state import api
from ui.following import UNDER_WAY
from ui.guard import guarded
from ui.study_view import choose_study, earlier_questions, show_pictures

Json = dict[str, Any]
MOST_PRIORS = 3
_SCROLL = "<script>document.querySelector('.st-key-{turn}')?.scrollIntoView({{behavior: 'smooth'}});</script>"


@guarded
def ask_page() -> None:
    run, study = desk_state.open_run(), desk_state.open_study()
    try:
        turns = desk_state.conversation(run) if run else []
    except Problem as problem:
        if problem.status != 404:
            raise
        _not_there()
        return
    if turns:
        study = st.session_state.study = turns[-1]["study"]
    if study is None:
        choose_study()
        return
    _desk(study, turns)


def _desk(study: str, turns: list[Json]) -> None:
    with st.container(key="desk"):
        pictures, talk = st.columns([1, 3], gap="large")
    with pictures, st.container(key="study-column"):
        _study(study, bool(turns))
    last = turns[-1] if turns else None
    with talk:
        drawn = [_turn(run) for run in turns]
        if not drawn:
            st.html(html_parts.quiet(strings.HOW_TO_BEGIN))
            earlier_questions(study)
        if len(turns) > 1:
            st.html(_SCROLL.format(turn=f"turn-{turns[-1]['id']}"), unsafe_allow_javascript=True)
        with st.container(key="ask"):
            _notices()
            if last and last["status"] not in UNDER_WAY:
                _priors(last)
            _question(study, last)
    if drawn and drawn[-1].under_way:
        drawn[-1].follow()
        st.rerun()


def _turn(run: Json) -> Turn:
    turn = Turn(run)
    if not turn.under_way:
        turn.details()
    return turn


def _study(study: str, talking: bool) -> None:
    show_pictures(desk_state.study(study))
    with st.container(horizontal=True):
        if talking:
            st.button(strings.NEW_QUESTION, key="new_question", help=strings.NEW_QUESTION_HELP,
                      on_click=desk_state.show_study, args=(study,))  # fmt: skip
        st.button(strings.NEW_STUDY, key="new_study", on_click=desk_state.show_study, args=(None,))


def _question(study: str, last: Json | None) -> None:
    busy = last is not None and last["status"] in UNDER_WAY
    if refill := st.session_state.pop(desk_state.REFILL, ""):
        st.session_state[desk_state.QUESTION] = refill
    hint = strings.QUESTION_WAIT if busy else strings.QUESTION_NEXT if last else strings.QUESTION_FIRST
    asked = st.chat_input(hint, key=desk_state.QUESTION, disabled=busy, submit_mode="disable")
    if asked and asked.strip():
        _send(desk_state.pend(asked.strip(), study, last["id"] if last else None))


def _priors(last: Json) -> None:
    """The patient's own earlier studies, each with a button that asks the same question again beside it."""
    for offer in last["result"].get("priors", [])[:MOST_PRIORS]:
        with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"prior-{offer['id']}"):
            case_picture(offer["id"], 96)
            st.html(html_parts.prior(offer))
            if last["question"] and st.button(strings.COMPARE, key=f"compare-{offer['id']}"):
                _send(desk_state.pend(last["question"], last["study"], last["id"], offer["id"]))


def _send(pending: desk_state.Pending) -> None:
    try:
        run = api().ask(pending.study, pending.question, pending.after_run, pending.key, pending.prior_case)
    except ApiError as error:
        desk_state.set_pending(replace(pending, error=str(error)))
        st.session_state[desk_state.REFILL] = pending.question
    else:
        desk_state.set_pending(None)
        desk_state.show_run(run["id"])
    st.rerun()


def _notices() -> None:
    """What went wrong with the last press of a button."""
    if notice := st.session_state.pop("notice", ""):
        st.html(html_parts.note(notice, "error"))
    pending = desk_state.pending()
    if pending and pending.error:
        st.html(html_parts.note(pending.error, "error"))
        st.html(html_parts.quiet(strings.QUESTION_KEPT.format(question=pending.question)))
        if st.button(strings.TRY_AGAIN, key="send_again"):
            _send(pending)


def _not_there() -> None:
    st.html(html_parts.note(strings.NO_SUCH_RUN, "warning"))
    st.button(strings.NEW_STUDY, key="new_study", on_click=desk_state.show_study, args=(None,))
