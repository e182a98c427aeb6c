"""Plausible hallucinations of phantoms: the truth is changed in one point of a known type, and all that is said of it
is said anew by the words of a true report. So a wrong answer is as fluent as the right one, and agrees with itself.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from eval.phantoms import DEVICES, Device, Fault, Finding, Phantom
from eval.phantoms.findings import FINDINGS, GRADES, SIDED, SIDES, ZONED, ZONES, Kind
from eval.phantoms.organs import organs
from eval.phantoms.phrases import TERMS, Question, phrase, rounded_mm, told
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


def edits(facts: Facts, rng: np.random.Generator) -> list[Edit]:
    """One edit of each type that these facts have room for, in random order."""
    makers: list[Callable[[Facts, np.random.Generator], Edit | None]] = [
        _finding, _side, _zone, _severity, _size, _missed, _invented, _device, _comparison
    ]  # fmt: skip
    made = [edit for maker in makers if (edit := maker(facts, rng)) is not None]
    return [made[n] for n in rng.permutation(len(made))]


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


def _one(items: Sequence[Finding], rng: np.random.Generator) -> Finding | None:
    return items[int(rng.integers(len(items)))] if items else None


def _other(values: Sequence[str], but: str | None, rng: np.random.Generator) -> str:
    rest = [value for value in values if value != but]
    return rest[int(rng.integers(len(rest)))]


def _swapped(facts: Facts, old: Finding, new: Finding, kind: str) -> Edit:
    findings = tuple(new if finding is old else finding for finding in facts.findings)
    why = f"{_said(facts, old)} becomes {_said(facts, new)}."
    return Edit(kind, why, replace(facts, findings=findings))


def _said(facts: Facts, finding: Finding) -> str:
    """As this view tells it: of a lateral one without a side."""
    shown = told([finding], facts.view)
    return phrase(shown[0]) if shown else phrase(finding)


def _finding(facts: Facts, rng: np.random.Generator) -> Edit | None:
    """Another finding in its place."""
    here = {finding.kind for finding in facts.findings}
    pairs = [(f, to) for f in facts.findings for to in CONFUSED[f.kind] if to not in here]
    if not pairs:
        return None
    old, to = pairs[int(rng.integers(len(pairs)))]
    return _swapped(facts, old, _drawn(to, rng, old.side, old.zone, old.grade), "finding")


def _drawn(
    kind: Kind, rng: np.random.Generator, side: str | None = None, zone: str | None = None, grade: str | None = None
) -> Finding:
    """A finding of this kind with what such a finding has; what isn't given is drawn."""
    size = {"small": 10.0, "moderate": 15.0, "large": 25.0}
    grade = grade or _other(GRADES, None, rng)
    return Finding(
        kind,
        (side or _other(SIDES, None, rng)) if kind in SIDED else None,  # type: ignore[arg-type]
        (zone or _other(ZONES, None, rng)) if kind in ZONED else None,  # type: ignore[arg-type]
        grade,  # type: ignore[arg-type]
        size[grade] if kind == "nodule" else None,
        _NOWHERE,
    )


def _side(facts: Facts, rng: np.random.Generator) -> Edit | None:
    old = _one([f for f in facts.findings if f.side], rng) if facts.view != "LATERAL" else None
    return old and _swapped(facts, old, replace(old, side=_other(SIDES, old.side, rng)), "side")  # type: ignore[arg-type]


def _zone(facts: Facts, rng: np.random.Generator) -> Edit | None:
    old = _one([f for f in facts.findings if f.zone], rng)
    return old and _swapped(facts, old, replace(old, zone=_other(ZONES, old.zone, rng)), "zone")  # type: ignore[arg-type]


def _severity(facts: Facts, rng: np.random.Generator) -> Edit | None:
    old = _one([f for f in facts.findings if f.kind != "nodule"], rng)
    return old and _swapped(facts, old, replace(old, grade=_other(GRADES, old.grade, rng)), "severity")  # type: ignore[arg-type]


def _size(facts: Facts, rng: np.random.Generator) -> Edit | None:
    """Another diameter, and the grade that goes with it."""
    old = _one([f for f in facts.findings if f.kind == "nodule"], rng)
    if old is None:
        return None
    sizes = [mm for mm in (10, 15, 20, 25, 30) if abs(mm - rounded_mm(old)) >= 5]
    mm = sizes[int(rng.integers(len(sizes)))]
    grade = "small" if mm < 12.5 else "moderate" if mm <= 20 else "large"
    return _swapped(facts, old, replace(old, size_mm=float(mm), grade=grade), "size")  # type: ignore[arg-type]


def _missed(facts: Facts, rng: np.random.Generator) -> Edit | None:
    """A finding that is there is denied."""
    old = _one(facts.findings, rng)
    if old is None:
        return None
    left = tuple(finding for finding in facts.findings if finding is not old)
    return Edit("negation", f"{_said(facts, old)} is denied.", replace(facts, findings=left))


def _invented(facts: Facts, rng: np.random.Generator) -> Edit | None:
    """A finding that isn't there is stated."""
    absent = [kind for kind in FINDINGS if kind not in {finding.kind for finding in facts.findings}]
    if len(facts.findings) > 2 or not absent:
        return None
    new = _drawn(absent[int(rng.integers(len(absent)))], rng)
    why = f"{_said(facts, new)} is invented: there is no {TERMS[new.kind]}."
    return Edit("negation", why, replace(facts, findings=(*facts.findings, new)))


def _device(facts: Facts, rng: np.random.Generator) -> Edit | None:
    absent = [kind for kind in DEVICES if kind not in {device.kind for device in facts.devices}]
    if not absent:
        return None
    kind = absent[int(rng.integers(len(absent)))]
    new = Device(kind, True, (0, 0), _NOTES[kind], _NOWHERE)
    return Edit("device", f"{kind} is invented.", replace(facts, devices=(*facts.devices, new)))


def _comparison(facts: Facts, rng: np.random.Generator) -> Edit | None:
    if not facts.findings:
        return None
    after = COURSES[int(rng.integers(len(COURSES)))]
    return Edit("comparison", "A comparison is invented: there is no prior study.", facts, after)


def report_with(edit: Edit) -> dict[str, str]:
    """The report were the edit true; an invented comparison ends the impression."""
    report = report_of(edit.facts)
    return {**report, "impression": f"{report['impression']} {edit.after}".strip()} if edit.after else report
