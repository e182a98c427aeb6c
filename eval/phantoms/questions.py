"""Twenty and more questions about one study, each with its only right answer.

No question is put twice, and one that can be asked of every study reads the same whatever the study shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eval.phantoms.devices import DEVICES, Device
from eval.phantoms.faults import FAULTS, SEVERITY, STATES, Fault, consequence, describe
from eval.phantoms.findings import FINDINGS, GRADES, SIDED, SIDES, ZONES, Finding, Kind
from eval.phantoms.phrases import (
    NO_DEVICE,
    NORMAL,
    SEVERITIES,
    TERMS,
    Question,
    QuestionKind,
    adverb,
    decapital,
    device_sentence,
    devices_told,
    everything,
    kinds_told,
    phrase,
    rounded_mm,
    sentence,
    told,
    with_article,
)
from eval.phantoms.wordings import Ways, Wording, get_wording

NO_SIDE = "A lateral view alone does not tell the side."
_NUMBERS = ("no findings", "one finding", "two findings", "three findings", "four findings", "five findings",
            "six findings", "seven findings")  # fmt: skip
_MM = ("under 12.5 mm", "12.5 to 20 mm", "over 20 mm")  # the grades of a nodule
_HEART = ("not enlarged", "mildly enlarged", "moderately enlarged", "severely enlarged")
_NONE = "none of these"


@dataclass(frozen=True)
class Asker:
    """Draws one of the ways to ask, fills it in, and files the answer."""

    rng: np.random.Generator

    def ask(self, ways: Ways, answer: str, kind: QuestionKind, *, term: str = "", **about: Any) -> Question:
        """An open question; `term` fills the template, `about` the question's other fields."""
        way = ways[int(self.rng.integers(len(ways)))]
        return Question(way.format(a=with_article(term), t=term), answer, kind, **about)

    def yes_no(self, ways: Ways, yes: bool, rest: str, kind: QuestionKind, **about: Any) -> Question:
        """A question answered by yes or no and the `rest` of a sentence."""
        return self.ask(ways, f"{'Yes' if yes else 'No'}, {rest}", kind, closed=True, **about)

    def choose(self, ways: Ways, choices: Sequence[str], answer: str, kind: QuestionKind, **about: Any) -> Question:
        """A question answered by one of the choices."""
        return self.ask(ways, answer, kind, closed=True, choices=tuple(choices), **about)

    def some(self, things: Sequence[Any], n: int) -> list[Any]:
        """`n` different ones, in random order."""
        return [things[i] for i in self.rng.permutation(len(things))[:n]]


@dataclass(frozen=True)
class _Study:
    asker: Asker
    words: Wording
    found: tuple[Finding, ...]  # as far as the view tells
    devices: tuple[Device, ...]
    view: str
    fault: Fault | None

    @property
    def by_kind(self) -> dict[Kind, Finding]:
        return {f.kind: f for f in self.found}


def questions(
    findings: Sequence[Finding],
    wording: str,
    rng: np.random.Generator,
    devices: Sequence[Device] = (),
    view: str = "PA",
    fault: Fault | None = None,
) -> tuple[Question, ...]:
    """All questions about a study, those on presence first and the open one last; ValueError on an unknown wording.

    A study is normal when it has no finding and no device out of place. A side is more affected than the other when
    its gravest finding is of a higher grade.
    """
    study = _Study(Asker(rng), get_wording(wording), told(findings, view), devices_told(devices, view), view, fault)
    asked = [q for part in (_presence, _negations, _whole, _quality) for q in part(study)]
    last = study.asker.ask(study.words.open, everything(study.found, study.devices), "open")
    asked += [q for part in (_places, _sizes, _positions, _fault) for q in part(study)]
    return (*asked, last)


def _presence(study: _Study) -> Iterator[Question]:
    """Of every finding and every device, whether it is there."""
    for kind in kinds_told(study.view):
        ways, found = study.words.presence, study.by_kind.get(kind)
        rest = f"there is {phrase(found)}." if found else f"there is no {TERMS[kind]}."
        if kind == "cardiomegaly":
            ways, rest = study.words.heart, f"the heart is {f'{adverb(found)} enlarged' if found else _HEART[0]}."
        there = found is not None
        yield study.asker.yes_no(ways, there, rest, "presence", term=TERMS[kind], finding=kind, present=there)
    for device in DEVICES:
        there = any(d.kind == device for d in study.devices)
        rest = f"there is {with_article(device) if there else f'no {device}'}."
        ways = study.words.device
        yield study.asker.yes_no(ways, there, rest, "device", term=device, device=device, present=there)


def _negations(study: _Study) -> Iterator[Question]:
    """Three questions that are answered by yes when there is nothing."""
    for kind in study.asker.some([k for k in kinds_told(study.view) if k != "cardiomegaly"], 3):
        found = study.by_kind.get(kind)
        rest = f"there is {phrase(found)}." if found else f"there is no {TERMS[kind]}."
        about: dict[str, Any] = {"term": TERMS[kind], "finding": kind, "present": found is not None}
        yield study.asker.yes_no(study.words.negation, found is None, rest, "negation", **about)


