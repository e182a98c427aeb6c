"""Values: read, converted, refused."""

import math

import pytest

from assistant.diagnosis.values import converted, read_values, same_limits, told_value, value_of
from assistant.errors import BadInput
from retrieval.cards import Lab, Range


@pytest.mark.parametrize(
    ("name", "value", "unit", "to", "wanted"),
    [
        ("CRP", 12, "mg/dL", "mg/L", 120),
        ("glucose", 100, "mg/dL", "mmol/L", 5.5507),
        ("creatinine", 1, "mg/dL", "µmol/L", 88.4),
        ("temperature", 101, "°F", "degC", 38.333),
        ("white cell count", 12, "10^9/L", "1/µL", 12000),
        ("D-dimer", 0.5, "mg/L", "ug/L", 500),
        ("pressure", 60, "mmHg", "kPa", 8.0),
    ],
)
def test_units_convert(name: str, value: float, unit: str, to: str, wanted: float) -> None:
    assert math.isclose(converted(value, unit, to, name), wanted, rel_tol=1e-3)


def test_a_unit_of_another_kind_is_refused() -> None:
    with pytest.raises(BadInput, match="can't be compared"):
        converted(1, "mg/dL", "mmol/L", "CRP")


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("SpO2", "140 %", "not possible"),
        ("CRP", "-4 mg/L", "not possible"),
        ("Temperature", "385 °C", "not possible"),
        ("CRP", "9", "no unit"),
        ("CRP", "9 florins", "no known unit"),
        ("CRP", "high", "isn't a value"),
        ("WBC", "4,500 1/µL", "two ways"),
        ("CRP", "9 mg/L (5-0)", "no value in it"),
        ("CRP", "9 mg/L (-)", "isn't a value"),
    ],
)
def test_what_cannot_be_read_or_cannot_be_is_refused(name: str, text: str, why: str) -> None:
    with pytest.raises(BadInput, match=why):
        read_values({name: text})


def test_a_value_is_held_against_its_own_range_before_the_cards() -> None:
    ranges = [Range("C-reactive protein", "mg/L", 0, high=5)]
    with_range, without = read_values({"CRP": "1,2 mg/dL (0-20)", "C-reactive protein": "12 mg/L"})
    assert with_range.range_of(ranges) == "within its range of 0 to 20 mg/dL"
    assert without.range_of(ranges) == "above its range of at most 5 mg/L"
    assert without.range_of(()) == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("97 % (>94)", "within its range of at least 94 %"),
        ("91 % (≥ 94)", "below its range of at least 94 %"),
        ("97 % (<98)", "within its range of at most 98 %"),
    ],
)
def test_a_range_may_be_open_to_one_side(text: str, said: str) -> None:
    assert read_values({"SpO2": text})[0].range_of(()) == said


@pytest.mark.parametrize(
    ("given", "on_a_card"),
    [("WBC", "White cells"), ("Leukocytes", "White cells"), ("Platelet count", "Platelets"), ("Hb", "Haemoglobin")],
)
def test_a_value_meets_the_card_under_another_name(given: str, on_a_card: str) -> None:
    (one,) = read_values({given: "9 10^9/L" if given != "Hb" else "9 g/dL"})
    assert value_of(on_a_card, [one], "") is one


def test_a_history_tells_values_with_their_place() -> None:
    history = "A 61-year-old man. Temperature was 38.5 °C, CRP 120 mg/L."
    crp = told_value("C-reactive protein", history)
    assert crp is not None
    assert history[crp.start : crp.end] == "CRP 120 mg/L"
    age, fever = told_value("age", history), told_value("Temperature", history)
    assert age is not None
    assert fever is not None
    assert (age.value, fever.value, fever.unit) == (61, 38.5, "°C")
    assert told_value("NT-proBNP", history) is None
    (given,) = read_values({"CRP": "3 mg/L"})
    assert value_of("C-reactive protein", [given], history) is given


def test_limits_are_the_same_in_other_units() -> None:
    assert same_limits(Lab("CRP", "mg/L", above=100), Lab("CRP", "mg/dL", above=10))
    assert not same_limits(Lab("CRP", "mg/L", above=100), Lab("CRP", "mg/dL", above=5))
    assert not same_limits(Lab("CRP", "mg/L", above=100), Lab("CRP", "mg/L", low=100))
