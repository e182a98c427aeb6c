"""Checks on a whole draft: each by itself, and all of them on drafts in words that no rule was made from."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from assistant.reports.checks import Shown, Situation, checked
from assistant.reports.draft import Region, Statement
from tests.assistant.reports.parts import CHEST, draft

CLEAN = {
    "lungs": ["The lungs are clear."],
    "pleura": ["There is a small left pleural effusion of 12 mm.", "There is no pneumothorax."],
    "heart": ["The heart is not enlarged."],
    "impression": ["Small left pleural effusion of 12 mm."],
}


def noticed(said: dict[str, list[Any]], **known: Any) -> dict[str, tuple[str, ...]]:
    """Statements by check."""
    found = checked(draft({**CLEAN, **said}), Situation(template=CHEST, **known)).checks
    return {result.check: result.statements for result in found}


def test_says_nothing_of_a_draft_without_error() -> None:
    assert noticed({}) == {}


def test_change_needs_a_prior_study() -> None:
    said: dict[str, list[Any]] = {"impression": ["Small left pleural effusion of 12 mm, unchanged."]}
    assert noticed(said) == {"change": ("impression 1",)}
    assert noticed(said | {"comparison": ["Compared with the film of last week."]}, prior=True) == {}


def test_that_there_is_no_prior_study_is_no_change() -> None:
    assert noticed({"comparison": ["No prior study is available for comparison."]}) == {}


@pytest.mark.parametrize(
    ("course", "before", "wrong"),
    [
        ("new", "No pleural effusion.", False),
        ("new", "Small left pleural effusion.", True),
        ("new", "Small right pleural effusion.", False),
        ("larger than before", "Large left pleural effusion.", True),
        ("smaller than before", "Large left pleural effusion.", False),
        ("smaller than before", "The lungs are clear.", True),
        ("unchanged", "Large left pleural effusion.", True),
        ("unchanged", "Small left pleural effusion.", False),
        ("no longer seen", "Small left pleural effusion.", True),
    ],
)
def test_change_agrees_with_both_reports(course: str, before: str, wrong: bool) -> None:
    said: dict[str, list[Any]] = {"comparison": [f"The left pleural effusion is {course}."]}
    expected = {"change": ("comparison 1",)} if wrong else {}
    assert noticed(said, prior=True, prior_report=f"Findings: {before}") == expected


@pytest.mark.parametrize(
    "impression",
    [
        "Small right pleural effusion of 12 mm.",  # side
        "Large left pleural effusion of 12 mm.",  # severity
        "Small left pleural effusion of 12 mm. Left pneumothorax.",  # denied in the findings
        "Small left pleural effusion of 12 mm. Fracture of a rib.",  # not in the findings
        "No pleural effusion.",  # negation
        "No abnormality is seen.",
        "Unremarkable heart.",  # left out
    ],
)
def test_impression_agrees_with_findings(impression: str) -> None:
    assert "impression" in noticed({"impression": [impression]})


def test_impression_may_conclude_from_findings() -> None:
    said: dict[str, list[Any]] = {
        "lungs": ["There is a moderate opacity in the right base."],
        "impression": ["Right basal pneumonia.", "Small left pleural effusion."],
    }
    assert noticed(said) == {}


def test_impression_keeps_both_sides_of_a_serious_finding() -> None:
    both = ["There is a small left effusion and a small right effusion.", "There is no pneumothorax."]
    assert noticed({"pleura": both, "impression": ["Small left effusion."]}) == {"impression": ("pleura 1",)}


def test_findings_agree_with_themselves() -> None:
    pleura = [*CLEAN["pleura"], "There is no pleural effusion."]
    assert noticed({"pleura": pleura})["contradiction"] == ("pleura 1", "pleura 3")


def test_a_part_of_a_finding_may_be_denied() -> None:
    lungs = ["There is a left upper lobe mass.", "There is no calcification within the mass."]
    said: dict[str, list[Any]] = {"lungs": lungs, "impression": ["Left upper lobe mass.", *CLEAN["impression"]]}
    assert noticed(said) == {}


def test_words_of_other_organs_are_not_compared() -> None:
    brain = CHEST.model_copy(update={"domains": ("brain_mri",)})
    said = draft({**CLEAN, "lungs": ["There is a mass.", "There is no mass."]})
    assert checked(said, Situation(template=brain)).checks == ()


@pytest.mark.parametrize("number", ["13 mm", "12 cm", "1.2 cm"])
def test_numbers_are_copied_with_their_units(number: str) -> None:
    said: dict[str, list[Any]] = {"impression": [f"Small left pleural effusion of {number}."]}
    assert noticed(said) == {"numbers": ("impression 1",)}


def test_a_decimal_comma_parts_no_number() -> None:
    said = {"lungs": ["A nodule of 8,5 mm."], "impression": ["Nodule of 8,5 mm, previously 6,5 mm."]}
    found = checked(draft(said), Situation(template=CHEST, prior=True, prior_report="Nodule of 6,5 mm.")).checks
    assert [result for result in found if result.check == "numbers"] == []


def test_numbers_of_an_earlier_study_are_those_of_its_report() -> None:
    said: dict[str, list[Any]] = {"comparison": ["The effusion measures 12 mm, previously 9 mm."]}
    assert noticed(said, prior=True, prior_report="Small left pleural effusion of 9 mm.") == {}
    assert "numbers" in noticed(said, prior=True, prior_report="Small left pleural effusion of 8 mm.")


@pytest.mark.parametrize(("x", "right_on_left", "wrong"), [(10, True, True), (80, True, False), (10, False, False),
                                                           (45, True, False), (10, None, False)])  # fmt: skip
def test_side_is_that_of_the_region(x: int, right_on_left: bool | None, wrong: bool) -> None:
    region = Region(picture=1, box=(x, 0, x + 10, 10))
    said = Statement(id="s", text="There is a small left pleural effusion.", support="image", region=region)
    pleura = [said, "There is no pneumothorax."]
    found = noticed(
        {"pleura": pleura, "impression": ["Small left effusion."]}, shown=(Shown(100, right_on_left=right_on_left),)
    )
    assert found == ({"side": ("s",)} if wrong else {})


def test_no_side_when_sides_are_unknown() -> None:
    assert set(noticed({}, sides=False)) == {"side"}


def test_cited_needs_a_citation() -> None:
    said = Statement(id="s", text="The lungs are clear.", support="cited")
    assert noticed({"lungs": [said]}) == {"support": ("s",)}
    assert noticed({"lungs": [said.model_copy(update={"support": "person"})]}) == {}


def test_what_no_picture_shows_comes_from_the_request() -> None:
    said: dict[str, list[Any]] = {"impression": [*CLEAN["impression"], "There is a history of breast cancer."]}
    assert noticed(said) == {"support": ("impression 2",)}
    assert noticed(said, history="Breast cancer in 2019.") == {}


def test_missing_names_sections_and_elements() -> None:
    whole = checked(draft({**CLEAN, "heart": [], "impression": []}), Situation(template=CHEST))
    assert whole.missing == ("the section Heart", "the section Impression")
    assert [result.check for result in whole.checks] == ["missing", "missing"]


def test_checking_twice_says_nothing_twice() -> None:
    situation = Situation(template=CHEST)
    once = checked(draft({**CLEAN, "heart": []}), situation)
    assert checked(once, situation) == once


def paraphrased(file: str) -> Iterator[tuple[bool, list[bool]]]:
    """Of each draft: whether there is a false alarm, and which of its errors are found."""
    for item in yaml.safe_load(Path(__file__).with_name(file).read_text(encoding="utf-8")):
        clean = dict(item["clean"])
        indication, before = clean.pop("indication"), clean.pop("before", "")
        situation = Situation(template=CHEST, prior=bool(before), prior_report=before, indication=indication)
        said = set(messages(clean, situation))
        yield bool(said), [bool(messages(edited(clean, wrong), situation) - said) for wrong in item["wrong"]]


def messages(said: dict[str, list[str]], situation: Situation) -> set[tuple[str, str]]:
    return {(result.check, result.message) for result in checked(draft(said), situation).checks}


def edited(clean: dict[str, list[str]], wrong: dict[str, Any]) -> dict[str, list[str]]:
    new = {section: dict(enumerate(texts, 1)) for section, texts in clean.items()}
    for section, texts in wrong.items():
        if section != "error":
            new.setdefault(section, {}).update(texts)
    return {section: [text for text in texts.values() if text] for section, texts in new.items()}


@pytest.mark.parametrize(
    ("file", "found", "of", "false", "drafts"),
    [("paraphrased.yaml", 44, 45, 1, 8), ("paraphrased_later.yaml", 26, 27, 0, 8)],
)
def test_errors_in_other_words(file: str, found: int, of: int, false: int, drafts: int) -> None:
    """Figures as measured: fewer found or more false alarms is a loss."""
    measured = list(paraphrased(file))
    errors = [error for _, errors in measured for error in errors]
    assert (len(errors), len(measured)) == (of, drafts)
    assert sum(errors) >= found
    assert sum(alarm for alarm, _ in measured) <= false
