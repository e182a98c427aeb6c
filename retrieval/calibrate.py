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
    there are of the kind, found or not. `silent`: nothing of any kind bears on the question, so none may be shown."""

    relevance: Floats
    relevant: Bools
    possible: int
    silent: bool = False


def worth(shown: int, relevant: int, possible: int, k_max: int) -> float:
    """F1 of what is shown to one question against what is relevant to it, of which at most `k_max` could be shown; 1
    where nothing is relevant and nothing shown."""
    whole = shown + min(possible, k_max)
    return 2 * relevant / whole if whole else 1.0


@dataclass(frozen=True, slots=True)
class Worth:
    """Of one way to stop: the mean `worth` where something is relevant, the share of silent rankings to which something
    is shown, and the utility of both. nan where there are no such rankings."""

    f1: float
    false_evidence: float

    @property
    def utility(self) -> float:
        f1, false_evidence = (0.0 if math.isnan(value) else value for value in (self.f1, self.false_evidence))
        return f1 - false_evidence


@dataclass(frozen=True, slots=True)
class Stop:
    """Where to stop. `fitted` is what it is worth by mode, `default` what the defaults are."""

    gamma: float
    gamma_to_top: float
    floor: float
    fitted: dict[str, Worth]
    default: dict[str, Worth]

    @property
    def utility(self) -> float:
        """Of both modes together."""
        return sum(one.utility for one in self.fitted.values())


def fit_stop(rankings: Sequence[Ranking], k_max: int) -> Stop:
    """Floor and γ of the greatest utility, the floor for the two modes together; among equals, those nearest to the
    defaults. The utility is the mean `worth` where something is relevant, less the share of silent questions to which
    something is shown: however few of these the data hold, silence counts as much as what is said. ValueError without
    rankings."""
    if not rankings or k_max < 1:
        raise ValueError("rankings and room for at least one are needed")
    passing = np.array([[select.passing(r.relevance, floor, k_max) for floor in FLOORS] for r in rankings])
    modes = {
        "log-ratio": lambda r, gamma: select.log_ratio(r.relevance, gamma, 0, k_max),
        "ratio-to-top": lambda r, gamma: select.ratio_to_top(r.relevance, 1 + gamma, 0, k_max),
    }
    table, silent = np.array([_worths(r, k_max) for r in rankings]), np.array([r.silent for r in rankings])
    found = {}
    for mode, keep in modes.items():
        steep = np.array([[keep(r, gamma) for gamma in GAMMAS] for r in rankings])
        # Whatever the floor, a mode keeps what comes before the drop as far as it passes.
        found[mode] = [_by_floor(table, silent, np.minimum(steep[:, [g]], passing)) for g in range(len(GAMMAS))]
    utility = {mode: np.array([[one.utility for one in row] for row in rows]) for mode, rows in found.items()}
    floor = _best(sum(values.max(axis=0) for values in utility.values()), FLOORS, FLOOR)
    gamma = {mode: _best(values[:, floor], GAMMAS, GAMMA) for mode, values in utility.items()}
    at = int(np.flatnonzero(GAMMAS == GAMMA)[0]), int(np.flatnonzero(FLOORS == FLOOR)[0])
    return Stop(
        float(GAMMAS[gamma["log-ratio"]]),
        float(GAMMAS[gamma["ratio-to-top"]]),
        float(FLOORS[floor]),
        {mode: rows[gamma[mode]][floor] for mode, rows in found.items()},
        {mode: rows[at[0]][at[1]] for mode, rows in found.items()},
    )


def _worths(ranking: Ranking, k_max: int) -> list[float]:
    """By how many of the first are shown."""
    hits = np.concatenate([[0], np.cumsum(ranking.relevant[:k_max])])
    return [worth(n, int(hits[min(n, len(hits) - 1)]), ranking.possible, k_max) for n in range(k_max + 1)]


def _by_floor(table: Floats, silent: Bools, kept: NDArray[np.int64]) -> list[Worth]:
    """`table` (n, k_max + 1) worths by how many are shown, `kept` (n, floors)."""
    worths = np.take_along_axis(table, kept, axis=1)
    nothing = np.full(kept.shape[1], np.nan)
    f1 = nothing if silent.all() else worths[~silent].mean(axis=0)
    false = (kept[silent] > 0).mean(axis=0) if silent.any() else nothing
    return [Worth(float(good), float(bad)) for good, bad in zip(f1, false, strict=True)]


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
