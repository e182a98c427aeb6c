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
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, Self

import numpy as np

from retrieval import blobs
from retrieval.cases import pixels_of
from retrieval.db import connect, migrate, plain_errors, transaction
from retrieval.errors import Misconfigured, NotFound
from retrieval.fitted import from_json as fitted_from_json
from retrieval.fitted import to_json
from retrieval.rows import (
    FILES,
    IN_ORDER,
    PAIRS,
    PASSAGES,
    STALE,
    STATEMENTS,
    Document,
    File,
    case_of,
    document_of,
    names_in,
    passage_of,
)
from retrieval.schema import ROOM, STEPS
from retrieval.types import Case, Fitted, Image, Passage, Statement, Vector

PAGE = 500  # rows read at a time
FITTED = "retrieval"  # key of what `consult calibrate` fitted
NAMESPACE = uuid.UUID("6f1b2b7e-2f0e-5d0a-9a57-0c6f4f0a5b11")


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
        return self._resting(passage_of(self._one(f"{PASSAGES} WHERE p.id = ?", passage_id, "passage")))

    def _resting(self, passage: Passage) -> Passage:
        """With what its statements rest on, if a model condensed it."""
        if not passage.condensed_by:
            return passage
        inside = (s for s in self.statements(passage.document_id) if passage.start <= s.start < passage.end)
        return replace(passage, rests_on=tuple(inside))

    def document(self, document_id: str) -> Document:
        """Raises `NotFound`."""
        return document_of(self._one("SELECT * FROM documents WHERE id = ?", document_id, "document"))

    def case(self, case_id: str) -> Case:
        """Raises `NotFound`."""
        return case_of(self._one("SELECT * FROM cases WHERE id = ?", case_id, "case"))

    def documents(self) -> list[Document]:
        """In the order they were added, with their texts."""
        return [document_of(row) for row in self._all(f"SELECT d.* FROM documents d {IN_ORDER}")]

    def outlines(self) -> list[Document]:
        """All documents without their texts, in the order they were added."""
        columns = "d.id, d.file, d.title, d.name, '' AS text, d.meta, d.newer"
        return [document_of(row) for row in self._all(f"SELECT {columns} FROM documents d {IN_ORDER}")]

    def files(self) -> list[File]:
        return [File(**{key: row[key] for key in row.keys() if key != "first"}) for row in self._all(FILES)]  # noqa: SIM118

    def passages(self, document_id: str | None = None) -> Iterator[Passage]:
        """Of one document or of all, in reading order."""
        if document_id is not None:
            yield from map(passage_of, self._all(f"{PASSAGES} WHERE d.id = ? ORDER BY p.position", document_id))
            return
        last = -1
        while rows := self._all(f"{PASSAGES} WHERE p.rowid > ? ORDER BY p.rowid LIMIT {PAGE}", last):
            yield from map(passage_of, rows)
            last = rows[-1]["row"]

    def statements(self, document_id: str) -> list[Statement]:
        """What a condensed document says and rests on, in reading order; a statement has one row a quote."""
        return [Statement(*row) for row in self._all(STATEMENTS, document_id)]

    def stale(self) -> set[str]:
        """The condensed documents of which a source passage is gone, was replaced, or has a newer edition."""
        return {row["document"] for row in self._all(STALE)}

    def cases(self) -> list[Case]:
        return [case_of(row) for row in self._all("SELECT * FROM cases ORDER BY rowid")]

    def contents(self, ids: Sequence[str]) -> dict[str, Passage | Case]:
        """By id what is there of these passages and cases, at most a few thousand at a time; nothing that was condensed
        from sources that have changed."""
        among = f"IN ({_marks(ids)})"
        passages = [passage_of(row) for row in self._all(f"{PASSAGES} WHERE p.id {among}", *ids)]
        stale = self.stale() if any(passage.condensed_by for passage in passages) else ()
        current = [self._resting(passage) for passage in passages if passage.document_id not in stale]
        cases = [case_of(row) for row in self._all(f"SELECT * FROM cases WHERE id {among}", *ids)]
        both: list[Passage | Case] = [*current, *cases]
        return {content.id: content for content in both}

    def studies_of(self, patient: str, domains: Sequence[str] = (), limit: int = 8) -> list[Case]:
        """A patient's own, the latest first; of these domains, when any are named, or of none."""
        fits = f"(domain IS NULL OR domain IN ({_marks(domains)}))" if domains else "TRUE"
        sql = f"SELECT * FROM cases WHERE patient = ? AND {fits} ORDER BY taken DESC, rowid DESC LIMIT ?"
        return [case_of(row) for row in self._all(sql, patient, *domains, limit)]

    def pairs(self, ids: Sequence[str]) -> list[tuple[Case, Case]]:
        """Two studies of one patient and domain, one after the other, at least one of them among `ids`: (earlier,
        later). Only studies whose time is known."""
        among = _marks(ids)
        rows = self._all(PAIRS.format(among=among), *ids, *ids, *ids)
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
        return {row["id"]: names_in(json.loads(row["meta"])) for row in rows}

    def counts(self) -> dict[str, int]:
        tables = ("files", "documents", "passages", "cases")
        return {table: self._all(f"SELECT count(*) FROM {table}")[0][0] for table in tables}

    def smaller_than(self, passages: int) -> bool:
        """Whether fewer are there; the cost doesn't grow with how many there are."""
        rows = self._all("SELECT count(*) FROM (SELECT 1 FROM passages LIMIT ?)", passages)
        return int(rows[0][0]) < passages

    def picture(self, sha256: str) -> Image:
        """A case's picture, (H, W) or (H, W, 3) uint8. Raises `NotFound`."""
        return pixels_of(self.blob(sha256))

    def blob(self, sha256: str) -> bytes:
        """A case's picture as PNG. Raises `NotFound`."""
        return blobs.get(self.home, sha256)

    # Writing

    def put_file(
        self, file: File, content: Sequence[tuple[Document, Sequence[Passage]]], statements: Sequence[Statement] = ()
    ) -> None:
        """Stores a file with all it holds, in place of what it held before, in one transaction. `statements` are those
        of its one condensed document."""
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
            for said in statements:
                db.execute(
                    'INSERT INTO statements (document, start, "end", passage, quote) VALUES (?, ?, ?, ?, ?)',
                    (content[0][0].id, said.start, said.end, said.passage, said.quote),
                )

    def set_reviewed(self, document_id: str, by: str) -> None:
        """Marks a condensed document as compared with its sources by a person. Raises `NotFound`."""
        meta = {**self.document(document_id).meta, "reviewed_by": by, "reviewed_at": _now()}
        with self._write() as db:  # nothing that an index holds
            db.execute(
                "UPDATE documents SET meta = ? WHERE id = ?", (json.dumps(meta, ensure_ascii=False), document_id)
            )

    def put_case(self, case: Case, picture: Image, named: tuple[str, str] | None = None) -> None:
        """Stores a case and its picture, in place of one of the same id. The picture is on the disk first. `named`:
        the manifest and the line that name it, as `name_cases` tells."""
        blobs.put(self.home, case.sha256, picture)
        labels = json.dumps(case.labels, ensure_ascii=False)
        row = (case.id, case.sha256, case.report, case.domain, case.patient, labels, case.source, case.taken, case.look,
               _now())  # fmt: skip
        columns = "id, sha256, report, domain, patient, labels, source, taken, look, added"
        anew = ", ".join(f"{column} = excluded.{column}" for column in columns.split(", ")[1:])
        with self._change() as db:
            db.execute(f"INSERT {_into('cases', columns)} ON CONFLICT (id) DO UPDATE SET {anew}", row)
            if named:
                db.execute("INSERT OR IGNORE INTO named VALUES (?, ?, ?)", (*named, case.id))

    def named(self, manifest: str) -> dict[str, str]:
        """By line of a manifest the case it names."""
        rows = self._all('SELECT line, "case" FROM named WHERE manifest = ? ORDER BY rowid', manifest)
        return {row["line"]: row["case"] for row in rows}

    def name_cases(self, manifest: str, lines: Mapping[str, str]) -> list[str]:
        """From now on these lines of a manifest name these cases and no others. Cases it named before are removed, with
        picture and vectors, unless a line of some manifest still names them; returns their ids."""
        rows = {(manifest, line, case) for line, case in lines.items()}
        if rows == {tuple(row) for row in self._all("SELECT * FROM named WHERE manifest = ?", manifest)}:
            return []
        with self._write() as db:
            before = 'SELECT c.* FROM cases c WHERE id IN (SELECT "case" FROM named WHERE manifest = ?) ORDER BY rowid'
            cases = [case_of(row) for row in db.execute(before, (manifest,))]
            db.execute("DELETE FROM named WHERE manifest = ?", (manifest,))
            db.executemany("INSERT INTO named VALUES (?, ?, ?)", rows)
            still = {row["case"] for row in db.execute('SELECT "case" FROM named')}
            gone = [case for case in cases if case.id not in still]
            pictures = [sha256 for case in gone for sha256 in _drop_case(db, case)]
            if gone:
                db.execute(_CHANGED)
        self._drop_pictures(pictures)
        return [case.id for case in gone]

    def set_folders(self, folders: Mapping[str, str]) -> None:
        """By file the folder it was added with. No change of what is found."""
        with self._write() as db:
            db.executemany("UPDATE files SET folder = ? WHERE id = ?", [(row[1], row[0]) for row in folders.items()])

    def set_editions(self, newer: Mapping[str, str]) -> dict[str, str | None]:
        """By document the one that supersedes it, for the whole library; returns what changed."""
        with self._write() as db:
            rows = db.execute("SELECT id, newer FROM documents").fetchall()
            changed = {row["id"]: newer.get(row["id"]) for row in rows if row["newer"] != newer.get(row["id"])}
            db.executemany("UPDATE documents SET newer = ? WHERE id = ?", [(new, old) for old, new in changed.items()])
            if changed:
                db.execute(_CHANGED)
        return changed

    def remove(self, any_id: str) -> int:
        """Removes a document, a file with all its documents, or a case with its picture and the vectors of both;
        returns how many things that were. An index still names them until it is rebuilt. Raises `NotFound`."""
        rows = self._all("SELECT * FROM cases WHERE id = ?", any_id)
        if rows:
            with self._change() as db:
                pictures = _drop_case(db, case_of(rows[0]))
            self._drop_pictures(pictures)
            return 1
        with self._change() as db:
            held = db.execute("SELECT count(*) FROM documents WHERE file = ?", (any_id,)).fetchone()[0]
            for table in ("files", "documents"):
                if db.execute(f"DELETE FROM {table} WHERE id = ?", (any_id,)).rowcount:
                    db.execute("DELETE FROM files WHERE id NOT IN (SELECT file FROM documents)")
                    return max(held, 1)
            raise NotFound("There is no such document or case. `consult knowledge list` shows what is there.")

    def remove_files(self, file_ids: Collection[str]) -> int:
        """Removes files with all their documents, in one transaction; returns how many documents that were."""
        with self._change() as db:
            before = db.execute("SELECT count(*) FROM documents").fetchone()[0]
            db.executemany("DELETE FROM files WHERE id = ?", [(file_id,) for file_id in file_ids])
            return int(before - db.execute("SELECT count(*) FROM documents").fetchone()[0])

    def _drop_pictures(self, sha256s: Iterable[str]) -> None:
        """After the cases: killed in between, no case is left without its picture."""
        for sha256 in sha256s:
            blobs.delete(self.home, sha256)

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

    # What was fitted on this installation's validation data

    def fitted(self) -> Fitted | None:
        """By the last `consult calibrate`; None before the first. Raises `Misconfigured` for a damaged one."""
        rows = self._all("SELECT value FROM fitted WHERE key = ?", FITTED)
        try:
            return fitted_from_json(json.loads(rows[0]["value"])) if rows else None
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise Misconfigured("What was fitted can't be read. Run `consult calibrate`.") from error

    def put_fitted(self, fitted: Fitted) -> None:
        """In place of what was fitted before. It is in force from the next generation of the index."""
        row = (FITTED, json.dumps(to_json(fitted), ensure_ascii=False), _now())
        with self._write() as db:
            db.execute("INSERT OR REPLACE INTO fitted (key, value, made) VALUES (?, ?, ?)", row)

    def forget_fitted(self) -> None:
        """So that what comes with the encoders is in force again, from the next generation on."""
        with self._write() as db:
            db.execute("DELETE FROM fitted WHERE key = ?", (FITTED,))

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
            db.execute(_CHANGED)


