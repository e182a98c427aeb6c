"""Backup of a home to one file, while a server and ingestions go on reading and writing.

The file holds everything that is truth: consult.db, pictures of cases and studies, the salt that patient hashes are
made with, and whatever else a room keeps in the home; not the index, which `restore` builds from the cached vectors.
Settings and model folders lie outside the home and are not in it. It holds patients' data and is its owner's alone.

One moment is backed up: with the database's write lock held, a read transaction is opened and every file linked into
HOME/.backup-…; a file is never changed once it has its name, and a deletion takes away only the name. Writers wait as
long as the linking takes, some 0.03 ms a file. A killed backup leaves FILE.part, which the next one of that name
replaces, and links, which the next one removes.

Time grows with the bytes of the home, at the disk's speed; so does the file. HOME needs room for a second consult.db
while the backup is made.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from retrieval.archive import About, pack, room_for, size_of, workplace
from retrieval.db import FILE, connect, plain_errors, transaction
from retrieval.embed import Progress, no_progress
from retrieval.errors import BadInput, ConsultError, Misconfigured, NotFound
from retrieval.store.base import Store
from retrieval.store.rules import manifest_to_json

# The index is made anew. Uploads lie in the home only while they are read.
LEFT_OUT = frozenset({"index", "uploads", FILE, f"{FILE}-wal", f"{FILE}-shm"})
PREFIX = ".backup-"
PAGES = 1024  # of the database, copied at a time


@dataclass(frozen=True, slots=True)
class Report:
    """`indexed`: whether a restore can build the index without the encoders."""

    files: int
    bytes: int
    indexed: bool


def backup(home: Path, store: Store, target: Path, progress: Progress = no_progress) -> Report:
    """Writes `target`, whole or not at all; `store` is the home's. Raises `NotFound` without a library, `BadInput` for
    a target that is there already or lies in the home, `Busy` beside another backup, `Misconfigured` for a damaged
    database, `Unavailable` when the disk is full."""
    _check(home, target)
    draft = target.with_name(f"{target.name}.part")
    with plain_errors(), workplace(home, PREFIX) as stage:
        schema = _freeze(home, stage, progress)
        about = About(_version(), datetime.now(UTC).isoformat(timespec="seconds"), schema, _index(store))
        room_for(target.parent, sum(size_of(path) for path in stage.rglob("*")))
        try:
            with _private(draft) as handle, os.fdopen(handle, "wb", closefd=False) as file:
                files, size = pack(stage, file, about, progress)
            os.replace(draft, target)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        _sync(target.parent)
    return Report(files, size, about.index is not None)


def _check(home: Path, target: Path) -> None:
    if not (home / FILE).is_file():
        raise NotFound(f"There is no library in {home}. Set CONSULT_HOME.")
    if target.exists():
        raise BadInput(f"{target} is there already. Name a new file, or remove that one.")
    if not target.parent.is_dir():
        raise BadInput(f"{target.parent} is no folder.")
    if home.resolve() in target.resolve().parents:
        raise BadInput("The backup would lie in the home it is a backup of. Name a file elsewhere.")


def _freeze(home: Path, stage: Path, progress: Progress) -> dict[str, int]:
    """The home as it is at one moment, in `stage`; returns the versions of its tables, by room."""
    room_for(stage, size_of(home / FILE) + size_of(home / f"{FILE}-wal"))

    def copied(status: int, remaining: int, total: int) -> None:
        progress("copying the database, pages", total - remaining, total)

    with contextlib.closing(connect(home)) as reader:
        with contextlib.closing(connect(home)) as writer, transaction(writer):
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM sqlite_master").fetchone()  # from here on it sees this moment
            _link_all(home, stage)
        with contextlib.closing(sqlite3.connect(stage / FILE)) as copy:
            reader.backup(copy, pages=PAGES, progress=copied)
            if copy.execute("PRAGMA quick_check").fetchone()[0] != "ok":
                raise Misconfigured(f"{FILE} is damaged; a backup of it would be of no use. Restore an earlier one.")
            return dict(copy.execute("SELECT room, version FROM schema_version").fetchall())


def _link_all(home: Path, stage: Path) -> None:
    """All but drafts (hidden), locks and what is left out. A folder may be a link to another disk."""
    for folder, folders, names in os.walk(home, followlinks=True):
        top = Path(folder) == home
        kept = {name for name in (*folders, *names) if not name.startswith(".") and not (top and _is_left_out(name))}
        folders[:] = kept.intersection(folders)
        inside = stage / Path(folder).relative_to(home)
        inside.mkdir(exist_ok=True)
        for name in kept.intersection(names):
            _link(os.path.join(folder, name), inside / name)


def _is_left_out(name: str) -> bool:
    return name in LEFT_OUT or name.endswith(".lock")


def _link(path: str, link: Path) -> None:
    """A second name; where the disk can't give it one, a pointer, and the backup fails if the file goes meanwhile."""
    real = os.path.realpath(path) if os.path.islink(path) else path
    try:
        os.link(real, link)
    except OSError:
        if os.path.isfile(real):  # else it was a draft that has gone
            link.symlink_to(os.path.abspath(real))


def _index(store: Store) -> dict[str, Any] | None:
    with contextlib.suppress(ConsultError):  # an index is disposable, and so is what it says of itself
        manifest = store.manifest
        return manifest_to_json(manifest) if manifest else None
    return None


def _version() -> str:
    try:
        return version("consult")
    except PackageNotFoundError:  # run from a checkout that isn't installed
        return "0"


@contextlib.contextmanager
def _private(path: Path) -> Iterator[int]:
    """Open for writing, readable by its owner alone, on the disk when it is closed."""
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        yield handle
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
