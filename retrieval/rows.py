"""The library's rows as the objects that stand for them, and the queries that give such rows."""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from retrieval.types import Case, Passage


@dataclass(frozen=True, slots=True)
class Document:
    """A text that passages are cut from. `meta` may hold domain, source, organisation, edition, jurisdiction, dated,
    supersedes, aliases, terms, and of a condensed one condensed_by, reviewed_by, reviewed_at."""

    id: str
    file: str  # id of the file it came from
    title: str
    name: str  # as a person knows it: a path below the folder that was added
    text: str
    meta: dict[str, Any] = field(default_factory=dict)
    newer: str | None = None  # id of the document that supersedes it


@dataclass(frozen=True, slots=True)
class File:
    """A file that was added; most hold one document, a JSONL file one a line. `made_by` names how it was read."""

    id: str
    path: str  # tells files apart: added again, it replaces itself
    name: str
    sha256: str
    made_by: str
    folder: str = ""  # it was added with: gone from there, it is removed; "" for a file named by itself
    added: str = ""  # ISO 8601, UTC
    documents: int = 0
    title: str = ""  # of its first document, as are the next three
    edition: str = ""
    dated: str = ""
    jurisdiction: str = ""
    superseded: int = 0  # how many of its documents a newer edition supersedes


PASSAGES = """
    SELECT p.rowid AS row, p.*, d.title, d.meta, d.newer, n.title AS newer_title, n.meta AS newer_meta
    FROM passages p JOIN documents d ON d.id = p.document LEFT JOIN documents n ON n.id = d.newer
"""
PAIRS = """
    SELECT earlier, later FROM (
        SELECT id AS later, taken, lag(id) OVER studies AS earlier, lag(taken) OVER studies AS before
        FROM cases WHERE patient IN (SELECT patient FROM cases WHERE id IN ({among})) AND taken <> ''
        WINDOW studies AS (PARTITION BY patient, domain ORDER BY taken, rowid)
    ) WHERE before < taken AND (earlier IN ({among}) OR later IN ({among}))
"""
FILES = """
    SELECT f.id, f.path, f.name, f.sha256, f.made_by, f.folder, f.added,
        count(d.id) AS documents, count(d.newer) AS superseded, coalesce(d.title, '') AS title,
        coalesce(json_extract(d.meta, '$.edition'), '') AS edition,
        coalesce(json_extract(d.meta, '$.dated'), '') AS dated,
        coalesce(json_extract(d.meta, '$.jurisdiction'), '') AS jurisdiction, min(d.position) AS first
    FROM files f LEFT JOIN documents d ON d.file = f.id GROUP BY f.id ORDER BY f.rowid
"""  # with min() beside it, SQLite takes the title from the row of the least position
IN_ORDER = "JOIN files f ON f.id = d.file ORDER BY f.rowid, d.position"


STATEMENTS = """
    SELECT s.start, s."end", s.passage, s.quote, coalesce(d.title, ''), coalesce(p.section, '') FROM statements s
    LEFT JOIN passages p ON p.id = s.passage LEFT JOIN documents d ON d.id = p.document
    WHERE s.document = ? ORDER BY s.start, s.rowid
"""
STALE = """
    SELECT DISTINCT s.document FROM statements s
    LEFT JOIN passages p ON p.id = s.passage LEFT JOIN documents d ON d.id = p.document
    WHERE d.id IS NULL OR d.newer IS NOT NULL
"""


# Of a document's meta, by a passage.
_TOLD = ("domain", "source", "edition", "jurisdiction", "dated", "condensed_by", "reviewed_by")


def document_of(row: sqlite3.Row) -> Document:
    meta = json.loads(row["meta"])
    return Document(row["id"], row["file"], row["title"], row["name"], row["text"], meta, row["newer"])


def passage_of(row: sqlite3.Row) -> Passage:
    meta = json.loads(row["meta"])
    kept = {key: meta[key] for key in _TOLD if meta.get(key)} | {"source": source_of(meta)}
    newer = printed(row["newer_title"], json.loads(row["newer_meta"])) if row["newer"] else ""
    return Passage(
        id=row["id"], document_id=row["document"], document=row["title"], section=row["section"], text=row["text"],
        start=row["start"], end=row["end"], page=row["page"], newer=row["newer"], superseded_by=newer, **kept,
    )  # fmt: skip


def printed(title: str, meta: Mapping[str, Any]) -> str:
    """A document as it is named where its text isn't shown: "Pneumothorax, edition 2023"."""
    edition = f"edition {meta['edition']}" if meta.get("edition") else meta.get("dated")
    return ", ".join(part for part in (title, edition) if part)


def source_of(meta: dict[str, Any]) -> str:
    """Ready to print. What a model condensed says so wherever its source is shown."""
    source = str(meta.get("source") or "")
    return f"{mark(meta)}, from: {source}" if meta.get("condensed_by") else source


def mark(meta: dict[str, Any]) -> str:
    """Which model condensed a document, and whether a person has compared it with its sources."""
    reviewed = f"reviewed by {meta['reviewed_by']}" if meta.get("reviewed_by") else "not reviewed by a person"
    return f"condensed by {meta['condensed_by']}, {reviewed}"


def case_of(row: sqlite3.Row) -> Case:
    values = {key: row[key] for key in ("id", "sha256", "report", "domain", "patient", "source", "taken", "look")}
    return Case(**values, labels=tuple(json.loads(row["labels"])))


def names_in(meta: dict[str, Any]) -> list[str]:
    return [*meta.get("aliases", ()), *meta.get("terms", ())]
