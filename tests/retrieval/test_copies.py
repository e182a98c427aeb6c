from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.copies import COPIED, same_picture, stands_in, without_copies
from retrieval.types import Case, Passage

VOCABULARY = ("effusion", "left", "right", "no", "drain", "2", "cm", "of", "the", "lung")
WORDS = st.lists(st.sampled_from(VOCABULARY), min_size=1, max_size=40)


def passage(text: str) -> Passage:
    return Passage("p", "d", "Effusion", "", text, 0, len(text))


def case(report: str, look: str = "") -> Case:
    return Case("c", "s", report, look=look)


@given(WORDS)
def test_a_text_stands_in_itself(text: list[str]) -> None:
    assert stands_in(text, list(text))


@given(WORDS, st.data())
def test_a_changed_word_is_another_text(text: list[str], data: st.DataObject) -> None:
    """Wherever it is, unless what is left of it is no longer than a cut at another place may leave."""
    at = data.draw(st.integers(0, len(text) - 1))
    changed = [*text[:at], "never", *text[at + 1 :]]
    assert not stands_in(changed, text)
    if 0 < at < len(text) - 1:
        assert not stands_in(changed, text, COPIED)


@given(st.lists(st.integers(), min_size=10, max_size=60, unique=True), st.data())
def test_cut_at_another_place_it_is_the_same_text(words: list[int], data: st.DataObject) -> None:
    whole = [str(word) for word in words]
    size = data.draw(st.integers(5, len(whole)))
    start = data.draw(st.integers(0, len(whole) - size))
    cut = whole[start : start + size]
    assert stands_in(cut, whole)
    assert stands_in(whole, cut, COPIED) == (size >= COPIED * len(whole))


@pytest.mark.parametrize("kind", [passage, case])
def test_the_first_is_kept(kind: type) -> None:
    texts = ["Drain the left effusion.", "drain the LEFT  effusion", "Drain the right effusion.", "Drain no effusion."]
    assert list(without_copies([kind(text) for text in texts])) == [0, 2, 3]


def test_a_report_that_goes_on_is_another_report() -> None:
    short, long = (
        "The lungs are clear and the heart is normal.",
        "The lungs are clear and the heart is normal. A nodule.",
    )
    assert list(without_copies([case(short), case(long)])) == [0, 1]
    assert list(without_copies([case(long), case(short)])) == [0]


def test_a_picture_saved_again_is_one_case() -> None:
    look = f"{0b1011 << 200:064x}"
    near, far = f"{(0b1011 << 200) ^ 0b1111:064x}", f"{(0b1011 << 200) ^ ((1 << 14) - 1):064x}"
    assert list(without_copies([case("Effusion.", look), case("Pleural fluid.", near), case("Fluid.", far)])) == [0, 2]
    assert not same_picture(case("a"), case("b"))  # not known
    assert not same_picture(case("a", look), case("b", look[:16]))  # another kind of hash
    assert not same_picture(passage("a"), replace(case("a"), look=look))
