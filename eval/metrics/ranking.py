"""Retrieval: ids in the order retrieved against the ids that are relevant, per query.

An id that is retrieved again counts as a miss at its second place, so that no score exceeds 1. A query without a
relevant id can't be scored: nan.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from eval.metrics.base import same_length
from retrieval.errors import BadInput


def recall_at_k(retrieved: Sequence[Hashable], relevant: Collection[Hashable], k: int) -> float:
    """Share of the relevant ids among the first k; with one relevant id it is the hit rate of image-text papers."""
    return float(_gains(retrieved, relevant, k).astype(bool).sum() / len(relevant)) if relevant else math.nan


def precision_at_k(retrieved: Sequence[Hashable], relevant: Collection[Hashable], k: int) -> float:
    """Relevant ids among the first k, divided by k also when fewer were retrieved (as TREC does)."""
    return float(_gains(retrieved, relevant, k).astype(bool).sum() / k) if relevant else math.nan


def ndcg_at_k(
    retrieved: Sequence[Hashable], relevant: Collection[Hashable] | Mapping[Hashable, float], k: int
) -> float:
    """DCG of the first k over the best possible; discount 1/log2(1 + rank), linear gain (Järvelin & Kekäläinen 2002).

    `relevant` may map ids to gains > 0; else every gain is 1.
    """
    gains = sorted(relevant.values() if isinstance(relevant, Mapping) else [1.0] * len(relevant), reverse=True)
    best = _dcg(np.array(gains[:k], dtype=np.float64))
    return _dcg(_gains(retrieved, relevant, k)) / best if best else math.nan


def reciprocal_rank(retrieved: Sequence[Hashable], relevant: Collection[Hashable]) -> float:
    """1 / rank of the first relevant id, 0 when none was retrieved."""
    if not relevant:
        return math.nan
    return next((1 / rank for rank, own in enumerate(retrieved, start=1) if own in relevant), 0.0)


def mean_reciprocal_rank(retrieved: Sequence[Sequence[Hashable]], relevant: Sequence[Collection[Hashable]]) -> float:
    """MRR: the mean of `reciprocal_rank` over the queries that have a relevant id; nan when none has."""
    same_length(retrieved=retrieved, relevant=relevant)
    ranks = [reciprocal_rank(r, wanted) for r, wanted in zip(retrieved, relevant, strict=True) if wanted]
    return sum(ranks) / len(ranks) if ranks else math.nan


def _gains(retrieved: Sequence[Hashable], relevant: Collection[Hashable], k: int) -> NDArray[np.float64]:
    """Gain at each of the first k places (fewer when fewer were retrieved)."""
    if k < 1:
        raise BadInput("k must be at least 1")
    seen: set[Hashable] = set()
    gains = []
    for own in retrieved[:k]:
        gain = relevant[own] if isinstance(relevant, Mapping) and own in relevant else float(own in relevant)
        gains.append(0.0 if own in seen else gain)
        seen.add(own)
    return np.array(gains, dtype=np.float64)


def _dcg(gains: NDArray[np.float64]) -> float:
    return float(np.sum(gains / np.log2(np.arange(2, gains.size + 2))))
