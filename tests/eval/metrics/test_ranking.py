"""Ranking metrics against hand-computed cases and scikit-learn's nDCG."""

import math

import numpy as np
import pytest
from sklearn.metrics import ndcg_score

from eval.metrics.ranking import mean_reciprocal_rank, ndcg_at_k, precision_at_k, recall_at_k, reciprocal_rank
from retrieval.errors import BadInput

FOUND, WANTED = ["x", "a", "y", "b"], {"a", "b", "c"}


def test_by_hand() -> None:
    assert recall_at_k(FOUND, WANTED, 2) == pytest.approx(1 / 3)
    assert recall_at_k(FOUND, WANTED, 10) == pytest.approx(2 / 3)
    assert precision_at_k(FOUND, WANTED, 2) == 0.5
    assert precision_at_k(FOUND, WANTED, 10) == 0.2
    assert reciprocal_rank(FOUND, WANTED) == 0.5
    best = 1 + 1 / math.log2(3) + 1 / 2
    assert ndcg_at_k(FOUND, WANTED, 4) == pytest.approx((1 / math.log2(3) + 1 / math.log2(5)) / best)


@pytest.mark.parametrize("k", [1, 3, 10, 50])
@pytest.mark.parametrize("seed", range(4))
def test_ndcg_equals_scikit_learn(seed: int, k: int) -> None:
    random = np.random.default_rng(seed)
    gains, scores = random.integers(0, 4, size=20).astype(float), random.random(20)
    order = np.argsort(-scores).tolist()
    graded = {i: gain for i, gain in enumerate(gains) if gain}
    assert ndcg_at_k(order, graded, k) == pytest.approx(ndcg_score([gains], [scores], k=k))
    assert ndcg_at_k(order, set(graded), k) == pytest.approx(ndcg_score([gains > 0], [scores], k=k))


def test_nothing_relevant_is_nan_and_nothing_retrieved_is_zero() -> None:
    for metric in (recall_at_k, precision_at_k, ndcg_at_k):
        assert math.isnan(metric(FOUND, set(), 3))
        assert metric([], WANTED, 3) == 0
    assert math.isnan(reciprocal_rank(FOUND, set()))
    assert reciprocal_rank([], WANTED) == 0


def test_repeated_id_counts_once() -> None:
    assert recall_at_k(["a", "a"], {"a"}, 2) == 1
    assert precision_at_k(["a", "a"], {"a"}, 2) == 0.5
    assert ndcg_at_k(["a", "a"], {"a"}, 2) == 1


def test_mean_reciprocal_rank_leaves_out_queries_without_an_answer() -> None:
    assert mean_reciprocal_rank([["a"], ["x", "b"], ["z"]], [{"a"}, {"b"}, set()]) == 0.75
    assert math.isnan(mean_reciprocal_rank([["a"]], [set()]))


def test_k_below_one_is_refused() -> None:
    with pytest.raises(BadInput, match="k must"):
        recall_at_k(FOUND, WANTED, 0)
