"""What goes in and out of /v1/reports as JSON."""

from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints

from assistant.api.shapes import AT, RUN_ID, STUDY_ID, Body, Written, example
from assistant.reports.draft import Draft
from assistant.reports.life import Kind, Status

Name = Annotated[str, StringConstraints(strip_whitespace=True, max_length=60, pattern=r"^[^\\^=\x00-\x1f]*$")]

_REPORT = {
    "id": "5c2d8e4f6a1b4c3d9e7f0a2b4c6d8e1f", "run": RUN_ID, "study": STUDY_ID, "status": "draft", "version": 1,
    "consent": False, "created": AT,
}  # fmt: skip
_DRAFT = {
    "template": "chest", "title": "Chest radiograph", "indication": "Dyspnoea for three days.",
    "sections": [{"name": "pleura", "title": "Pleura", "findings": True, "statements": [{
        "id": "s2", "text": "Left pleural effusion.", "support": "image", "citations": [], "confidence": None,
    }]}],
    "alerts": [], "missing": [],
    "checks": [{"check": "impression", "severity": "warning", "statements": ["s2"],
                "message": "Pleural effusion: not in the impression."}],
}  # fmt: skip
_DETAIL = {**_REPORT, "author": None, "name": "", "at": AT, "draft": _DRAFT}
_VERSION = {
    "version": 1, "status": "draft", "author": None, "name": "", "reason": "", "at": AT, "model": "consult-pocket",
    "model_hash": "c0ffee00",
}  # fmt: skip
_CHANGE = {
    "statement": "s2", "kind": "changed", "section": "pleura", "before": "Left pleural effusion.",
    "after": "Small left pleural effusion.",
}  # fmt: skip


class NewReport(Body):
    run: str = Field(description="a finished report run of one's own")


class LineIn(Body):
    text: Written
    id: str | None = Field(default=None, description="the statement these are the words of; none: a new statement")


class SectionIn(Body):
    name: str
    statements: tuple[LineIn, ...] = ()


class Revision(Body):
    """The whole report as it shall read: a statement that isn't named is deleted."""

    sections: tuple[SectionIn, ...]


class Amendment(Revision):
    reason: Written
    name: Name = Field(default="", description="the signer's name as printed; the user's when empty")


class Signature(Body):
    name: Name = Field(default="", description="the signer's name as printed; the user's when empty")


class Consent(Body):
    consent: bool = Field(description="whether the edits of this report may tune the model")


class ReportOut(BaseModel):
    model_config = example(_REPORT)

    id: str
    run: str
    study: str
    status: Status
    version: int = Field(description="the newest; what `ETag` says and `If-Match` must say")
    consent: bool
    created: str = Field(description="ISO 8601, UTC")


class ReportDetail(ReportOut):
    """A report in its newest version."""

    model_config = example(_DETAIL)

    author: str | None = Field(description="the user who wrote this version; none: the model")
    name: str = Field(description="the signer's name as printed; empty while unsigned")
    at: str = Field(description="when this version was written; ISO 8601, UTC")
    draft: Draft


class ReportPage(BaseModel):
    model_config = example({"items": [_REPORT], "next": None})

    items: list[ReportOut]
    next: int | None = Field(description="pass as `before` for the next page")


class VersionOut(BaseModel):
    model_config = example(_VERSION)

    version: int
    status: Status
    author: str | None = Field(description="the user who wrote it; none: the model")
    name: str
    reason: str = Field(description="why it was amended")
    at: str
    model: str
    model_hash: str


class VersionDetail(VersionOut):
    model_config = example({**_VERSION, "draft": _DRAFT})

    draft: Draft


class ChangeOut(BaseModel):
    statement: str
    kind: Kind
    section: str = Field(description="where it stands, or stood before it was deleted")
    before: str | None
    after: str | None


class Difference(BaseModel):
    model_config = example({"before": 1, "after": 2, "changes": [_CHANGE]})

    before: int
    after: int
    changes: list[ChangeOut] = Field(description="statement by statement in the order of `after`, deleted ones last")
