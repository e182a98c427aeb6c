"""Studies as stored: their pictures, and, apart from them, whose they are.

Invariants: every row belongs to a user, and whatever is looked up for a user is theirs or `NotFound`. Identity lives in
a table of its own that only `identity` reads. Pictures are PNG files under HOME/studies, named by `Picture.sha256`:
apart from the library's HOME/blobs, since deleting a study must never take a picture from the library.
"""

import contextlib
import json
import sqlite3
import threading
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from assistant.api.schema import STEPS
from assistant.errors import NotFound, Unavailable
from assistant.identity import Identity, Instance
from assistant.study import Orientation, Picture, Pixels, Study
from retrieval.db import connect, forget, migrate, plain_errors, salt_of, transaction


@dataclass(frozen=True, slots=True)
class StudyRow:
    n: int  # counts up; what pages are cut by
    id: str
    created: str
    patient: str | None
    warnings: tuple[str, ...]
    pictures: tuple[dict[str, Any], ...]


class StudyRecords:
    """Methods block for a disk write at most: call them from a worker thread. Safe for use by several threads."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.pictures = home / "studies"
        self.salt = salt_of(home)
        self._db = connect(home)
        self._lock = threading.Lock()
        migrate(self._db, "api", STEPS)
        with plain_errors(home):
            self.pictures.mkdir(mode=0o700, exist_ok=True)

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def ping(self) -> None:
        """Raises an error of the tree when the database can't be written."""
        with self._write():
            pass

    def find_study(self, user: str, content: str) -> StudyRow | None:
        with self._read() as db:
            row = db.execute("SELECT id FROM studies WHERE user = ? AND content = ?", (user, content)).fetchone()
        return self.study(user, row["id"]) if row else None

    def add_study(
        self, user: str, content: str, study: Study, pngs: list[bytes], identity: str
    ) -> tuple[StudyRow, bool]:
        """Stores a study unless the user already has one of the same content; says whether it's new.
        `identity` is JSON for exporters."""
        new = uuid.uuid4().hex
        with self._write() as db:
            cursor = db.execute(
                "INSERT INTO studies (id, user, content, created, patient, warnings) VALUES (?, ?, ?, ?, ?, ?)"
                " ON CONFLICT (user, content) DO NOTHING",
                (new, user, content, now(), study.patient, json.dumps(study.warnings)),
            )  # fmt: skip
            if cursor.rowcount:
                db.execute("INSERT INTO identities VALUES (?, ?)", (new, identity))
                for number, (picture, png) in enumerate(zip(study.pictures, pngs, strict=True), 1):
                    self._keep(picture.sha256, png)
                    row = (new, number, picture.sha256, _described(picture))
                    db.execute("INSERT INTO pictures VALUES (?, ?, ?, ?)", row)
                audit_row(db, user, "study.create", new)
            (id_,) = db.execute("SELECT id FROM studies WHERE user = ? AND content = ?", (user, content)).fetchone()
        return self.study(user, id_), id_ == new

    def study(self, user: str, id_: str) -> StudyRow:
        with self._read() as db:
            row = db.execute("SELECT * FROM studies WHERE id = ? AND user = ?", (id_, user)).fetchone()
            if row is None:
                raise NotFound("There is no such study.")
            return _study(db, row)

    def identity(self, user: str, id_: str) -> Identity:
        """Whose pictures a study holds: for exporters, and to keep two patients apart. Never told to a client."""
        self.study(user, id_)
        with self._read() as db:
            (kept,) = db.execute("SELECT identity FROM identities WHERE study = ?", (id_,)).fetchone()
        told = json.loads(kept)
        return Identity(**{**told, "instances": tuple(Instance(**instance) for instance in told["instances"])})

    def studies(self, user: str, before: int | None, limit: int) -> list[StudyRow]:
        with self._read() as db:
            rows = db.execute(
                "SELECT * FROM studies WHERE user = ? AND n < ? ORDER BY n DESC LIMIT ?", (user, before or 2**62, limit)
            ).fetchall()
            return [_study(db, row) for row in rows]

    def picture(self, user: str, study: str, number: int) -> Path:
        """The PNG's path."""
        with self._read() as db:
            row = db.execute(
                "SELECT sha256 FROM pictures JOIN studies ON id = study WHERE study = ? AND user = ? AND number = ?",
                (study, user, number),
            ).fetchone()  # fmt: skip
        if row is None:
            raise NotFound("There is no such picture.")
        return self._path(row["sha256"])

    def load(self, user: str, id_: str, *, pixels: bool = True) -> Study:
        """The study as the readers made it; without `pixels` its pictures are black, and no file is read."""
        row = self.study(user, id_)
        pictures = tuple(_restored(self._path(meta["sha256"]), meta, pixels) for meta in row.pictures)
        return Study(pictures=pictures, patient=row.patient, warnings=row.warnings)

    def runs_of(self, study: str) -> list[str]:
        """Ids of the runs that read this study, as current or as prior one."""
        with self._read() as db:
            return [row["id"] for row in db.execute("SELECT id FROM runs WHERE ? IN (study, prior)", (study,))]

    def delete_study(self, user: str, id_: str) -> None:
        """With its pictures, its identity, every run that read it, and the reports made from those. Only ids in the
        audit stay: nothing in the database's free pages or its log."""
        self.study(user, id_)
        runs = "(SELECT id FROM runs WHERE ? IN (study, prior))"
        reports = f"(SELECT id FROM reports WHERE run IN {runs})"
        with self._write() as db:
            held = {row[0] for row in db.execute("SELECT sha256 FROM pictures WHERE study = ?", (id_,))}
            for table in ("report_edits", "report_versions"):
                db.execute(f"DELETE FROM {table} WHERE report IN {reports}", (id_,))
            for table in ("reports", "events", "idempotency"):
                db.execute(f"DELETE FROM {table} WHERE run IN {runs}", (id_,))
            db.execute("DELETE FROM runs WHERE ? IN (study, prior)", (id_,))
            db.execute("DELETE FROM pictures WHERE study = ?", (id_,))
            db.execute("DELETE FROM identities WHERE study = ?", (id_,))
            db.execute("DELETE FROM studies WHERE id = ?", (id_,))
            audit_row(db, user, "study.delete", id_)
            for sha256 in held:
                if not db.execute("SELECT 1 FROM pictures WHERE sha256 = ?", (sha256,)).fetchone():
                    self._path(sha256).unlink(missing_ok=True)
        with self._read() as db:
            forget(db)

    def audit(self, user: str, action: str, object_: str) -> None:
        """Who did what on which id; never content."""
        with self._write() as db:
            audit_row(db, user, action, object_)

    # inside

    @contextlib.contextmanager
    def _read(self) -> Iterator[sqlite3.Connection]:
        with self._lock, plain_errors():
            yield self._db

    @contextlib.contextmanager
    def _write(self) -> Iterator[sqlite3.Connection]:
        with self._lock, plain_errors(), transaction(self._db) as db:
            yield db

    def _keep(self, sha256: str, png: bytes) -> None:
        path = self._path(sha256)
        if not path.exists():
            draft = path.with_suffix(f".{uuid.uuid4().hex}")
            draft.write_bytes(png)
            draft.replace(path)

    def _path(self, sha256: str) -> Path:
        return self.pictures / f"{sha256}.png"


