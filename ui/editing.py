"""A report as one person is changing it: each sentence with the words it had and the words it shall have. Pure.

Invariant: what a person typed is only ever taken away by that person. When somebody else saved first, `merged` lays
both together, sentence by sentence; where both changed the same one, mine stays and theirs is shown beside it.
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

Json = dict[str, Any]
SIGNED = ("signed", "amended")


@dataclass
class Line:
    """One sentence. `id` None: it isn't stored yet. `was`: the stored words, "" for a new sentence. `theirs`: what
    somebody else made of it meanwhile, "" when they deleted it, None when they left it alone."""

    key: str
    id: str | None
    was: str
    text: str
    statement: Json = field(default_factory=dict)  # as the API tells it; empty for a new one
    accepted: bool = False
    deleted: bool = False
    theirs: str | None = None

    @property
    def stands(self) -> bool:
        """Emptied is deleted."""
        return not self.deleted and bool(self.text.strip())

    @property
    def changed(self) -> bool:
        return self.stands if self.id is None else not self.stands or _plain(self.text) != self.was


@dataclass
class Copy:
    """`version`: the stored one it was made from. `over`: the version it was made from before somebody saved first."""

    report: str
    version: int
    sections: dict[str, list[Line]]
    over: int | None = None

    @property
    def lines(self) -> Iterator[Line]:
        for lines in self.sections.values():
            yield from lines

    @property
    def changed(self) -> bool:
        return any(line.changed for line in self.lines)

    @property
    def unseen(self) -> int:
        """Sentences that nobody has accepted, changed or deleted, and those that were changed on both sides."""
        return sum((line.stands or line.theirs is not None) and not line.accepted for line in self.lines)

    def wanted(self) -> list[Json]:
        """The sections as the API takes them."""
        return [
            {"name": name, "statements": [{"id": line.id, "text": line.text} for line in lines if line.stands]}
            for name, lines in self.sections.items()
        ]

    def add(self, section: str) -> Line:
        line = Line(uuid.uuid4().hex, None, "", "", accepted=True)
        self.sections[section].append(line)
        return line

    def drop(self, line: Line) -> None:
        for lines in self.sections.values():
            if line in lines:
                lines.remove(line)


def copy_of(report: Json, seen: Copy | None = None) -> Copy:
    """A fresh copy of a stored version. What was accepted in `seen` is accepted still where it reads the same; without
    `seen`, what a person wrote or signed is."""
    accepted = {_plain(line.text) for line in seen.lines if line.accepted} if seen else None
    signed = report["status"] in SIGNED

    def line(statement: Json) -> Line:
        id_, text = statement["id"], statement["text"]
        known = signed or statement["support"] == "person" if accepted is None else text in accepted
        return Line(id_, id_, text, text, statement, known)

    draft = report["draft"]
    sections = {section["name"]: [line(said) for said in section["statements"]] for section in draft["sections"]}
    return Copy(report["id"], report["version"], sections)


def merged(mine: Copy, report: Json) -> Copy:
    """My changes on top of a newer stored version of the same report."""
    new = copy_of(report, mine)
    stored = {line.id: (name, place) for name, lines in new.sections.items() for place, line in enumerate(lines)}
    for name, lines in mine.sections.items():
        for line in lines:
            if line.id in stored:
                section, place = stored[line.id]
                new.sections[section][place] = _both(line, new.sections[section][place])
            elif line.changed and line.stands:
                theirs = None if line.id is None else ""
                seen = line.accepted and theirs is None
                new.sections[name].append(replace(line, id=None, was="", statement={}, accepted=seen, theirs=theirs))
    return replace(new, over=mine.version if mine.changed else None)


def _both(mine: Line, theirs: Line) -> Line:
    if not mine.changed:
        return theirs
    differs = theirs.was not in (mine.was, mine.text)
    told = theirs.was if differs else None
    return replace(theirs, text=mine.text, deleted=mine.deleted, accepted=not differs, theirs=told)


def _plain(text: str) -> str:
    """As the API stores it."""
    return " ".join(text.split())
