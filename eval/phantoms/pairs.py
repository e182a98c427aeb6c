"""Two studies of one person: what was there, what is there now, and how each finding has changed.

The findings keep their places between the visits; the grade changes with the finding, so that a larger one is one or
two grades up, and an unchanged one is drawn alike on another film.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np

from eval.phantoms.family import get_family
from eval.phantoms.findings import (
    FINDINGS,
    GRADES,
    SIDED,
    SIDES,
    ZONED,
    ZONES,
    Finding,
    FindingSpec,
    Grade,
    Kind,
    Side,
    draw_specs,
)
from eval.phantoms.phantom import Phantom, make_phantom
from eval.phantoms.phrases import TERMS, Question, decapital
from eval.phantoms.questions import Asker
from eval.phantoms.text import FollowUpReport
from eval.phantoms.wordings import get_wording

ChangeName = Literal["new", "larger", "smaller", "resolved", "unchanged"]
CHANGES: tuple[ChangeName, ...] = get_args(ChangeName)
NO_CHANGE = "There is no change from the prior study."
_STREAM = 20  # keeps these draws apart from those of the studies
_NODULE_MM: dict[Grade, float] = {"small": 10.0, "moderate": 16.0, "large": 25.0}  # 5 mm apart when read by eye
_STEPS: dict[ChangeName, tuple[tuple[Grade | None, Grade | None], ...]] = {  # prior, current
    "new": tuple((None, g) for g in GRADES),
    "larger": (("small", "moderate"), ("small", "large"), ("moderate", "large")),
    "smaller": (("moderate", "small"), ("large", "small"), ("large", "moderate")),
    "resolved": tuple((g, None) for g in GRADES),
    "unchanged": tuple((g, g) for g in GRADES),
}
_GRADELESS: tuple[ChangeName, ...] = ("new", "resolved", "unchanged")  # what can happen without a change of grade
_MOOT = {"new": "larger", "resolved": "smaller"}  # the course → the question that it leaves open to dispute
_SAID: dict[ChangeName, str] = {
    "new": "is new since the prior study",
    "larger": "is larger than on the prior study",
    "smaller": "is smaller than on the prior study",
    "resolved": "has resolved since the prior study",
    "unchanged": "is unchanged from the prior study",
}


@dataclass(frozen=True)
class Change:
    """What became of a finding. `side` is the patient's; None where the finding has no side, or is to be drawn."""

    kind: Kind
    side: Side | None
    change: ChangeName


@dataclass(frozen=True, eq=False)
class Pair:
    """A prior and a current study of one person, with the truth of every change; questions are on the change only."""

    prior: Phantom
    current: Phantom
    changes: tuple[Change, ...]  # in the order of FINDINGS; a kind that is in neither study has none
    report: FollowUpReport
    questions: tuple[Question, ...]

    @property
    def id(self) -> str:
        """A name for files and records."""
        return f"{self.prior.id}-pair"


def make_pair(seed: int, *, family: str = "train", size: int = 512, changes: Sequence[Change] | None = None) -> Pair:
    """Render both studies, `size` x `size` pixels each.

    `changes` None draws one or two; an empty sequence gives two studies without any finding. ValueError when a kind is
    named twice, does not exist, or has a side where it has none.
    """
    rng = np.random.default_rng([seed, get_family(family).salt, _STREAM])
    wanted = _drawn(rng) if changes is None else [(c, None) for c in changes]
    _check([c for c, _ in wanted])
    before: list[FindingSpec] = []
    after: list[FindingSpec] = []
    for change, spec in wanted:
        for specs, planned in zip((before, after), _visits(change, spec, rng), strict=True):
            specs += [planned] if planned else []
    prior, current = (
        make_phantom(seed, family=family, size=size, findings=specs, visit=visit)
        for visit, specs in enumerate((before, after))
    )
    truth = changes_between(prior.findings, current.findings)
    comparison = compare(truth)
    now = current.report
    report = FollowUpReport(now.technique, now.findings, now.impression, comparison)
    return Pair(prior, current, truth, report, change_questions(truth, get_family(family).wording, rng))


def changes_between(prior: Sequence[Finding], current: Sequence[Finding]) -> tuple[Change, ...]:
    """The true changes, told from the findings of both studies by their grades."""
    old, new = ({f.kind: f for f in findings} for findings in (prior, current))
    return tuple(_change(old.get(k), new.get(k)) for k in FINDINGS if k in old or k in new)


