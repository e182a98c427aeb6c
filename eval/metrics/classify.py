"""Classification: an answer outside the classes (an abstention, say) is wrong, and a class that is missing gives nan.

Labels may be anything hashable. Binary truth is true or false; a score is any number, higher for the positive class.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn import metrics

from eval.metrics.base import booleans, numbers, rate, same_length
from retrieval.errors import BadInput


class OperatingPoint(NamedTuple):
    """What a threshold yields on the data measured: "positive" is score >= `threshold`; rates in 0..1, or nan.

    `chosen_on` is "validation" when the threshold came from other data, "given" when it came from the data measured,
    which flatters it. Predictive values hold at the prevalence of the data measured.
    """

    threshold: float
    sensitivity: float
    specificity: float
    ppv: float
    npv: float
    chosen_on: str


class Subgroup(NamedTuple):
    """A metric over the `n` items of one subgroup."""

    n: int
    value: float


def accuracy(truth: Iterable[Hashable], said: Iterable[Hashable]) -> float:
    """Share of right answers; nan over no items."""
    pairs = _pairs(truth, said)
    return rate(sum(t == s for t, s in pairs), len(pairs)).value


def balanced_accuracy(truth: Iterable[Hashable], said: Iterable[Hashable]) -> float:
    """Mean recall of the classes that occur in `truth`; nan when fewer than two do."""
    pairs = _pairs(truth, said)
    classes = _distinct(t for t, _ in pairs)
    if len(classes) < 2:
        return math.nan
    hit, missed, _ = _counts(pairs, classes)
    return float(np.mean(hit / (hit + missed)))


def f1(truth: Iterable[Hashable], said: Iterable[Hashable], positive: Hashable = True) -> float:
    """F1 of one class, 2TP / (2TP + FP + FN); nan when `truth` has no positive item."""
    pairs = _pairs(truth, said)
    if positive not in [t for t, _ in pairs]:
        return math.nan
    hit, missed, false = _counts(pairs, [positive])
    return float((2 * hit / (2 * hit + missed + false))[0])


def macro_f1(truth: Iterable[Hashable], said: Iterable[Hashable], classes: Sequence[Hashable] | None = None) -> float:
    """Mean F1 of `classes` (default: those in `truth`); nan when `truth` lacks one of them or has fewer than two."""
    pairs = _pairs(truth, said)
    present = _distinct(t for t, _ in pairs)
    classes = present if classes is None else list(classes)
    if len(present) < 2 or not set(classes) <= set(present):
        return math.nan
    hit, missed, false = _counts(pairs, classes)
    return float(np.mean(2 * hit / (2 * hit + missed + false)))


def confusion(truth: Iterable[Hashable], said: Iterable[Hashable], classes: Sequence[Hashable]) -> NDArray[np.int64]:
    """Counts (k, k): row = truth, column = answer, in the order of `classes`.

    `BadInput` when a label is none of them: scikit-learn would drop that item in silence.
    """
    pairs = _pairs(truth, said)
    t, s = _codes(pairs, classes)
    if (t < 0).any() or (s < 0).any():
        raise BadInput("a label is none of the classes: name every class, the abstention as well")
    return np.asarray(metrics.confusion_matrix(t, s, labels=range(len(classes))), dtype=np.int64)


def auroc(truth: ArrayLike, score: ArrayLike) -> float:
    """Area under the ROC curve, ties counted half; nan when a class is missing."""
    positive, scores = _binary(truth, score)
    if positive.all() or not positive.any():
        return math.nan
    return float(metrics.roc_auc_score(positive, scores))


def auroc_within(truth: ArrayLike, score: ArrayLike, strata: Sequence[Hashable]) -> float:
    """Area under the ROC curve over pairs of one stratum (a view, a site), pooled: what the stratum alone gives away
    counts for nothing. nan when no stratum has both classes."""
    positive, scores = _binary(truth, score)
    same_length(truth=positive, strata=strata)
    names = _distinct(strata)
    inside = np.array([names.index(own) for own in strata], dtype=np.int64)
    won = pairs = 0.0
    for number in range(len(names)):
        own = inside == number
        ill, well = scores[own & positive], scores[own & ~positive]
        pairs += len(ill) * len(well)
        won += len(ill) * len(well) * auroc(positive[own], scores[own]) if len(ill) and len(well) else 0
    return won / pairs if pairs else math.nan


def operating_point(
    truth: ArrayLike,
    score: ArrayLike,
    sensitivity: float,
    *,
    validation: tuple[ArrayLike, ArrayLike] | None = None,
) -> OperatingPoint:
    """The highest threshold that reaches `sensitivity` (0..1], and what it yields on `truth` and `score`.

    The threshold is chosen on `validation` = (truth, score) when given, else on the data themselves; the result says
    which. All nan when the data it is chosen on have no positive.
    """
    source = "given" if validation is None else "validation"
    threshold = choose_threshold(*((truth, score) if validation is None else validation), sensitivity)
    return at_threshold(truth, score, threshold, chosen_on=source)


def choose_threshold(truth: ArrayLike, score: ArrayLike, sensitivity: float) -> float:
    """The highest t at which score >= t finds at least `sensitivity` of the positives; nan without a positive."""
    if not 0 < sensitivity <= 1:
        raise BadInput("sensitivity must be above 0 and at most 1")
    positive, scores = _binary(truth, score)
    falling = np.sort(scores[positive])[::-1]
    if not falling.size:
        return math.nan
    # The tolerance keeps 0.07 * 100 = 7.000000000000001 from asking for an eighth.
    needed = math.ceil(sensitivity * falling.size - 1e-9)
    return float(falling[max(needed, 1) - 1])


def at_threshold(truth: ArrayLike, score: ArrayLike, threshold: float, *, chosen_on: str = "given") -> OperatingPoint:
    """What a fixed threshold yields; a rate without a denominator is nan, and all is nan under a nan threshold."""
    positive, scores = _binary(truth, score)
    if math.isnan(threshold):
        return OperatingPoint(math.nan, math.nan, math.nan, math.nan, math.nan, chosen_on)
    called = scores >= threshold
    true_positive, true_negative = int((called & positive).sum()), int((~called & ~positive).sum())
    return OperatingPoint(
        threshold,
        sensitivity=rate(true_positive, int(positive.sum())).value,
        specificity=rate(true_negative, int((~positive).sum())).value,
        ppv=rate(true_positive, int(called.sum())).value,
        npv=rate(true_negative, int((~called).sum())).value,
        chosen_on=chosen_on,
    )


def by_subgroup(
    names: Sequence[str], metric: Callable[..., float], *columns: Sequence[object] | NDArray[Any]
) -> dict[str, Subgroup]:
    """`metric(*columns)` over the items of each name (sex, age band, view), names in alphabetical order."""
    same_length(names=names, **{f"column {i}": column for i, column in enumerate(columns)})
    chosen = {name: [i for i, own in enumerate(names) if own == name] for name in sorted(set(names))}
    return {
        name: Subgroup(len(items), float(metric(*([column[i] for i in items] for column in columns))))
        for name, items in chosen.items()
    }


def _binary(truth: ArrayLike, score: ArrayLike) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    (positive,), scores = booleans(truth=truth), numbers(score, "score")
    same_length(truth=positive, score=scores)
    return positive, scores


def _pairs(truth: Iterable[Hashable], said: Iterable[Hashable]) -> list[tuple[Hashable, Hashable]]:
    left, right = list(truth), list(said)
    same_length(truth=left, said=right)
    return list(zip(left, right, strict=True))


def _counts(
    pairs: Sequence[tuple[Hashable, Hashable]], classes: Sequence[Hashable]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Right, missed and falsely said, each (k,) by class. Counted here rather than by scikit-learn, whose checks of its
    input cost a bootstrap a hundred times what the counting does; the tests hold the two equal."""
    t, s = _codes(pairs, classes)
    k = len(classes)
    hit = np.bincount(t[(t == s) & (t >= 0)], minlength=k)
    return hit, np.bincount(t[t >= 0], minlength=k) - hit, np.bincount(s[s >= 0], minlength=k) - hit


def _distinct(labels: Iterable[Hashable]) -> list[Hashable]:
    return list(dict.fromkeys(labels))


def _codes(
    pairs: Sequence[tuple[Hashable, Hashable]], classes: Sequence[Hashable]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Truth and answers as numbers of classes, -1 for a label outside them: any mixture of types may be compared."""
    number = {label: i for i, label in enumerate(classes)}
    coded = np.array([(number.get(t, -1), number.get(s, -1)) for t, s in pairs], dtype=np.int64).reshape(-1, 2)
    return coded[:, 0], coded[:, 1]
