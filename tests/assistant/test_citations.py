from hypothesis import given
from hypothesis import strategies as st

from assistant.citations import resolve, used_span
from assistant.events import EvidenceItem

PASSAGE = "- Fluid blunts the angle.\n- Sample a unilateral effusion by aspiration.\n- Send 3.5 mL for culture."


def item(number: int, start: int = 100) -> EvidenceItem:
    return EvidenceItem(
        number=number, kind="passage", id="p", title="Effusion", section="Next step", text=PASSAGE,
        document_id="d", start=start, end=start + len(PASSAGE), scores={}, relevance=1,
    )  # fmt: skip


def test_the_sentence_that_shares_most_words_is_the_span() -> None:
    start, end = used_span("A unilateral effusion should be sampled by aspiration.", PASSAGE)
    assert PASSAGE[start:end] == "Sample a unilateral effusion by aspiration."


def test_a_decimal_point_ends_no_sentence() -> None:
    start, end = used_span("Culture needs 3.5 mL.", PASSAGE)
    assert PASSAGE[start:end] == "Send 3.5 mL for culture."


def test_a_citation_counts_in_characters_of_the_document() -> None:
    (citation,), missing = resolve([1], "Fluid blunts it.", {1: item(1)})
    assert not missing
    assert (citation.start, citation.end) == (102, 125)
    assert citation.quote == "Fluid blunts the angle."


def test_what_resolves_to_nothing_is_told() -> None:
    found, missing = resolve([1, 7], "Fluid.", {1: item(1)})
    assert [citation.number for citation in found] == [1]
    assert missing == [7]


@given(st.text(), st.text())
def test_a_span_lies_inside_the_passage(sentence: str, passage: str) -> None:
    start, end = used_span(sentence, passage)
    assert 0 <= start <= end <= len(passage)
