"""What speaks for and against each disease, in the manner of a guideline, and whether it is so in this study.

A criterion is met or contradicted by the truth of the study or by what the history says, in the words of `history`;
what neither tells is unknown, and must be called so. The texts are our own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from eval.phantoms.devices import Device
from eval.phantoms.findings import GRADES, Finding, Grade, Kind

State = Literal["met", "contradicted", "unknown"]


class Case(Protocol):
    """What must be known of a study: a `Phantom` has it all."""

    @property
    def findings(self) -> tuple[Finding, ...]: ...
    @property
    def devices(self) -> tuple[Device, ...]: ...
    @property
    def age(self) -> int: ...
    @property
    def sex(self) -> str: ...


@dataclass(frozen=True)
class Criterion:
    """One line of a guideline's checklist."""

    text: str
    state: State


@dataclass(frozen=True)
class _Value:
    """A measurement: what a history calls it, its range in health and in the diseases that change it."""

    name: str
    unit: str
    digits: int
    healthy: tuple[float, float]
    ill: tuple[float, float]
    causes: frozenset[Kind]


_VALUES = {
    v.name: v
    for v in (
        _Value("Temperature", "°C", 1, (36.3, 37.6), (38.2, 39.8), frozenset({"consolidation"})),
        _Value("C-reactive protein", "mg/L", 0, (1, 40), (110, 290), frozenset({"consolidation"})),
        _Value("NT-proBNP", "pg/mL", 0, (30, 240), (1100, 9000), frozenset({"oedema", "cardiomegaly"})),
        _Value("Oxygen saturation", "%", 0, (95, 99), (82, 90), frozenset({"oedema", "pneumothorax", "atelectasis"})),
    )
}
_SYMPTOMS: dict[str, frozenset[Kind]] = {
    "cough": frozenset({"consolidation", "atelectasis", "nodule"}),
    "sudden chest pain": frozenset({"pneumothorax"}),
    "breathlessness when lying flat": frozenset({"oedema", "cardiomegaly", "effusion"}),
    "weight loss": frozenset({"nodule"}),
    "heavy smoking": frozenset({"nodule", "pneumothorax"}),
}
_TOLD = 0.6  # chance that the history mentions a value or a symptom
_TYPICAL = 0.85  # chance that what it mentions is as the findings make one expect


def history(case: Case, rng: np.random.Generator) -> str:
    """A short clinical history, some laboratory values among it; it agrees with the findings more often than not."""
    kinds = {f.kind for f in case.findings}
    has: list[str] = []
    lacks: list[str] = []
    for symptom, causes in _SYMPTOMS.items():
        told, typical = rng.random(2)
        if told < _TOLD:
            (has if bool(kinds & causes) == (typical < _TYPICAL) else lacks).append(symptom)
    person = f"A {case.age}-year-old {'woman' if case.sex == 'F' else 'man'}"
    sentences = [f"{person} with {_listed(has, 'and')}." if has else f"{person}."]
    if lacks:
        sentences.append(f"No {_listed(lacks, 'or')}.")
    for value in _VALUES.values():
        told, typical, share = rng.random(3)
        low, high = value.ill if bool(kinds & value.causes) == (typical < _TYPICAL) else value.healthy
        if told < _TOLD:
            sentences.append(f"{value.name} {low + share * (high - low):.{value.digits}f} {value.unit}.")
    return " ".join(sentences)


def _listed(things: Sequence[str], last: str) -> str:
    return f" {last} ".join(filter(None, (", ".join(things[:-1]), things[-1])))


@dataclass(frozen=True)
class _Facts:
    found: Mapping[Kind, Finding]
    devices: Mapping[str, Device]
    age: int
    history: str

    def grade(self, kind: Kind) -> int:
        """0 for none, 1 small to 3 large."""
        found = self.found.get(kind)
        return GRADES.index(found.grade) + 1 if found else 0


Rule = Callable[[_Facts], State]


def _state(so: bool) -> State:
    return "met" if so else "contradicted"


def _has(kind: Kind, grade: Grade = "small") -> Rule:
    """At least this much of it."""
    return lambda facts: _state(facts.grade(kind) > GRADES.index(grade))


def _lacks(*kinds: Kind) -> Rule:
    return lambda facts: _state(not any(kind in facts.found for kind in kinds))


def _zone(kind: Kind, zone: str) -> Rule:
    return lambda facts: _state(kind in facts.found and facts.found[kind].zone == zone)


def _mm(facts: _Facts) -> float:
    """Diameter of the nodule."""
    return facts.found["nodule"].size_mm or 0.0


def _aged(years: int) -> Rule:
    return lambda facts: _state(facts.age >= years)


def _misplaced(device: str, where: str = "") -> Rule:
    """The device is there, out of place, and its tip is where it says."""
    return lambda facts: _state(
        any(d.kind == device and not d.placed and where in d.note for d in facts.devices.values())
    )


def _symptom(name: str) -> Rule:
    def rule(facts: _Facts) -> State:
        for sentence in facts.history.split(". "):
            if name in sentence:
                return _state(not sentence.startswith("No "))
        return "unknown"

    return rule


def _measured(name: str, holds: Callable[[float], bool]) -> Rule:
    def rule(facts: _Facts) -> State:
        value = re.search(rf"{name} (\d+(?:\.\d+)?)", facts.history)
        return _state(holds(float(value[1]))) if value else "unknown"

    return rule


def _untold(_: _Facts) -> State:
    """Neither a radiograph nor a short history tells."""
    return "unknown"


