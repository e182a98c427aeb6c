"""A checklist says what the study and the history say, and unknown where neither speaks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from eval.phantoms.criteria import DISEASES, criteria, diagnosis, history
from eval.phantoms.devices import Device
from eval.phantoms.findings import FINDINGS, GRADES, Finding, Grade, Kind

BOX = (0, 0, 1, 1)


@dataclass(frozen=True)
class Case:
    findings: tuple[Finding, ...] = ()
    devices: tuple[Device, ...] = ()
    age: int = 70
    sex: str = "F"


def _finding(kind: Kind, grade: Grade = "moderate") -> Finding:
    return Finding(kind, "left", "upper", grade, 16.0 if kind == "nodule" else None, BOX)


def _states(disease: str, case: Case, told: str | None = None) -> dict[str, str]:
    return {c.text: c.state for c in criteria(case, told)[disease]}


def test_every_disease_has_four_to_seven_criteria_and_something_nobody_tells() -> None:
    everything = Case(tuple(_finding(kind, "large") for kind in FINDINGS))
    told = "A 70-year-old woman with cough. Temperature 39.0 °C. C-reactive protein 200 mg/L. Oxygen saturation 85 %."
    for checklist in criteria(everything, told).values():
        assert 4 <= len(checklist) <= 7
        assert len({c.text for c in checklist}) == len(checklist)
        assert "unknown" in {c.state for c in checklist}
        assert "met" in {c.state for c in checklist}


def test_pneumonia_by_hand() -> None:
    case = Case((_finding("consolidation"),), age=64)
    told = "A 64-year-old woman with sudden chest pain. No cough. Temperature 38.4 °C. C-reactive protein 100 mg/L."
    assert list(_states("pneumonia", case, told).values()) == [
        "met", "contradicted", "contradicted", "met", "contradicted", "contradicted", "unknown",
    ]  # fmt: skip
    assert list(_states("pneumonia", case).values()) == [
        "met", "contradicted", "contradicted", "unknown", "unknown", "unknown", "unknown",
    ]  # fmt: skip


def test_grade_zone_and_size_decide() -> None:
    small = _states("heart failure", Case((_finding("oedema", "small"), _finding("cardiomegaly"))))
    assert list(small.values())[:4] == ["met", "met", "contradicted", "contradicted"]
    nodule = _states("lung nodule", Case((Finding("nodule", "left", "lower", "small", 9.0, BOX),), age=34))
    assert list(nodule.values())[:4] == ["met", "contradicted", "contradicted", "contradicted"]


def test_devices_decide() -> None:
    bronchus = Device("endotracheal tube", False, (1, 1), "tip in the right main bronchus", BOX)
    high = Device("endotracheal tube", False, (1, 1), "tip 90 mm above the carina, too high", BOX)
    well = Device("endotracheal tube", True, (1, 1), "tip 50 mm above the carina", BOX)
    for device, expected in ((bronchus, ["met", "contradicted"]), (high, ["contradicted", "met"])):
        assert list(_states("tube malposition", Case(devices=(device,))).values())[:2] == expected
    assert set(_states("tube malposition", Case(devices=(well,))).values()) == {"contradicted", "unknown"}
    assert diagnosis(Case(devices=(bronchus,))) == ("tube malposition",)
    assert diagnosis(Case(devices=(well,))) == ()


@pytest.mark.parametrize("seed", range(40))
def test_a_history_decides_what_it_tells_and_nothing_else(seed: int) -> None:
    rng = np.random.default_rng(seed)
    kinds = [kind for kind in FINDINGS if rng.random() < 0.3]
    case = Case(tuple(_finding(kind) for kind in kinds), age=int(rng.integers(20, 90)))
    told = history(case, rng)
    assert told.startswith(f"A {case.age}-year-old woman")
    assert told.endswith(".")
    without, given = criteria(case), criteria(case, told)
    marks = {"coughs": "cough", "smokes": "smoking", "temperature": "Temperature", "NT-proBNP": "NT-proBNP",
             "saturation": "Oxygen saturation", "C-reactive": "C-reactive protein", "lost weight": "weight loss",
             "suddenly": "chest pain", "lying flat": "lying flat"}  # fmt: skip
    for disease in DISEASES:
        for bare, known in zip(without[disease], given[disease], strict=True):
            mark = next((word for key, word in marks.items() if key in bare.text), None)
            if mark is None:
                assert bare == known
            else:
                assert bare.state == "unknown"
                assert (known.state != "unknown") == (mark in told)


def test_a_history_mostly_fits_the_findings() -> None:
    ill, well = (
        [history(Case(found), np.random.default_rng(seed)) for seed in range(300)]
        for found in ((_finding("consolidation"),), ())
    )
    fever = [
        [float(t.split("Temperature ")[1].split(" ")[0]) >= 38 for t in told if "Temp" in t] for told in (ill, well)
    ]
    assert 0.78 < np.mean(fever[0]) < 0.92
    assert 0.08 < np.mean(fever[1]) < 0.22


def test_the_gravest_sign_ranks_first_then_urgency() -> None:
    case = Case((_finding("nodule", "large"), _finding("pneumothorax", "small"), _finding("effusion", "large")))
    assert diagnosis(case) == ("pleural effusion", "lung nodule", "pneumothorax")
    assert diagnosis(Case()) == ()
    for grade in GRADES:
        assert diagnosis(Case((_finding("cardiomegaly", grade), _finding("oedema", "small")))) == ("heart failure",)
