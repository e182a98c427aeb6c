"""BM25 of few texts: weighed as though others filled them up, and never less than they weigh by themselves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.store.bm25 import Bm25

WORDS = st.sampled_from(["effusion", "ward", "nine", "months", "telephone", "drain"])
TEXTS = st.lists(st.lists(WORDS, min_size=4, max_size=4).map(" ".join), min_size=1, max_size=8)
QUERY = st.lists(WORDS, min_size=1, max_size=4).map(" ".join)


def index(texts: list[str], least: int = 0) -> Bm25:
    made = Bm25(least)
    for number, text in enumerate(texts):
        made.add(str(number), text)
    return made


@given(TEXTS, QUERY, st.integers(0, 40))
def test_few_texts_weigh_as_if_among_others_of_none_of_the_words(texts: list[str], query: str, least: int) -> None:
    """The others are as long as these, so that only how rare a word is can differ."""
    others = ["of other things entirely"] * max(0, least - len(texts))
    among = index(texts + others).scores(query)
    assert index(texts, least).scores(query) == pytest.approx(among)


@given(TEXTS, QUERY, st.integers(0, 40))
def test_no_text_loses_and_one_without_the_words_gains_nothing(texts: list[str], query: str, least: int) -> None:
    bare, filled = index(texts).scores(query), index(texts, least).scores(query)
    assert bare.keys() == filled.keys()
    assert all(filled[one] >= bare[one] for one in bare)
    if least <= len(texts):
        assert filled == bare
