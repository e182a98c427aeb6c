"""The life of a report: draft → edited → signed → amended. Pure: what may follow what, and what an edit did.

Invariants: version 1 is the model's draft and never changes, so what became of each of its sentences can always be
told. A statement whose words are the model's keeps the model's evidence and confidence; any other is a person's own
and claims neither. What is signed is changed only by an amendment, which a named person signs in the same act.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from assistant.errors import BadInput, WrongState
from assistant.reports.draft import Draft, DraftSection, Statement

Status = Literal["draft", "edited", "signed", "amended"]
SIGNED: tuple[Status, ...] = ("signed", "amended")
_FOLLOWS: dict[Status, tuple[Status, ...]] = {
    "edited": ("draft", "edited"),
    "signed": ("draft", "edited"),
    "amended": SIGNED,
}
_REFUSED = {
    "edited": "This report is signed. Amend it instead.",
    "signed": "This report is signed already.",
    "amended": "Only a signed report is amended. Edit this one, or sign it.",
}
Kind = Literal["kept", "changed", "deleted", "added"]


@dataclass(frozen=True, slots=True)
class Line:
    """A statement as a person wants it. `id` None: a new one."""

    text: str
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one statement. `before` and `after` are its words, None where it wasn't there; a statement moved
    to another section counts as changed."""

    statement: str
    kind: Kind
    section: str  # where it stands, or stood before it was deleted
    before: str | None
    after: str | None


def check_step(now: Status, wanted: Status) -> None:
    """Raises `WrongState` when a report that is `now` can't become `wanted`."""
    if now not in _FOLLOWS.get(wanted, ()):
        raise WrongState(_REFUSED[wanted])


def check_signable(draft: Draft) -> None:
    """Raises `BadInput` for a report that says nothing."""
    if not draft.statements:
        raise BadInput("The report has no statement. Write one before signing.")


def revised(original: Draft, current: Draft, wanted: Sequence[tuple[str, Sequence[Line]]]) -> Draft:
    """The current draft with the statements of `wanted`: (section name, its lines) in any order; a section that isn't
    named ends up empty. `original` is version 1. Checks and alerts are still those of `current`: `checked` makes them
    anew.

    Raises `BadInput` for an unknown section or statement, one that is named twice, and words that are empty.
    """
    lines = dict(wanted)
    names = {section.name for section in current.sections}
    if len(lines) != len(wanted) or not lines.keys() <= names:
        raise BadInput(f"Each section is named once and is one of: {', '.join(sorted(names))}.")
    ids = [line.id for _, section in wanted for line in section if line.id is not None]
    known = original.by_id | current.by_id
    if len(set(ids)) != len(ids) or not set(ids) <= known.keys():
        raise BadInput("Each `id` is named once and is a statement of this report. Leave it out for a new statement.")
    sections = tuple(
        section.model_copy(
            update={"statements": tuple(_statement(line, original, current) for line in lines.get(section.name, ()))}
        )
        for section in current.sections
    )
    return current.model_copy(update={"sections": sections})


def compare(before: Draft, after: Draft) -> list[Change]:
    """Statement by statement, in the order of `after`; what was deleted comes last."""
    old, new = _placed(before), _placed(after)
    changes = []
    for id_, (section, text) in new.items():
        was = old.get(id_)
        kind: Kind = "added" if was is None else "kept" if was == (section, text) else "changed"
        changes.append(Change(id_, kind, section, was[1] if was else None, text))
    gone = [Change(id_, "deleted", *placed, None) for id_, placed in old.items() if id_ not in new]
    return changes + gone


def _statement(line: Line, original: Draft, current: Draft) -> Statement:
    text = " ".join(line.text.split())
    if not text:
        raise BadInput("A statement is empty. Leave it out to delete it.")
    if line.id is not None:
        for draft in (original, current):
            known = draft.by_id.get(line.id)
            if known is not None and known.text == text:
                return known
    return Statement(id=line.id or f"p{uuid.uuid4().hex[:12]}", text=text, support="person")


def _placed(draft: Draft) -> dict[str, tuple[str, str]]:
    """id → (section, words)"""

    def of(section: DraftSection) -> dict[str, tuple[str, str]]:
        return {statement.id: (section.name, statement.text) for statement in section.statements}

    return {id_: placed for section in draft.sections for id_, placed in of(section).items()}
