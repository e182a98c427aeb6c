"""Weights: judges in turn come to one score, and scores become weights that differ."""

import asyncio

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from finetune.preferences.draft import Speak
from finetune.preferences.pair import Pair
from finetune.preferences.plan import Recipe
from finetune.preferences.weigh import ROUNDS, Made, consensus, published, weighed, weights
from tests.finetune.preferences.parts import read, saying
from tests.finetune.preferences.test_pair import line

SCORES = st.lists(st.floats(0, 1), min_size=1, max_size=30)


def agreed(judges: list[Speak]) -> float | None:
    return asyncio.run(consensus(judges, "What?", "Yes.", "No."))


def test_one_judge_is_asked_once_and_shown_both_answers() -> None:
    judge, asked = saying(lambda _: "0.7")
    assert agreed([judge]) == 0.7
    assert len(asked) == 1
    assert all(text in read(asked[0]) for text in ("What?", "Yes.", "No."))


def test_the_second_judge_sees_the_first_score_and_may_adopt_it() -> None:
    first, _ = saying(lambda _: "0.2")
    second, asked = saying(lambda prompt: "0.2" if "said 0.2" in read(prompt) else "0.9")
    assert agreed([first, second]) == pytest.approx(0.2)
    assert len(asked) == 1


def test_judges_that_never_agree_are_stopped_after_five_rounds_at_their_mean() -> None:
    first, asked = saying(lambda _: "0")
    second, _ = saying(lambda _: "1")
    assert agreed([first, second]) == pytest.approx(0.5)
    assert len(asked) == ROUNDS == 5


def test_a_judge_that_can_not_be_read_is_asked_once_more_and_left_out() -> None:
    talker, asked = saying(lambda _: "Quite plausible, 0.8 I think")
    assert agreed([talker]) is None
    assert len(asked) == 2
    judge, _ = saying(lambda _: "1.")
    assert agreed([talker, judge]) == 1.0
    late, _ = saying(lambda prompt: "0.4" if "The number only" in read(prompt) else "well")
    assert agreed([late]) == 0.4


@pytest.mark.parametrize("said", ["1.5", "-0.2", "nan", "7", "0,4", ""])
def test_only_a_number_from_0_to_1_is_a_score(said: str) -> None:
    judge, _ = saying(lambda _: said)
    assert agreed([judge]) is None


@given(SCORES)
def test_the_published_normalisation_is_degenerate(scores: list[float]) -> None:
    assert set(published(scores)[np.array(scores) <= 0.9].tolist()) <= {0.75}


@given(SCORES)
def test_ours_stays_in_its_range_keeps_the_order_and_drops_nothing(scores: list[float]) -> None:
    found = weights(scores)
    assert all(0.75 <= weight <= 1.25 for weight in found)
    order = np.argsort(scores, kind="stable")
    assert np.all(np.diff(np.array(found)[order]) >= -1e-12)
    if np.std(scores) > 1e-6:
        assert len(set(found)) > 1


def test_equal_scores_and_unknown_ones_weigh_1() -> None:
    assert weights([0.0, 0.0]) == [1, 1]
    assert weights([None, 0.3]) == [1, 1]
    low, none, high = weights([0.2, None, 0.8])
    assert (low, none, high) == (0.75, 1.0, 1.25)


def made(name: str, recipe: Recipe, wrong: str, confidence: float | None = None) -> Made:
    return Made(Pair.model_validate(line(id=name)), recipe, "What?", "Yes.", wrong, confidence)


def test_texts_are_weighed_by_judges_and_regions_by_their_detector() -> None:
    judge, asked = saying(lambda prompt: "0.1" if "absurd" in read(prompt).split("(wrong answer)")[1] else "0.9")
    lines = [
        made("a", "typed", "absurd"), made("b", "typed", "plausible"), made("c", "lesion", "Yes.", 0.2),
        made("d", "lesion", "Yes.", 0.8), made("e", "whole_noise", "Yes."), made("f", "edits", "No."),
    ]  # fmt: skip
    pairs = {pair.id: pair for pair in asyncio.run(weighed(lines, [judge], ["m"]))}
    assert len(asked) == 2
    assert [pairs[name].weight for name in "abcdef"] == [0.75, 1.25, 0.75, 1.25, 1, 1]
    assert [pairs[name].weighed_by for name in "abcdef"] == ["judge m"] * 2 + ["detector"] * 2 + ["none"] * 2


def test_without_a_judge_every_weight_is_1_and_says_so() -> None:
    pairs = asyncio.run(weighed([made("a", "typed", "No."), made("b", "lesion", "Yes.")], [], []))
    assert [(pair.weight, pair.weighed_by) for pair in pairs] == [(1, "none")] * 2
