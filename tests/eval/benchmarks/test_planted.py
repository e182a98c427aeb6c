"""Planted errors: what is planted is an error, and the checks find it."""

import numpy as np
import pytest

from eval.benchmarks.planted import Planted
from eval.benchmarks.planting import PLANTS, draft_of_lines, lines_of
from eval.phantoms import FindingSpec, make_phantom
from eval.phantoms.pairs import Change, make_pair

SPECS = (FindingSpec("nodule", "left", "upper", "moderate", 15.0), FindingSpec("effusion", "right", grade="small"))


@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_error_changes_the_draft(name: str) -> None:
    lines = lines_of(make_phantom(3, size=64, findings=SPECS))
    for seed in range(8):
        wrong = PLANTS[name](lines, False, np.random.default_rng(seed))
        if wrong is not None:
            assert draft_of_lines(wrong) != draft_of_lines(lines)
            return
    pytest.fail("it was never planted")


def test_every_sentence_of_the_truth_is_in_the_draft() -> None:
    phantom = make_phantom(3, size=64, findings=SPECS)
    draft = draft_of_lines(lines_of(phantom))
    text = " ".join(statement.text for statement in draft.statements)
    assert all(part in text for part in phantom.report.impression.split(". "))
    assert {s.name: len(s.statements) for s in draft.sections}["comparison"] == 1


def test_a_normal_study_leaves_no_place_for_some_errors() -> None:
    lines = lines_of(make_phantom(3, size=64, findings=()))
    rng = np.random.default_rng(0)
    assert PLANTS["wrong side"](lines, False, rng) is None
    assert PLANTS["wrong number"](lines, False, rng) is None
    assert PLANTS["dropped finding"](lines, False, rng) is None


def test_with_a_prior_another_course_is_stated() -> None:
    pair = make_pair(3, size=64, changes=[Change("effusion", "left", "larger")])
    lines = lines_of(pair.current, pair)
    wrong = PLANTS["invented change"](lines, True, np.random.default_rng(0))
    assert wrong is not None
    (before,) = [line.text for line in lines if line.section == "comparison"]
    (after,) = [line.text for line in wrong if line.section == "comparison"]
    assert before == "The left pleural effusion is larger than on the prior study."
    assert after != before


def test_checks_reach_their_target() -> None:
    """Recall at least .95 with at most 5 % false alarms, on phantoms of the held-out families."""
    benchmark = Planted()
    rows = [benchmark.score(item, {}) for item in benchmark.items(45, seed=0)]
    figures = {name: figure(rows) for name, figure in benchmark.figures.items()}
    assert figures["recall"] >= 0.95
    assert figures["false alarm"] <= 0.05
    assert figures["alert recall"] >= 0.95
    assert figures["false alert"] <= 0.05
