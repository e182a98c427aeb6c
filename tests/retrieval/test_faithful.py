import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.bench.refine import ADDED, PLANTED, STRANGE, condensations, measured
from retrieval.faithful import MAX_CHARS, support, why_not
from retrieval.types import Passage

TEXT = """- A pneumothorax shows a thin visceral pleural line with no lung markings beyond it.
- In an upright patient the air of a pneumothorax usually collects first at the lung apex.
- A supine radiograph may show only a deep costophrenic angle; an FEV1 < 50% is not required."""
PASSAGE = Passage("p", "d", "Pneumothorax", "Radiological findings", TEXT, 0, len(TEXT))


def why(text: str, *passages: Passage) -> str | None:
    return why_not(text, support(text, passages or (PASSAGE,)))


@pytest.mark.parametrize("text", [
    "A thin visceral pleural line without lung markings beyond it is seen.",
    "In the upright patient air usually collects at the apex of the lung.",
    "On a supine radiograph a deep costophrenic angle may be the only sign.",
    "FEV1 below 50% is not required.",
])  # fmt: skip
def test_what_a_passage_says_in_other_words_may_be_kept(text: str) -> None:
    assert why(text) is None


@pytest.mark.parametrize(("text", "reason"), [
    ("A thin visceral pleural line with lung markings beyond it is seen.", "states what a cited sentence denies"),
    ("In an upright patient the air does not collect first at the lung apex.", "denies what no cited"),
    ("FEV1 below 60% is not required.", '"< 60 %"'),
    ("FEV1 above 50% is not required.", '"> 50 %"'),
    ("A thin visceral pleural line is seen over the liver.", '"liver"'),
    ("In an upright patient the air usually collects at the lung base.", '"base"'),
    ("A thin visceral pleural line suggests sarcoidosis.", '"sarcoidosis"'),
    ("A thin visceral pleural line is seen, and smokers of many cigarettes wheeze loudly.", "more than"),
    ("Treatment depends on the thin visceral pleural line.", '"Treatment"'),
    ("Wheezing.", "shares no word"),
    ("pleural line " * 40, f"longer than {MAX_CHARS}"),
    ("A thin pleural line\x1b[31m is seen.", "not plain text"),
])  # fmt: skip
def test_what_a_passage_does_not_say_may_not(text: str, reason: str) -> None:
    assert reason in (why(text) or "")


def test_a_heading_vouches_for_the_name_of_the_disease() -> None:
    assert why("Pneumothorax often shows a deep costophrenic angle on a supine radiograph.") == (
        'says "often", and no cited sentence does'
    )
    assert why("Pneumothorax may show a deep costophrenic angle on a supine radiograph.") is None


def test_a_statement_that_joins_two_passages_is_held_to_both() -> None:
    other = Passage("q", "d", "Pneumothorax", "Symptoms", "Sudden chest pain is typical.", 0, 29)
    joined = "Sudden chest pain is typical, and a thin visceral pleural line is seen."
    assert why(joined) is not None
    assert why(joined, PASSAGE, other) is None
    assert {part.passage.id for part in support(joined, (PASSAGE, other))} == {"p", "q"}


@given(st.text(max_size=300), st.text(max_size=300))
def test_support_is_where_it_says(text: str, words: str) -> None:
    passage = Passage("p", "d", "T", "S", words, 0, len(words))
    for part in support(text, [passage]):
        assert part.quote
        assert part.quote == words[part.start : part.end]
    why_not(text, support(text, [passage]))


@given(st.text(alphabet="abcdefghij ,.", max_size=200))
def test_nothing_is_kept_for_words_that_no_passage_has(text: str) -> None:
    assert why(f"Wheezing {text} quinquefoliate.", Passage("p", "d", "", "", "Rales.", 0, 6)) is not None


def test_planted_errors_are_left_out() -> None:
    """Bounds are looser than what was measured; on all condensations, those that the word lists were fitted on too."""
    share = {kind: through / tried for kind, (through, tried) in measured(condensations()).items()}
    assert share["right"] >= 0.7
    for kind in (*PLANTED, ADDED, STRANGE):
        assert share[kind] <= 0.1, kind
