"""How many hits deserve to be read. Pure functions on calibrated relevance, one a mode; none may return padding.

A mode takes `s`, relevance in descending order, and returns how many of the first to keep: 0 when nothing reaches
`floor`, never more than `k_max`, and never anything at or below zero, whatever the floor (the published ratio test
lets a negative similarity pass, since S₁/Sᵢ is then below any threshold).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil, e, exp, inf, log
from typing import Any

import numpy as np
from numpy.typing import NDArray

Relevance = Sequence[float] | NDArray[np.floating[Any]]  # (n,) descending


def log_ratio(s: Relevance, gamma: float, floor: float, k_max: int) -> int:
    """Cut at the first steep drop: keep 1..i for the first i with log(sᵢ/sᵢ₊₁) > gamma (MMed-RAG).

    `gamma` > 0. Only what passes `floor` is compared, so a drop to something irrelevant needs no steepness.
    """
    if not gamma > 0:
        raise ValueError("gamma must be above 0")
    reach = passing(s, floor, k_max)
    for kept in range(1, reach):
        if log(s[kept - 1]) - log(s[kept]) > gamma:
            return kept
    return reach


def ratio_to_top(s: Relevance, t: float, floor: float, k_max: int) -> int:
    """Keep i while s₁/sᵢ < t (MMed-RAG, released code; 1.5 there). `t` > 1."""
    if not t > 1:
        raise ValueError("t must be above 1")
    reach = passing(s, floor, k_max)
    return next((kept for kept in range(reach) if s[0] >= t * s[kept]), reach)


def calibrated(s: Relevance, ks: Collection[int], floor: float, k_max: int) -> int:
    """The largest trustworthy number of contexts that `s` can fill, or 0. `ks` comes from `trustworthy_ks`."""
    reach = passing(s, floor, k_max)
    return max((k for k in ks if 0 < k <= reach), default=0)


def passing(s: Relevance, floor: float, k_max: int) -> int:
    """How many of the first reach the floor, at most `k_max`: what every mode starts from."""
    values = np.asarray(s, dtype=np.float64)
    if values.ndim != 1 or not np.isfinite(values).all() or (np.diff(values) > 0).any():
        raise ValueError("relevance must be one row of finite numbers in descending order")
    return min(int(((values >= floor) & (values > 0)).sum()), max(k_max, 0))


def p_value(risk: float, n: int, alpha: float) -> float:
    """Hoeffding–Bentkus p-value of "the true risk exceeds alpha", for `risk` seen on `n` items (RULE, Xia et al. 2024):

    min(exp(−n·h₁(min(risk, α), α)), e·P(Bin(n, α) ≤ ⌈n·risk⌉)), h₁(a, b) = a·ln(a/b) + (1−a)·ln((1−a)/(1−b)).
    """
    from scipy.special import bdtr

    a = min(risk, alpha)
    h1 = (a * log(a / alpha) if a > 0 else 0.0) + (1 - a) * log((1 - a) / (1 - alpha))
    failures = ceil(n * risk - 1e-9)  # n·(failures/n) may come out a hair above the whole number
    return min(exp(-n * h1), e * float(bdtr(failures, n, alpha)), 1.0)


def trustworthy_ks(
    correct: NDArray[np.bool_], alpha: float, delta: float, ks: Sequence[int] | None = None
) -> list[int]:
    """The numbers of contexts whose factuality risk is at most `alpha`, all of them at once with probability 1−delta.

    `correct` (n, K): was validation item i answered right with ks[j] contexts (default ks: 1..K). Keeps every k whose
    p-value is at most delta/K (Bonferroni; RULE). Ascending; empty when nothing can be promised.
    """
    n, candidates = correct.shape
    ks = range(1, candidates + 1) if ks is None else ks
    if n == 0 or len(ks) != candidates or not 0 < alpha < 1 or not 0 < delta < 1:
        raise ValueError("correct is (n > 0, one column a k); alpha and delta lie between 0 and 1")
    risks = 1 - correct.mean(axis=0)
    return sorted(k for k, risk in zip(ks, risks, strict=True) if p_value(float(risk), n, alpha) <= delta / candidates)


@dataclass(frozen=True, slots=True)
class Calibration:
    """Raw leg scores as relevance in [0, 1]. `legs`: leg name → (a, b) of 1/(1 + exp(−(a·raw + b))), from validation.

    A leg without an entry gets a default that was not measured: a cosine as it is, negative ones as 0; BM25, which has
    no upper end, as raw/(raw + `half`).
    """

    legs: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    half: float = 10

    def relevance(self, leg: str, raw: float) -> float:
        if leg in self.legs:
            a, b = self.legs[leg]
            return 1 / (1 + exp(min(-(a * raw + b), 700)))
        if leg.startswith("bm25"):
            return 1.0 if raw == inf else max(raw, 0.0) / (max(raw, 0.0) + self.half)
        return min(max(raw, 0.0), 1.0)

    def combined(self, scores: Mapping[str, float]) -> float:
        """Of one hit over all its legs: the best of them. 0 when no leg found it."""
        return max((self.relevance(leg, raw) for leg, raw in scores.items()), default=0.0)
