"""A question, its answer sentence by sentence, and beside it what the answer rests on.

Invariant: an answer that has ended and one under way are drawn by the same functions; the second one is only drawn
again with every event. Buttons are drawn once, text as often as needed.
"""

from contextlib import closing
from datetime import UTC, datetime
from typing import Any, Literal

import streamlit as st

from ui import desk_state, html_parts, strings
from ui.api_client import ApiError
from ui.desk_state import api
from ui.document_view import show_document
from ui.following import UNDER_WAY, fold, ticking

Json = dict[str, Any]
TICK_S = 0.3
CASE_SIZE = 320


class Turn:
    """One question with its answer, in two columns."""

    def __init__(self, run: Json) -> None:
        self.run = run
        with st.container(key=f"turn-{run['id']}"):
            left, right = st.columns([3, 2], gap="large")
        with left:
            st.html(html_parts.question(run))
            self.answer = st.empty()
            self.below = st.container()
        self.right = right
        self.cards: dict[int, Any] = {}
        self.draw()

    @property
    def under_way(self) -> bool:
        return self.run["status"] in UNDER_WAY

    def draw(self) -> None:
        """What is known by now."""
        result = self.run["result"]
        self.answer.html(html_parts.sentences(self.run) + html_parts.notes(self.run))
        if result["evidence"] and not self.cards:
            self._lay_out_evidence(result["evidence"])
        for item in result["evidence"]:
            spans = html_parts.used(self.run, item["number"])
            self.cards[item["number"]].html(html_parts.card(item, spans, self.run["id"]))

    def _lay_out_evidence(self, evidence: list[Json]) -> None:
        with self.right:
            st.html(html_parts.quiet(strings.EVIDENCE))
            for item in evidence:
                key = f"{self.run['id']}-{item['number']}"
                with st.container(border=True):
                    if item["kind"] == "case":
                        case_picture(item["id"])
                    self.cards[item["number"]] = st.empty()
                    with st.container(horizontal=True, vertical_alignment="center"):
                        if item["document_id"] and st.button(strings.OPEN_DOCUMENT, key=f"open-{key}"):
                            self._open(item)
                        scores(item)

    def _open(self, item: Json) -> None:
        spans = html_parts.used(self.run, item["number"]) or [(item["start"], item["end"])]
        show_document(item["document_id"], spans)

    def follow(self) -> None:
        """Draws the answer while it is being made; comes back at its end."""
        with self.below:
            row = st.container(horizontal=True, vertical_alignment="center")
            row.button(strings.STOP, key=f"stop-{self.run['id']}", on_click=_stop, args=(self.run["id"],))
            progress = row.empty()
        stage = _reached(self.run["result"])
        with closing(ticking(api().events(self.run["id"], self.run["events"]), TICK_S)) as events:
            for event in events:
                if event:
                    fold(self.run["result"], event)
                    stage = event["event"]
                    self.draw()
                progress.html(html_parts.quiet(_progress(stage, self.run["created"])))

    def details(self) -> None:
        """For a run that has ended: who answered, how long it took, and the text to take along."""
        result = self.run["result"]
        with self.below:
            if result["sentences"]:
                with st.expander(strings.COPY):
                    st.code(html_parts.with_references(self.run), language=None, wrap_lines=True)
            if result["identity"] or result["timings"]:
                with st.expander(strings.DETAILS):
                    st.html(html_parts.details(result))


def scores(item: Json) -> None:
    with st.popover(strings.SCORES, type="tertiary"):
        rows = {leg: f"{score:.3f}" for leg, score in item["scores"].items()}
        st.html(html_parts.table(rows, strings.SCORE_LEG, strings.SCORE))
        st.caption(strings.SCORES_HELP)


def case_picture(case: str, width: int | Literal["stretch"] = 160) -> None:
    try:
        st.image(desk_state.case_picture(case, CASE_SIZE), width=width, alt=strings.CASE_ALT)
    except ApiError as error:
        st.html(html_parts.note(str(error)))


def _stop(run: str) -> None:
    try:
        api().cancel(run)
    except ApiError as error:
        st.session_state.notice = f"{strings.STOPPING_FAILED} {error}"


def _reached(result: Json) -> str:
    if result["sentences"]:
        return "sentence"
    if result["evidence"] or result["note"]:
        return "retrieved"
    return "quality" if result["quality"] else "queued"


def _progress(stage: str, created: str) -> str:
    seconds = (datetime.now(UTC) - datetime.fromisoformat(created)).total_seconds()
    told = strings.STAGES.get(stage, strings.STAGES["sentence"])
    return strings.PROGRESS.format(stage=told, seconds=max(seconds, 0))
