"""The truth of the library: documents and their passages, cases, pictures, and the vectors already computed.

Invariant: `document.text[passage.start:passage.end] == passage.text` for every stored passage. Everything else that
retrieval needs (an index) is made from here and can be thrown away.
"""

import contextlib
import hashlib
import json
import sqlite3
import threading
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np

from retrieval import blobs
from retrieval.cases import pixels_of
from retrieval.db import connect, migrate, plain_errors, transaction
from retrieval.errors import NotFound
from retrieval.schema import ROOM, STEPS
from retrieval.types import Case, Image, Passage, Vector

PAGE = 500  # rows read at a time
NAMESPACE = uuid.UUID("6f1b2b7e-2f0e-5d0a-9a57-0c6f4f0a5b11")


@dataclass(frozen=True, slots=True)
class Document:
    """A text that passages are cut from. `meta` may hold domain, source, edition, jurisdiction, dated, aliases, terms,
    condensed_by."""

    id: str
    file: str  # id of the file it came from
    title: str
    name: str  # as a person knows it: a path below the folder that was added
    text: str
    meta: dict[str, Any] = field(default_factory=dict)


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
    title: str = ""  # of its first document


class Library:
    """HOME/consult.db and HOME/blobs. Safe to share between threads; many processes may read while one writes."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._lock = threading.RLock()
        with contextlib.ExitStack() as undo:
            self._db = undo.enter_context(contextlib.closing(connect(home)))
            migrate(self._db, ROOM, STEPS)
            undo.pop_all()

    def close(self) -> None:
        self._db.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # Reading

    def passage(self, passage_id: str) -> Passage:
        """Raises `NotFound`."""
        return _passage(self._one(f"{_PASSAGES} WHERE p.id = ?", passage_id, "passage"))

    def document(self, document_id: str) -> Document:
        """Raises `NotFound`."""
        return _document(self._one("SELECT * FROM documents WHERE id = ?", document_id, "document"))

    def case(self, case_id: str) -> Case:
        """Raises `NotFound`."""
        return _case(self._one("SELECT * FROM cases WHERE id = ?", case_id, "case"))

    def documents(self) -> list[Document]:
        """In the order they were added, with their texts."""
        return [_document(row) for row in self._all(f"SELECT d.* FROM documents d {_IN_ORDER}")]

    def files(self) -> list[File]:
        return [File(*row[:9]) for row in self._all(_FILES)]

    def passages(self, document_id: str | None = None) -> Iterator[Passage]:
        """Of one document or of all, in reading order."""
        if document_id is not None:
            yield from map(_passage, self._all(f"{_PASSAGES} WHERE d.id = ? ORDER BY p.position", document_id))
            return
        last = -1
        while rows := self._all(f"{_PASSAGES} WHERE p.rowid > ? ORDER BY p.rowid LIMIT {PAGE}", last):
            yield from map(_passage, rows)
            last = rows[-1]["row"]

    def cases(self) -> list[Case]:
        return [_case(row) for row in self._all("SELECT * FROM cases ORDER BY rowid")]

    def contents(self, ids: Sequence[str]) -> dict[str, Passage | Case]:
        """By id what is there of these passages and cases. At most a few thousand at a time."""
        found: list[Passage | Case] = [
            _passage(r) for r in self._all(f"{_PASSAGES} WHERE p.id IN ({_marks(ids)})", *ids)
        ]
        found += [_case(row) for row in self._all(f"SELECT * FROM cases WHERE id IN ({_marks(ids)})", *ids)]
        return {content.id: content for content in found}

    def studies_of(self, patient: str, domains: Sequence[str] = (), limit: int = 8) -> list[Case]:
        """A patient's own, the latest first; of these domains, when any are named, or of none."""
        fits = f"(domain IS NULL OR domain IN ({_marks(domains)}))" if domains else "TRUE"
        sql = f"SELECT * FROM cases WHERE patient = ? AND {fits} ORDER BY taken DESC, rowid DESC LIMIT ?"
        return [_case(row) for row in self._all(sql, patient, *domains, limit)]

    def pairs(self, ids: Sequence[str]) -> list[tuple[Case, Case]]:
        """Two studies of one patient and domain, one after the other, at least one of them among `ids`: (earlier,
        later). Only studies whose time is known."""
        among = _marks(ids)
        rows = self._all(_PAIRS.format(among=among), *ids, *ids, *ids)
        cases = self.contents([*{one for row in rows for one in row}])
        pairs = ((cases.get(row["earlier"]), cases.get(row["later"])) for row in rows)
        return [(a, b) for a, b in pairs if isinstance(a, Case) and isinstance(b, Case)]

    def domains(self) -> list[str]:
        """Of all documents and cases, sorted."""
        of_documents = "SELECT json_extract(meta, '$.domain') AS domain FROM documents"
        rows = self._all(f"SELECT domain FROM ({of_documents} UNION SELECT domain FROM cases) WHERE domain <> ''")
        return sorted(row["domain"] for row in rows)

    def names_of(self, documents: Sequence[str] | None = None) -> dict[str, list[str]]:
        """By document what its subject is also called; of these documents, or of all that say so."""
        named = "(meta LIKE '%\"aliases\"%' OR meta LIKE '%\"terms\"%')"
        among = "TRUE" if documents is None else f"id IN ({_marks(documents)})"
        rows = self._all(f"SELECT id, meta FROM documents WHERE {named} AND {among}", *(documents or ()))
        return {row["id"]: _names(json.loads(row["meta"])) for row in rows}

    def counts(self) -> dict[str, int]:
        tables = ("files", "documents", "passages", "cases")
        return {table: self._all(f"SELECT count(*) FROM {table}")[0][0] for table in tables}

    def picture(self, sha256: str) -> Image:
        """A case's picture, (H, W) or (H, W, 3) uint8. Raises `NotFound`."""
        return pixels_of(self.blob(sha256))

    def blob(self, sha256: str) -> bytes:
        """A case's picture as PNG. Raises `NotFound`."""
        return blobs.get(self.home, sha256)

    # Writing

    def put_file(self, file: File, content: Sequence[tuple[Document, Sequence[Passage]]]) -> None:
        """Stores a file with all it holds, in place of what it held before, in one transaction."""
        for document, passages in content:
            for passage in passages:
                if document.text[passage.start : passage.end] != passage.text:
                    raise ValueError(f"A passage isn't where it says in its document: {passage.section!r}.")
        with self._change() as db:
            db.execute("DELETE FROM files WHERE id = ?", (file.id,))
            db.execute(
                "INSERT " + _into("files", "id, path, name, sha256, made_by, folder, added"),
                (file.id, file.path, file.name, file.sha256, file.made_by, file.folder, _now()),
            )
            for position, (document, passages) in enumerate(content):
                meta = json.dumps(document.meta, ensure_ascii=False)
                db.execute(
                    "INSERT " + _into("documents", "id, file, position, title, name, text, meta"),
                    (document.id, file.id, position, document.title, document.name, document.text, meta),
                )
                rows = [(p.id, document.id, at, p.section, p.start, p.end, p.page, p.text)
                        for at, p in enumerate(passages)]  # fmt: skip
                db.executemany("INSERT INTO passages VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def put_case(self, case: Case, picture: Image, manifest: str = "") -> None:
        """Stores a case and its picture, in place of one of the same id. The picture is on the disk first. `manifest`
        is what it was added with: gone from there, it is removed."""
        blobs.put(self.home, case.sha256, picture)
        labels = json.dumps(case.labels, ensure_ascii=False)
        row = (case.id, case.sha256, case.report, case.domain, case.patient, labels, case.source, case.taken, case.look,
               manifest, _now())  # fmt: skip
        columns = "id, sha256, report, domain, patient, labels, source, taken, look, manifest, added"
        with self._change() as db:
            db.execute("INSERT OR REPLACE " + _into("cases", columns), row)

    def remove(self, any_id: str) -> int:
        """Removes a document, a file with all its documents, or a case with its picture and the vectors of both;
        returns how many things that were. An index still names them until it is rebuilt. Raises `NotFound`."""
        rows = self._all("SELECT * FROM cases WHERE id = ?", any_id)
        if rows:
            self._remove_case(_case(rows[0]))
            return 1
        with self._change() as db:
            held = db.execute("SELECT count(*) FROM documents WHERE file = ?", (any_id,)).fetchone()[0]
            for table in ("files", "documents"):
                if db.execute(f"DELETE FROM {table} WHERE id = ?", (any_id,)).rowcount:
                    db.execute("DELETE FROM files WHERE id NOT IN (SELECT file FROM documents)")
                    return max(held, 1)
            raise NotFound("There is no such document or case. `consult knowledge list` shows what is there.")

    def _remove_case(self, case: Case) -> None:
        """The picture goes last: killed in between, no case is left without one."""
        with self._change() as db:
            db.execute("DELETE FROM cases WHERE id = ?", (case.id,))
            shared = db.execute("SELECT 1 FROM cases WHERE sha256 = ?", (case.sha256,)).fetchone()
            said = db.execute("SELECT 1 FROM cases WHERE report = ?", (case.report,)).fetchone()
            unused = ([] if shared else [case.sha256]) + ([] if said else [content_hash(case.report)])
            db.executemany("DELETE FROM embeddings WHERE content = ?", [(content,) for content in unused])
        if not shared:
            blobs.delete(self.home, case.sha256)

    # Vectors already computed

    def cached(self, identity: str, role: str) -> set[str]:
        """The content hashes for which there is a vector."""
        sql = "SELECT content FROM embeddings WHERE identity = ? AND role = ?"
        return {row["content"] for row in self._all(sql, identity, role)}

    def vectors(self, identity: str, role: str, contents: Sequence[str]) -> dict[str, Vector]:
        """By content hash; what there is none for is left out. At most a few thousand at a time."""
        among = f"content IN ({_marks(contents)})"
        sql = f"SELECT content, vector FROM embeddings WHERE identity = ? AND role = ? AND {among}"
        rows = self._all(sql, identity, role, *contents)
        return {row["content"]: np.frombuffer(row["vector"], dtype="<f4").astype(np.float32) for row in rows}

    def put_vectors(self, identity: str, role: str, vectors: Iterable[tuple[str, Vector]]) -> None:
        rows = [(identity, role, content, vector.astype("<f4").tobytes()) for content, vector in vectors]
        with self._write() as db:
            db.executemany(
                "INSERT OR REPLACE INTO embeddings (identity, role, content, vector) VALUES (?, ?, ?, ?)", rows
            )

    # How far the index has come

    def state(self, key: Literal["revision", "indexed"]) -> int:
        """ "revision" grows with every change to documents or cases; "indexed" is the last published; -1: none."""
        return int(self._all("SELECT value FROM state WHERE key = ?", key)[0]["value"])

    def set_indexed(self, revision: int) -> None:
        with self._write() as db:
            db.execute("UPDATE state SET value = ? WHERE key = 'indexed'", (revision,))

    # Inside

    def _all(self, sql: str, *values: str | int) -> list[sqlite3.Row]:
        with self._lock, plain_errors():
            return self._db.execute(sql, values).fetchall()

    def _one(self, sql: str, value: str, what: str) -> sqlite3.Row:
        rows = self._all(sql, value)
        if not rows:
            raise NotFound(f"There is no such {what} in the library; it may have been removed or replaced.")
        return rows[0]

    @contextlib.contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with self._lock, plain_errors(), transaction(self._db) as db:
            yield db

    @contextlib.contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        with self._write() as db:
            yield db
            db.execute("UPDATE state SET value = value + 1 WHERE key = 'revision'")


_PASSAGES = "SELECT p.rowid AS row, p.*, d.title, d.meta, d.newer FROM passages p JOIN documents d ON d.id = p.document"
_PAIRS = """
    SELECT earlier, later FROM (
        SELECT id AS later, taken, lag(id) OVER studies AS earlier, lag(taken) OVER studies AS before
        FROM cases WHERE patient IN (SELECT patient FROM cases WHERE id IN ({among})) AND taken <> ''
        WINDOW studies AS (PARTITION BY patient, domain ORDER BY taken, rowid)
    ) WHERE before < taken AND (earlier IN ({among}) OR later IN ({among}))
"""
_FILES = """
    SELECT f.id, f.path, f.name, f.sha256, f.made_by, f.folder, f.added,
        count(d.id) AS documents, coalesce(d.title, '') AS title, min(d.position) AS first
    FROM files f LEFT JOIN documents d ON d.file = f.id GROUP BY f.id ORDER BY f.rowid
"""  # with min() beside it, SQLite takes the title from the row of the least position
_IN_ORDER = "JOIN files f ON f.id = d.file ORDER BY f.rowid, d.position"


_TOLD = ("domain", "source", "edition", "jurisdiction", "dated", "condensed_by")  # of a document's meta, by a passage


def _marks(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))


