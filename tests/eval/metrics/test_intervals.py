"""Intervals and tests: known cases, scipy, and the rules they must keep."""

import math
import time
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, permutation_test

from eval.metrics.classify import auroc, macro_f1
from eval.metrics.intervals import bootstrap, mcnemar, paired
from eval.metrics.text import bleu_of, bleu_statistics, corpus_bleu
from retrieval.errors import BadInput

scores = st.lists(st.floats(-10, 10), min_size=2, max_size=30)
pairs = st.lists(st.tuples(st.floats(-10, 10), st.floats(-10, 10)), min_size=2, max_size=20)
few = settings(max_examples=40, deadline=None)


def test_mean_has_the_interval_of_theory() -> None:
    rows = np.random.default_rng(0).normal(5, 2, size=400)
    interval = bootstrap(rows, np.mean, n=4000)
    half = 1.96 * rows.std() / math.sqrt(400)
    assert interval.value == rows.mean()
    assert interval.low == pytest.approx(rows.mean() - half, abs=0.02)
    assert interval.high == pytest.approx(rows.mean() + half, abs=0.02)
    assert (interval.units, interval.dropped) == (400, 0)


def test_same_seed_same_numbers_and_another_seed_others() -> None:
    rows = np.random.default_rng(0).random(50)
    assert bootstrap(rows, np.mean, seed=3) == bootstrap(rows, np.mean, seed=3)
    assert bootstrap(rows, np.mean, seed=3) != bootstrap(rows, np.mean, seed=4)


@few
@given(scores)
def test_interval_holds_the_mean(rows: list[float]) -> None:
    value, low, high, *_ = bootstrap(rows, np.mean, n=200)
    assert low - 1e-9 <= value <= high + 1e-9


def test_a_lower_level_is_narrower() -> None:
    rows = np.random.default_rng(0).random(50)
    wide, narrow = bootstrap(rows, np.mean), bootstrap(rows, np.mean, level=0.5)
    assert wide.low < narrow.low < narrow.high < wide.high


