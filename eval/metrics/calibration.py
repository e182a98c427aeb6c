"""Does confidence mean what it says? Confidence (n,) in 0..1 that the answer is right, and whether it was, (n,).

Nothing here depends on the order of the items: equal confidences always stay together.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eval.metrics.base import booleans, numbers, same_length
from retrieval.errors import BadInput


class Bin(NamedTuple):
    """The `n` items with confidence in (low, high] (the first bin holds its low edge): mean confidence, share right."""

    low: float
    high: float
    n: int
    confidence: float
    accuracy: float


class RiskCoverage(NamedTuple):
    """One point for each confidence at which answering can start, falling: (m,) each.

    Answering only from `threshold` up answers `coverage` of all items, and `risk` of those answers are wrong.
    """

    threshold: NDArray[np.float64]
    coverage: NDArray[np.float64]
    risk: NDArray[np.float64]


def brier(probability: ArrayLike, outcome: ArrayLike) -> float:
    """Mean squared difference of a probability and what happened, 0 (best) to 1; nan over no items."""
    p, y = _checked(probability, outcome)
    return float(np.mean((p - y) ** 2)) if p.size else math.nan


def ece(confidence: ArrayLike, right: ArrayLike, bins: int = 15, *, equal_mass: bool = False) -> float:
    """Expected calibration error, Σ n_b/n · |accuracy_b - confidence_b| (Guo et al. 2017, eq. 5); nan over no items.

    Bins are of equal width over 0..1, or hold equal shares of the items (Nguyen & O'Connor 2015): see `reliability`.
    """
    table = reliability(confidence, right, bins, equal_mass=equal_mass)
    total = sum(row.n for row in table)
    return sum(row.n * abs(row.accuracy - row.confidence) for row in table) / total if total else math.nan


def reliability(
    confidence: ArrayLike, right: ArrayLike, bins: int = 15, *, equal_mass: bool = False
) -> tuple[Bin, ...]:
    """The bins that hold items, rising. Equal mass cuts at the quantiles; equal confidences may make fewer bins."""
    if bins < 1:
        raise BadInput("bins must be at least 1")
    p, y = _checked(confidence, right)
    if not p.size:
        return ()
    grid = np.linspace(0, 1, bins + 1)
    edges = np.quantile(p, grid) if equal_mass else grid
    place = np.searchsorted(edges[1:-1], p, side="left")
    held = [(b, place == b) for b in np.unique(place)]
    return tuple(
        Bin(float(edges[b]), float(edges[b + 1]), int(own.sum()), float(p[own].mean()), float(y[own].mean()))
        for b, own in held
    )


def risk_coverage(confidence: ArrayLike, right: ArrayLike, *, answered: ArrayLike | None = None) -> RiskCoverage:
    """The risk-coverage curve (El-Yaniv & Wiener 2010) when the least confident answers are withheld first.

    Items with `answered` false are those where the model itself abstained: they are never answered, so that the curve
    ends at the coverage the model reaches. Confidence may be any number. Empty arrays when nothing was answered.
    """
    (correct,), score = booleans(right=right), numbers(confidence, "confidence")
    (given,) = booleans(answered=np.ones(correct.size) if answered is None else answered)
    same_length(confidence=score, right=correct, answered=given)
    order = np.argsort(-score[given], kind="stable")
    score, wrong = score[given][order], ~correct[given][order]
    last = np.flatnonzero(np.append(np.diff(score) != 0, True)) if score.size else np.array([], dtype=np.int64)
    return RiskCoverage(score[last], (last + 1) / max(correct.size, 1), np.cumsum(wrong)[last] / (last + 1))


def aurc(confidence: ArrayLike, right: ArrayLike, *, answered: ArrayLike | None = None) -> float:
    """Area under the risk-coverage curve: mean risk over the coverage reached, 0 (best) to 1; nan without an answer.

    Without equal confidences it is the mean over i of the risk of the i most confident (Geifman & El-Yaniv 2017).
    Abstentions lower the coverage, not this: report both.
    """
    curve = risk_coverage(confidence, right, answered=answered)
    if not curve.coverage.size:
        return math.nan
    steps = np.diff(curve.coverage, prepend=0.0)
    return float(np.sum(steps * curve.risk) / curve.coverage[-1])


def coverage_at_risk(
    confidence: ArrayLike, right: ArrayLike, risk: float, *, answered: ArrayLike | None = None
) -> float:
    """The largest coverage at which at most `risk` (0..1) of the answers are wrong; 0 when there is none.

    The threshold is chosen on these very items, so this is an upper bound. nan over no items.
    """
    if not np.asarray(right).size:
        return math.nan
    curve = risk_coverage(confidence, right, answered=answered)
    return float(np.max(curve.coverage[curve.risk <= risk], initial=0.0))


def _checked(probability: ArrayLike, outcome: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    p, (y,) = numbers(probability, "confidence"), booleans(outcome=outcome)
    same_length(confidence=p, right=y)
    if ((p < 0) | (p > 1)).any():
        raise BadInput("confidence must lie in 0..1: calibrate the score first")
    return p, y