def _whole(study: _Study) -> Iterator[Question]:
    """What can be asked of any study as a whole."""
    ask, words, there = study.asker, study.words, study.by_kind
    kinds = ask.some(kinds_told(study.view), len(FINDINGS))
    shown = [TERMS[k] for k in kinds if k in there][:1] or [_NONE]
    others = [TERMS[k] for k in kinds if k not in there][:3]
    yield ask.choose(words.choose_finding, (*sorted({*shown, *others} - {_NONE}), _NONE), shown[0], "choice")
    heart = there.get("cardiomegaly")
    size = f"{adverb(heart)} enlarged" if heart else _HEART[0]
    yield ask.choose(words.choose_heart, _HEART, size, "size", finding="cardiomegaly", present=heart is not None)
    normal = everything(study.found, study.devices).startswith(NORMAL)
    yield ask.yes_no(words.normal, normal, "no abnormality is seen." if normal else "it is abnormal.", "normal")
    count = len(study.found)
    yield ask.ask(words.count, f"There {'is' if count == 1 else 'are'} {_NUMBERS[count]}.", "count")
    name = "lateral" if study.view == "LATERAL" else "frontal"
    yield ask.yes_no(words.view, name == "frontal", f"this is a {name} view.", "view")
    yield ask.choose(words.choose_view, ("frontal", "lateral"), name, "view")
    seen = " and ".join(with_article(d.kind) for d in study.devices)
    yield ask.ask(words.devices, f"There is {seen}." if seen else NO_DEVICE, "device")
    if study.view != "LATERAL":
        yield ask.ask(words.more, _worse_side(study.found), "more")


def _worse_side(found: Sequence[Finding]) -> str:
    left, right = (max((GRADES.index(f.grade) + 1 for f in found if f.side == side), default=0) for side in SIDES)
    if left == right:
        return "Both sides are affected alike." if left else "Neither side is affected."
    return f"The {'left' if left > right else 'right'} side is more affected."


def _quality(study: _Study) -> Iterator[Question]:
    """Whether the picture can be read, and whether it has a fault, which half the time is the one it has."""
    ask, fault = study.asker, study.fault
    readable = not (fault and fault.changes_reading)
    rest = "the image quality is sufficient." if readable else "the image quality is not sufficient."
    yield ask.yes_no(study.words.adequate, readable, rest, "quality")
    own, any_kind = ask.rng.random() < 0.5, ask.some(FAULTS, 1)[0]
    kind = fault.kind if fault and own else any_kind
    if fault and kind == fault.kind:
        yield ask.yes_no(study.words.fault, True, decapital(describe(fault)), "quality", term=STATES[kind])
    else:
        yield ask.yes_no(study.words.fault, False, f"the film is not {STATES[kind]}.", "quality", term=STATES[kind])


def _places(study: _Study) -> Iterator[Question]:
    """Side and zone of what is there."""
    ask, words, lateral = study.asker, study.words, study.view == "LATERAL"
    for f in study.found:
        term = TERMS[f.kind]
        about: dict[str, Any] = {"term": term, "finding": f.kind, "present": True}
        if f.side:
            yield ask.ask(words.side, f"The {term} is on the patient's {f.side} side.", "side", **about)
            yield ask.choose(words.choose_side, SIDES, f.side, "side", **about)
        elif lateral and f.kind in SIDED:
            yield ask.ask(words.side, NO_SIDE, "side", **about)
        if f.zone:
            where = f"{f.side} {f.zone}" if f.side else f.zone
            yield ask.ask(words.zone, f"The {term} is in the {where} zone.", "zone", **about)
            yield ask.choose(words.choose_zone, ZONES, f.zone, "zone", **about)


def _sizes(study: _Study) -> Iterator[Question]:
    """How much there is of what is there."""
    words = study.words
    for f in study.found:
        term = TERMS[f.kind]
        about: dict[str, Any] = {"term": term, "finding": f.kind, "present": True}
        choices: tuple[str, ...] = GRADES
        answer, ways = f"The {term} is {f.grade}.", words.size
        if f.kind == "nodule":
            answer, choices = f"The lung nodule is about {rounded_mm(f)} mm.", _MM
        elif f.kind == "oedema":
            answer, ways, choices = f"The {term} is {SEVERITIES[f.grade]}.", words.oedema_size, (*SEVERITIES.values(),)
        elif f.kind == "cardiomegaly":
            answer, ways = sentence(f), words.heart_size
        yield study.asker.ask(ways, answer, "size", **about)
        if f.kind != "cardiomegaly":  # which every study is asked about
            yield study.asker.choose(words.choose_size, choices, choices[GRADES.index(f.grade)], "size", **about)


def _positions(study: _Study) -> Iterator[Question]:
    """Where each device ends, and whether that is right."""
    ask, words = study.asker, study.words
    for d in study.devices:
        about: dict[str, Any] = {"term": d.kind, "device": d.kind, "present": True}
        said = device_sentence(d)
        yield ask.yes_no(words.position, d.placed, decapital(said), "position", **about)
        tip = d.note.startswith("tip ")
        where = f"The tip of the {d.kind} is {d.note[4:]}." if tip else f"The {d.kind} is {d.note}."
        yield ask.ask(words.tip, where, "position", **about)
    if study.devices:
        wrong = [d.kind for d in study.devices if not d.placed]
        rest = f"the {' and the '.join(wrong)} {'is' if len(wrong) == 1 else 'are'} malpositioned."
        yield ask.yes_no(words.all_placed, not wrong, rest if wrong else "all are well placed.", "position")


def _fault(study: _Study) -> Iterator[Question]:
    """What spoils the picture, and how badly."""
    ask, words, fault = study.asker, study.words, study.fault
    if fault is None:
        return
    yield ask.ask(words.faults, f"{describe(fault)} {consequence(fault)}", "quality")
    others = ask.some([k for k in FAULTS if k != fault.kind], 3)
    yield ask.choose(
        words.choose_fault, sorted(STATES[k] for k in (fault.kind, *others)), STATES[fault.kind], "quality"
    )
    yield ask.choose(words.choose_grade, (*SEVERITY.values(),), SEVERITY[fault.grade], "quality")
