"""Calibration and abstention against hand-computed cases and scikit-learn."""

import math

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from eval.metrics.calibration import aurc, brier, coverage_at_risk, ece, reliability, risk_coverage
from retrieval.errors import BadInput


def random_case(seed: int, n: int = 300) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    confidence = random.beta(2, 1, size=n)
    return confidence, random.random(n) < confidence**2


def test_ece_by_hand() -> None:
    confidence, right = [0.5, 0.4, 0.9, 1.0], [1, 0, 1, 1]
    # (0, .5]: confidence .45, right .5; (.5, 1]: confidence .95, right 1.
    assert ece(confidence, right, bins=2) == pytest.approx(0.5 * 0.05 + 0.5 * 0.05)
    low, high = reliability(confidence, right, bins=2)
    assert low == pytest.approx((0, 0.5, 2, 0.45, 0.5))
    assert high == pytest.approx((0.5, 1, 2, 0.95, 1))


def test_always_sure_and_half_right() -> None:
    assert ece([1.0] * 4, [1, 0, 1, 0]) == 0.5
    assert ece([1.0] * 4, [1, 0, 1, 0], equal_mass=True) == 0.5
    assert brier([1.0] * 4, [1, 0, 1, 0]) == 0.5


@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
@pytest.mark.parametrize("seed", range(3))
def test_bins_equal_scikit_learn(seed: int, strategy: str) -> None:
    confidence, right = random_case(seed)
    share, mean = calibration_curve(right, confidence, n_bins=10, strategy=strategy)
    table = reliability(confidence, right, 10, equal_mass=strategy == "quantile")
    assert [row.accuracy for row in table] == pytest.approx(share)
    assert [row.confidence for row in table] == pytest.approx(mean)
    assert sum(row.n for row in table) == 300
    assert brier(confidence, right) == pytest.approx(brier_score_loss(right, confidence))


def test_equal_mass_holds_equal_shares_and_keeps_ties_together() -> None:
    confidence, right = random_case(5)
    assert [row.n for row in reliability(confidence, right, 10, equal_mass=True)] == [30] * 10
    (only,) = reliability([0.3] * 9, [1] * 9, 3, equal_mass=True)
    assert only.n == 9


def test_order_of_items_does_not_matter() -> None:
    confidence, right = random_case(6)
    confidence = np.round(confidence, 1)
    shuffled = np.random.default_rng(1).permutation(300)
    for equal_mass in (False, True):
        assert ece(confidence, right, equal_mass=equal_mass) == pytest.approx(
            ece(confidence[shuffled], right[shuffled], equal_mass=equal_mass)
        )
    assert aurc(confidence, right) == pytest.approx(aurc(confidence[shuffled], right[shuffled]))


def test_risk_coverage_by_hand() -> None:
    threshold, coverage, risk = risk_coverage([0.9, 0.2, 0.7, 0.7], [1, 0, 0, 1])
    assert threshold.tolist() == [0.9, 0.7, 0.2]
    assert coverage.tolist() == [0.25, 0.75, 1]
    assert risk == pytest.approx([0, 1 / 3, 1 / 2])
    assert aurc([0.9, 0.2, 0.7, 0.7], [1, 0, 0, 1]) == pytest.approx(0.25 * 0 + 0.5 / 3 + 0.25 / 2)
    assert coverage_at_risk([0.9, 0.2, 0.7, 0.7], [1, 0, 0, 1], 0.4) == 0.75
    assert coverage_at_risk([0.9, 0.2], [0, 1], 0.4) == 0


def test_aurc_is_the_mean_risk_over_prefixes() -> None:
    confidence, right = random_case(8)
    wrong = ~right[np.argsort(-confidence)]
    assert aurc(confidence, right) == pytest.approx(np.mean(np.cumsum(wrong) / np.arange(1, 301)))


def test_useless_confidence_has_the_overall_risk() -> None:
    assert aurc([0.5] * 4, [1, 0, 0, 0]) == 0.75


def test_own_abstentions_end_the_curve_early() -> None:
    confidence, right, answered = [0.9, 0.8, 0.99, 0.1], [1, 0, 0, 0], [1, 1, 0, 0]
    curve = risk_coverage(confidence, right, answered=answered)
    assert curve.coverage.tolist() == [0.25, 0.5]
    assert curve.risk.tolist() == [0, 0.5]
    assert aurc(confidence, right, answered=answered) == 0.25
    assert coverage_at_risk(confidence, right, 1.0, answered=answered) == 0.5
    assert coverage_at_risk(confidence, right, 1.0, answered=[0] * 4) == 0
    assert math.isnan(aurc(confidence, right, answered=[0] * 4))


def test_no_items_is_nan() -> None:
    for value in (ece([], []), brier([], []), aurc([], []), coverage_at_risk([], [], 0.1)):
        assert math.isnan(value)
    assert reliability([], []) == ()


def test_refuses_what_is_no_confidence() -> None:
    with pytest.raises(BadInput, match=r"0\.\.1"):
        ece([1.2], [1])
    with pytest.raises(BadInput, match="nan"):
        brier([math.nan], [1])
    with pytest.raises(BadInput, match="bins"):
        reliability([0.5], [1], 0)
    with pytest.raises(BadInput, match="confidence 2, right 1"):
        aurc([0.5, 0.6], [1])
