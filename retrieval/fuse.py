"""Many rankings into one. Orders only: a fused score is the same for a perfect and an absurd hit, so none is returned.

What deserves to be read is decided in `retrieval/select.py`, on raw scores.
"""

from collections.abc import Sequence
from math import fsum


def reciprocal_rank(
    rankings: Sequence[Sequence[str]], k: float = 60, weights: Sequence[float] | None = None
) -> list[str]:
    """All ids of `rankings` (each best first), by the sum over rankings of weight / (k + rank), rank from 1.

    Cormack, Clarke and Büttcher, SIGIR 2009. `k` > -1 damps the advantage of the first places; `weights` ≥ 0, one a
    ranking, default 1. An id repeated within a ranking counts at its first place; ties keep the order of appearance.
    """
    weights = [1.0] * len(rankings) if weights is None else weights
    if len(weights) != len(rankings) or any(weight < 0 for weight in weights) or k <= -1:
        raise ValueError("one weight of at least 0 a ranking, and k above -1")
    shares: dict[str, list[float]] = {}
    for ranking, weight in zip(rankings, weights, strict=True):
        for rank, item in enumerate(dict.fromkeys(ranking), start=1):
            shares.setdefault(item, []).append(weight / (k + rank))
    return sorted(shares, key=lambda item: -fsum(shares[item]))
