"""What one browser tab holds of reports: which is open, as it is stored, and as the person is changing it.

Invariant: nothing typed is lost by a reload or by somebody else who saves first. The address holds the report's opaque
id; the words not yet saved are kept in the memory of the page's process, by report and by who speaks, never on disk.
"""

from collections import OrderedDict
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import streamlit as st

from ui import desk_state, strings
from ui.api_client import Api, ApiError, Problem
from ui.desk_state import api
from ui.editing import SIGNED, Copy, copy_of, merged

Json = dict[str, Any]
UNAUTHORIZED = 401
OVERTAKEN = (409, 412)  # signed meanwhile, or changed
MOST_KEPT = 200
FOCUS = "focus"  # the statement whose region is framed
REPORT, RUN = "report", "drafting"  # what the address calls them


@dataclass
class Open:
    """A report as it is stored, and the person's own copy of it."""

    report: Json
    copy: Copy
    amending: bool = False

    @property
    def signed(self) -> bool:
        return self.report["status"] in SIGNED

    @property
    def editable(self) -> bool:
        return not self.signed or self.amending


def addressed(name: str) -> str | None:
    """What the address names; when a visit to another page has emptied it, what it named before."""
    found = st.query_params.get(name) or st.session_state.get(name)
    if found:
        st.session_state[name] = st.query_params[name] = found
    return found


def show(report: str | None = None, run: str | None = None) -> None:
    """Opens a report, or a run that is drafting one; neither: the worklist."""
    for name in ("opened", FOCUS):
        st.session_state.pop(name, None)
    st.query_params.clear()
    for name, value in ((REPORT, report), (RUN, run)):
        st.session_state[name] = value
        if value:
            st.query_params[name] = value


def opened(report: str) -> Open:
    """Read once a tab; afterwards it changes by what this tab does."""
    found: Open | None = st.session_state.get("opened")
    if found is None or found.report["id"] != report:
        stored = api().report(report)
        kept = _kept().get((api(), report))
        copy = _caught_up(kept, stored) if kept else copy_of(stored)
        found = Open(stored, copy, amending=stored["status"] in SIGNED and copy.changed)
        st.session_state.opened = found
    return found


def keep(copy: Copy) -> None:
    kept, who = _kept(), (api(), copy.report)
    kept[who] = copy
    kept.move_to_end(who)
    while len(kept) > MOST_KEPT:
        kept.popitem(last=False)


def forget(open_: Open) -> None:
    """Back to what is stored."""
    open_.copy, open_.amending = copy_of(open_.report), False
    keep(open_.copy)


def change(open_: Open, step: str, **more: Any) -> bool:
    """Does a step of the report's life on the server; False: it didn't work, and a notice says why."""
    body = more if step == "sign" else {"sections": open_.copy.wanted(), **more}
    try:
        stored = api().change(open_.report["id"], open_.copy.version, step, body)
    except Problem as problem:
        if problem.status == UNAUTHORIZED:
            raise
        if problem.status not in OVERTAKEN or not _catch_up(open_):
            notify(str(problem))
        return False
    except ApiError as error:
        notify(f"{error} {strings.WORDS_KEPT}")
        return False
    open_.report, open_.copy = stored, copy_of(stored, open_.copy)
    open_.amending = False
    keep(open_.copy)
    return True


def _catch_up(open_: Open) -> bool:
    """Where somebody saved first: what is stored now and what was typed here, together. False: nobody did, or it can't
    be told."""
    try:
        stored = api().report(open_.report["id"])
    except ApiError:
        return False
    if stored["version"] == open_.copy.version:
        return False
    open_.report, open_.copy = stored, merged(open_.copy, stored)
    open_.amending = open_.signed and open_.copy.changed
    keep(open_.copy)
    return True


def _caught_up(copy: Copy, stored: Json) -> Copy:
    """Two tabs never write into the same copy."""
    return deepcopy(copy) if copy.version == stored["version"] else merged(copy, stored)


def notify(text: str) -> None:
    st.session_state.report_notice = text


def notice() -> str:
    return str(st.session_state.pop("report_notice", ""))


def versions(report: Json) -> list[Json]:
    return _versions(api(), report["id"], report["version"])


def difference(report: Json, before: int, after: int) -> list[Json]:
    return _difference(api(), report["id"], before, after)


def exported(report: Json, form: str) -> bytes:
    return _exported(api(), report["id"], report["version"], form)


def run_of(report: Json) -> Json:
    """The run that drafted it: its evidence, and the prior it was compared with."""
    return desk_state.conversation(report["run"])[-1]


@st.cache_resource(show_spinner=False)
def _kept() -> "OrderedDict[tuple[Api, str], Copy]":
    return OrderedDict()


@st.cache_data(scope="session", show_spinner=False, max_entries=20)
def _versions(api: Api, report: str, newest: int) -> list[Json]:
    return api.versions(report)


@st.cache_data(scope="session", show_spinner=False, max_entries=50)
def _difference(api: Api, report: str, before: int, after: int) -> list[Json]:
    return api.difference(report, before, after)


@st.cache_data(scope="session", show_spinner=False, max_entries=10)
def _exported(api: Api, report: str, version: int, form: str) -> bytes:
    return api.export(report, version, form)
