"""Rates keep their counts; columns that don't belong together are refused."""

import math

import numpy as np
import pytest

from eval.metrics.base import booleans, numbers, pool, rate, same_length
from retrieval.errors import BadInput


def test_rate_keeps_its_counts() -> None:
    assert rate(3, 4) == (0.75, 3, 4)
    assert (rate(3, 4).hits, rate(3, 4).of) == (3, 4)
    assert math.isnan(rate(0, 0).value)


def test_pool_weighs_an_item_by_what_it_holds() -> None:
    assert pool([rate(1, 1), rate(0, 3), rate(0, 0)]) == (0.25, 1, 4)
    assert math.isnan(pool([]).value)


def test_lengths_are_named_in_the_error() -> None:
    with pytest.raises(BadInput, match="truth 2, said 1"):
        same_length(truth=[1, 2], said=[1])


def test_booleans_take_true_false_one_zero_and_nothing_else() -> None:
    (column,) = booleans(right=[1, 0, 1])
    assert column.dtype == bool
    assert column.tolist() == [True, False, True]
    for wrong in ([True, None], [2, 0], ["yes", "no"], [0.5]):
        with pytest.raises(BadInput, match="right must hold true or false"):
            booleans(right=wrong)


def test_numbers_refuse_nan() -> None:
    assert numbers([1, 2], "score").dtype == np.float64
    with pytest.raises(BadInput, match="score holds nan"):
        numbers([1, math.nan], "score")
