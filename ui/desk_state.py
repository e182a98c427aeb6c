"""What one browser tab holds: who it speaks for, which study and run are open. Everything else is asked of the API.

Invariant: the address holds the run's opaque id and nothing else. What is kept here besides is a copy of something that
can't change, or a question that has not reached the API yet.
"""

import os
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import streamlit as st

from ui.api_client import Api
from ui.following import UNDER_WAY

Json = dict[str, Any]
DEFAULT_URL = "http://127.0.0.1:8080"
QUESTION = "question"  # the key of the input
REFILL = "refill"  # the text that the input shall hold at its next drawing
MAX_TURNS = 50


@dataclass(frozen=True)
class Pending:
    """A question that the API has not accepted yet."""

    question: str
    study: str
    after_run: str | None
    key: str
    prior_case: str | None = None
    error: str = ""


def api() -> Api:
    url = os.environ.get("CONSULT_API_URL") or DEFAULT_URL
    token = st.session_state.get("token") or os.environ.get("CONSULT_API_TOKEN") or ""
    return Api(url.rstrip("/"), token)


def open_run() -> str | None:
    """The run in the address; the one open before when a visit to another page has emptied the address."""
    run = st.query_params.get("run") or st.session_state.get("run")
    if run:
        st.session_state.run = st.query_params["run"] = run
    return run


def show_run(run: str) -> None:
    st.session_state.run = st.query_params["run"] = run


def show_study(study: str | None) -> None:
    """Opens a study without a conversation; None: no study."""
    st.session_state.study = study
    st.session_state.run = None
    st.session_state.pending = None
    st.query_params.clear()


def open_study() -> str | None:
    return st.session_state.get("study")


def pending() -> Pending | None:
    return st.session_state.get("pending")


def pend(question: str, study: str, after_run: str | None, prior_case: str | None = None) -> Pending:
    """Keeps a question until it is accepted. The same question again is the same request, not a second one."""
    new, kept = Pending(question, study, after_run, uuid4().hex, prior_case), pending()
    found = kept if kept and replace(kept, key=new.key, error="") == new else new
    st.session_state.pending = found
    return found


def set_pending(value: Pending | None) -> None:
    st.session_state.pending = value


def conversation(run: str) -> list[Json]:
    """The run and those before it, the first one first."""
    turns: list[Json] = []
    following: str | None = run
    while following and len(turns) < MAX_TURNS:
        turns.append(_run(following))
        following = turns[-1]["after_run"]
    return turns[::-1]


def _run(run: str) -> Json:
    """A run that has ended does not change, so it's asked for once."""
    ended: dict[str, Json] = st.session_state.setdefault("ended", {})
    if run not in ended:
        found = api().run(run)
        if found["status"] in UNDER_WAY:
            return found
        ended[run] = found
    return ended[run]


def study(study_id: str) -> Json:
    return _study(api(), study_id)


def picture(study_id: str, number: int, size: int) -> bytes:
    return _picture(api(), study_id, number, size)


def case_picture(case: str, size: int) -> bytes:
    return _case_picture(api(), case, size)


def info() -> Json:
    return _info(api())


@st.cache_data(scope="session", show_spinner=False, max_entries=50)
def _study(api: Api, study_id: str) -> Json:
    return api.study(study_id)


@st.cache_data(scope="session", show_spinner=False, max_entries=100)
def _picture(api: Api, study_id: str, number: int, size: int) -> bytes:
    return api.picture(study_id, number, size)


@st.cache_data(scope="session", show_spinner=False, max_entries=100)
def _case_picture(api: Api, case: str, size: int) -> bytes:
    return api.case_picture(case, size)


@st.cache_data(scope="session", show_spinner=False, ttl=20)
def _info(api: Api) -> Json:
    return api.info()
