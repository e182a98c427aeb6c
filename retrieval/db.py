"""The database of a home: one SQLite file, in it the tables of every room, each room with its own forward migrations.

A commit is on the disk before it is acknowledged, so a killed process or a power cut loses nothing that was said to be
stored. One connection may be shared by threads when each use holds a lock; two processes wait for each other.
"""

import contextlib
import errno
import hashlib
import hmac
import os
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from retrieval.errors import Busy, ConsultError, Misconfigured, Unavailable

FILE = "consult.db"
BUSY_S = 30.0


def make_home(home: Path) -> None:
    """Patients' data will lie in it, so a new one is for its owner alone; one that is there keeps its rights."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)


def connect(home: Path) -> sqlite3.Connection:
    """Opens HOME/consult.db, making both when they aren't there. Transactions are explicit: see `transaction`.

    Raises `Misconfigured` when the home can't be written or the file is no database.
    """
    with plain_errors(home):
        make_home(home)
        with contextlib.suppress(FileExistsError):  # an existing file is not touched: closing it would drop its locks
            (home / FILE).touch(mode=0o600, exist_ok=False)  # SQLite gives its other files the same mode
        connection = sqlite3.connect(home / FILE, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute("PRAGMA secure_delete = ON")  # what is deleted is overwritten, not only unlinked
            connection.execute("PRAGMA cache_size = -65536")  # KiB
        except BaseException:
            connection.close()
            raise
    return connection


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """All of the block or nothing. Takes the write lock at once: what is read inside is still true at commit."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk may have rolled back already
            connection.execute("ROLLBACK")
        raise


def forget(connection: sqlite3.Connection) -> None:
    """Takes what was deleted out of the write-ahead log, too. Where another reader is in the way, SQLite's next full
    checkpoint does it."""
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def migrate(connection: sqlite3.Connection, room: str, steps: Sequence[str]) -> None:
    """Brings a room's tables to version `len(steps)`. A step is SQL that leads from one version to the next; a step
    that was once released is never edited. Raises `Misconfigured` for a database of a newer Consult."""
    with plain_errors():
        connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_version (room TEXT PRIMARY KEY, version INTEGER NOT NULL)"
        )
        while _version(connection, room) < len(steps):
            with transaction(connection):
                version = _version(connection, room)  # another process may have been first
                if version < len(steps):
                    for statement in _statements(steps[version]):
                        connection.execute(statement)
                    connection.execute("INSERT OR REPLACE INTO schema_version VALUES (?, ?)", (room, version + 1))
        if (version := _version(connection, room)) > len(steps):
            raise Misconfigured(
                f"The database was written by a newer Consult ({room} version {version}, this one knows {len(steps)})."
                " Upgrade Consult: pip install --upgrade consult."
            )


def _version(connection: sqlite3.Connection, room: str) -> int:
    row = connection.execute("SELECT version FROM schema_version WHERE room = ?", (room,)).fetchone()
    return int(row[0]) if row else 0


def _statements(script: str) -> Iterator[str]:
    """`executescript` would commit on its own; single statements stay inside the step's transaction."""
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""
    if pending.strip():
        yield pending


@contextlib.contextmanager
def plain_errors(home: Path | None = None) -> Iterator[None]:
    """Turns what SQLite and the disk say into one line of the tree that says what to do."""
    try:
        yield
    except sqlite3.Error as error:
        raise _told(error) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise disk_full() from error
        if home is not None:
            raise Misconfigured(f"The home {home} can't be used ({error.strerror}). Set CONSULT_HOME.") from error
        raise


def disk_full() -> ConsultError:
    return Unavailable("The disk is full. Free some space and repeat the command; what was stored is still there.")


def _told(error: sqlite3.Error) -> ConsultError:
    match getattr(error, "sqlite_errorcode", 0) & 0xFF:  # the primary code
        case sqlite3.SQLITE_FULL:
            return disk_full()
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return Busy("Another process is writing to the database. Try again in a moment.")
        case sqlite3.SQLITE_NOTADB | sqlite3.SQLITE_CORRUPT:
            return Misconfigured(f"{FILE} is damaged or no database. Restore it from a backup.")
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN:
            return Misconfigured(f"{FILE} can't be opened for writing. Check the rights of CONSULT_HOME.")
    return Unavailable(f"The database failed ({getattr(error, 'sqlite_errorname', type(error).__name__)}).")


def patient_hash(salt: bytes, identifier: str) -> str:
    """A salted hash, 32 hex digits, that links a patient's studies on this installation and says nothing outside it.

    `identifier` is the patient's number, or "number^^^issuer" where who gave it out is known. Surrounding blanks
    don't count.
    """
    return hmac.new(salt, identifier.strip().encode(), hashlib.sha256).hexdigest()[:32]


def salt_of(home: Path) -> bytes:
    """HOME/salt, which keys patient hashes: made once, readable by its owner alone."""
    path = home / "salt"
    with plain_errors(home):
        if not path.exists():
            make_home(home)
            draft = home / f".salt-{secrets.token_hex(8)}"
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(secrets.token_bytes(32))
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):  # another process was first: its salt counts
                os.link(draft, path)
            draft.unlink()
        return path.read_bytes()
