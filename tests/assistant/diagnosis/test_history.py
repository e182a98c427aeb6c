"""What a history says of a criterion, by rule."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.diagnosis.history import by_rule

TOLD = "A 61-year-old man with cough and sudden chest pain. No weight loss or heavy smoking. Fever is absent."


@pytest.mark.parametrize(
    ("text", "state", "words"),
    [
        ("The patient coughs.", "met", "cough"),
        ("The pain in the chest began suddenly.", "met", "sudden chest pain"),
        ("The patient has lost weight.", "contradicted", "No weight loss"),
        ("The patient smokes heavily.", "contradicted", "No weight loss or heavy smoking"),
        ("Fever", "contradicted", "Fever"),
        ("Haemoptysis, fever or cough", "met", "cough"),
        ("Fever or weight loss", "contradicted", "Fever"),
    ],
)
def test_a_criterion_is_decided_by_quoted_words(text: str, state: str, words: str) -> None:
    found = by_rule(text, TOLD)
    assert found is not None
    assert (found[0], TOLD[found[1] : found[2]]) == (state, words)


@pytest.mark.parametrize(
    ("text", "history"),
    [
        ("The patient coughs.", "Fever."),  # not mentioned
        ("The patient coughs.", "Her father had a cough."),  # another person
        ("The patient coughs.", "Possible cough."),  # perhaps
        ("The patient coughs.", "Cough since Monday. No cough today."),  # both
        ("Cough for 3 weeks", "Cough for 2 weeks."),  # a number
        ("No fever", "No fever."),  # a negation in the criterion
        ("Sudden pain or breathlessness", "Chronic breathlessness."),  # the qualifier goes for both
        ("Cough in a person who has smoked", "Cough."),  # a condition
        ("Severe chest pain", "Severe headache since the fall on the ice last night, with pain in the chest."),  # far
        ("Fever or haemoptysis", "No fever."),  # only one of two denied
        ("Cough", "No fever, productive cough for three days."),  # denied or not
        ("Cough", "Denies chest pain, reports cough."),
    ],
)
def test_what_no_rule_decides_is_left_open(text: str, history: str) -> None:
    assert by_rule(text, history) is None


def test_a_negation_reaches_over_a_list() -> None:
    assert by_rule("Cough", "No fever, chills or cough.") == ("contradicted", 0, 25)


def test_what_does_not_improve_is_there() -> None:
    assert by_rule("Cough", "No improvement of the cough.") == ("met", 22, 27)


def test_a_negation_ends_with_its_clause() -> None:
    assert by_rule("Cough", "No fever but cough.") == ("met", 13, 18)


@given(st.text(max_size=80), st.text(max_size=80))
def test_the_words_are_always_inside_the_history(text: str, history: str) -> None:
    if found := by_rule(text, history):
        assert 0 <= found[1] < found[2] <= len(history)
