"""What goes in and out of the API as JSON. Bodies refuse unknown fields; what is stored of a run is its events.

What goes out brings an example for the API's description; a test asks for each and compares what comes.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from assistant.events import Citation, Differential, Dropped, EvidenceItem, Finding, Identity, Offer, Quality, Sentence
from assistant.reports.draft import Draft

Status = Literal["queued", "running", "answered", "abstained", "failed", "cancelled"]
ENDED: tuple[Status, ...] = ("answered", "abstained", "failed", "cancelled")
Written = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
STUDY_ID, RUN_ID = "9f0c2a4c5d7e4c0fb5a3d9f1a6b7c8d9", "3b1e5a7c9d2f4e6a8b0c1d3e5f7a9b2c"
AT = "2026-05-04T09:30:00.000Z"


def example(of: Any) -> ConfigDict:
    """A model's configuration with one example of it."""
    return ConfigDict(json_schema_extra={"examples": [of]})


def answers(of: Any, status: int = 200, media_type: str = "application/json") -> dict[int | str, dict[str, Any]]:
    """The example of a route that has no model, as its `responses`."""
    return {status: {"content": {media_type: {"example": of}}}}


def sends_files(of: Any) -> dict[str, Any]:
    """The example of a form, as its route's `openapi_extra`; files stand there by their names."""
    return {"requestBody": {"content": {"multipart/form-data": {"example": of}}}}


_STUDY = {
    "id": STUDY_ID, "created": AT, "warnings": [],
    "pictures": [{"number": 1, "modality": "DX", "view": "PA", "shows_sides": True, "width": 2048, "height": 2494,
                  "origin": ""}],
}  # fmt: skip
_RUN = {
    "id": RUN_ID, "status": "answered", "task": "ask", "study": STUDY_ID, "prior": None,
    "question": "Is there a pleural effusion?", "after_run": None, "created": AT, "finished": AT,
}  # fmt: skip
_SENTENCE = {
    "event": "sentence", "index": 0, "section": "answer", "text": "There is a left pleural effusion.",
    "support": "image", "citations": [], "confidence": None, "repair": False,
}  # fmt: skip


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
    model_config = example(_STUDY)

    id: str
    created: str = Field(description="ISO 8601, UTC")
    pictures: list[PictureOut]
    warnings: list[str]


class StudyPage(BaseModel):
    model_config = example({"items": [_STUDY], "next": None})

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
    model_config = example(_RUN)

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
    model_config = example({
        **_RUN, "events": 5,
        "request": {"task": "ask", "study": STUDY_ID, "question": "Is there a pleural effusion?", "seed": 0},
        "result": {"answer": "There is a left pleural effusion.", "reason": "", "sentences": [_SENTENCE]},
    })  # fmt: skip

    request: dict[str, Any] = Field(description="the body that made the run")
    events: int = Field(description="how many events are stored")
    result: Result


class RunPage(BaseModel):
    model_config = example({"items": [_RUN], "next": None})

    items: list[RunOut]
    next: int | None = Field(description="pass as `before` for the next page")


class ProblemOut(BaseModel):
    """application/problem+json"""

    model_config = example({
        "type": "urn:consult:not-found", "title": "Not found", "status": 404, "detail": "There is no such study.",
    })  # fmt: skip

    type: str
    title: str
    status: int
    detail: str
