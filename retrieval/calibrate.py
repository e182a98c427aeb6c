"""What is fitted on validation data, as pure functions on arrays: from raw score to relevance, and where to stop.

The order of the data changes nothing, and what is chosen is never worse on the data it was chosen on than the defaults:
they are among the candidates.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval import select
from retrieval.weigh import FLOOR, GAMMA

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

LEAST = 20  # judged hits of a leg, and
LEAST_EACH = 5  # of those relevant and not: fewer fit nothing
FOLDS = 5
FLOORS = np.union1d(np.round(np.linspace(0, 1, 101), 2), [FLOOR])
GAMMAS = np.union1d(np.round(np.geomspace(0.02, 5, 40), 3), [GAMMA])


def fit_leg(raw: Floats, relevant: Bools) -> tuple[float, float] | None:
    """(a, b) of P(relevant) = 1/(1 + exp(−(a·raw + b))) (Platt 1999), by penalised likelihood.

    `raw` (n,) finite, `relevant` (n,). The penalty (unit variance on the slope of standardised scores) keeps separable
    data from an infinite slope and fades with n. Where a higher score means no more relevance, a is 0: every hit is as
    likely relevant as any other. None where there are too few of either kind.
    """
    raw, relevant = _checked(raw, relevant)
    order = np.lexsort((relevant, raw))  # the same rows in any order give the same numbers to the last digit
    raw, relevant = raw[order], relevant[order]
    positives = int(relevant.sum())
    if len(raw) < LEAST or min(positives, len(raw) - positives) < LEAST_EACH:
        return None
    even = (0.0, math.log(positives / (len(raw) - positives)))
    if raw[0] == raw[-1]:
        return even
    from sklearn.linear_model import LogisticRegression

    centre, spread = float(raw.mean()), float(raw.std())
    fit = LogisticRegression(C=1.0).fit(((raw - centre) / spread)[:, None], relevant)
    a = float(fit.coef_[0, 0]) / spread
    return (a, float(fit.intercept_[0]) - a * centre) if a > 0 else even


def held_out(raw: Floats, relevant: Bools, groups: Sequence[str]) -> Floats:
    """(n,) the relevance each row gets from a curve that was fitted without its group (its question): what Brier score
    and calibration error may be told from. nan where the rest fits nothing."""
    raw, relevant = _checked(raw, relevant)
    names = np.array(groups)
    fold = np.searchsorted(np.unique(names), names) % FOLDS
    p = np.full(len(raw), np.nan)
    for n in range(FOLDS):
        own = fold == n
        if own.any() and (curve := fit_leg(raw[~own], relevant[~own])):
            p[own] = [select.Calibration({"leg": curve}).relevance("leg", float(value)) for value in raw[own]]
    return p


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """What one question finds of one kind: `relevance` (m,) 0..1, descending, `relevant` (m,), and how many relevant
    there are in all, found or not. `possible` 0: nothing bears on it."""

    relevance: Floats
    relevant: Bools
    possible: int


def worth(shown: int, relevant: int, possible: int, k_max: int) -> float:
    """F1 of what is shown to one question against what is relevant to it, of which at most `k_max` could be shown; 1
    where nothing is relevant and nothing shown."""
    whole = shown + min(possible, k_max)
    return 2 * relevant / whole if whole else 1.0


@dataclass(frozen=True, slots=True)
class Stop:
    """Where to stop. `utility` is what `fit_stop` maximised, by mode; `default` that of the defaults."""

    gamma: float
    gamma_to_top: float
    floor: float
    utility: dict[str, float]
    default: dict[str, float]


def fit_stop(rankings: Sequence[Ranking], k_max: int) -> Stop:
    """Floor and γ of the greatest utility, the floor for the two modes together; among equals, those nearest to the
    defaults. The utility is the mean `worth` of the rankings to which something is relevant and of those to which
    nothing is, half each: silence where there is nothing to say counts as much as what is said elsewhere, however few
    such questions the data hold. ValueError without rankings."""
    if not rankings or k_max < 1:
        raise ValueError("rankings and room for at least one are needed")
    table = np.array([_worths(ranking, k_max) for ranking in rankings])  # (n, k_max + 1)
    weights = _half_each(np.array([ranking.possible > 0 for ranking in rankings]))
    passing = np.array([[select.passing(r.relevance, floor, k_max) for floor in FLOORS] for r in rankings])
    modes = {
        "log-ratio": lambda r, gamma: select.log_ratio(r.relevance, gamma, 0, k_max),
        "ratio-to-top": lambda r, gamma: select.ratio_to_top(r.relevance, 1 + gamma, 0, k_max),
    }
    found = {}
    for mode, keep in modes.items():
        steep = np.array([[keep(r, gamma) for gamma in GAMMAS] for r in rankings])
        # Whatever the floor, a mode keeps what comes before the drop as far as it passes.
        found[mode] = np.array([_mean(table, weights, np.minimum(steep[:, [g]], passing)) for g in range(len(GAMMAS))])
    floor = _best(sum(utility.max(axis=0) for utility in found.values()), FLOORS, FLOOR)
    gamma = {mode: _best(utility[:, floor], GAMMAS, GAMMA) for mode, utility in found.items()}
    at = (int(np.flatnonzero(GAMMAS == GAMMA)[0]), int(np.flatnonzero(FLOORS == FLOOR)[0]))
    return Stop(
        float(GAMMAS[gamma["log-ratio"]]),
        float(GAMMAS[gamma["ratio-to-top"]]),
        float(FLOORS[floor]),
        {mode: float(utility[gamma[mode], floor]) for mode, utility in found.items()},
        {mode: float(utility[at]) for mode, utility in found.items()},
    )


def _worths(ranking: Ranking, k_max: int) -> list[float]:
    """By how many of the first are shown."""
    hits = np.concatenate([[0], np.cumsum(ranking.relevant[:k_max])])
    return [worth(n, int(hits[min(n, len(hits) - 1)]), ranking.possible, k_max) for n in range(k_max + 1)]


def _half_each(answerable: Bools) -> Floats:
    """(n,) weights that sum to 1."""
    sizes = np.where(answerable, answerable.sum(), (~answerable).sum())
    weights: Floats = 1 / sizes / len(np.unique(answerable))
    return weights


def _mean(table: Floats, weights: Floats, kept: NDArray[np.int64]) -> Floats:
    """Over the rankings, by floor: `kept` (n, floors)."""
    mean: Floats = weights @ np.take_along_axis(table, kept, axis=1)
    return mean


def _best(utility: Floats, candidates: Floats, default: float) -> int:
    best = np.flatnonzero(utility >= utility.max() - 1e-9)
    return int(best[np.abs(candidates[best] - default).argmin()])


def promise(ks: Sequence[int], asked: Sequence[int], n: int, alpha: float, delta: float) -> str:
    """What `select.trustworthy_ks` says of the numbers of contexts `asked`, in words."""
    if not ks:
        return (
            f"With none of {_listed(asked)} contexts can it be promised that at most {alpha:.0%} of the answers are "
            f"wrong (n = {n}, {1 - delta:.0%} sure): mode calibrated would show none."
        )
    return (
        f"With {_listed(ks)} contexts at most {alpha:.0%} of the answers to questions like these {n} are wrong, with "
        f"probability {1 - delta:.0%} for all of them at once (of {_listed(asked)} tried)."
    )


def _listed(numbers: Sequence[int]) -> str:
    *first, last = map(str, numbers)
    return f"{', '.join(first)} or {last}" if first else last


def _checked(raw: Floats, relevant: Bools) -> tuple[Floats, Bools]:
    raw, relevant = np.asarray(raw, dtype=np.float64), np.asarray(relevant, dtype=bool)
    if raw.ndim != 1 or raw.shape != relevant.shape or not np.isfinite(raw).all():
        raise ValueError("one finite score and one judgement a hit are needed")
    return raw, relevant
