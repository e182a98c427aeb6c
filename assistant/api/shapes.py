"""What goes in and out of the API as JSON. Bodies refuse unknown fields; what is stored of a run is its events."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from assistant.events import Citation, Differential, Dropped, EvidenceItem, Finding, Identity, Offer, Quality, Sentence
from assistant.reports.draft import Draft

Status = Literal["queued", "running", "answered", "abstained", "failed", "cancelled"]
ENDED: tuple[Status, ...] = ("answered", "abstained", "failed", "cancelled")
Written = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RunBody(Body):
    """Common to all tasks. `study` and `prior` are ids of uploaded studies."""

    study: str
    prior: str | None = None
    prior_case: str | None = Field(default=None, description="instead: a case of the library, the same patient's prior")
    after_run: str | None = Field(default=None, description="the run of the same study that this one continues")
    adapter: str | None = None
    seed: int = Field(default=0, ge=0, lt=2**31)
    max_tokens: int = Field(default=256, ge=1, le=4096)


class AskBody(RunBody):
    task: Literal["ask"]
    question: Written


class ReportBody(RunBody):
    task: Literal["report"]
    template: str = Field(default="chest", description="chest, brain_mr, fundus, free or one of this installation's")
    indication: str = ""
    history: str = ""
    prior_report: str = Field(
        default="", description="when not given: that of `prior_case`, or the newest signed one of `prior`"
    )


class DiagnoseBody(RunBody):
    task: Literal["diagnose"]
    history: str = ""
    laboratory: dict[str, str] = Field(
        default={}, description="name → value with unit, and range if known: 18 mg/L (0-5)"
    )
    candidates: tuple[str, ...] = ()


AnyBody = Annotated[AskBody | ReportBody | DiagnoseBody, Field(discriminator="task")]


class PictureOut(BaseModel):
    number: int = Field(description="1-based")
    modality: str | None
    view: str | None
    shows_sides: bool = Field(description="whether the patient's left and right can be told apart")
    width: int
    height: int
    origin: str


class StudyOut(BaseModel):
    id: str
    created: str = Field(description="ISO 8601, UTC")
    pictures: list[PictureOut]
    warnings: list[str]


class StudyPage(BaseModel):
    items: list[StudyOut]
    next: int | None = Field(description="pass as `before` for the next page")


class Error(BaseModel):
    type: str
    message: str


class Result(BaseModel):
    """The events of a run, joined. `answer` grows with the sentences while the run is under way."""

    answer: str = ""
    reason: str = ""
    quality: Quality | None = None
    sentences: list[Sentence] = []
    citations: list[Citation] = Field(default=[], description="of all sentences, each once, in order")
    evidence: list[EvidenceItem] = []
    considered: int = 0
    note: str = ""
    priors: list[Offer] = Field(default=[], description="earlier studies of the same patient in the library")
    differential: Differential | None = None
    findings: list[Finding] = []
    draft: Draft | None = Field(default=None, description="of a report: what stands, by the template's sections")
    warnings: list[str] = []
    dropped: list[Dropped] = []
    cut: bool = Field(default=False, description="the answer ended at the token limit, not by itself")
    identity: Identity | None = None
    timings: dict[str, float] = {}
    error: Error | None = None


class RunOut(BaseModel):
    id: str
    status: Status
    task: Literal["ask", "report", "diagnose"]
    study: str
    prior: str | None
    question: str
    after_run: str | None
    created: str = Field(description="ISO 8601, UTC")
    finished: str | None


class RunDetail(RunOut):
    request: dict[str, Any] = Field(description="the body that made the run")
    events: int = Field(description="how many events are stored")
    result: Result


class RunPage(BaseModel):
    items: list[RunOut]
    next: int | None = Field(description="pass as `before` for the next page")


class ProblemOut(BaseModel):
    """application/problem+json"""

    type: str
    title: str
    status: int
    detail: str
