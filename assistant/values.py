"""What events and report drafts are both made of."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


# "request": written by Consult itself, of what the request holds ("No prior study is available.").
Support = Literal["cited", "image", "request"]
Severity = Literal["note", "warning", "critical"]


class Citation(Model):
    """Resolves to a stored passage or case. `start`/`end` span the part used, in characters of the document
    (of the report, for a case)."""

    number: int
    kind: Literal["passage", "case"]
    id: str
    document_id: str | None
    title: str
    section: str
    start: int
    end: int
    quote: str


class Identity(Model):
    """Who spoke: what has to be recorded so that a difference between two answers can be explained."""

    model: str
    model_hash: str
    engine: str
    encoders: dict[str, str] = {}
    generation: str | None = None
    adapter: str | None = None
    seed: int = 0
    demonstration: bool = False  # a pocket model: not for clinical use
