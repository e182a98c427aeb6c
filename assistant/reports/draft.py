"""The typed draft of a report: the JSON that API, storage, exports and page share. `drafting` makes it.

Invariant: `sections` hold what stands. A statement that a repair replaced is in `superseded`, so that whoever exports
the sections exports nothing that was corrected, and whoever read it can see what became of it.
"""

from datetime import date
from typing import Literal

from assistant.values import Citation, Identity, Model, Severity


class Region(Model):
    """Where in which picture: 1-based number, and x0, y0, x1, y1 in its original pixels, half open. `peak` (x, y):
    where the image encoder finds the picture most like the sentence."""

    picture: int
    box: tuple[int, int, int, int]
    peak: tuple[int, int] | None = None


class Statement(Model):
    """One sentence. `id` is stable: "s3" is the third sentence of the run. `repair`: the engine's second attempt."""

    id: str
    text: str
    support: Literal["cited", "image", "request", "person"]
    citations: tuple[Citation, ...] = ()
    confidence: float | None = None  # calibrated, or not there
    region: Region | None = None
    repair: bool = False


class Superseded(Model):
    section: str
    statement: Statement


class DraftSection(Model):
    name: str
    title: str
    findings: bool = False
    statements: tuple[Statement, ...] = ()


class Alert(Model):
    """A critical finding, raised on top of the report."""

    kind: str
    message: str
    statements: tuple[str, ...] = ()


class CheckResult(Model):
    """What a check on the whole draft noticed, about which statements."""

    check: str
    severity: Severity = "warning"
    message: str
    statements: tuple[str, ...] = ()


NOBODY = Identity(model="", model_hash="", engine="")  # while a draft is being checked, and its maker not yet told


class Draft(Model):
    """`missing`: what the template requires, the indication asks or the prior calls for, and no statement says."""

    template: str
    title: str
    study_date: date | None = None
    indication: str = ""
    sections: tuple[DraftSection, ...]
    alerts: tuple[Alert, ...] = ()
    checks: tuple[CheckResult, ...] = ()
    missing: tuple[str, ...] = ()
    superseded: tuple[Superseded, ...] = ()
    identity: Identity = NOBODY

    @property
    def statements(self) -> tuple[Statement, ...]:
        return tuple(statement for section in self.sections for statement in section.statements)

    @property
    def by_id(self) -> dict[str, Statement]:
        """In the order of the report."""
        return {statement.id: statement for statement in self.statements}


def statement_id(index: int) -> str:
    """Of the sentence with this index in its run."""
    return f"s{index + 1}"
