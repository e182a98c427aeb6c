"""From a validation set to what is fitted on it: every question is searched as it would be for an answer, each hit is
judged by the set, and the pure functions of `retrieval.calibrate` do the rest."""

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from assistant.assistant import Assistant
from assistant.requests import AskRequest
from assistant.study import Study
from eval.benchmarks.common import first_sentence, yes_or_no
from eval.benchmarks.ranked import query_of
from eval.calibration.questions import Data, Question, meant, named
from eval.exam.candidate import Candidate
from eval.metrics.calibration import brier, ece
from retrieval import select
from retrieval.calibrate import Bools, Floats, Ranking, Stop, Worth, fit_leg, fit_stop, held_out, promise
from retrieval.copies import without_copies
from retrieval.errors import BadInput
from retrieval.fitted import IDENTITIES
from retrieval.legs import BM25, IMAGE_CASE, IMAGE_PASSAGE, RERANKED, TEXT_PASSAGE, compares, legs_of
from retrieval.question import searched_text, subject_words
from retrieval.retriever import Retriever
from retrieval.types import Evidence, Fitted, Hit, Kind, Leg
from retrieval.weigh import Found, Selection

Watch = Callable[[str, int, int], None]  # phase, done, total
Kinds = dict[Kind, set[str]]
ANY_DROP = 1e9  # γ: no drop is steep


@dataclass(frozen=True, slots=True)
class Searched:
    """One question with all that its legs found, and the ids of what is relevant to it."""

    question: Question
    text: str
    legs: list[Leg]
    hits: list[Hit]
    relevant: set[str]


@dataclass(frozen=True, slots=True, eq=False)
class LegFit:
    """`p` (n,) are the relevances of the hits under a curve that was fitted without their question, nan where there is
    none; `curve` None: nothing could be fitted."""

    curve: tuple[float, float] | None
    p: Floats
    relevant: Bools

    def told(self) -> dict[str, Any]:
        known = ~np.isnan(self.p)
        p, relevant = self.p[known], self.relevant[known]
        measured = {"brier": round(brier(p, relevant), 4), "ece": round(ece(p, relevant), 4)} if known.any() else {}
        return {"n": len(self.relevant), "relevant": int(self.relevant.sum()), **measured}


def search(assistant: Assistant, data: Data, watch: Watch) -> list[Searched]:
    """Raises `BadInput` for a name that the library doesn't know, and when nothing has been indexed."""
    retriever, ids = assistant.retriever, named(assistant.library)
    if (manifest := retriever.store.manifest) is None:
        raise BadInput("There is nothing to search yet. `consult knowledge add` fills the library.")
    relevant = [meant(question, ids) for question in data.questions]
    found = []
    for n, question in enumerate(data.questions):
        query = query_of(assistant, request_of(question))
        text = searched_text(query.text)
        legs = legs_of(query, text, retriever.encoders, manifest)
        found.append(Searched(question, text, legs, retriever.search(query, text, legs), relevant[n]))
        watch("searching", n + 1, len(data.questions))
    return found


def request_of(question: Question) -> AskRequest:
    return AskRequest(study=Study((question.picture(),) if question.picture else ()), question=question.text)


def fit_legs(searched: Sequence[Searched], kinds: Set[Kind]) -> dict[str, LegFit]:
    """By leg, over the hits of these kinds whose relevance it decides."""
    rows: dict[str, list[tuple[float, bool, str]]] = {}
    for one in searched:
        of_passages = (TEXT_PASSAGE, BM25, RERANKED) if subject_words(one.text) else (IMAGE_PASSAGE,)
        for hit in (hit for hit in one.hits if hit.kind in kinds):
            for leg, raw in hit.scores.items():
                if compares(leg) in ((IMAGE_CASE,) if hit.kind == "case" else of_passages) and np.isfinite(raw):
                    rows.setdefault(leg, []).append((raw, hit.id in one.relevant, one.question.id))
    fits = {}
    for leg, judged in sorted(rows.items()):
        scores, relevant = np.array([row[0] for row in judged]), np.array([row[1] for row in judged])
        fits[leg] = LegFit(fit_leg(scores, relevant), held_out(scores, relevant, [row[2] for row in judged]), relevant)
    return fits


def rankings(
    retriever: Retriever, searched: Sequence[Searched], legs: dict[str, tuple[float, float]], kinds: Kinds
) -> list[Ranking]:
    """Each question's passages and cases by themselves, as `weigh.selected` ranks them."""
    rows = []
    for one in searched:
        found = retriever.weighed(one.hits, one.legs, one.text, Fitted(legs=legs))
        for kind, ids in kinds.items():
            if any(leg.kind == kind for leg in one.legs):
                own = _ranked([row for row in found if row.hit.kind == kind])
                relevant = np.array([row.hit.id in one.relevant for row in own], dtype=bool)
                rows.append(
                    Ranking(
                        np.array([row.relevance for row in own]), relevant, len(one.relevant & ids), not one.relevant
                    )
                )
    return rows


