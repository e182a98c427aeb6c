import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.fuse import reciprocal_rank

rankings = st.lists(st.lists(st.sampled_from("abcdefgh"), max_size=8, unique=True), max_size=5)


def test_found_twice_beats_found_once_at_the_top() -> None:
    assert reciprocal_rank([["a", "b"], ["c", "b"]]) == ["b", "a", "c"]


def test_a_small_k_trusts_first_places() -> None:
    assert reciprocal_rank([["a", "x", "b"], ["c", "y", "b"]], k=0)[:2] == ["a", "c"]


def test_weights_decide_between_legs() -> None:
    assert reciprocal_rank([["a"], ["b"]], weights=[1, 2]) == ["b", "a"]


def test_repeats_count_at_their_first_place() -> None:
    assert reciprocal_rank([["a", "b", "b", "b"], ["a"]]) == ["a", "b"]


@pytest.mark.parametrize("bad", [{"weights": [1]}, {"weights": [1, -1]}, {"k": -1}])
def test_nonsense_is_refused(bad: dict) -> None:
    with pytest.raises(ValueError, match="weight"):
        reciprocal_rank([["a"], ["b"]], **bad)


@given(rankings)
def test_every_id_once(legs: list[list[str]]) -> None:
    fused = reciprocal_rank(legs)
    assert len(fused) == len(set(fused))
    assert set(fused) == {item for leg in legs for item in leg}


@given(st.lists(st.sampled_from("abcdefgh"), unique=True), st.integers(1, 5))
def test_agreeing_legs_keep_their_order(leg: list[str], n: int) -> None:
    assert reciprocal_rank([leg] * n) == leg


@given(rankings)
def test_better_everywhere_is_better_fused(legs: list[list[str]]) -> None:
    fused = reciprocal_rank(legs)
    for a in fused:
        for b in fused:
            if all(b not in leg or (a in leg and leg.index(a) < leg.index(b)) for leg in legs):
                assert a == b or fused.index(a) < fused.index(b)


@given(rankings, st.floats(0.1, 10))
def test_only_the_ratio_of_weights_matters(legs: list[list[str]], factor: float) -> None:
    weights = [1.0 + i for i in range(len(legs))]
    scaled = [factor * weight for weight in weights]
    assert set(reciprocal_rank(legs, weights=weights)) == set(reciprocal_rank(legs, weights=scaled))
    assert reciprocal_rank(legs, weights=weights) == reciprocal_rank(legs, weights=[4 * w for w in weights])
