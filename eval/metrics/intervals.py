"""How sure is a figure, and is a difference more than chance? Same seed, same numbers.

Rows are items along the first axis: an array of any shape (scores, BLEU statistics, columns of truth and score), or a
sequence of any objects. A statistic takes such rows, drawn anew, and returns one number. Items of one patient are not
independent: with `groups` (a label an item) whole groups are drawn, and swapped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest

from eval.metrics.base import booleans, same_length
from retrieval.errors import BadInput

Rows = NDArray[Any]
Statistic = Callable[[Any], float]


class Interval(NamedTuple):
    """A figure with its interval. `units`: items or groups drawn; `dropped`: replicates left out because they were nan.

    `low` and `high` are nan with fewer than two units or when more than half of the replicates were dropped.
    """

    value: float
    low: float
    high: float
    units: int
    dropped: int


class Difference(NamedTuple):
    """Statistic of a minus statistic of b, its interval (see `Interval`) and the two-sided p value."""

    value: float
    low: float
    high: float
    p: float
    units: int
    dropped: int


class McNemar(NamedTuple):
    """Items that only a, or only b, has right, and the exact two-sided p value."""

    only_a: int
    only_b: int
    p: float


def bootstrap(
    rows: Sequence[Any] | Rows,
    statistic: Statistic,
    *,
    groups: Sequence[Hashable] | None = None,
    n: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """Percentile interval (Efron 1979) of `statistic` over `n` draws of as many items, or groups, with replacement.

    A draw on which the statistic is nan (a class is missing from it, say) is left out and counted in `dropped`.
    """
    _check(n, level)
    data = _rows(rows)
    units = _Units.of(len(data), groups)
    value = _value(statistic, data)
    draws = np.array([_value(statistic, data[drawn]) for drawn in units.draws(n, seed)])
    return Interval(value, *_percentiles(draws, level, value, len(units)), len(units), int(np.isnan(draws).sum()))


def paired(
    rows_a: Sequence[Any] | Rows,
    rows_b: Sequence[Any] | Rows,
    statistic: Statistic,
    *,
    groups: Sequence[Hashable] | None = None,
    n: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Difference:
    """Two systems on the same items in the same order: difference, percentile interval, permutation test.

    The interval draws the same items for both. The test swaps a and b within each item (each group, when given) by a
    fair coin, `n` times: p = (1 + draws at least as far from 0) / (1 + draws), so p is never 0; nan draws are left out.
    For a statistic of ranks (AUROC), bring the scores of both systems to one scale before: swapping mixes them.
    """
    _check(n, level)
    a, b = _rows(rows_a), _rows(rows_b)
    same_length(rows_a=a, rows_b=b)
    if a.shape != b.shape:
        raise BadInput("the rows of a and b differ in shape: give both the same columns")
    units = _Units.of(len(a), groups)
    value = _value(statistic, a) - _value(statistic, b)
    draws = np.array([_value(statistic, a[i]) - _value(statistic, b[i]) for i in units.draws(n, seed)])
    swapped = np.array([_swapped_difference(a, b, statistic, swap) for swap in units.swaps(n, seed)])
    low, high = _percentiles(draws, level, value, len(units))
    return Difference(value, low, high, _p_value(value, swapped), len(units), int(np.isnan(draws).sum()))


def mcnemar(right_a: ArrayLike, right_b: ArrayLike) -> McNemar:
    """McNemar's exact test on items that both systems answered: binomial over the items only one has right.

    p is 1 when there is no such item.
    """
    a, b = booleans(right_a=right_a, right_b=right_b)
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    p = float(binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0
    return McNemar(only_a, only_b, p)


class _Units:
    """What is drawn: groups of items, or single items. Members of a unit are neighbours in `order`."""

    def __init__(self, unit_of: NDArray[np.int64]) -> None:
        self.unit_of = unit_of
        self.order = np.argsort(unit_of, kind="stable")
        self.sizes = np.bincount(unit_of)
        self.starts = np.cumsum(self.sizes) - self.sizes

    @classmethod
    def of(cls, items: int, groups: Sequence[Hashable] | None) -> _Units:
        if groups is None:
            return cls(np.arange(items))
        if len(groups) != items:
            raise BadInput(f"{items} items but {len(groups)} groups: give one group for every item")
        # Numbered as they first appear: the draw depends on who belongs together, not on what the patients are called.
        numbers = {label: i for i, label in enumerate(dict.fromkeys(groups))}
        return cls(np.array([numbers[label] for label in groups], dtype=np.int64))

    def __len__(self) -> int:
        return len(self.sizes)

    def draws(self, n: int, seed: int) -> Iterator[NDArray[np.int64]]:
        """Indices of the items of each of `n` draws of units with replacement; none when there is nothing to draw."""
        random = np.random.default_rng([seed, 0])
        for _ in range(n if len(self) else 0):
            units = random.integers(len(self), size=len(self))
            sizes = self.sizes[units]
            begins = np.cumsum(sizes) - sizes
            yield self.order[np.repeat(self.starts[units] - begins, sizes) + np.arange(sizes.sum())]

    def swaps(self, n: int, seed: int) -> Iterator[NDArray[np.bool_]]:
        """Which items to swap, `n` times: a fair coin for every unit."""
        random = np.random.default_rng([seed, 1])
        for _ in range(n):
            yield random.random(len(self))[self.unit_of] < 0.5


def _check(n: int, level: float) -> None:
    if n < 1 or not 0 < level < 1:
        raise BadInput("n must be at least 1, and level lie between 0 and 1, such as 0.95")


def _rows(rows: Sequence[Any] | Rows) -> Rows:
    """Arrays and plain numbers as arrays; other objects one an element, untouched (numpy would take tuples apart)."""
    if isinstance(rows, np.ndarray):
        return rows
    if all(isinstance(row, Real | np.bool_) for row in rows):
        return np.array(rows, dtype=np.float64)
    objects = np.empty(len(rows), dtype=object)
    for i, row in enumerate(rows):
        objects[i] = row
    return objects


def _value(statistic: Statistic, rows: Rows) -> float:
    return float(statistic(rows)) if len(rows) else math.nan


def _swapped_difference(a: Rows, b: Rows, statistic: Statistic, swap: NDArray[np.bool_]) -> float:
    left, right = a.copy(), b.copy()
    left[swap], right[swap] = b[swap], a[swap]
    return _value(statistic, left) - _value(statistic, right)


def _percentiles(draws: NDArray[np.float64], level: float, value: float, units: int) -> tuple[float, float]:
    kept = draws[~np.isnan(draws)]
    if math.isnan(value) or units < 2 or 2 * kept.size < draws.size or not kept.size:
        return math.nan, math.nan
    low, high = np.quantile(kept, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _p_value(value: float, swapped: NDArray[np.float64]) -> float:
    kept = np.abs(swapped[~np.isnan(swapped)])
    if math.isnan(value):
        return math.nan
    # Sums in another order differ by rounding; a draw that ties with the figure must count.
    as_far = kept >= abs(value) - 1e-12 * max(1.0, abs(value))
    return float((1 + as_far.sum()) / (1 + kept.size))
