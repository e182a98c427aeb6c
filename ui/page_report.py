"""Report: the worklist, a draft as it is being written, and the desk on which it is edited and signed."""

from typing import Any
from uuid import uuid4

import streamlit as st

from ui import desk_state, html_parts, report_actions, report_parts, report_state, strings
from ui.api_client import ApiError, Problem
from ui.conversation import Turn, case_picture
from ui.desk_state import api
from ui.guard import guarded
from ui.report_start import start
from ui.report_state import REPORT, RUN, Open
from ui.report_view import show_draft, show_studies

Json = dict[str, Any]


@guarded
def report_page() -> None:
    report, run = report_state.addressed(REPORT), report_state.addressed(RUN)
    if not (report or run):
        start()
        return
    try:
        if report:
            _desk(report_state.opened(report))
        else:
            _drafting(desk_state.conversation(str(run))[-1])
    except Problem as problem:
        if problem.status != 404:
            raise
        st.html(html_parts.note(strings.NO_SUCH_REPORT, "warning"))
        _back()


def _drafting(run: Json) -> None:
    """The draft as it grows; once it is whole, the desk."""
    if run["status"] == "answered" and run["task"] == "report":
        report_state.show(report=api().make_report(run["id"])["id"])
        st.rerun()
    _back()
    turn = Turn(run)
    if turn.under_way:
        turn.follow()
        st.rerun()
    turn.details()


def _desk(open_: Open) -> None:
    run = report_state.run_of(open_.report)
    _back()
    with st.container(key="desk"):
        studies, report = st.columns([1, 1], gap="large")
    with studies, st.container(key="study-column"):
        show_studies(open_, run)
    with report:
        st.subheader(open_.report["draft"]["title"], anchor=False)
        _above(open_, run)
        show_draft(open_, run)
        if notice := report_state.notice():
            st.html(html_parts.note(notice, "error"))
        report_actions.versions(open_)
        report_actions.export(open_)
        report_actions.consent(open_)
        report_actions.bar(open_)


def _above(open_: Open, run: Json) -> None:
    """What has to be known before the first sentence is read."""
    draft = open_.report["draft"]
    if open_.copy.over is not None:
        told = strings.SAVED_FIRST.format(new=open_.copy.version, old=open_.copy.over)
        st.html(html_parts.note(told, "warning"))
    st.html(report_parts.standing(open_.report) + report_parts.warnings(draft))
    if open_.report["version"] > 1 and (draft["alerts"] or draft["checks"] or draft["missing"]):
        st.caption(strings.CHECKS_OF_DRAFT)
    if draft["indication"]:
        st.html(report_parts.section(strings.INDICATION) + html_parts.quiet(draft["indication"]))
    if not (run["prior"] or run["request"].get("prior_case")):
        _offers(run)


def _offers(run: Json) -> None:
    """The patient's own earlier studies in the library, each with a button that drafts anew beside it."""
    for offer in run["result"]["priors"][:1]:
        with st.container(border=True, horizontal=True, vertical_alignment="center", key=f"prior-{offer['id']}"):
            case_picture(offer["id"], 96)
            st.html(html_parts.prior(offer))
            if st.button(strings.DRAFT_BESIDE, key=f"beside-{offer['id']}"):
                try:
                    again = api().start({**run["request"], "prior_case": offer["id"]}, uuid4().hex)
                    report_state.show(run=again["id"])
                except ApiError as error:
                    report_state.notify(str(error))
                st.rerun()


def _back() -> None:
    st.button(strings.TO_WORKLIST, key="worklist", type="tertiary", icon=":material/arrow_back:",
              on_click=report_state.show)  # fmt: skip