def _into(table: str, columns: str) -> str:
    """By name, since a column may have come with a migration."""
    return f"INTO {table} ({columns}) VALUES ({', '.join('?' * len(columns.split(',')))})"


def _document(row: sqlite3.Row) -> Document:
    return Document(row["id"], row["file"], row["title"], row["name"], row["text"], json.loads(row["meta"]))


def _passage(row: sqlite3.Row) -> Passage:
    meta = json.loads(row["meta"])
    kept = {key: meta[key] for key in _TOLD if meta.get(key)}
    return Passage(
        id=row["id"], document_id=row["document"], document=row["title"], section=row["section"], text=row["text"],
        start=row["start"], end=row["end"], page=row["page"], newer=row["newer"], **kept,
    )  # fmt: skip


def _case(row: sqlite3.Row) -> Case:
    values = {key: row[key] for key in ("id", "sha256", "report", "domain", "patient", "source", "taken", "look")}
    return Case(**values, labels=tuple(json.loads(row["labels"])))


def _names(meta: dict[str, Any]) -> list[str]:
    return [*meta.get("aliases", ()), *meta.get("terms", ())]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def content_hash(text: str) -> str:
    """Names a text among the vectors; a picture is named by its own sha256."""
    return hashlib.sha256(text.encode()).hexdigest()


def stable_id(*parts: str) -> str:
    """The same parts, the same UUID, on every machine."""
    return str(uuid.uuid5(NAMESPACE, "\x1f".join(parts)))
