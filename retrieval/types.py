"""What the library speaks of: passages, cases, hits, evidence. Plain data, no behaviour, no engine's types."""

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float32]  # (dim,), unit length
Image = NDArray[np.uint8]  # (H, W, 3) RGB or (H, W) grey, 0..255, as displayed
Kind = Literal["passage", "case"]


@dataclass(frozen=True, slots=True)
class Statement:
    """What a condensed document says at `text[start:end]`, and words of a source passage that it rests on."""

    start: int
    end: int
    passage: str  # id of the source passage
    quote: str
    document: str = ""  # title and section of the source, when read; "" for one that is gone
    section: str = ""


@dataclass(frozen=True, slots=True)
class Passage:
    """A stretch of a document: `document_text[start:end] == text`."""

    id: str
    document_id: str
    document: str  # the document's title
    section: str  # heading path, " / " between levels; "" when the document has none
    text: str
    start: int  # characters into the document's text
    end: int
    domain: str | None = None  # e.g. "chest_xray"; None: bears on any
    page: int | None = None  # 1-based, for paged documents
    source: str = ""  # organisation, title, year and section of the guideline, ready to print
    edition: str = ""
    jurisdiction: str = ""
    dated: str = ""  # when it was published, as far as known: "2023", "2023-05", "2023-05-14"
    newer: str | None = None  # id of the document that supersedes this one's
    superseded_by: str = ""  # that document, ready to print
    condensed_by: str = ""  # the model that wrote it from other passages; "" for a source's own words
    reviewed_by: str = ""  # who compared what was condensed with its sources; "": nobody
    rests_on: tuple[Statement, ...] = ()  # of a condensed passage, where it is read by itself


@dataclass(frozen=True, slots=True)
class Case:
    """A picture and its report. `patient` is a salted hash, never an identifier."""

    id: str
    sha256: str  # over shape and pixels; names its PNG in blobs/
    report: str
    domain: str | None = None
    patient: str | None = None
    labels: tuple[str, ...] = ()
    source: str = ""
    taken: str = ""  # sorts a patient's studies in time: a date, or a number written with leading zeros; "": unknown
    look: str = ""  # perceptual hash of the picture, hexadecimal


@dataclass(frozen=True, slots=True)
class Leg:
    """One search of a batch. `query` is a unit vector for a named vector, a string for BM25."""

    name: str  # "image→case", "prior→case", "image→passage", "text→passage", "bm25"; "…@fundus" by a domain's encoder
    using: str  # a named vector of the manifest, or "bm25"
    query: Vector | str
    kind: Kind
    limit: int = 20


@dataclass(frozen=True, slots=True)
class Filter:
    """What a hit must satisfy. Empty fields don't restrict; a hit without a domain fits every domain."""

    domains: tuple[str, ...] = ()
    not_patient: str | None = None
    not_sha256: tuple[str, ...] = ()  # the request's own pictures are not "similar cases"
    all_editions: bool = False  # also what a newer edition supersedes


@dataclass(frozen=True, slots=True)
class Hit:
    """A record some leg found. `scores` holds each leg's raw score (cosine −1..1; BM25 ≥ 0, unbounded)."""

    id: str
    kind: Kind
    scores: dict[str, float]


@dataclass(frozen=True, slots=True)
class Record:
    """What a store keeps of a passage or case: vectors by name, BM25's text, and the fields a filter reads."""

    id: str  # UUID
    kind: Kind
    vectors: dict[str, Vector]
    text: str
    domain: str | None = None
    patient: str | None = None
    sha256: str | None = None
    superseded: bool = False  # by a newer edition


@dataclass(frozen=True, slots=True)
class VectorSpec:
    """A named vector: which encoder made it. The name is the encoder's identity."""

    identity: str
    dim: int
    domains: tuple[str, ...] = ()  # only what is of these domains or of none; (): every domain no other encoder has


@dataclass(frozen=True, slots=True)
class Fitted:
    """What was fitted on validation data and goes with an index. None and empty: not fitted, a default applies."""

    legs: dict[str, tuple[float, float]] = field(default_factory=dict)  # leg → (a, b) for `select.Calibration`
    gamma: float | None = None  # of mode log-ratio
    gamma_to_top: float | None = None  # of mode ratio-to-top
    floor: float | None = None
    ks: tuple[int, ...] | None = None  # the numbers of contexts that may be trusted; (): none may
    told: dict[str, Any] = field(default_factory=dict)  # on what, when, by whom: for people


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a generation holds. `vectors` by role: "image" (pictures of cases), "image_text" (passages in the image
    encoder's space), "text" (passages in the passage encoder's space); "image@fundus" where a domain has its own."""

    vectors: dict[str, VectorSpec]
    records: int = 0
    created: str = ""  # ISO 8601, UTC
    domains: tuple[str, ...] = ()
    fitted: Fitted = field(default_factory=Fitted)
    layout: str = ""  # version of what the index makes of the library; another one is built anew


@dataclass(frozen=True, slots=True)
class Domain:
    """Which kind of image this is. `name` None: none that the encoder knows. `confidence` 0..1."""

    name: str | None
    confidence: float
    nearest: str | None = None  # the closest known domain, also when unknown
    sure: bool = False  # enough to search this domain alone

    @property
    def known(self) -> bool:
        return self.name is not None


@dataclass(frozen=True, slots=True)
class Item:
    """One piece of evidence as the model and the reader see it. `relevance` is calibrated, 0..1."""

    number: int  # 1-based; what a citation says
    content: Passage | Case
    scores: dict[str, float]  # raw, by leg
    relevance: float
    earlier: Case | None = None  # of a pair: the same patient's study before `content`


@dataclass(frozen=True, slots=True)
class Evidence:
    """What deserves to be read, best first. `considered`: how many hits the legs returned before selection."""

    items: tuple[Item, ...] = ()
    considered: int = 0
    priors: tuple[
        Case, ...
    ] = ()  # the patient's own earlier studies in the library, latest first: offered, never similar
    timings: dict[str, float] = field(default_factory=dict)  # seconds by stage


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for. `images` as displayed; `embeddings` (n, dim) of them when already made."""

    text: str
    images: tuple[Image, ...] = ()
    embeddings: NDArray[np.float32] | None = None
    earlier: tuple[str, ...] = ()  # earlier questions of the conversation, oldest first
    domains: tuple[str, ...] = ()
    patient: str | None = None
    sha256: tuple[str, ...] = ()
    k: int | None = None  # at most this many items; None: as many as the settings allow
    prior_images: tuple[Image, ...] = ()  # of the prior study: then pairs of studies are looked for
    prior_embeddings: NDArray[np.float32] | None = None
    all_editions: bool = False
