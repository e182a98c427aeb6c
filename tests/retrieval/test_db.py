import contextlib
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from retrieval.db import FILE, connect, migrate, patient_hash, plain_errors, salt_of, transaction
from retrieval.errors import Busy, Misconfigured, Unavailable
from tests.retrieval.conftest import CHILD_ENV

V1 = "CREATE TABLE notes (id INTEGER PRIMARY KEY, words TEXT);\nINSERT INTO notes (words) VALUES ('a;b');"
V2 = "ALTER TABLE notes ADD COLUMN who TEXT NOT NULL DEFAULT 'nobody';\nUPDATE notes SET words = words || '!';"


def opened(home: Path) -> contextlib.closing[sqlite3.Connection]:
    return contextlib.closing(connect(home))


def test_settings_of_a_connection(home: Path) -> None:
    with opened(home) as db:
        pragmas = [
            db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "foreign_keys", "synchronous")
        ]
    assert pragmas == ["wal", 1, 2]  # 2: on the disk before a commit returns


def test_a_new_home_is_for_its_owner_alone(home: Path) -> None:
    with opened(home) as db:
        db.execute("CREATE TABLE t (x)")
        assert {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in (home, *home.iterdir())} == {
            home.name: "0o700", FILE: "0o600", f"{FILE}-wal": "0o600", f"{FILE}-shm": "0o600",
        }  # fmt: skip


def test_a_home_that_is_there_keeps_its_rights(home: Path) -> None:
    home.mkdir()
    home.chmod(0o750)
    connect(home).close()
    assert stat.S_IMODE(home.stat().st_mode) == 0o750


def test_a_database_of_version_1_comes_forward_with_its_rows(home: Path) -> None:
    with opened(home) as db:
        migrate(db, "desk", [V1])
    with opened(home) as db:
        migrate(db, "desk", [V1, V2])
        migrate(db, "desk", [V1, V2])  # nothing left to do
        assert [tuple(row) for row in db.execute("SELECT * FROM notes")] == [(1, "a;b!", "nobody")]
        assert [tuple(row) for row in db.execute("SELECT * FROM schema_version")] == [("desk", 2)]


def test_rooms_go_their_own_way(home: Path) -> None:
    with opened(home) as db:
        migrate(db, "desk", [V1, V2])
        migrate(db, "cellar", ["CREATE TABLE wine (id INTEGER);"])
        assert dict(db.execute("SELECT * FROM schema_version").fetchall()) == {"desk": 2, "cellar": 1}


def test_a_newer_database_names_the_upgrade(home: Path) -> None:
    with opened(home) as db:
        migrate(db, "desk", [V1, V2])
        with pytest.raises(Misconfigured, match="pip install --upgrade"):
            migrate(db, "desk", [V1])


def test_a_step_that_fails_leaves_no_half(home: Path) -> None:
    with opened(home) as db:
        migrate(db, "desk", [V1])
        with pytest.raises(Unavailable):
            migrate(db, "desk", [V1, "ALTER TABLE notes ADD COLUMN who TEXT; INSERT INTO nowhere VALUES (1);"])
        assert db.execute("SELECT version FROM schema_version").fetchone()[0] == 1
        assert [row["name"] for row in db.execute("PRAGMA table_info(notes)")] == ["id", "words"]


def test_two_processes_migrate_at_once(home: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from retrieval.db import connect, migrate;"
        "migrate(connect(Path(sys.argv[1])), 'desk', ['CREATE TABLE a (x);', 'CREATE TABLE b (x);'])"
    )
    children = [subprocess.Popen([sys.executable, "-c", script, str(home)], env=CHILD_ENV) for _ in range(3)]
    assert [child.wait(60) for child in children] == [0, 0, 0]


def test_a_transaction_is_all_or_nothing(home: Path) -> None:
    with opened(home) as db:
        db.execute("CREATE TABLE t (x)")
        with pytest.raises(sqlite3.OperationalError), transaction(db):
            db.executemany("INSERT INTO t VALUES (abs(?))", [(1,), (-(2**63),)])  # the second overflows
        assert db.execute("SELECT count(*) FROM t").fetchone()[0] == 0


def test_a_full_disk_is_told_and_what_was_there_stays(home: Path) -> None:
    with opened(home) as db:
        db.execute("CREATE TABLE t (x)")
        db.execute("INSERT INTO t VALUES ('kept')")
        db.execute(f"PRAGMA max_page_count = {db.execute('PRAGMA page_count').fetchone()[0]}")
        with pytest.raises(Unavailable, match="disk is full"), plain_errors(), transaction(db):
            db.execute("INSERT INTO t VALUES (?)", ("x" * 100_000,))
        assert [row[0] for row in db.execute("SELECT x FROM t")] == ["kept"]


def test_a_locked_database_is_busy(home: Path) -> None:
    with opened(home) as first, opened(home) as second, transaction(first):
        second.execute("PRAGMA busy_timeout = 10")
        with pytest.raises(Busy), plain_errors(), transaction(second):
            pass


def test_a_file_that_is_no_database(home: Path) -> None:
    home.mkdir()
    (home / FILE).write_bytes(b"not a database" * 100)
    with pytest.raises(Misconfigured, match="no database"):
        connect(home)


def test_a_home_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    with pytest.raises(Misconfigured, match="CONSULT_HOME"):
        connect(tmp_path / "home")


def test_patient_hash_links_here_and_nowhere_else(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    assert patient_hash(salt_of(here), "4711") == patient_hash(salt_of(here), " 4711 ")
    assert patient_hash(salt_of(here), "4711") != patient_hash(salt_of(here), "4712")
    assert patient_hash(salt_of(here), "4711") != patient_hash(salt_of(there), "4711")
    assert "4711" not in patient_hash(salt_of(here), "4711")
    assert stat.S_IMODE((here / "salt").stat().st_mode) == 0o600
    assert [path.name for path in here.iterdir()] == ["salt"]
