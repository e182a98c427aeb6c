"""Which pairs are kept: nothing twice, and of every finding and every kind of change as many as there are to have."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import TypeVar

import numpy as np

from finetune.preferences.pair import Pair

T = TypeVar("T")


def in_turn(groups: dict[str, list[T]], rng: np.random.Generator) -> Iterator[T]:
    """Items of all groups in turn, the rarest group first, each group in random order."""
    mixed = {name: [items[n] for n in rng.permutation(len(items))] for name, items in sorted(groups.items())}
    ordered = sorted(mixed.values(), key=len)
    for row in zip_longest(*ordered):
        yield from (item for item in row if item is not None)


def without_duplicates(pairs: Iterable[Pair]) -> list[Pair]:
    """The first of those that are the same for a model: one patient, one picture, the same two answers, and the same
    damage, whatever the words of the question."""
    kept: dict[tuple[object, ...], Pair] = {}
    for pair in pairs:
        kept.setdefault(key_of(pair), pair)
    return list(kept.values())


def key_of(pair: Pair) -> tuple[object, ...]:
    answers = tuple(" ".join(text.casefold().split()) for text in (pair.chosen, pair.rejected))
    return (pair.patient, tuple(pair.images), *answers, tuple(pair.rejected_images))


def apart(pairs: Sequence[Pair]) -> list[Pair]:
    """The pairs whose patient is on one side alone: where a patient came in from two sources, the first side counts."""
    sides: dict[str, str] = {}
    return [pair for pair in pairs if sides.setdefault(pair.patient, pair.split) == pair.split]
