"""What is raised on top of a draft, and what is not."""

import pytest

from assistant.reports.alerts import CRITICAL, alerts
from tests.assistant.reports.parts import draft

RAISED = {
    "tension-pneumothorax": "Large left pneumothorax with shift of the mediastinum to the right.",
    "pneumothorax": "Small apical pneumothorax on the right.",
    "endotracheal-tube": "The endotracheal tube is malpositioned, tip in the right main bronchus.",
    "nasogastric-tube": "The nasogastric tube is coiled in the oesophagus.",
    "central-line": "PICC line turned up into the neck.",
    "free-air": "There is free air under the right hemidiaphragm.",
    "haemorrhage": "Acute subdural haematoma over the left hemisphere.",
    "mass-effect": "Midline shift of 8 mm.",
    "aorta": "Findings of aortic dissection.",
    "embolism": "Saddle embolus in the pulmonary trunk.",
    "pneumomediastinum": "Pneumomediastinum is present.",
    "cord": "Compression of the spinal cord at T8.",
    "retina": "Retinal detachment in the upper half.",
    "papilloedema": "Swelling suggests papilloedema.",
}


def test_every_kind_is_tried() -> None:
    assert set(RAISED) == {critical.kind for critical in CRITICAL}


@pytest.mark.parametrize(("kind", "text"), RAISED.items())
def test_raises(kind: str, text: str) -> None:
    assert [(alert.kind, alert.statements) for alert in alerts(draft({"lungs": [text]}))] == [(kind, ("lungs 1",))]


@pytest.mark.parametrize(
    "text",
    [
        "There is no pneumothorax.",
        "No tension pneumothorax, no free air.",
        "The previously seen pneumothorax is not shown again.",
        "The pneumothorax has resolved.",
        "History of pneumothorax.",
        "The endotracheal tube is well placed, tip 45 mm above the carina.",
        "The endotracheal tube ends in the trachea, 45 mm above the carina.",
        "The nasogastric tube is not malpositioned.",
        "Nasogastric tube well placed, tip below the diaphragm in the stomach.",
        "No midline shift and no intracranial haemorrhage.",
        "The cited passage covers pneumothorax: next step.",
        "The guideline says to drain a tension pneumothorax at once.",
    ],
)
def test_is_silent(text: str) -> None:
    assert alerts(draft({"lungs": [text]})) == ()


@pytest.mark.parametrize(
    "text",
    [
        "Large right pneumothorax, new since the previous study.",
        "The right pneumothorax is larger than on the prior radiograph.",
        "Right pneumothorax has increased compared with the earlier examination.",
    ],
)
def test_a_comparison_with_an_earlier_study_hides_nothing_of_today(text: str) -> None:
    assert [alert.kind for alert in alerts(draft({"pleura": [text]}))] == ["pneumothorax"]


def test_a_feeding_tube_in_the_trachea_is_raised() -> None:
    (alert,) = alerts(draft({"lines": ["The nasogastric tube runs into the trachea."]}))
    assert alert.kind == "nasogastric-tube"


def test_suspected_is_said_so() -> None:
    (alert,) = alerts(draft({"impression": ["Possible right pneumothorax."]}))
    assert alert.message.startswith("Pneumothorax suspected.")
    (alert,) = alerts(draft({"pleura": ["Right pneumothorax."], "impression": ["Possible right pneumothorax."]}))
    assert alert.message.startswith("Pneumothorax. ")
    assert alert.statements == ("pleura 1", "impression 1")


def test_indication_raises_nothing() -> None:
    assert alerts(draft({"guideline": ["A tension pneumothorax is relieved at once."]})) == ()
