"""The hard set over a library that is really searched: does choosing what is read pay, where knowledge helps, where it
is of no use, and where it misleads?

Each item sees one stretch of a common library, whatever bears on nothing, and beside it

- helpful: cards on the finding that is asked about, and cases whose report says of it what is true of this picture;
- useless: nothing more;
- misleading: cases whose report says the opposite of it.

A case that misleads differs from one that helps by its picture alone: its words are those of the question either way.
Asked with none, with the first 1, 3 and 5 of the fused order, and with what the installation's own selection keeps.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from anyio import to_thread

from assistant.assistant import Assistant
from assistant.requests import AskRequest
from eval.benchmarks.common import first_sentence, yes_or_no
from eval.benchmarks.gold import NORMAL_CARD, SHOWS
from eval.benchmarks.hard import Hard
from eval.benchmarks.phantom_items import LABEL_OF
from eval.benchmarks.ranked import query_of
from eval.exam.benchmark import Answer, Benchmark, Corpus, Figure, Item, Scores, column, mean_of
from eval.exam.candidate import NOTHING, Candidate
from eval.exam.library import bundled_documents, phantom_cases
from eval.metrics import classify
from eval.metrics.labeller import findings_of
from retrieval.legs import fused
from retrieval.library import Library
from retrieval.retriever import Retriever
from retrieval.store.base import Store
from retrieval.types import Case, Evidence, Filter, Hit, Leg
from retrieval.types import Item as Reference

USELESS_FILE = Path(__file__).with_name("useless.jsonl")  # passages on other organs
CASES = 240
HELPFUL, USELESS, MISLEADING, BESIDE = "helpful", "useless", "misleading", "beside"
VIEWS = {"subtle": USELESS, "conflicting references": MISLEADING, "helpful references": HELPFUL}
NONE, ADAPTIVE = "none", "adaptive"
FIXED = {"k=1": 1, "k=3": 3, "k=5": 5}
ARMS = (NONE, *FIXED, ADAPTIVE)


class Within:
    """A store that holds only what is `allowed`: it searches the whole and leaves the rest out, before any limit."""

    def __init__(self, store: Store, allowed: frozenset[str]) -> None:
        self._store, self._allowed = store, allowed
        self.legs, self.hits = list[Leg](), list[Hit]()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def search(self, legs: Sequence[Leg], where: Filter) -> list[Hit]:
        self.legs, manifest = list(legs), self._store.manifest
        deep = [replace(leg, limit=manifest.records if manifest else leg.limit) for leg in legs]
        found = [hit for hit in self._store.search(deep, where) if hit.id in self._allowed]
        kept: dict[str, dict[str, float]] = {}
        for name, limit in {leg.name: leg.limit for leg in legs}.items():
            own = sorted((-hit.scores[name], hit.id) for hit in found if name in hit.scores)
            for score, one in own[:limit]:
                kept.setdefault(one, {})[name] = -score
        self.hits = [replace(hit, scores=kept[hit.id]) for hit in found if hit.id in kept]
        return self.hits


class HardKnowledge(Benchmark):
    name = "hard-knowledge"
    title = "Hard set over helpful, useless and misleading knowledge: adaptive selection against fixed numbers"
    full, quick = Hard.full, 0
    headline = f"accuracy, {ADAPTIVE}"

    def corpus(self) -> Corpus:
        return Corpus(
            f"hard-knowledge-{CASES}", lambda: [*bundled_documents(), USELESS_FILE], partial(phantom_cases, n=CASES)
        )

    def items(self, n: int, seed: int) -> Iterator[Item]:
        """Of the frozen set: `seed` changes nothing."""
        for item in Hard().items(n, seed):
            view = VIEWS[item.groups["why"]]
            groups = {key: value for key, value in item.groups.items() if key != "why"}
            truth = {**item.truth, "knowledge": view}
            yield Item(item.id, truth, item.request, {"knowledge": view, **groups}, item.cluster, item.phantoms)

    async def sit(self, candidate: Candidate, item: Item) -> dict[str, Answer]:
        request = item.request()
        assert isinstance(request, AskRequest)
        evidence, classes = await to_thread.run_sync(_evidence, candidate.assistant, request, item.truth)
        answers: dict[str, Answer] = {}
        heard: dict[tuple[str, ...], Answer] = {}
        for arm in ARMS:
            ids = tuple(row.content.id for row in evidence[arm].items)
            if ids not in heard:  # the same prompt again says the same
                heard[ids] = await candidate.ask(request, evidence[arm])
            # What was shown stands with the answer, so that a score rests on the row alone.
            answers[arm] = heard[ids].model_copy(update={"findings": tuple(classes[one] for one in ids)})
        return answers

    def score(self, item: Item, answers: Mapping[str, Answer]) -> Scores:
        truth = bool(item.truth["answer"])
        scores: Scores = {"truth": truth, "knowledge": item.truth["knowledge"]}
        for arm, answer in answers.items():
            said = yes_or_no(first_sentence(answer), item.truth["label"])
            scores |= {
                f"said, {arm}": said,
                f"right, {arm}": said == truth,
                f"shown, {arm}": len(answer.findings),
                f"useless, {arm}": any(one in (USELESS, BESIDE) for one in answer.findings),
                f"other organ, {arm}": USELESS in answer.findings,
                f"misleading, {arm}": MISLEADING in answer.findings,
            }
        return scores

    @property
    def figures(self) -> Mapping[str, Figure]:
        told: dict[str, Figure] = {f"accuracy, {arm}": mean_of(f"right, {arm}") for arm in ARMS}
        told |= {f"balanced accuracy, {arm}": partial(_balanced, arm) for arm in ARMS}
        told["adaptive minus the best other"] = minus_best
        for view in (HELPFUL, USELESS, MISLEADING):
            told |= {f"accuracy, {arm}, {view}": mean_of(f"right, {arm}", _of(view)) for arm in ARMS}
        for arm in (*FIXED, ADAPTIVE):
            told |= {
                f"passages and cases shown, {arm}": mean_of(f"shown, {arm}"),
                f"something useless shown, {arm}": mean_of(f"useless, {arm}"),
                f"of another organ shown, {arm}": mean_of(f"other organ, {arm}"),
                f"something misleading shown, {arm}, misleading": mean_of(f"misleading, {arm}", _of(MISLEADING)),
            }
        return told


def _of(view: str) -> Callable[[Scores], bool]:
    return lambda row: bool(row["knowledge"] == view)


def _balanced(arm: str, rows: Sequence[Scores]) -> float:
    return classify.balanced_accuracy([row["truth"] for row in rows], [row[f"said, {arm}"] for row in rows])


def minus_best(rows: Sequence[Scores]) -> float:
    """Accuracy of the adaptive arm minus that of the best of the others on the same rows; each draw of the bootstrap
    chooses its own best, so the interval leans against the adaptive arm."""
    if not rows:
        return float("nan")
    accuracy = {arm: sum(column(rows, f"right, {arm}")[0]) / len(rows) for arm in ARMS}
    return float(accuracy.pop(ADAPTIVE) - max(accuracy.values()))


def _evidence(
    assistant: Assistant, request: AskRequest, truth: Mapping[str, Any]
) -> tuple[dict[str, Evidence], dict[str, str]]:
    """What each arm is shown, and what each record of the library is to this item."""
    own = assistant.retriever
    classes = classified(own.library, truth["finding"]["kind"], bool(truth["answer"]))
    allowed = {one for one, what in classes.items() if what in {truth["knowledge"], USELESS, BESIDE}}
    within = Within(own.store, frozenset(allowed))
    retriever, query = Retriever(within, own.library, own.encoders, own.selection), query_of(assistant, request)
    evidence = {NONE: NOTHING, ADAPTIVE: retriever.retrieve(query)}
    for arm, k in FIXED.items():
        evidence[arm] = _first(k, fused(within.hits, within.legs), own.library)
    return evidence, classes


def _first(k: int, hits: Sequence[Hit], library: Library) -> Evidence:
    """The first k of `hits`, whatever their relevance."""
    items = []
    for number, hit in enumerate(hits[:k], 1):
        content = library.passage(hit.id) if hit.kind == "passage" else library.case(hit.id)
        items.append(Reference(number, content, dict(hit.scores), 0.0))
    return Evidence(tuple(items), len(hits))


def classified(library: Library, kind: str, answer: bool) -> dict[str, str]:
    """By id: helpful, misleading, useless (of another organ), or beside the question (of another chest subject). What
    speaks of normal radiographs is left out: it bears on every question."""
    classes: dict[str, str] = {}
    for document in library.documents():
        card = Path(document.name).name
        if card != NORMAL_CARD:
            what = (HELPFUL if kind in SHOWS[card] else BESIDE) if card in SHOWS else USELESS
            classes |= {passage.id: what for passage in library.passages(document.id)}
    return classes | {case.id: _of_case(case, kind, answer) for case in library.cases()}


def _of_case(case: Case, kind: str, answer: bool) -> str:
    told = findings_of(case.report).get(LABEL_OF[kind])  # type: ignore[index]
    return BESIDE if told not in ("present", "absent") else HELPFUL if (told == "present") == answer else MISLEADING
