"""What a run says, in order: `Quality`, `Retrieved`, `Sentence`…, where they are seen `Located`, of a diagnosis its
`Differential`, `Finding`…, of a report `Drafted`, `Done` (or `Failed`).

These are also the API's wire format and what is stored of a run; a `Sentence` is only made once its own checks have
passed, and what a reader has seen is never taken back.
"""

from typing import Annotated, Literal

from pydantic import Field

from assistant.reports.draft import Draft, Region
from assistant.values import Citation, Identity, Model, Severity, Support

__all__ = [
    "Citation", "Defect", "DomainVerdict", "Done", "Drafted", "Dropped", "Event", "EvidenceItem", "Failed", "Finding",
    "Heat", "Identity", "Located", "Model", "Offer", "Place", "Quality", "Region", "Retrieved", "Sentence",
    "SourceQuote",
]  # fmt: skip


class Defect(Model):
    """One thing the quality gate noticed. `refuse` stops the reading; otherwise it's a warning."""

    kind: str  # too-small, blank, cut-off, too-bright, too-dark, blurred, unknown-kind, …
    picture: int | None  # 1-based
    message: str
    refuse: bool = False


class DomainVerdict(Model):
    name: str | None  # None: unlike anything known
    confidence: float = Field(ge=0, le=1)
    nearest: str | None = None
    sure: bool = True  # enough to search this domain alone


class Quality(Model):
    event: Literal["quality"] = "quality"
    defects: tuple[Defect, ...]
    domain: DomainVerdict | None = None  # None: the encoder can't tell kinds apart


class SourceQuote(Model):
    """What a statement of a condensed passage rests on. `start`/`end`: the statement, in characters of the condensed
    document; the rest is of the source passage."""

    start: int
    end: int
    id: str
    document: str
    section: str
    quote: str


class EvidenceItem(Model):
    """A passage or case with what each leg of the search said of it (raw) and its calibrated relevance."""

    number: int
    kind: Literal["passage", "case"]
    id: str
    title: str
    section: str = ""
    text: str
    document_id: str | None = None
    start: int | None = None  # character span in the document
    end: int | None = None
    page: int | None = None
    source: str = ""
    edition: str = ""
    jurisdiction: str = ""
    dated: str = ""  # when it was published: "2023", "2023-05", "2023-05-14"
    newer: str | None = None  # id of the document that supersedes this one
    superseded_by: str = ""  # that document, ready to print
    condensed_by: str = ""  # the model that wrote the passage from `sources`; "" for a source's own words
    sources: tuple[SourceQuote, ...] = ()
    image_sha256: str | None = None
    labels: tuple[str, ...] = ()  # of a case: its findings by name, where its source named them
    earlier: str = ""  # of a pair of studies: the report before this one, and its picture
    earlier_sha256: str | None = None
    scores: dict[str, float]
    relevance: float = Field(ge=0, le=1)


class Offer(Model):
    """An earlier study of the same patient in the library of cases, offered as a prior (`prior_case` of a request)."""

    id: str
    taken: str  # a date, or a number that sorts; "": unknown
    report: str
    image_sha256: str


class Retrieved(Model):
    event: Literal["retrieved"] = "retrieved"
    evidence: tuple[EvidenceItem, ...]
    considered: int
    note: str = ""  # says so when nothing relevant was found
    priors: tuple[Offer, ...] = ()  # none where the request has a prior


class Sentence(Model):
    """A released sentence. `support`: "cited" when it rests on citations, "image" when it's the model's own reading,
    "request" when Consult itself says it of the request. `repair`: from the second attempt after a failed check; what
    it replaces is told by the draft. `region`: not there when it is released, told by `Located`."""

    event: Literal["sentence"] = "sentence"
    index: int
    section: str
    text: str
    support: Support
    citations: tuple[Citation, ...] = ()
    confidence: float | None = None  # calibrated, or not there
    region: Region | None = None
    repair: bool = False


