"""What the metrics share: a rate that keeps its counts, and one check that columns belong together."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sized
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from retrieval.errors import BadInput


class Rate(NamedTuple):
    """`hits` of `of` items; `value` is their ratio in 0..1, nan when `of` is 0."""

    value: float
    hits: int
    of: int


def rate(hits: int, of: int) -> Rate:
    """The ratio with its counts, so that a rate over few items is seen for what it is."""
    return Rate(hits / of if of else math.nan, int(hits), int(of))


def pool(rates: Iterable[Rate]) -> Rate:
    """One rate over all items together (micro average): hits are added, so that an item weighs what it holds."""
    known = list(rates)
    return rate(sum(r.hits for r in known), sum(r.of for r in known))


def same_length(**columns: Sized) -> None:
    """Raise `BadInput` unless every column has one value for each item."""
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise BadInput(f"the columns differ in length ({counts}): give one value of each for every item")


def booleans(**columns: ArrayLike) -> tuple[NDArray[np.bool_], ...]:
    """The columns as boolean arrays (n,). `BadInput` when lengths differ or a value is not true, false, 1 or 0."""
    arrays = [np.asarray(column) for column in columns.values()]
    same_length(**dict(zip(columns, arrays, strict=True)))
    for name, array in zip(columns, arrays, strict=True):
        if not np.isin(array, (0, 1)).all():
            raise BadInput(f"{name} must hold true or false for every item; decide first what an abstention counts as")
    return tuple(array.astype(bool) for array in arrays)


def numbers(values: ArrayLike, name: str) -> NDArray[np.float64]:
    """The values as floats (n,). `BadInput` when one is nan: leave out the items without a score, or score them."""
    array = np.asarray(values, dtype=np.float64)
    if np.isnan(array).any():
        raise BadInput(f"{name} holds nan: leave out the items that have none, or give them one")
    return array
