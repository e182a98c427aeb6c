import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.question import names_something, search_words, searched_text, subject_words


@pytest.mark.parametrize(
    "question",
    [
        "", "?", "What is abnormal?", "What do you see in this chest X-ray?", "Describe the image.", "Is this normal?",
        "Write the report", "What is the most likely diagnosis?", "What should I do next?", "Any other findings?",
        "What does it show?",
    ],
)  # fmt: skip
def test_open_questions(question: str) -> None:
    assert not names_something(question)


@pytest.mark.parametrize(
    "question",
    [
        "Is there a pleural effusion?", "Is the tibia fractured?", "Are the lungs clear?", "pneumothorax",
        "Y a-t-il un épanchement ?", "Is the heart enlarged?", "气胸",
    ],
)  # fmt: skip
def test_questions_with_a_subject(question: str) -> None:
    assert names_something(question)


def test_words_worth_looking_up() -> None:
    assert search_words("Is there a pleural effusion?") == "pleural effusion"
    assert search_words("What are the symptoms of it?") == "symptom"


def test_words_that_name_the_subject() -> None:
    assert subject_words("Does this chest radiograph show a left pleural effusion?") == {"pleural", "effusion"}
    assert subject_words("What is abnormal?") == set()


@pytest.mark.parametrize(
    ("question", "earlier", "searched"),
    [
        ("How large is it?", ["Is there an effusion?"], "Is there an effusion? How large is it?"),
        ("What next?", ["Is there an effusion?"], "Is there an effusion? What next?"),
        ("Is there a fractured tibia?", ["Is there an effusion?"], "Is there a fractured tibia?"),
        ("What next?", ["Effusion?", "How large is it?"], "Effusion? How large is it? What next?"),
        ("What next?", [], "What next?"),
    ],
)
def test_follow_ups(question: str, earlier: list[str], searched: str) -> None:
    assert searched_text(question, earlier) == searched


@given(st.text(), st.lists(st.text(), max_size=6))
def test_what_is_searched_ends_with_the_question(question: str, earlier: list[str]) -> None:
    assert searched_text(question, earlier).endswith(question)
