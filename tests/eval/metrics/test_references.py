"""The two rates say what each kind of reader does: one that copies, one that looks, one that is perfect."""

import math

import pytest

from eval.metrics.references import copy_reference_rate, over_reliance_rate
from retrieval.errors import BadInput


def test_by_hand() -> None:
    right_with = [1, 1, 1, 0, 0]
    assert copy_reference_rate(right_with, [1, 0, 1, 1, 0]) == (2 / 3, 2, 3)  # the fourth was wrong with (v, r)
    assert over_reliance_rate(right_with, [1, 1, 1, 1, 0]) == (1 / 2, 1, 2)


def test_readers() -> None:
    truth = [True, False, True, False]
    reference = [True, True, False, False]
    copies = [t == r for t, r in zip(truth, reference, strict=True)]
    # Copies the reference: the image changes nothing, so every right answer survives its loss.
    assert copy_reference_rate(copies, copies).value == 1
    # ... and every wrong one was right alone when it can read the image alone.
    assert over_reliance_rate(copies, [True] * 4).value == 1
    # Ignores references: what is wrong with them is wrong without.
    assert over_reliance_rate(copies, copies).value == 0


def test_nothing_to_count_is_nan() -> None:
    value, count, of = copy_reference_rate([0, 0], [1, 1])
    assert math.isnan(value)
    assert (count, of) == (0, 0)
    assert math.isnan(over_reliance_rate([1, 1], [1, 1]).value)
    assert math.isnan(copy_reference_rate([], []).value)


def test_columns_must_match() -> None:
    with pytest.raises(BadInput, match="right_with 1, right_damaged 2"):
        copy_reference_rate([1], [1, 0])
    with pytest.raises(BadInput, match="right_without"):
        over_reliance_rate([1], [None])
