"""The order that several legs agree on."""

import pytest

from retrieval.legs import BM25, TEXT_PASSAGE, VOTES, fused
from retrieval.types import Hit, Leg

HITS = [  # the dense leg says c, b, a; BM25 a, b
    Hit("c", "passage", {TEXT_PASSAGE: 0.9}),
    Hit("b", "passage", {TEXT_PASSAGE: 0.8, BM25: 1.0}),
    Hit("a", "passage", {TEXT_PASSAGE: 0.7, BM25: 9.0}),
]


def order(encoder: str) -> list[str]:
    legs = [Leg(TEXT_PASSAGE, encoder, "", "passage"), Leg(BM25, BM25, "gout", "passage")]
    return [hit.id for hit in fused(HITS, legs)]


def test_legs_of_equal_vote_agree_on_what_both_found() -> None:
    assert order("org/model-0a1b2c3d") == ["a", "b", "c"]


def test_an_encoder_that_knows_little_lifts_nothing_above_what_both_found() -> None:
    alone = [Hit("x", "passage", {TEXT_PASSAGE: 0.9}), Hit("y", "passage", {BM25: 1.0})]

    def first(encoder: str) -> str:
        legs = [Leg(TEXT_PASSAGE, encoder, "", "passage"), Leg(BM25, BM25, "gout", "passage")]
        return fused(alone, legs)[0].id

    assert first("org/model-0a1b2c3d") == "x"  # a tie: the leg that was asked first
    assert first("pocket-text-0a1b2c3d") == "y"


def test_the_pocket_encoder_is_the_one_meant() -> None:
    from retrieval.encoders import load_text

    assert load_text("pocket").identity.rpartition("-")[0] in VOTES


def test_a_leg_made_later_has_a_whole_vote() -> None:
    hits = [Hit("a", "case", {"pair": 0.1}), Hit("b", "case", {"pair": 0.2})]
    assert [hit.id for hit in fused(hits, [])] == ["b", "a"]


@pytest.mark.parametrize("hits", [[], HITS[:1]])
def test_few_hits(hits: list[Hit]) -> None:
    assert fused(hits, []) == hits
