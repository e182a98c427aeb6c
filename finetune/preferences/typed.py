"""Plausible hallucinations of phantoms: the truth is changed in one point of a known type, and all that is said of it
is said anew by the words of a true report. So a wrong answer is as fluent as the right one, and agrees with itself.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from eval.phantoms import DEVICES, Device, Fault, Finding, Phantom
from eval.phantoms.findings import FINDINGS, GRADES, SIDED, SIDES, ZONED, ZONES, Kind
from eval.phantoms.organs import organs
from eval.phantoms.phrases import TERMS, Question, phrase, rounded_mm, told, with_article
from eval.phantoms.questions import questions
from finetune.pocket.samples import asked

CONFUSED: dict[Kind, tuple[Kind, ...]] = {  # what a reader takes a finding for
    "effusion": ("consolidation", "atelectasis"), "consolidation": ("atelectasis", "effusion", "nodule"),
    "nodule": ("consolidation",), "pneumothorax": ("effusion",), "cardiomegaly": ("oedema",),
    "oedema": ("consolidation", "cardiomegaly"), "atelectasis": ("consolidation", "effusion"),
}  # fmt: skip
_NOTES = {  # where each device ends when it lies well
    "endotracheal tube": "tip 40 mm above the carina",
    "central venous catheter": "tip in the lower superior vena cava",
    "nasogastric tube": "tip below the diaphragm in the stomach",
}  # fmt: skip
COURSES = (  # stated without any prior study
    "This is unchanged from the prior study.", "This has increased since the prior study.",
    "This has decreased since the prior study.", "This is new since the prior study.",
)  # fmt: skip
_NOWHERE = (0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Facts:
    """What is true of a film, as far as its report and its answers know."""

    findings: tuple[Finding, ...]
    devices: tuple[Device, ...]
    view: str
    fault: Fault | None

    @classmethod
    def of(cls, phantom: Phantom) -> "Facts":
        return cls(phantom.shown, phantom.devices, phantom.view, phantom.fault)


@dataclass(frozen=True, slots=True)
class Edit:
    """`kind`: the type of the error. `why`: what was changed, for a person. `after`: a sentence that is added."""

    kind: str
    why: str
    facts: Facts
    after: str = ""


def edits(facts: Facts, rng: np.random.Generator, about: Kind | None = None, device: str | None = None) -> list[Edit]:
    """One edit of each type that these facts have room for, in random order; of the finding or the device that a
    question is about, where it is about one."""
    makers: list[Callable[[_Room], Edit | None]] = [
        _finding, _side, _zone, _severity, _size, _missed, _invented, _device, _comparison
    ]  # fmt: skip
    room = _Room(facts, rng, about, device)
    made = [edit for maker in makers if (edit := maker(room)) is not None]
    return [made[n] for n in rng.permutation(len(made))]


@dataclass(frozen=True, slots=True)
class _Room:
    """What an edit may touch."""

    facts: Facts
    rng: np.random.Generator
    about: Kind | None = None
    device: str | None = None

    def one(self, fits: Callable[[Finding], object]) -> Finding | None:
        """A finding that is there and fits, None where there is none."""
        found = [f for f in self.facts.findings if fits(f) and self.about in (None, f.kind)]
        return found[int(self.rng.integers(len(found)))] if found else None

    def other(self, values: Sequence[str], but: str | None = None) -> str:
        rest = [value for value in values if value != but]
        return rest[int(self.rng.integers(len(rest)))]

    def swapped(self, old: Finding, new: Finding, kind: str) -> Edit:
        findings = tuple(new if finding is old else finding for finding in self.facts.findings)
        why = f"{_said(self.facts, old)} becomes {_said(self.facts, new)}."
        return Edit(kind, why, replace(self.facts, findings=findings))


def report_of(facts: Facts) -> dict[str, str]:
    """The report by section."""
    return organs(facts.findings, facts.devices, facts.view, facts.fault)


def asked_of(facts: Facts, seed: int) -> tuple[Question, ...]:
    """The questions of this seed with their answers: the same facts and seed, the same questions."""
    rng = np.random.default_rng([seed, 78])
    return questions(facts.findings, "train", rng, facts.devices, facts.view, facts.fault)


def question_named(facts: Facts, seed: int, text: str) -> Question | None:
    return next((question for question in asked_of(facts, seed) if asked(question) == text), None)


def answer_of(edit: Edit, question: Question, seed: int) -> str | None:
    """What this question would be answered were the edit true; None where it could not be put, or has the same
    answer."""
    if edit.after:
        stated = question.present and question.yes is not None
        return f"{question.answer} {edit.after}" if stated or question.kind == "open" else None
    key = _key(question)
    for other in asked_of(edit.facts, seed):
        if _key(other) == key and other.answer != question.answer:
            return other.answer if not question.choices or other.answer in question.choices else None
    return None


def _key(question: Question) -> tuple[object, ...]:
    return (question.kind, question.finding, question.device, bool(question.choices), question.yes is None)


def _said(facts: Facts, finding: Finding) -> str:
    """As this view tells it: of a lateral one without a side."""
    shown = told([finding], facts.view)
    return phrase(shown[0]) if shown else phrase(finding)


def _finding(room: _Room) -> Edit | None:
    """Another finding in its place."""
    here = {finding.kind for finding in room.facts.findings}
    old = room.one(lambda f: set(CONFUSED[f.kind]) - here)
    if old is None:
        return None
    to: Kind = room.other([kind for kind in CONFUSED[old.kind] if kind not in here])  # type: ignore[assignment]
    return room.swapped(old, _drawn(room, to, old.side, old.zone, old.grade), "finding")


def _drawn(
    room: _Room, kind: Kind, side: str | None = None, zone: str | None = None, grade: str | None = None
) -> Finding:
    """A finding of this kind with what such a finding has; what isn't given is drawn."""
    grade = grade or room.other(GRADES)
    return Finding(
        kind,
        (side or room.other(SIDES)) if kind in SIDED else None,  # type: ignore[arg-type]
        (zone or room.other(ZONES)) if kind in ZONED else None,  # type: ignore[arg-type]
        grade,  # type: ignore[arg-type]
        {"small": 10.0, "moderate": 15.0, "large": 25.0}[grade] if kind == "nodule" else None,
        _NOWHERE,
    )