class Heat(Model):
    """Similarity of a sentence to a picture, cell by cell: cosines by row, over the rectangle `extent` (x0, y0, x1, y1)
    in pixels of the picture, which may reach beyond its edges. None: a cell outside the picture."""

    extent: tuple[float, float, float, float]
    cells: tuple[tuple[float | None, ...], ...]


class Place(Model):
    """Where one sentence is seen."""

    sentence: int
    region: Region
    heat: Heat


class Located(Model):
    """The sentences whose place is clear, by the similarity of this image encoder, which draws no outlines."""

    event: Literal["located"] = "located"
    places: tuple[Place, ...] = ()
    encoder: str = ""


class Finding(Model):
    """A check on the whole document: what was noticed, how bad, about which sentences."""

    event: Literal["finding"] = "finding"
    check: str
    message: str
    severity: Severity = "warning"
    sentences: tuple[int, ...] = ()


State = Literal["met", "contradicted", "unknown"]
Origin = Literal["request", "guideline", "case", "model"]


class Shown(Model):
    """What in the patient decides a criterion: the model's reading of the picture, words of the history, or a value.
    `start`/`end`: characters of the history, where the words or the value stand there."""

    kind: Literal["image", "history", "value"]
    text: str
    start: int | None = None
    end: int | None = None


class CheckedCriterion(Model):
    """One line of a candidate's checklist. `source`: the guideline that says so, ready to print; `passage`: where the
    library holds it; `why`: what it rests on where there is no `shown`, or why it stays unknown."""

    text: str
    kind: Literal["imaging", "history", "laboratory", "sign"]
    weight: Literal["required", "supports", "against"]
    state: State
    source: str
    passage: Citation | None = None
    shown: Shown | None = None
    why: str = ""


class Candidate(Model):
    """One diagnosis of the differential. `score` 0..1 ranks it and is no probability; `standing` is the model's
    own order: 1 for its first, 1/2 for its second, …, 0 for one it didn't name. Without a guideline, no checklist."""

    name: str
    doid: str | None
    origins: tuple[Origin, ...]
    guideline: bool
    score: float = Field(ge=0, le=1)
    standing: float = Field(ge=0, le=1)
    criteria: tuple[CheckedCriterion, ...] = ()


class MissingFact(Model):
    """The unknown criterion that would change the ranking most. `leader`: who would lead were it so; None: nobody
    else, only the distance would change."""

    criterion: str
    candidate: str
    if_state: Literal["met", "contradicted"]
    leader: str | None
    message: str


class Conflict(Model):
    """Two guidelines that disagree about one candidate, each with its source. `statements`: the two criteria, or none
    where `about` tells what each says."""

    candidate: str
    about: str
    statements: tuple[str, ...]
    sources: tuple[str, str]


class Differential(Model):
    """The candidates, best first. `verdict`: one leads, the first are tied, or there is not enough to tell."""

    event: Literal["differential"] = "differential"
    verdict: Literal["leads", "tie", "not enough to tell"]
    message: str
    candidates: tuple[Candidate, ...]
    missing: MissingFact | None = None
    conflicts: tuple[Conflict, ...] = ()


class Dropped(Model):
    """Something that was removed, and why: a sentence before release, or material that didn't fit the context."""

    what: str
    why: str


class Drafted(Model):
    """The report of a run: its released sentences by section, with what the checks say of the whole."""

    event: Literal["drafted"] = "drafted"
    draft: Draft


class Done(Model):
    """The end of a run. `status`: "answered"; "abstained" when nothing could be said and `reason` says why."""

    event: Literal["done"] = "done"
    status: Literal["answered", "abstained", "cancelled"]
    reason: str = ""
    answer: str  # the released sentences, joined
    cut: bool = False  # the answer reached its limit of tokens
    warnings: tuple[str, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    identity: Identity
    timings: dict[str, float]  # seconds by stage


class Failed(Model):
    """The run broke off; what was released before stays valid."""

    event: Literal["failed"] = "failed"
    type: str
    message: str


Event = Annotated[
    Quality | Retrieved | Sentence | Located | Differential | Finding | Drafted | Done | Failed,
    Field(discriminator="event"),
]
