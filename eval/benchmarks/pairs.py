"""Which of three pairs of studies shows the stated change? The third task of TemMed-Bench, on pairs
of phantoms with the same finding on the same side and another course.

Each pair is asked by itself whether the statement holds, so that it fits any model's context; the likeliest yes wins.
Without likelihoods the only pair answered yes wins. A tie is no choice, and counts as wrong. Chance is 1/3.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice

import numpy as np

from assistant.requests import AskRequest, Request
from eval.benchmarks.common import NO, SIZE, YES, exam_seeds, first_sentence, yes_or_no
from eval.benchmarks.comparison import asked_of
from eval.exam.benchmark import Answer, Benchmark, Figure, Item, Scores, mean_of
from eval.exam.candidate import Candidate
from eval.phantoms import EXAM_FAMILIES, FINDINGS
from eval.phantoms.findings import SIDED, SIDES
from eval.phantoms.pairs import CHANGES, Change, ChangeName, change_sentence, make_pair

PLACE = 6
RIGHT = "right pair"
OTHERS = ("second pair", "third pair")
_ALSO_TRUE: dict[ChangeName, ChangeName] = {"larger": "new", "smaller": "resolved"}  # stated → what it holds of, too


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class PairsItem(Item):
    """`request` shows the right pair, `others` the wrong ones."""

    others: tuple[Callable[[], Request], ...]


class Pairs(Benchmark):
    name = "pairs"
    title = "The pair that shows the stated change, of three (phantoms, held-out families)"
    full, quick = 420, 20
    headline = "accuracy (chance .33)"

    def items(self, n: int, seed: int) -> Iterator[PairsItem]:
        seeds = exam_seeds(PLACE, seed)
        for number in range(n):
            yield item_of(number, tuple(islice(seeds, 3)))

    async def sit(self, candidate: Candidate, item: Item) -> dict[str, Answer]:
        assert isinstance(item, PairsItem)
        asked = zip((RIGHT, *OTHERS), (item.request, *item.others), strict=True)
        return {name: await candidate.ask(make(), item.references, options=(YES, NO)) for name, make in asked}

    def score(self, item: Item, answers: Mapping[str, Answer]) -> Scores:
        picked = pick(answers)
        return {
            "right": picked == RIGHT,
            "picked": picked is not None,
            "said_yes": sum(yes_or_no(first_sentence(answer)) is True for answer in answers.values()),
        }

    @property
    def figures(self) -> Mapping[str, Figure]:
        return {
            "accuracy (chance .33)": mean_of("right"),
            "made a choice": mean_of("picked"),
            "accuracy of the choices made": mean_of("right", lambda row: bool(row["picked"])),
            "pairs answered yes, of three": mean_of("said_yes"),
        }


def pick(answers: Mapping[str, Answer]) -> str | None:
    """The likeliest yes, or the only one; None when there is no single one."""
    if all({YES, NO} <= set(answer.likelihoods) for answer in answers.values()):
        odds = {name: answer.likelihoods[YES] - answer.likelihoods[NO] for name, answer in answers.items()}
        best = [name for name, own in odds.items() if own == max(odds.values())]
    else:
        best = [name for name, answer in answers.items() if yes_or_no(first_sentence(answer))]
    return best[0] if len(best) == 1 else None


def item_of(number: int, seeds: Sequence[int]) -> PairsItem:
    """The `number`th item, on three people: findings, courses, sides and families go round without common divisors."""
    family, kind = EXAM_FAMILIES[number % len(EXAM_FAMILIES)], FINDINGS[number % len(FINDINGS)]
    stated = Change(kind, SIDES[number % 2] if kind in SIDED else None, CHANGES[number % len(CHANGES)])
    statement = change_sentence(stated)
    shown = [stated, *(replace(stated, change=other) for other in wrong(stated.change, seeds[0]))]
    right, *others = (
        partial(_request, seed, family, change, statement) for seed, change in zip(seeds, shown, strict=True)
    )
    return PairsItem(
        id=f"{family}-{seeds[0]}",
        truth={"statement": statement, "changes": [change.change for change in shown]},
        request=right,
        others=tuple(others),
        groups={"change": stated.change, "finding": kind, "family": family},
        cluster=f"{family}-{seeds[0]}",
        phantoms=tuple((family, seed) for seed in seeds),
    )


def wrong(stated: ChangeName, seed: int) -> tuple[ChangeName, ChangeName]:
    """Two courses of which the statement doesn't hold."""
    false = [change for change in CHANGES if change not in (stated, _ALSO_TRUE.get(stated))]
    first, second = np.random.default_rng(seed).permutation(len(false))[:2]
    return false[first], false[second]


def _request(seed: int, family: str, change: Change, statement: str) -> AskRequest:
    pair = make_pair(seed, family=family, size=SIZE, changes=[change])
    return asked_of(pair, f"Statement: {statement} Does it hold for these two studies?")
