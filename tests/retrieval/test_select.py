from math import comb, e, exp, log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.select import Calibration, calibrated, log_ratio, p_value, ratio_to_top, trustworthy_ks

relevance = st.lists(st.floats(-1, 1), max_size=12).map(lambda s: sorted(s, reverse=True))
floors = st.floats(0, 1)
caps = st.integers(0, 12)
MODES = {
    "log-ratio": lambda s, floor, k_max: log_ratio(s, 0.5, floor, k_max),
    "ratio-to-top": lambda s, floor, k_max: ratio_to_top(s, 1.5, floor, k_max),
    "calibrated": lambda s, floor, k_max: calibrated(s, [1, 2, 4, 8], floor, k_max),
}
every_mode = pytest.mark.parametrize("keep", MODES.values(), ids=MODES)


@every_mode
@given(relevance, floors, caps)
def test_what_is_kept_deserves_it(keep, s, floor, k_max) -> None:
    kept = keep(s, floor, k_max)
    assert 0 <= kept <= min(k_max, len(s))
    assert all(value >= floor and value > 0 for value in s[:kept])


@every_mode
@given(relevance, floors, floors, caps)
def test_a_higher_floor_never_keeps_more(keep, s, floor, other, k_max) -> None:
    low, high = sorted((floor, other))
    assert keep(s, high, k_max) <= keep(s, low, k_max)


@every_mode
@given(relevance, floors, caps)
def test_a_larger_cap_never_keeps_less(keep, s, floor, k_max) -> None:
    assert keep(s, floor, k_max) <= keep(s, floor, k_max + 1)


@every_mode
def test_nothing_relevant_keeps_nothing(keep) -> None:
    assert keep([], 0.3, 4) == 0
    assert keep([0.29, 0.28], 0.3, 4) == 0
    assert keep([-0.1, -0.2], 0.0, 4) == 0
    assert keep([0.9, 0.8], 0.3, 0) == 0


@every_mode
@pytest.mark.parametrize("bad", [[0.1, 0.2], [float("nan")], [float("inf"), 0.1], [[0.1]]])
def test_disorder_is_refused(keep, bad) -> None:
    with pytest.raises(ValueError, match="descending"):
        keep(bad, 0.0, 4)


@every_mode
@given(relevance, st.sampled_from([0.5, 0.25, 0.125]), floors, caps)
def test_scale_does_not_matter_when_the_floor_scales(keep, s, factor, floor, k_max) -> None:
    s = [value for value in s if abs(value) > 1e-6]
    assert keep([factor * value for value in s], factor * floor, k_max) == keep(s, floor, k_max)


def test_log_ratio_cuts_at_the_first_drop() -> None:
    s = [0.9, 0.85, 0.8, 0.4, 0.39]
    assert log_ratio(s, 0.5, 0.1, 10) == 3
    assert log_ratio(s, 1.0, 0.1, 10) == 5
    assert log_ratio(s, 0.01, 0.1, 10) == 1
    assert log_ratio([1.0, 0.5, 0.25], log(2) + 1e-9, 0.1, 10) == 3  # the drop must exceed gamma


def test_ratio_to_top_compares_with_the_first() -> None:
    s = [0.9, 0.7, 0.61, 0.6, 0.59]
    assert ratio_to_top(s, 1.5, 0.1, 10) == 3  # 0.9/0.6 is 1.5: not below
    assert ratio_to_top([0.9, -0.9], 1.5, 0.0, 10) == 1  # the published test lets this pass


def test_calibrated_takes_the_largest_it_can_fill() -> None:
    s = [0.9, 0.8, 0.7, 0.2]
    assert calibrated(s, [1, 2, 4], 0.5, 10) == 2
    assert calibrated(s, [4], 0.5, 10) == 0
    assert calibrated(s, [], 0.5, 10) == 0


