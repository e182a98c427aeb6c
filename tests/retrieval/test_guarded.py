import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.guarded import guarded, meaning, numbers


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("FEV1/FVC < 0.70", [("<", "0.7", "")]),
        ("a ratio of less than 0.7", [("<", "0.7", "")]),
        ("at least 300 cells/uL, no more than 1,000 mL", [(">=", "300", ""), ("<=", "1000", "ml")]),
        ("no larger than 3 cm", [("<=", "3", "cm")]),
        ("two quadrants within 14 days", [("", "2", ""), ("", "14", "day")]),
        ("50 to 79%", [("", "50", ""), ("", "79", "%")]),
        ("a 12-lead ECG", [("", "12", "")]),
        ("CA19 and FEV1 are names", []),
        ("none", []),
    ],
)
def test_numbers(text: str, found: list[tuple[str, str, str]]) -> None:
    assert numbers(text) == found


@given(st.integers(0, 10**6), st.sampled_from(["mm", "%", "mg/dl", "years", ""]))
def test_a_number_is_found_as_it_was_written(number: int, unit: str) -> None:
    assert [n for _, n, _ in numbers(f"It is {number} {unit} wide.")] == [f"{float(number):g}"]


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    numbers(text)
    guarded(text)


def test_what_means_the_same_is_guarded_as_one() -> None:
    assert guarded("pulmonary") == guarded("the lungs")
    assert guarded("raised") == guarded("elevated") != guarded("reduced")
    assert guarded("oesophageal") == guarded("esophageal")
    assert guarded("X-ray") == guarded("radiograph")
    assert len(guarded("sarcoidosis and anaemia")) == 2
    assert guarded("the diagnosis is made") == frozenset()
    assert meaning("cardiac") == meaning("heart")
    assert meaning("angle") == "angle"
