"""Criteria macro-F1 by hand, against scikit-learn, and against the answer that beats recall."""

import math

import numpy as np
import pytest
from sklearn.metrics import f1_score

from eval.metrics.criteria import STATES, criteria_f1, criteria_macro_f1, criteria_recall
from retrieval.errors import BadInput

TRUTH = ["met", "met", "contradicted", "unknown"]


def test_by_hand() -> None:
    said = ["met", "unknown", "contradicted", "unknown"]
    assert criteria_f1(TRUTH, said) == pytest.approx({"met": 2 / 3, "contradicted": 1, "unknown": 2 / 3})
    assert criteria_macro_f1(TRUTH, said) == pytest.approx((2 / 3 + 1 + 2 / 3) / 3)
    assert criteria_recall(TRUTH, said) == (0.5, 1, 2)


def test_everything_met_has_full_recall_and_a_poor_measure() -> None:
    said = ["met"] * 4
    assert criteria_recall(TRUTH, said).value == 1
    assert criteria_macro_f1(TRUTH, said) == pytest.approx((2 * 2 / (2 * 2 + 2)) / 3)


def test_equals_scikit_learn() -> None:
    random = np.random.default_rng(0)
    truth, said = random.choice(STATES, size=(2, 200)).tolist()
    assert criteria_macro_f1(truth, said) == pytest.approx(f1_score(truth, said, labels=STATES, average="macro"))
    assert criteria_macro_f1(truth, truth) == 1


def test_unparsed_answers_are_misses() -> None:
    assert criteria_macro_f1(TRUTH, [None, "perhaps", "", None]) == 0
    assert criteria_recall(TRUTH, [None, "met", None, None]).value == 0.5


def test_absent_states() -> None:
    assert criteria_macro_f1(["met", "unknown"], ["met", "unknown"]) == 1
    assert math.isnan(criteria_f1(["met"], ["met"])["contradicted"])
    assert criteria_macro_f1(["met"], ["contradicted"]) == 0
    assert math.isnan(criteria_macro_f1([], []))
    assert all(math.isnan(value) for value in criteria_f1([], []).values())
    assert math.isnan(criteria_recall(["unknown"], ["met"]).value)


def test_truth_must_be_a_state() -> None:
    with pytest.raises(BadInput, match="met, contradicted, unknown"):
        criteria_macro_f1(["yes"], ["met"])
    with pytest.raises(BadInput, match="truth 1, said 2"):
        criteria_recall(["met"], ["met", "met"])
