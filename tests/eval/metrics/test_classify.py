"""Classification against hand-computed cases and scikit-learn."""

import math

import numpy as np
import pytest
from sklearn import metrics

from eval.metrics.classify import (
    accuracy,
    at_threshold,
    auroc,
    auroc_within,
    balanced_accuracy,
    by_subgroup,
    choose_threshold,
    confusion,
    f1,
    macro_f1,
    operating_point,
)
from retrieval.errors import BadInput

TRUTH = ["yes", "yes", "yes", "no"]
SAID = ["yes", "no", None, "no"]  # the third abstains


def random_case(seed: int, n: int = 200) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    truth = random.random(n) < 0.3
    score = np.round(truth * 0.5 + random.normal(size=n), 1)  # rounded, for ties
    return truth, score, score > 0.3


def test_by_hand() -> None:
    assert accuracy(TRUTH, SAID) == 0.5
    assert balanced_accuracy(TRUTH, SAID) == pytest.approx((1 / 3 + 1) / 2)
    assert f1(TRUTH, SAID, "yes") == pytest.approx(2 * 1 / (2 * 1 + 0 + 2))
    assert f1(TRUTH, SAID, "no") == pytest.approx(2 * 1 / (2 * 1 + 1 + 0))
    assert macro_f1(TRUTH, SAID) == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert confusion(TRUTH, SAID, ["yes", "no", None]).tolist() == [[1, 1, 1], [0, 1, 0], [0, 0, 0]]


@pytest.mark.parametrize("seed", range(5))
def test_equals_scikit_learn(seed: int) -> None:
    truth, score, said = random_case(seed)
    assert accuracy(truth, said) == metrics.accuracy_score(truth, said)
    assert balanced_accuracy(truth, said) == pytest.approx(metrics.balanced_accuracy_score(truth, said))
    assert f1(truth, said) == pytest.approx(metrics.f1_score(truth, said))
    assert macro_f1(truth, said) == pytest.approx(metrics.f1_score(truth, said, average="macro"))
    assert auroc(truth, score) == pytest.approx(metrics.roc_auc_score(truth, score))
    assert np.array_equal(confusion(truth, said, [False, True]), metrics.confusion_matrix(truth, said))


def test_many_classes_equal_scikit_learn() -> None:
    random = np.random.default_rng(9)
    truth, said = random.choice(list("abcd"), size=(2, 100))
    assert balanced_accuracy(truth, said) == pytest.approx(metrics.balanced_accuracy_score(truth, said))
    assert macro_f1(truth, said) == pytest.approx(metrics.f1_score(truth, said, average="macro"))


def test_missing_class_is_nan_never_zero() -> None:
    one = [True, True]
    for value in (
        accuracy([], []),
        balanced_accuracy(one, [True, False]),
        macro_f1(one, one),
        macro_f1(TRUTH, SAID, ["yes", "no", "maybe"]),
        f1([False, False], [True, False]),
        auroc(one, [0.1, 0.2]),
        auroc([], []),
    ):
        assert math.isnan(value)


def test_answer_outside_the_classes_counts_against() -> None:
    assert balanced_accuracy([True, False], ["unsure", "unsure"]) == 0
    assert macro_f1([True, False], [None, None]) == 0
    with pytest.raises(BadInput, match="none of the classes"):
        confusion(TRUTH, SAID, ["yes", "no"])


def test_auroc_by_hand() -> None:
    # Pairs (positive, negative): .8 > .5, .8 > .4, .4 < .5, .4 = .4 → (1 + 1 + 0 + ½) / 4
    assert auroc([1, 1, 0, 0], [0.8, 0.4, 0.5, 0.4]) == 2.5 / 4


def test_auroc_within_strata_pools_pairs_and_ignores_what_the_stratum_gives_away() -> None:
    truth, score = [True, False, True, False, False], [0.9, 0.1, 0.4, 0.6, 0.2]
    views = ["AP", "AP", "PA", "PA", "PA"]
    assert auroc_within(truth, score, views) == pytest.approx((1 + 1) / (1 + 2))
    assert auroc_within(truth, score, ["one"] * 5) == pytest.approx(auroc(truth, score))
    given_away = [True, True, True, False], [1.0, 1.0, 1.0, 0.0]
    assert auroc(*given_away) == 1
    assert math.isnan(auroc_within(*given_away, ["ill", "ill", "ill", "well"]))


def test_operating_point_by_hand() -> None:
    truth = [1, 1, 1, 1, 0, 0, 0, 0]
    score = [0.9, 0.8, 0.7, 0.2, 0.75, 0.3, 0.2, 0.1]
    point = operating_point(truth, score, 0.75)
    assert point == (0.7, 0.75, 0.75, 3 / 4, 3 / 4, "given")
    strict = operating_point(truth, score, 1.0)
    assert strict == (0.2, 1.0, 0.25, 4 / 7, 1.0, "given")


def test_threshold_from_validation_is_measured_on_the_data() -> None:
    point = operating_point([1, 0], [0.4, 0.6], 1.0, validation=([1, 0], [0.5, 0.1]))
    assert point.threshold == 0.5
    assert point.chosen_on == "validation"
    assert (point.sensitivity, point.specificity, point.ppv, point.npv) == (0, 0, 0, 0)


@pytest.mark.parametrize("sensitivity", [0.07, 0.5, 0.9, 0.95, 1.0])
def test_threshold_equals_roc_curve(sensitivity: float) -> None:
    truth, score, _ = random_case(3)
    _, reached, thresholds = metrics.roc_curve(truth, score, drop_intermediate=False)
    assert choose_threshold(truth, score, sensitivity) == thresholds[np.argmax(reached >= sensitivity - 1e-12)]


def test_sensitivity_is_not_overshot_by_rounding() -> None:
    truth, score = [1] * 100, list(range(100))
    assert at_threshold(truth, score, choose_threshold(truth, score, 0.07)).sensitivity == 0.07


def test_operating_point_without_a_class() -> None:
    assert all(math.isnan(value) for value in operating_point([0, 0], [0.1, 0.2], 0.9)[:5])
    only = operating_point([1, 1], [0.1, 0.2], 1.0)
    assert only.sensitivity == 1
    assert math.isnan(only.specificity)
    assert math.isnan(only.npv)
    with pytest.raises(BadInput, match="sensitivity"):
        choose_threshold([1], [1], 0)


def test_subgroups() -> None:
    found = by_subgroup(["M", "F", "M"], accuracy, ["a", "b", "c"], np.array(["a", "c", "d"]))
    assert found == {"F": (1, 0.0), "M": (2, 0.5)}
    assert list(found) == ["F", "M"]
    with pytest.raises(BadInput, match="names 1"):
        by_subgroup(["M"], accuracy, [1, 2], [1, 2])