def _change(old: Finding | None, new: Finding | None) -> Change:
    shown = new or old
    assert shown is not None
    if old is None or new is None:
        return Change(shown.kind, shown.side, "resolved" if old else "new")
    step = GRADES.index(new.grade) - GRADES.index(old.grade)
    return Change(shown.kind, shown.side, "larger" if step > 0 else "smaller" if step < 0 else "unchanged")


def compare(changes: Sequence[Change]) -> str:
    """The comparison section of a report."""
    if all(c.change == "unchanged" for c in changes):
        return " ".join([NO_CHANGE, *map(change_sentence, changes)])
    return " ".join(map(change_sentence, changes))


def change_sentence(change: Change) -> str:
    """ "The left pleural effusion is larger than on the prior study."""
    return f"The {_subject(change)} {_SAID[change.change]}."


def _subject(change: Change) -> str:
    if change.kind == "cardiomegaly":
        return "enlargement of the heart"
    return f"{change.side} {TERMS[change.kind]}" if change.side else TERMS[change.kind]


def _drawn(rng: np.random.Generator) -> list[tuple[Change, FindingSpec]]:
    """Changes of findings that may stand beside one another in one study."""
    specs: tuple[FindingSpec, ...] = ()
    while not specs:
        specs = draw_specs(rng)
    drawn = []
    for spec in specs:
        names = CHANGES if spec.grade is None else _GRADELESS
        drawn.append((Change(spec.kind, spec.side, names[int(rng.integers(len(names)))]), spec))
    return drawn


def _check(changes: Sequence[Change]) -> None:
    kinds = [c.kind for c in changes]
    if len(set(kinds)) != len(kinds) or any(k not in FINDINGS for k in kinds):
        raise ValueError(f"changes of {kinds}; expected each at most once, of: {', '.join(FINDINGS)}")
    for c in changes:
        if c.change not in CHANGES or (c.side and (c.kind not in SIDED or c.side not in SIDES)):
            raise ValueError(f"cannot render {c}; changes: {', '.join(CHANGES)}; with a side: {', '.join(SIDED)}")


def _visits(
    change: Change, spec: FindingSpec | None, rng: np.random.Generator
) -> tuple[FindingSpec | None, FindingSpec | None]:
    """What to render at either visit, in the same place."""
    side: Side | None = (change.side or SIDES[int(rng.integers(2))]) if change.kind in SIDED else None
    zone = (spec.zone if spec else ZONES[int(rng.integers(3))]) if change.kind in ZONED else None
    steps = _STEPS[change.change]
    if spec and spec.grade:  # another would hide its neighbour
        steps = tuple(step for step in steps if set(step) <= {None, spec.grade})
    grades = steps[int(rng.integers(len(steps)))]
    here = FindingSpec(change.kind, side, zone)
    growth = float(rng.uniform(0.95, 1.05))
    before, after = (
        g and replace(here, grade=g, size_mm=_NODULE_MM[g] * growth if change.kind == "nodule" else None)
        for g in grades
    )
    return before, after


def change_questions(changes: Sequence[Change], wording: str, rng: np.random.Generator) -> tuple[Question, ...]:
    """Of each finding its course, every course that it could have had, and two findings that are in neither study."""
    words, asker = get_wording(wording), Asker(rng)
    asked = []
    ways = {name: getattr(words, name) for name in CHANGES}
    for c in changes:
        about: dict[str, Any] = {"term": _subject(c), "finding": c.kind, "present": c.change != "resolved"}
        rest = decapital(change_sentence(c))
        for name in CHANGES:
            if name != _MOOT.get(c.change):
                asked.append(asker.yes_no(ways[name], c.change == name, rest, "change", **about))
        asked.append(asker.choose(words.choose_change, CHANGES, c.change, "change", **about))
    absent = [k for k in FINDINGS if k not in {c.kind for c in changes}]
    for kind in asker.some(absent, 2):
        rest = f"there is no {TERMS[kind]}."
        about = {"term": _subject(Change(kind, None, "new")), "finding": kind, "present": False}
        asked.append(asker.yes_no(words.new, False, rest, "change", **about))
    moved = any(c.change != "unchanged" for c in changes)
    rest = "the findings have changed." if moved else "the findings have not changed."
    asked.append(asker.yes_no(words.any_change, moved, rest, "change"))
    asked.append(asker.ask(words.open_change, compare(changes), "change"))
    return tuple(asked)