def _side(room: _Room) -> Edit | None:
    old = room.one(lambda f: f.side and room.facts.view != "LATERAL")
    return room.swapped(old, replace(old, side=room.other(SIDES, old.side)), "side") if old else None  # type: ignore[arg-type]


def _zone(room: _Room) -> Edit | None:
    old = room.one(lambda f: f.zone)
    return room.swapped(old, replace(old, zone=room.other(ZONES, old.zone)), "zone") if old else None  # type: ignore[arg-type]


def _severity(room: _Room) -> Edit | None:
    old = room.one(lambda f: f.kind != "nodule")
    return room.swapped(old, replace(old, grade=room.other(GRADES, old.grade)), "severity") if old else None  # type: ignore[arg-type]


def _size(room: _Room) -> Edit | None:
    """Another diameter, and the grade that goes with it."""
    old = room.one(lambda f: f.kind == "nodule")
    if old is None:
        return None
    mm = int(room.other([str(size) for size in (10, 15, 20, 25, 30)], str(rounded_mm(old))))
    grade = "small" if mm < 12.5 else "moderate" if mm <= 20 else "large"
    return room.swapped(old, replace(old, size_mm=float(mm), grade=grade), "size")  # type: ignore[arg-type]


def _missed(room: _Room) -> Edit | None:
    """A finding that is there is denied."""
    old = room.one(lambda f: True)
    if old is None:
        return None
    left = tuple(finding for finding in room.facts.findings if finding is not old)
    return Edit("negation", f"{_said(room.facts, old)} is denied.", replace(room.facts, findings=left))


def _invented(room: _Room) -> Edit | None:
    """A finding that isn't there is stated."""
    facts = room.facts
    absent = [k for k in FINDINGS if k not in {f.kind for f in facts.findings} and room.about in (None, k)]
    if len(facts.findings) > 2 or not absent:
        return None
    new = _drawn(room, room.other(absent))  # type: ignore[arg-type]
    why = f"{_said(facts, new)} is invented: there is no {TERMS[new.kind]}."
    return Edit("invention", why, replace(facts, findings=(*facts.findings, new)))


def _device(room: _Room) -> Edit | None:
    here = {device.kind for device in room.facts.devices}
    absent = [kind for kind in DEVICES if kind not in here and room.device in (None, kind)]
    if not absent:
        return None
    kind = absent[int(room.rng.integers(len(absent)))]
    new = Device(kind, True, (0, 0), _NOTES[kind], _NOWHERE)
    return Edit("device", f"{with_article(kind)} is invented.", replace(room.facts, devices=(*room.facts.devices, new)))


def _comparison(room: _Room) -> Edit | None:
    if room.one(lambda f: True) is None:
        return None
    why = "A comparison is invented: there is no prior study."
    return Edit("comparison", why, room.facts, room.other(COURSES))


def report_with(edit: Edit) -> dict[str, str]:
    """The report were the edit true; an invented comparison ends the impression."""
    report = report_of(edit.facts)
    return {**report, "impression": f"{report['impression']} {edit.after}".strip()} if edit.after else report