def judged_kinds(retriever: Retriever, searched: Sequence[Searched]) -> Kinds:
    """The kinds of which the set calls any relevant, each with all its ids: of the others it says nothing."""
    library, named = retriever.library, set().union(*(one.relevant for one in searched))
    ids: Kinds = {"passage": {item.id for item in library.passages()}, "case": {item.id for item in library.cases()}}
    return {kind: own for kind, own in ids.items() if own & named}


def _ranked(found: list[Found]) -> list[Found]:
    ranked = sorted(found, key=lambda row: -row.relevance)
    return [ranked[place] for place in without_copies([row.content for row in ranked])]


async def answers(
    assistant: Assistant, searched: Sequence[Searched], fitted: Fitted, k_max: int, watch: Watch
) -> Bools:
    """Whether each closed question is answered right with its 1..k_max most relevant contexts: (n, k_max)."""
    candidate, right = Candidate(assistant), np.zeros((len(searched), k_max), dtype=bool)
    for n, one in enumerate(searched):
        found = assistant.retriever.weighed(one.hits, one.legs, one.text, fitted)
        for k in range(1, k_max + 1):
            items = assistant.retriever.chosen(found, fitted, Selection("log-ratio", ANY_DROP, 0.0, k))
            answer = await candidate.ask(request_of(one.question), Evidence(tuple(items), len(found)))
            right[n, k - 1] = yes_or_no(first_sentence(answer), one.question.label) == one.question.answer
        watch("asking", n + 1, len(searched))
    return right


@dataclass(frozen=True, slots=True)
class How:
    """`alpha`: at most this share of answers may be wrong; `delta`: how often the promise may fail."""

    k_max: int
    ask: bool
    alpha: float
    delta: float


async def fit(assistant: Assistant, data: Data, how: How, watch: Watch) -> tuple[Fitted, dict[str, LegFit]]:
    """Everything that can be fitted on this set. Raises `BadInput`."""
    if how.ask and not any(_asked(question) for question in data.questions):
        raise BadInput("No question of --data has both an image and an answer: say --no-answers.")
    searched = search(assistant, data, watch)
    judged = [one for one in searched if one.question.judged]
    kinds = judged_kinds(assistant.retriever, judged)
    legs = fit_legs(judged, kinds.keys())
    curves = {leg: one.curve for leg, one in legs.items() if one.curve is not None and leg not in data.learnt}
    in_force, stops = assistant.retriever.encoders.fitted.legs, list[Stop]()
    for own in (curves, {}):  # what is in force stays where the new curves would make it worse
        if found := rankings(assistant.retriever, judged, {**in_force, **own}, kinds):
            stops.append(fit_stop(found, how.k_max))
    if not stops:
        raise BadInput("No question of --data names anything relevant: nothing can be fitted.")
    kept, stop = stops[-1], max(stops, key=lambda one: one.utility)
    curves = {} if stop is kept else curves
    told: dict[str, Any] = {
        IDENTITIES: dict(assistant.retriever.identities),
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "data": {"name": data.name, "n": len(data.questions), "sha256": data.sha256},
        "legs": {leg: one.told() for leg, one in legs.items()},
        "stop": {
            "n": len(found), "k_max": how.k_max,
            "fitted": {mode: _rounded(one) for mode, one in stop.fitted.items()},
            "default": {mode: _rounded(one) for mode, one in kept.default.items()},
        },
    }  # fmt: skip
    rounded = {leg: (round(a, 4), round(b, 4)) for leg, (a, b) in curves.items()}
    fitted = Fitted(rounded, stop.gamma, stop.gamma_to_top, stop.floor, told=told)
    return (await _trusted(assistant, searched, fitted, how, watch) if how.ask else fitted), legs


def _rounded(one: Worth) -> dict[str, float | None]:
    values = {"F1": one.f1, "false evidence": one.false_evidence}
    return {name: None if np.isnan(value) else round(value, 4) for name, value in values.items()}


def _asked(question: Question) -> bool:
    return question.answer is not None and question.picture is not None


async def _trusted(
    assistant: Assistant, searched: Sequence[Searched], fitted: Fitted, how: How, watch: Watch
) -> Fitted:
    asked = [one for one in searched if _asked(one.question)]
    right, tried = await answers(assistant, asked, fitted, how.k_max, watch), list(range(1, how.k_max + 1))
    ks, info = select.trustworthy_ks(right, how.alpha, how.delta), await assistant.engine.info()
    told = {
        "n": len(asked), "alpha": how.alpha, "delta": how.delta, "model": info.model, "model_hash": info.model_hash,
        "wrong": {str(k): round(1 - float(right[:, k - 1].mean()), 4) for k in tried},
        "promise": promise(ks, tried, len(asked), how.alpha, how.delta),
    }  # fmt: skip
    return replace(fitted, ks=tuple(ks), told={**fitted.told, "ks": told})