_CHANGED = "UPDATE state SET value = value + 1 WHERE key = 'revision'"


def _marks(values: Sequence[str]) -> str:
    return ", ".join("?" * len(values))


def _into(table: str, columns: str) -> str:
    """By name, since a column may have come with a migration."""
    return f"INTO {table} ({columns}) VALUES ({', '.join('?' * len(columns.split(',')))})"


def _drop_case(db: sqlite3.Connection, case: Case) -> list[str]:
    """With the vectors that nothing else needs; returns the picture's sha256 when no other case shows it."""
    db.execute("DELETE FROM cases WHERE id = ?", (case.id,))
    shared = db.execute("SELECT 1 FROM cases WHERE sha256 = ?", (case.sha256,)).fetchone()
    said = db.execute("SELECT 1 FROM cases WHERE report = ?", (case.report,)).fetchone()
    unused = ([] if shared else [case.sha256]) + ([] if said else [content_hash(case.report)])
    db.executemany("DELETE FROM embeddings WHERE content = ?", [(content,) for content in unused])
    return [] if shared else [case.sha256]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def content_hash(text: str) -> str:
    """Names a text among the vectors; a picture is named by its own sha256."""
    return hashlib.sha256(text.encode()).hexdigest()


def stable_id(*parts: str) -> str:
    """The same parts, the same UUID, on every machine."""
    return str(uuid.uuid5(NAMESPACE, "\x1f".join(parts)))
