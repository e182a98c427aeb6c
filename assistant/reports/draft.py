"""The typed draft of a report: the one JSON that API, storage, exports and page share."""

from collections.abc import Iterable
from datetime import date
from typing import Literal

from pydantic import Field

from assistant.errors import BadInput
from assistant.events import Citation, Done, Event, Finding, Identity, Model, Sentence
from assistant.reports.template import Template


class Region(Model):
    """A box in original pixels of a picture (1-based): upper left corner, width, height."""

    picture: int = Field(ge=1)
    x: float
    y: float
    width: float
    height: float


class Statement(Model):
    """`support`: "cited" rests on citations, "image" is the model's own reading, "person" was written by a person."""

    id: str
    text: str
    support: Literal["cited", "image", "person"]
    citations: tuple[Citation, ...] = ()
    confidence: float | None = None  # calibrated, or not there
    region: Region | None = None


class DraftSection(Model):
    name: str
    title: str
    findings: bool = False  # an organ system
    statements: tuple[Statement, ...] = ()


class Alert(Model):
    """Something a clinician must hear of at once."""

    kind: str
    message: str
    statements: tuple[str, ...] = ()


class CheckResult(Model):
    check: str
    severity: Literal["note", "warning", "critical"]
    message: str
    statements: tuple[str, ...] = ()


class Draft(Model):
    """All sections of the template in its order, empty ones too. `missing`: required parts that are not there."""

    template: str
    title: str
    study_date: date | None = None
    sections: tuple[DraftSection, ...]
    alerts: tuple[Alert, ...] = ()
    checks: tuple[CheckResult, ...] = ()
    missing: tuple[str, ...] = ()
    identity: Identity

    @property
    def statements(self) -> dict[str, Statement]:
        """By id, in the order of the report."""
        return {statement.id: statement for section in self.sections for statement in section.statements}


def draft_of(events: Iterable[Event], template: Template) -> Draft:
    """The draft that a run's events make. Sections the template lacks stand at the end under their own name.
    Raises `BadInput` for a run that broke off."""
    said: dict[str, list[Statement]] = {section.name: [] for section in template.sections}
    checks: list[CheckResult] = []
    identity: Identity | None = None
    for event in events:
        match event:
            case Sentence():
                said.setdefault(event.section, []).append(_statement(event))
            case Finding():
                about = tuple(_id(index) for index in event.sentences)
                checks.append(
                    CheckResult(check=event.check, severity=event.severity, message=event.message, statements=about)
                )
            case Done():
                identity = event.identity
    if identity is None:
        raise BadInput("This run broke off before its end: there is no draft in it. Start it again.")
    known = {section.name: section for section in template.sections}
    sections = tuple(
        DraftSection(
            name=name, title=known[name].title if name in known else name.capitalize(), statements=tuple(statements),
            findings=known[name].findings if name in known else name == "findings",
        )
        for name, statements in said.items()
    )  # fmt: skip
    missing = tuple(section.title for section in template.sections if section.required and not said[section.name])
    return Draft(
        template=template.name, title=template.title, sections=sections, checks=tuple(checks), missing=missing,
        identity=identity,
    )  # fmt: skip


def _statement(sentence: Sentence) -> Statement:
    return Statement(
        id=_id(sentence.index), text=sentence.text, support=sentence.support, citations=sentence.citations,
        confidence=sentence.confidence,
    )  # fmt: skip


def _id(index: int) -> str:
    return f"s{index + 1}"