@pytest.mark.parametrize(("mode", "value"), [(log_ratio, 0), (log_ratio, float("nan")), (ratio_to_top, 1)])
def test_parameters_out_of_range_are_refused(mode, value) -> None:
    with pytest.raises(ValueError, match="above"):
        mode([0.5], value, 0.1, 4)


def by_hand(failures: int, n: int, alpha: float) -> float:
    a = min(failures / n, alpha)
    h1 = (a * log(a / alpha) if a else 0) + (1 - a) * log((1 - a) / (1 - alpha))
    binomial = sum(comb(n, i) * alpha**i * (1 - alpha) ** (n - i) for i in range(failures + 1))
    return min(exp(-n * h1), e * binomial)


@settings(deadline=None)  # the first call imports scipy
@given(st.integers(1, 200), st.data(), st.floats(0.05, 0.95))
def test_the_p_value_is_the_formula(n, data, alpha) -> None:
    failures = data.draw(st.integers(0, n))
    assert p_value(failures / n, n, alpha) == pytest.approx(min(by_hand(failures, n, alpha), 1), rel=1e-6)


def test_a_p_value_worked_out_on_paper() -> None:
    # n=10, alpha=.5, no failure: Hoeffding exp(-10 ln 2) = 2^-10, Bentkus e * 2^-10
    assert p_value(0.0, 10, 0.5) == pytest.approx(2**-10)
    assert p_value(0.6, 10, 0.5) == 1.0  # the risk seen exceeds alpha: nothing to promise


def test_trustworthy_ks_are_those_that_can_be_promised() -> None:
    n = 200
    correct = np.ones((n, 3), dtype=bool)
    correct[:20, 1] = False  # 10 % wrong
    correct[:60, 2] = False  # 30 % wrong
    assert trustworthy_ks(correct, alpha=0.2, delta=0.1) == [1, 2]
    assert trustworthy_ks(correct, alpha=0.2, delta=0.1, ks=[8, 2, 4]) == [2, 8]
    assert trustworthy_ks(correct[:5], alpha=0.2, delta=0.1) == []  # too few items for any promise
    assert trustworthy_ks(correct, alpha=0.05, delta=0.1) == [1]
    with pytest.raises(ValueError, match="column"):
        trustworthy_ks(correct, alpha=0.2, delta=0.1, ks=[1])


def test_the_promise_holds_on_simulated_models() -> None:
    """A model that is wrong a little more often than alpha is trusted in fewer than delta of the validation sets."""
    rng = np.random.default_rng(0)
    alpha, delta = 0.2, 0.1
    trusted = sum(bool(trustworthy_ks(rng.random((100, 3)) > alpha + 0.01, alpha, delta)) for _ in range(300))
    assert trusted / 300 <= delta


@given(st.sampled_from(["image→case", "text→passage", "bm25"]), st.floats(-5, 1e6), st.floats(0, 10))
def test_relevance_is_monotone_and_bounded(leg, raw, more) -> None:
    for calibration in (Calibration(), Calibration({leg: (2.0, -1.0)})):
        low, high = calibration.relevance(leg, raw), calibration.relevance(leg, raw + more)
        assert 0 <= low <= high <= 1


def test_default_relevance() -> None:
    calibration = Calibration()
    assert calibration.relevance("image→case", 0.7) == 0.7
    assert calibration.relevance("image→case", -0.3) == 0
    assert calibration.relevance("bm25", 10.0) == 0.5
    assert calibration.combined({"image→case": 0.4, "bm25": 10.0}) == 0.5
    assert calibration.combined({}) == 0


def test_a_stored_calibration_is_used() -> None:
    calibration = Calibration({"bm25": (0.5, -5.0)})
    assert calibration.relevance("bm25", 10.0) == 0.5
    assert calibration.relevance("bm25", 20.0) == pytest.approx(1 / (1 + exp(-5)))
    assert calibration.relevance("text→passage", 0.3) == 0.3
    assert calibration.relevance("bm25", -1e6) == pytest.approx(0, abs=1e-300)