def audit_row(db: sqlite3.Connection, user: str, action: str, object_: str) -> None:
    db.execute("INSERT INTO audit VALUES (?, ?, ?, ?)", (now(), user, action, object_))


def _study(db: sqlite3.Connection, row: sqlite3.Row) -> StudyRow:
    found = db.execute("SELECT number, sha256, meta FROM pictures WHERE study = ? ORDER BY number", (row["id"],))
    pictures = tuple({"number": p["number"], "sha256": p["sha256"], **json.loads(p["meta"])} for p in found)
    return StudyRow(row["n"], row["id"], row["created"], row["patient"], tuple(json.loads(row["warnings"])), pictures)


def _described(picture: Picture) -> str:
    height, width = picture.pixels.shape[:2]
    orientation = asdict(picture.orientation) if picture.orientation else None
    return json.dumps({
        "modality": picture.modality, "view": picture.view, "orientation": orientation, "width": width,
        "height": height, "shows_sides": picture.shows_sides, "spacing_mm": picture.spacing_mm,
        "origin": picture.origin,
    })  # fmt: skip


def _restored(path: Path, meta: dict[str, Any], pixels: bool) -> Picture:
    return Picture(
        pixels=pixels_of(path) if pixels else np.broadcast_to(np.uint8(0), (meta["height"], meta["width"])),
        modality=meta["modality"],
        view=meta["view"],
        orientation=Orientation(**meta["orientation"]) if meta["orientation"] else None,
        spacing_mm=tuple(meta["spacing_mm"]) if meta["spacing_mm"] else None,
        origin=meta["origin"],
        sha256=meta["sha256"],
    )


def pixels_of(path: Path) -> Pixels:
    from PIL import Image

    try:
        with Image.open(path) as image:
            return np.array(image, dtype=np.uint8)
    except OSError:
        raise Unavailable("A stored picture can't be read. Delete the study and upload it again.") from None


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
