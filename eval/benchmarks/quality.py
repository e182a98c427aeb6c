"""Image quality, perception: is the picture fit to be read, what is wrong with it, and how badly?

After MedQ-Bench's perception task (arXiv:2510.01691: yes-or-no, what and how questions), on phantoms whose fault and
grade are known. Two are examined: the model, which is asked, and the assistant's own quality gate, whose defects come
with every answer. An answer that can't be read counts as wrong; so does none at all.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np

from assistant.requests import AskRequest
from assistant.study import Study
from eval.benchmarks.common import SIZE, TRUTH_SIZE, chosen, first_sentence, picture_of, yes_or_no
from eval.benchmarks.phantom_items import places, whose, with_choices
from eval.exam.benchmark import Answer, Benchmark, Figure, Item, Row, Scores, mean_of
from eval.exam.candidate import Candidate
from eval.metrics import classify
from eval.phantoms import make_phantom
from eval.phantoms.family import get_family
from eval.phantoms.faults import FAULTS, GRADES, SEVERITY, STATES, Fault, FaultKind
from eval.phantoms.wordings import Wording, get_wording

PLACE = 7
FIT, WHAT, HOW = "fit to be read", "what", "how"
SOUND = 6  # pictures without a fault to the 24 with one: half of all 30 are then fit to be read
NAMES: dict[FaultKind, set[str]] = {  # what the gate may call a fault; where it has no name, anything noticed will do
    "noise": {"noise"},
    "blur": {"blurred"},
    "motion": {"blurred"},
    "underexposure": {"too-bright", "low-contrast"},
    "overexposure": {"too-dark", "low-contrast"},
    "cut-off": {"cut-off"},
}


class Quality(Benchmark):
    name = "quality"
    title = "Image quality, perception (phantoms, held-out families)"
    full, quick = 600, 30
    headline = "fit to be read: balanced accuracy"

    def items(self, n: int, seed: int) -> Iterator[Item]:
        for (number, family), fault in zip(islice(places(PLACE, seed), n), cases(seed), strict=False):
            yield item_of(number, family, fault)

    async def sit(self, candidate: Candidate, item: Item) -> dict[str, Answer]:
        request = item.request()
        assert isinstance(request, AskRequest)
        return {
            name: await candidate.ask(replace(request, question=question), item.references)
            for name, question in item.truth["questions"].items()
        }

    def score(self, item: Item, answers: Mapping[str, Answer]) -> Scores:
        truth, said = item.truth, {name: first_sentence(answer) for name, answer in answers.items()}
        noticed = set(answers[FIT].defects)
        fit = yes_or_no(said[FIT])
        scores: Scores = {
            "fault": truth["fault"],
            "grade": truth["grade"],
            "fit": truth["fit"],
            "said_fit": fit,
            "right_fit": fit == truth["fit"],
            "answered": fit is not None,
            "noticed": bool(noticed),
        }
        if truth["fault"]:
            scores["right_what"] = chosen(said[WHAT], truth["choices"]) == STATES[truth["fault"]]
            scores["right_how"] = chosen(said[HOW], tuple(SEVERITY.values())) == SEVERITY[truth["grade"]]
            scores["named"] = bool(noticed & NAMES[truth["fault"]]) if truth["fault"] in NAMES else None
        return scores

    @property
    def figures(self) -> Mapping[str, Figure]:
        def gate(kind: str) -> Figure:
            return mean_of("noticed", lambda row: row["fault"] == kind and not row["fit"])

        def graded(grade: int) -> Figure:
            return mean_of("noticed", lambda row: row["grade"] == grade)

        return {
            self.headline: fit_to_be_read,
            "fit to be read: accuracy": mean_of("right_fit"),
            "fit to be read: answered": mean_of("answered"),
            "what: accuracy (chance .25)": mean_of("right_what"),
            "how: accuracy (chance .33)": mean_of("right_how"),
            "gate: sensitivity": mean_of("noticed", lambda row: not row["fit"]),
            "gate: specificity": _unless(mean_of("noticed", lambda row: row["fault"] is None)),
            "gate: names the fault": mean_of("named", lambda row: not row["fit"]),
            **{f"gate: notices grade {grade} ({SEVERITY[grade]})": graded(grade) for grade in GRADES},
            **{f"gate: sensitivity, {kind}": gate(kind) for kind in FAULTS},
        }

    def draw(self, rows: Sequence[Row], folder: Path) -> list[Path]:
        from eval.exam import plots

        scores = [row.scores for row in rows if row.error is None]
        if not scores:
            return []

        def noticed(kind: str | None, grade: int | None) -> float:
            return mean_of("noticed", lambda row: (row["fault"], row["grade"]) == (kind, grade))(scores)

        curves: dict[str, list[float]] = {
            kind: [noticed(None, None), *(noticed(kind, grade) for grade in GRADES)] for kind in FAULTS
        }
        title = f"Pictures in which the quality gate notices something (n = {len(scores)})"
        path = folder / f"{self.name}-gate.png"
        return [plots.severity_curves(curves, path, title, "share noticed", "grade of the fault")]


def _unless(figure: Figure) -> Figure:
    return lambda rows: 1 - figure(rows)


def fit_to_be_read(rows: Sequence[Scores]) -> float:
    return classify.balanced_accuracy([row["fit"] for row in rows], [row["said_fit"] for row in rows])


def cases(seed: int) -> Iterator[Fault | None]:
    """Every fault at every grade and `SOUND` pictures without one, in an order of the seed's; then again."""
    every = [*(Fault(kind, grade) for kind in FAULTS for grade in GRADES), *[None] * SOUND]
    rng = np.random.default_rng([seed, PLACE])
    while True:
        yield from (every[at] for at in rng.permutation(len(every)))


def item_of(number: int, family: str, fault: Fault | None) -> Item:
    phantom = make_phantom(number, size=TRUTH_SIZE, family=family)
    rng = np.random.default_rng(number)
    words = get_wording(get_family(family).wording)
    choices = four(fault.kind, rng) if fault else []
    asked = questions(words, choices, rng)
    return Item(
        id=f"{family}-{number}",
        truth={
            "fault": fault.kind if fault else None,
            "grade": fault.grade if fault else None,
            "fit": not (fault and fault.changes_reading),
            "choices": choices,
            "questions": asked,
        },
        request=partial(_request, number, family, fault, asked[FIT]),
        **whose(phantom, fault=fault.kind if fault else "none", grade=SEVERITY[fault.grade] if fault else "none"),
    )


def four(kind: FaultKind, rng: np.random.Generator) -> list[str]:
    """The true state of the picture and three others, in random order."""
    others = [other for other in FAULTS if other != kind]
    picked = [kind, *(others[at] for at in rng.permutation(len(others))[:3])]
    return [STATES[picked[at]] for at in rng.permutation(4)]


def questions(words: Wording, choices: Sequence[str], rng: np.random.Generator) -> dict[str, str]:
    """By kind; what is wrong and how badly is only asked where something is."""

    def one(ways: Sequence[str]) -> str:
        return ways[int(rng.integers(len(ways)))]

    asked = {FIT: one(words.adequate)}
    if choices:
        asked[WHAT] = with_choices(one(words.choose_fault), choices)
        asked[HOW] = with_choices(one(words.choose_grade), tuple(SEVERITY.values()))
    return asked


def _request(number: int, family: str, fault: Fault | None, question: str) -> AskRequest:
    phantom = make_phantom(number, size=SIZE, family=family, fault=fault)
    return AskRequest(study=Study((picture_of(phantom),)), question=question)
