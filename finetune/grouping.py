"""Which pairs belong together, whether a search finds them, and a few of many."""

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")


def numbered(values: Sequence[Any]) -> NDArray[np.intp]:
    """(n,) the same number where values are equal."""
    numbers: dict[Any, int] = {}
    return np.array([numbers.setdefault(value, len(numbers)) for value in values], np.intp)


def alike(keys: Sequence[NDArray[np.intp]], numbers: Sequence[int]) -> NDArray[np.bool_]:
    """(b, b): which of these pairs share at least one key (n,)."""
    chosen = [key[np.asarray(numbers, np.intp)] for key in keys]
    return np.logical_or.reduce([key[:, None] == key for key in chosen])


def spread(items: Sequence[T], most: int) -> list[T]:
    """At most so many of the items, evenly taken from their whole order."""
    if len(items) <= most:
        return list(items)
    return [items[int(n)] for n in np.linspace(0, len(items) - 1, most).round()]


def first_ranks(scores: NDArray[np.float32], wanted: NDArray[np.bool_]) -> NDArray[np.intp]:
    """(n,) rank, from 1, of the best column that is wanted in each row of (n, m); of equal scores the wanted comes
    last, so that an encoder that gives the same vector for everything finds nothing."""
    best = np.where(wanted, scores, -np.inf).max(axis=1, keepdims=True)
    ranks: NDArray[np.intp] = 1 + ((scores >= best) & ~wanted).sum(axis=1)
    return ranks
