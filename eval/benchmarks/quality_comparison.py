"""Image quality, comparison: which of two pictures of one study is the better one?

After MedQ-Bench's comparison task (arXiv:2510.01691), with its two levels: "fine" pairs have the same fault at
neighbouring grades, "coarse" pairs a slight fault beside a severe one of another kind. Each pair is asked in both
orders, so that a model that always prefers one place is seen to do so, and can't be right by it: chance is 1/2.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import islice

import numpy as np

from assistant.requests import AskRequest
from assistant.study import Study
from eval.benchmarks.common import SIZE, TRUTH_SIZE, chosen, first_sentence, picture_of
from eval.benchmarks.phantom_items import places, whose, with_choices
from eval.exam.benchmark import Answer, Benchmark, Figure, Item, Scores, mean_of
from eval.exam.candidate import Candidate
from eval.phantoms import make_phantom
from eval.phantoms.faults import FAULTS, Fault

PLACE = 8
CHOICES = ("the first", "the second")
QUESTION = with_choices("Both pictures show the same patient. Which of them is of better quality?", CHOICES)
FIRST, SECOND = "better one first", "better one second"


class QualityComparison(Benchmark):
    name = "quality-comparison"
    title = "Image quality, the better of two (phantoms, held-out families)"
    full, quick = 480, 24
    headline = "accuracy (chance .50)"

    def items(self, n: int, seed: int) -> Iterator[Item]:
        for (number, family), (better, worse) in zip(islice(places(PLACE, seed), n), couples(seed), strict=False):
            yield item_of(number, family, better, worse)

    async def sit(self, candidate: Candidate, item: Item) -> dict[str, Answer]:
        request = item.request()
        turned = replace(request, study=replace(request.study, pictures=request.study.pictures[::-1]))
        return {
            FIRST: await candidate.ask(request, item.references),
            SECOND: await candidate.ask(turned, item.references),
        }

    def score(self, item: Item, answers: Mapping[str, Answer]) -> Scores:
        first, second = (chosen(first_sentence(answers[order]), CHOICES) for order in (FIRST, SECOND))
        right = [first == CHOICES[0], second == CHOICES[1]]
        return {
            "level": item.truth["level"],
            "right": sum(right) / 2,
            "right_both": all(right),
            "answered": sum(said is not None for said in (first, second)) / 2,
            "prefers_first": sum(said == CHOICES[0] for said in (first, second)) / 2,
        }

    @property
    def figures(self) -> Mapping[str, Figure]:
        return {
            self.headline: mean_of("right"),
            "accuracy, coarse": mean_of("right", lambda row: row["level"] == "coarse"),
            "accuracy, fine": mean_of("right", lambda row: row["level"] == "fine"),
            "right in both orders (chance .25)": mean_of("right_both"),
            "answered": mean_of("answered"),
            "chose the first (half is fair)": mean_of("prefers_first"),
        }


def couples(seed: int) -> Iterator[tuple[Fault, Fault]]:
    """(better, worse): of each fault a coarse pair, and a fine one of grades 1 and 2 or 2 and 3; then again."""
    rng = np.random.default_rng([seed, PLACE])
    while True:
        for at in rng.permutation(len(FAULTS)):
            kind = FAULTS[at]
            other = FAULTS[(at + 1 + int(rng.integers(len(FAULTS) - 1))) % len(FAULTS)]
            yield Fault(kind, 1), Fault(other, 3)
            lower = 1 + int(rng.integers(2))
            yield Fault(kind, lower), Fault(kind, lower + 1)  # type: ignore[arg-type]


def item_of(number: int, family: str, better: Fault, worse: Fault) -> Item:
    level = "fine" if better.kind == worse.kind else "coarse"
    return Item(
        id=f"{family}-{number}",
        truth={
            "level": level, "better": [better.kind, better.grade], "worse": [worse.kind, worse.grade],
            "question": QUESTION,
        },
        request=partial(_request, number, family, better, worse),
        **whose(make_phantom(number, size=TRUTH_SIZE, family=family), level=level, fault=better.kind),
    )  # fmt: skip


def _request(number: int, family: str, *faults: Fault) -> AskRequest:
    """The same film with either fault: equal random streams, so that a fine pair differs in nothing but strength."""
    shown = (make_phantom(number, size=SIZE, family=family, fault=fault) for fault in faults)
    return AskRequest(study=Study(tuple(map(picture_of, shown))), question=QUESTION)
