"""Made-up local protocols: passages of which one value decides the answer. Swap the value, and the answer must follow.

A `Protocol` is a family of passages about one fact: templates of the passage and of the question, and the values the
fact may take. What trains on such passages writes protocols of its own; those an exam asks about stay in the exam
(`eval.benchmarks.reading.PROTOCOLS`), and `in_common` tells what two families share.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from eval.phantoms.findings import SIDES

PLACES = ("St Brannoc's", "Eastmere", "Quarry Hill", "Tollgate", "Westonbury", "Lowmoor", "Harbour Road", "Fennside")


@dataclass(frozen=True)
class Protocol:
    """`passages` hold `{value}` and may hold `{place}`; `questions` hold neither. Any question fits any passage."""

    fact: str  # a word for it: "days", "drug"
    title: str
    section: str
    passages: tuple[str, ...]
    questions: tuple[str, ...]
    values: tuple[str, ...]


@dataclass(frozen=True)
class TwoReadings:
    """One question, and two passages that differ in one value alone; `values` are the right answers."""

    fact: str
    question: str
    title: str
    section: str
    passages: tuple[str, str]
    values: tuple[str, str]


def two_readings(protocols: Sequence[Protocol], number: int, rng: np.random.Generator) -> TwoReadings:
    """About the `number`th protocol, in turn. Before or after what is asked about stands a sentence of another of these
    protocols, the same in both passages: the value must be found, not only copied."""
    asked = protocols[number % len(protocols)]
    beside = [protocol for protocol in protocols if protocol.fact != asked.fact]
    template, question, place = _one(asked.passages, rng), _one(asked.questions, rng), _one(PLACES, rng)
    first, second = (asked.values[n] for n in rng.permutation(len(asked.values))[:2])
    other = ""
    if beside:
        neighbour = beside[int(rng.integers(len(beside)))]
        other = _one(neighbour.passages, rng).format(place=place, value=_one(neighbour.values, rng))
    before = bool(rng.integers(2))

    def passage(value: str) -> str:
        told = template.format(place=place, value=value)
        return " ".join(filter(None, (other, told) if before else (told, other)))

    return TwoReadings(
        asked.fact, question, asked.title, asked.section, (passage(first), passage(second)), (first, second)
    )


def in_common(one: Iterable[Protocol], other: Iterable[Protocol]) -> set[str]:
    """Templates and values that stand in both families. Numbers and sides are left out: there are too few of them."""

    def told(protocols: Iterable[Protocol]) -> set[str]:
        every = chain.from_iterable((*p.passages, *p.questions, *p.values) for p in protocols)
        return {text.lower() for text in every if not (text.isdigit() or text in SIDES)}

    return told(one) & told(other)


def _one(things: Sequence[str], rng: np.random.Generator) -> str:
    return things[int(rng.integers(len(things)))]