_FEVER = _measured("Temperature", lambda t: t >= 38.0)
_HYPOXIA = _measured("Oxygen saturation", lambda s: s < 92)
_CHECKLISTS: dict[str, tuple[tuple[str, Rule], ...]] = {
    "tube malposition": (
        ("An endotracheal tube has gone down a main bronchus.", _misplaced("endotracheal tube", "bronchus")),
        ("An endotracheal tube ends too high in the trachea.", _misplaced("endotracheal tube", "above")),
        ("The tip of a central venous catheter lies neither in the superior vena cava nor just below it.",
         _misplaced("central venous catheter")),
        ("A nasogastric tube fails to reach the stomach.", _misplaced("nasogastric tube")),
        ("The lung on one side has lost volume.", _has("atelectasis")),
        ("Fluid drawn from the nasogastric tube is acid.", _untold),
    ),
    "pneumothorax": (
        ("A pleural line is seen with no lung markings beyond it.", _has("pneumothorax")),
        ("The collapse is moderate or large.", _has("pneumothorax", "moderate")),
        ("The patient is 50 years old or older.", _aged(50)),
        ("The pain in the chest began suddenly.", _symptom("sudden chest pain")),
        ("The patient smokes heavily.", _symptom("heavy smoking")),
        ("Oxygen saturation is below 92 %.", _HYPOXIA),
        ("Blood pressure is low.", _untold),
    ),
    "heart failure": (
        ("The heart is enlarged.", _has("cardiomegaly")),
        ("The lungs show oedema.", _has("oedema")),
        ("The oedema is more than mild.", _has("oedema", "moderate")),
        ("There is pleural effusion.", _has("effusion")),
        ("The patient becomes breathless when lying flat.", _symptom("breathlessness when lying flat")),
        ("NT-proBNP is 300 pg/mL or more.", _measured("NT-proBNP", lambda v: v >= 300)),
        ("The ejection fraction is 40 % or less.", _untold),
    ),
    "pneumonia": (
        ("The lung shows consolidation.", _has("consolidation")),
        ("There is an effusion beside it.",
         lambda facts: _state({"consolidation", "effusion"} <= set(facts.found))),
        ("The patient is 65 years old or older.", _aged(65)),
        ("The temperature is 38 °C or more.", _FEVER),
        ("The patient coughs.", _symptom("cough")),
        ("C-reactive protein is above 100 mg/L.", _measured("C-reactive protein", lambda v: v > 100)),
        ("A pathogen grows from the sputum.", _untold),
    ),
    "lobar collapse": (
        ("The lung shows atelectasis.", _has("atelectasis")),
        ("The loss of volume is more than small.", _has("atelectasis", "moderate")),
        ("A tube in a main bronchus explains it.", _misplaced("endotracheal tube", "bronchus")),
        ("There is no effusion or pneumothorax that could press on the lung.", _lacks("effusion", "pneumothorax")),
        ("The patient coughs.", _symptom("cough")),
        ("Oxygen saturation is below 92 %.", _HYPOXIA),
        ("Something is seen to block the airway at bronchoscopy.", _untold),
    ),
    "pleural effusion": (
        ("Fluid fills a costophrenic angle.", _has("effusion")),
        ("The effusion is moderate or large.", _has("effusion", "moderate")),
        ("The heart is enlarged, which suggests a cause in the heart.", _has("cardiomegaly")),
        ("There is consolidation, which suggests a cause in the lung.", _has("consolidation")),
        ("The temperature is 38 °C or more.", _FEVER),
        ("The fluid is rich in protein.", _untold),
    ),
    "lung nodule": (
        ("A rounded opacity of at most 30 mm is seen in the lung.", _has("nodule")),
        ("It measures more than 10 mm.", lambda facts: _state("nodule" in facts.found and _mm(facts) > 10.0)),
        ("It lies in an upper zone.", _zone("nodule", "upper")),
        ("The patient is 35 years old or older.", _aged(35)),
        ("The patient smokes heavily.", _symptom("heavy smoking")),
        ("The patient has lost weight.", _symptom("weight loss")),
        ("The nodule is solid on CT.", _untold),
    ),
}  # fmt: skip
DISEASES: tuple[str, ...] = tuple(_CHECKLISTS)  # the most urgent first
_SIGNS: dict[str, tuple[Kind, ...]] = {
    "pneumothorax": ("pneumothorax",),
    "heart failure": ("oedema", "cardiomegaly"),
    "pneumonia": ("consolidation",),
    "lobar collapse": ("atelectasis",),
    "pleural effusion": ("effusion",),
    "lung nodule": ("nodule",),
}


def criteria(case: Case, history: str | None = None) -> dict[str, tuple[Criterion, ...]]:
    """Disease → its checklist, each line as the study and the history (a text by `history`) decide it."""
    facts = _facts(case, history or "")
    return {
        disease: tuple(Criterion(text, rule(facts)) for text, rule in checklist)
        for disease, checklist in _CHECKLISTS.items()
    }


def _facts(case: Case, told: str) -> _Facts:
    return _Facts({f.kind: f for f in case.findings}, {d.kind: d for d in case.devices}, case.age, told)


def diagnosis(case: Case) -> tuple[str, ...]:
    """The diseases that the study shows, the likeliest first: by the grade of its gravest sign, then by urgency.

    A device out of place counts as a sign of the highest grade. Empty where nothing is wrong.
    """
    facts = _facts(case, "")
    weight = {disease: max(map(facts.grade, signs)) for disease, signs in _SIGNS.items()}
    weight["tube malposition"] = 3 * any(not d.placed for d in case.devices)
    return tuple(sorted((d for d in DISEASES if weight[d]), key=lambda d: -weight[d]))
