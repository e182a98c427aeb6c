"""What reading a file gives: drafts of documents, their texts complete, not yet cut."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch that no passage may cross: `text[start:end]`."""

    start: int
    end: int
    section: str = ""
    page: int | None = None  # 1-based


@dataclass(frozen=True, slots=True)
class Draft:
    """A document as read. `spans` None: the text is Markdown, its headings give the sections. `key` tells the
    documents of one file apart. `meta` is what `meta.kept` lets through."""

    title: str
    text: str
    spans: tuple[Span, ...] | None = None
    meta: dict[str, Any] = field(default_factory=dict)
    key: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a file held, and what of it could not be read: ("line 3", why)."""

    drafts: tuple[Draft, ...]
    skipped: tuple[tuple[str, str], ...] = ()
