"""Which pairs belong together, and a few of many: what both kinds of training pairs need."""

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