def test_groups_are_drawn_whole() -> None:
    groups = ["b", "a", "b", "a", "c", "b"]
    rows = np.array([[ord(name), i] for i, name in enumerate(groups)])
    sizes = {ord("a"): 2, ord("b"): 3, ord("c"): 1}
    seen = []

    def look(drawn: np.ndarray) -> float:
        counts = {group: int((drawn[:, 0] == group).sum()) for group in set(drawn[:, 0].tolist())}
        assert all(count % sizes[group] == 0 for group, count in counts.items())
        seen.append(sum(count // sizes[group] for group, count in counts.items()))
        return 0.0

    assert bootstrap(rows, look, groups=groups, n=50).units == 3
    assert set(seen) == {3}  # three patients a draw, however many items they have


def test_groups_widen_the_interval_of_repeated_items() -> None:
    once = np.random.default_rng(0).random(40)
    rows, groups = np.repeat(once, 10), np.repeat(np.arange(40), 10).tolist()
    alone, whole = bootstrap(rows, np.mean), bootstrap(rows, np.mean, groups=groups)
    assert whole.high - whole.low == pytest.approx(math.sqrt(10) * (alone.high - alone.low), rel=0.15)
    # One item a group is the plain bootstrap, and names of groups don't matter.
    assert bootstrap(once, np.mean, groups=[f"p{i}" for i in range(40)]) == bootstrap(once, np.mean)


def test_rows_may_be_columns_or_objects() -> None:
    random = np.random.default_rng(0)
    truth = random.random(80) < 0.5
    columns = np.column_stack([truth, truth + random.normal(size=80)])
    assert bootstrap(columns, lambda r: auroc(r[:, 0], r[:, 1]), n=50).value == auroc(truth, columns[:, 1])

    @dataclass
    class Item:
        truth: str
        said: str | None

    items = [Item("yes", "yes"), Item("no", None), Item("no", "no")] * 5
    found = bootstrap(items, lambda rows: macro_f1([r.truth for r in rows], [r.said for r in rows]), n=50)
    assert found.value == pytest.approx((1 + 2 * 5 / (2 * 5 + 5)) / 2)
    tuples = [("yes", 1), ("no", 2), ("no", 3)]
    assert bootstrap(tuples, lambda rows: sum(number for _, number in rows), n=10).value == 6


def test_bleu_of_the_corpus() -> None:
    hypotheses = ["the heart is enlarged", "no effusion is seen", "clear lungs on both sides"]
    references = ["the heart is not enlarged", "no effusion seen", "lungs are clear on both sides"]
    rows = np.array([bleu_statistics(h, r) for h, r in zip(hypotheses, references, strict=True)])
    interval = bootstrap(rows, lambda drawn: bleu_of(drawn.sum(axis=0)), n=100)
    assert interval.value == corpus_bleu(hypotheses, references)
    assert interval.low < interval.value < interval.high


def test_nan_draws_are_left_out_and_counted() -> None:
    columns = np.array([[1, 0.9], [0, 0.1], [0, 0.2]])
    interval = bootstrap(columns, lambda r: auroc(r[:, 0], r[:, 1]))
    # A draw of three lacks the positive with (2/3)³, and holds nothing else with (1/3)³.
    assert interval.dropped / 1000 == pytest.approx(8 / 27 + 1 / 27, abs=0.05)
    assert (interval.low, interval.high) == (1, 1)


def test_no_interval_where_there_can_be_none() -> None:
    assert all(math.isnan(bound) for bound in bootstrap([], np.mean)[:3])
    one = bootstrap([3.0, 5.0], np.mean, groups=["p", "p"])
    assert one.value == 4
    assert math.isnan(one.low)
    mostly = bootstrap([1.0, 2.0], lambda rows: rows.mean() if len(set(rows)) == 2 and rows[0] == 1 else math.nan)
    assert mostly.dropped > 500
    assert math.isnan(mostly.high)
    empty = paired([], [], np.mean)
    assert math.isnan(empty.value)
    assert math.isnan(empty.p)


@few
@given(pairs)
def test_swapping_a_and_b_negates(rows: list[tuple[float, float]]) -> None:
    a, b = np.array(rows).T
    there, back = paired(a, b, np.mean, n=100), paired(b, a, np.mean, n=100)
    assert back.value == pytest.approx(-there.value)
    assert (back.low, back.high) == pytest.approx((-there.high, -there.low))
    assert back.p == there.p


@few
@given(scores)
def test_identical_systems_differ_by_nothing(rows: list[float]) -> None:
    assert paired(rows, rows, np.mean, n=50)[:4] == (0, 0, 0, 1)


def test_clear_difference_has_the_smallest_p() -> None:
    a, b = np.full(30, 0.9), np.full(30, 0.4)
    found = paired(a, b, np.mean, n=999)
    assert found.value == pytest.approx(0.5)
    assert (found.low, found.high) == pytest.approx((0.5, 0.5))
    assert found.p == 1 / 1000


def test_permutation_equals_scipy() -> None:
    random = np.random.default_rng(2)
    a, b = random.random((2, 12))
    b = b - 0.15
    exact = permutation_test((a, b), lambda x, y: x.mean() - y.mean(), permutation_type="samples", n_resamples=np.inf)
    assert paired(a, b, np.mean, n=4000).p == pytest.approx(exact.pvalue, abs=0.02)


def test_groups_are_swapped_whole() -> None:
    # Two patients: the swaps are none, one, the other, both, so that half of the differences are as far as this one.
    a, b = np.ones(20), np.zeros(20)
    assert paired(a, b, np.mean, groups=["p"] * 10 + ["q"] * 10, n=2000).p == pytest.approx(0.5, abs=0.05)
    assert paired(a, b, np.mean, n=2000).p < 0.01


def test_same_draws_for_both_systems() -> None:
    a = np.random.default_rng(0).random(60)
    found = paired(a + 0.1, a, np.mean)
    assert found.high - found.low < 1e-9


def test_p_is_fair_when_nothing_differs() -> None:
    random = np.random.default_rng(0)
    small = [paired(*random.random((2, 15)), np.mean, n=99, seed=i).p <= 0.1 for i in range(200)]
    assert 0.04 < np.mean(small) < 0.17


def test_mcnemar_by_hand_and_scipy() -> None:
    right_a, right_b = [1] * 8 + [0] * 2 + [1] * 5, [0] * 8 + [1] * 2 + [1] * 5
    found = mcnemar(right_a, right_b)
    assert (found.only_a, found.only_b) == (8, 2)
    assert found.p == pytest.approx(2 * (1 + 10 + 45) / 2**10)
    assert found.p == binomtest(8, 10).pvalue
    assert mcnemar(right_b, right_a) == (2, 8, found.p)
    assert mcnemar([1, 0], [1, 0]) == (0, 0, 1)


def test_fast() -> None:
    rows = np.random.default_rng(0).random(2000)
    groups = (np.arange(2000) // 3).tolist()
    start = time.perf_counter()
    bootstrap(rows, np.mean, groups=groups)
    paired(rows, rows, np.mean)
    assert time.perf_counter() - start < 3  # about 0.2 s on an idle machine


def test_bad_input() -> None:
    with pytest.raises(BadInput, match="2 items but 1 groups"):
        bootstrap([1.0, 2.0], np.mean, groups=["p"])
    with pytest.raises(BadInput, match="level"):
        bootstrap([1.0, 2.0], np.mean, level=95)
    with pytest.raises(BadInput, match="n must"):
        paired([1.0], [2.0], np.mean, n=0)
    with pytest.raises(BadInput, match="rows_a 1, rows_b 2"):
        paired([1.0], [1.0, 2.0], np.mean)
    with pytest.raises(BadInput, match="shape"):
        paired(np.ones((2, 1)), np.ones((2, 2)), np.mean)
