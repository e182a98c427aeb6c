import errno
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from qdrant_client import QdrantClient

from eval.phantoms.phantom import make_phantom
from retrieval import archive
from retrieval import restore as restoring
from retrieval.backup import backup
from retrieval.cases import picture_digest
from retrieval.db import FILE, connect, salt_of, transaction
from retrieval.embed import no_progress
from retrieval.encoders.bundle import Encoders
from retrieval.encoders.fake import FakeImageTextEncoder, FakeTextEncoder
from retrieval.errors import BadInput, Busy, Misconfigured, NotFound, Unavailable
from retrieval.index import is_current
from retrieval.ingest import Source, add_documents, bundled_sources, exclusive
from retrieval.library import Library, stable_id
from retrieval.restore import restore
from retrieval.retriever import Retriever
from retrieval.store import open_store
from retrieval.store.base import Store
from retrieval.store.rules import manifest_to_json
from retrieval.store.server import ServerStore
from retrieval.types import Case, Fitted, Manifest, Query
from tests.retrieval.conftest import CHILD_ENV, picture

ENCODERS = Encoders(FakeImageTextEncoder(), FakeTextEncoder(), Fitted(legs={"text→passage": (6.0, -3.0)}, gamma=0.4))
QUESTIONS = ("What are the signs of a pleural effusion?", "Is there a pneumothorax?", "How is heart failure treated?")


def fill(home: Path) -> None:
    """The bundled cards, phantoms as cases, a study as the API keeps it."""
    with Library(home) as library, closing(open_store(home)) as store:
        for seed in range(4):
            phantom = make_phantom(seed, size=64)
            pixels = phantom.pixels
            case = Case(stable_id("case", str(seed)), picture_digest(pixels), "Pleural effusion.", "chest_xray", "f00")
            library.put_case(case, pixels)
        add_documents(library, store, ENCODERS, bundled_sources())
    salt_of(home)
    (home / "studies").mkdir()
    (home / "studies" / "ab.png").write_bytes(b"a study")


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home and its backup; nobody changes it."""
    folder = tmp_path_factory.mktemp("filled")
    fill(folder / "home")
    with closing(open_store(folder / "home")) as store:
        backup(folder / "home", store, folder / "backup.zip")
    return folder


@pytest.fixture
def saved(filled: Path) -> Path:
    return filled / "backup.zip"


@pytest.fixture
def copy(filled: Path, tmp_path: Path) -> Path:
    """The same home, to be changed."""
    shutil.copytree(filled / "home", tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture
def no_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests of something else: building one takes a process."""
    monkeypatch.setattr(restoring, "rebuild", lambda *_: "")


def back_up(home: Path, target: Path, **options: Any) -> Any:
    with closing(open_store(home)) as store:
        return backup(home, store, target, **options)


def answers(home: Path, store: Store | None = None) -> list[list[tuple[str, float, dict[str, float]]]]:
    with Library(home) as library, closing(open_store(home)) as embedded:
        retriever = Retriever(store or embedded, library, ENCODERS)
        image = make_phantom(9, size=64).pixels
        found = [retriever.retrieve(Query(text, images=(image,))) for text in QUESTIONS]
        return [[(item.content.id, item.relevance, item.scores) for item in one.items] for one in found]


def told(home: Path) -> dict[str, bytes]:
    """Everything but the index and the database, by name."""
    files = {p.relative_to(home).as_posix(): p.read_bytes() for p in home.rglob("*") if p.is_file()}
    return {k: v for k, v in files.items() if not k.startswith(("index/", FILE)) and not k.endswith(".lock")}


def counted(home: Path) -> dict[str, int]:
    with Library(home) as library:
        return library.counts()


def test_an_empty_home_gives_the_same_answers(filled: Path, saved: Path, tmp_path: Path) -> None:
    home = tmp_path / "new" / "home"
    report = restore(saved, home)
    assert (report.cases, report.indexed) == (4, True)
    assert answers(home) == answers(filled / "home")
    assert all(answers(home))
    assert told(home) == told(filled / "home")
    assert {"salt", "studies/ab.png"} < set(told(home))
    with Library(home) as library, closing(open_store(home)) as store, closing(open_store(filled / "home")) as old:
        assert replace(store.manifest, created="") == replace(old.manifest, created="")
        assert is_current(library, store, ENCODERS)
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert [path.name for path in home.parent.iterdir()] == ["home"]


def test_a_backup_is_its_owners_alone(saved: Path) -> None:
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600
    assert [path.name for path in saved.parent.iterdir()] in (["home", "backup.zip"], ["backup.zip", "home"])
    assert not list((saved.parent / "home").glob(".backup-*"))


def test_no_encoder_is_loaded(saved: Path, tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from retrieval.restore import restore\n"
        "restore(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "print([name for name in ('torch', 'transformers', 'open_clip', 'llama_index') if name in sys.modules])"
    )
    command = [sys.executable, "-c", script, str(saved), str(tmp_path / "home")]
    assert subprocess.check_output(command, text=True, env=CHILD_ENV).strip() == "[]"


@pytest.mark.filterwarnings("ignore:Payload indexes have no effect in the local Qdrant")
@pytest.mark.filterwarnings("ignore:Local mode performs exact")
def test_onto_a_server(filled: Path, saved: Path, tmp_path: Path) -> None:
    with closing(ServerStore(QdrantClient(":memory:"))) as server:
        report = restore(saved, tmp_path / "home", server)
        assert report.indexed
        assert not (tmp_path / "home" / "index" / "CURRENT").exists()
        for ours, theirs in zip(answers(tmp_path / "home", server), answers(filled / "home"), strict=True):
            assert [row[0] for row in ours] == [row[0] for row in theirs]
            assert [row[1] for row in ours] == pytest.approx([row[1] for row in theirs], abs=1e-5)
        with Library(tmp_path / "home") as library:
            assert is_current(library, server, ENCODERS)
            back_up(tmp_path / "home", tmp_path / "again.zip")


def test_a_server_that_is_down_costs_the_index_alone(saved: Path, tmp_path: Path) -> None:
    with closing(ServerStore.at("http://127.0.0.1:9")) as server:
        with pytest.raises(Unavailable, match="All but the index is restored"):
            restore(saved, tmp_path / "home", server)
        assert back_up(tmp_path / "home", tmp_path / "again.zip").indexed is False  # nothing is there to be described
    with Library(tmp_path / "home") as library:
        assert library.counts()["cases"] == 4
        assert library.state("indexed") == -1


@pytest.mark.parametrize("reads_text", [True, False])
def test_domains_with_encoders_of_their_own(tmp_path: Path, reads_text: bool) -> None:
    eye = FakeImageTextEncoder(16)
    eye.reads_text = reads_text
    own = replace(ENCODERS, seeing={"fundus": eye}, reading={"fundus": FakeTextEncoder(16)})
    home = tmp_path / "home"
    with Library(home) as library, closing(open_store(home)) as store:
        add_documents(library, store, own, [Source("/a.md", "a.md", b"# Glaucoma\n\nCups the disc.")], "fundus")
        specs = store.manifest.vectors
    back_up(home, tmp_path / "b.zip")
    assert restore(tmp_path / "b.zip", tmp_path / "other").indexed
    with Library(tmp_path / "other") as library, closing(open_store(tmp_path / "other")) as store:
        assert store.manifest.vectors == specs
        assert is_current(library, store, own)


def test_what_has_no_vector_yet_needs_the_encoders(copy: Path, tmp_path: Path) -> None:
    home = copy
    with Library(home) as library:  # an ingestion that was killed after this
        pixels = picture("effusion")
        library.put_case(Case(stable_id("late"), picture_digest(pixels), "Late."), pixels)
    back_up(home, tmp_path / "b.zip")
    report = restore(tmp_path / "b.zip", tmp_path / "other")
    assert (report.cases, report.indexed) == (5, False)
    with Library(tmp_path / "other") as library, closing(open_store(tmp_path / "other")) as store:
        assert not is_current(library, store, ENCODERS)
        add_documents(library, store, ENCODERS, [])
        assert is_current(library, store, ENCODERS)


@pytest.mark.parametrize("index", [{"vectors": {}}, {"of": "another age"}, None])
def test_an_index_that_says_nothing_usable(
    filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, index: dict[str, Any] | None
) -> None:
    if index and "vectors" in index:
        index = manifest_to_json(Manifest({}))
    monkeypatch.setattr("retrieval.backup._index", lambda _: index)
    back_up(filled / "home", tmp_path / "b.zip")
    report = restore(tmp_path / "b.zip", tmp_path / "home")
    assert (report.cases, report.indexed) == (4, False)


@pytest.mark.usefixtures("no_index")
def test_an_empty_library(tmp_path: Path) -> None:
    Library(tmp_path / "home").close()
    back_up(tmp_path / "home", tmp_path / "b.zip")
    assert restore(tmp_path / "b.zip", tmp_path / "other").indexed


# While others read and write


def test_one_moment_is_backed_up(copy: Path, tmp_path: Path) -> None:
    """Cases are added and removed all the while: every case of a backup has its picture in it."""
    home = copy
    stop, failed = threading.Event(), list[BaseException]()

    def write() -> None:
        try:
            with Library(home) as library:
                ids: list[str] = []
                while not stop.is_set():
                    pixels = picture("effusion", len(ids))
                    ids.append(stable_id("busy", str(len(ids))))
                    library.put_case(Case(ids[-1], picture_digest(pixels), f"Report {len(ids)}."), pixels)
                    if len(ids) % 2:
                        library.remove(ids[-2] if len(ids) > 1 else ids[-1])
        except BaseException as error:
            failed.append(error)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(4):
            back_up(home, tmp_path / f"{number}.zip")
    finally:
        stop.set()
        writer.join()
    assert not failed
    seen = set()
    for number in range(4):
        (tmp_path / str(number)).mkdir()
        archive.unpack(tmp_path / f"{number}.zip", tmp_path / str(number), lambda about: None, no_progress)
        with Library(tmp_path / str(number)) as library:
            seen.add(len(library.cases()))
            assert {case.sha256 for case in library.cases()} <= {p.name for p in (library.home / "blobs").iterdir()}
    assert len(seen) > 1


@pytest.mark.usefixtures("no_index")
def test_a_writer_during_the_copy_is_not_in_it(copy: Path, tmp_path: Path) -> None:
    home = copy
    with Library(home) as library:

        def change(phase: str, done: int, total: int) -> None:
            if phase.startswith("copying") and library.counts()["cases"] == 4:
                library.remove(library.cases()[0].id)

        back_up(home, tmp_path / "b.zip", progress=change)
        assert library.counts()["cases"] == 3
    assert restore(tmp_path / "b.zip", tmp_path / "other").cases == 4
    with Library(tmp_path / "other") as library:
        assert all(library.picture(case.sha256).shape == (64, 64) for case in library.cases())


def test_folders_on_other_disks_and_disks_without_links(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = copy
    (home / "blobs").rename(tmp_path / "elsewhere")
    (home / "blobs").symlink_to(tmp_path / "elsewhere")

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    back_up(home, tmp_path / "a.zip")
    monkeypatch.setattr(os, "link", refuse)
    back_up(home, tmp_path / "b.zip")
    for name in "ab":
        (tmp_path / name).mkdir()
        archive.unpack(tmp_path / f"{name}.zip", tmp_path / name, lambda about: None, no_progress)
        assert len(list((tmp_path / name / "blobs").iterdir())) == 4
        assert told(tmp_path / name)["salt"] == (home / "salt").read_bytes()


# What can be wrong


def test_a_backup_is_refused(filled: Path, tmp_path: Path) -> None:
    home = filled / "home"
    with pytest.raises(NotFound, match="no library"):
        back_up(tmp_path / "nowhere", tmp_path / "b.zip")
    with pytest.raises(BadInput, match="there already"):
        back_up(home, filled / "backup.zip")
    with pytest.raises(BadInput, match="in the home"):
        back_up(home, home / "b.zip")
    with pytest.raises(BadInput, match="no folder"):
        back_up(home, tmp_path / "nowhere" / "b.zip")
    with archive.workplace(home, ".backup-"), pytest.raises(Busy):
        back_up(home, tmp_path / "b.zip")
    assert not list(tmp_path.glob("b.zip*"))


def test_a_damaged_database_is_not_backed_up(copy: Path, tmp_path: Path) -> None:
    home = copy
    data = bytearray((home / FILE).read_bytes())
    data[8192 : len(data) - 8192] = bytes(len(data) - 16384)
    (home / FILE).write_bytes(data)
    with pytest.raises(Misconfigured, match="damaged"):
        back_up(home, tmp_path / "b.zip")
    assert not list(tmp_path.glob("b.zip*"))
    assert not list(home.glob(".backup-*"))


def test_a_disk_without_room(filled: Path, saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive.shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    for call in (lambda: back_up(filled / "home", tmp_path / "b.zip"), lambda: restore(saved, tmp_path / "home")):
        with pytest.raises(Unavailable, match="disk is full"):
            call()
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up_meanwhile(filled: Path, saved: Path, tmp_path: Path) -> None:
    def full(phase: str, done: int, total: int) -> None:
        if "packing" in phase:
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(Unavailable, match="disk is full"):
        back_up(filled / "home", tmp_path / "b.zip", progress=full)
    with pytest.raises(Unavailable, match="disk is full"):
        restore(saved, tmp_path / "home", progress=full)
    assert list(tmp_path.iterdir()) == []


def test_a_backup_of_a_newer_consult(copy: Path, tmp_path: Path) -> None:
    home = copy
    for room, version in (("library", 99), ("api", 99), ("telepathy", 1)):
        with closing(connect(home)) as db, transaction(db):
            before = db.execute("SELECT version FROM schema_version WHERE room = ?", (room,)).fetchone()
            db.execute("INSERT OR REPLACE INTO schema_version VALUES (?, ?)", (room, version))
        back_up(home, tmp_path / f"{room}.zip")
        with pytest.raises(Misconfigured, match="newer Consult"):
            restore(tmp_path / f"{room}.zip", tmp_path / "other")
        with closing(connect(home)) as db, transaction(db):
            db.execute("DELETE FROM schema_version WHERE room = ?", (room,))
            if before:
                db.execute("INSERT INTO schema_version VALUES (?, ?)", (room, before[0]))
    assert not (tmp_path / "other").exists()


def test_every_room_tells_how_far_its_tables_have_come() -> None:
    from assistant.api.schema import STEPS as API
    from retrieval.schema import STEPS as LIBRARY

    rooms = {point.name: point.load() for point in entry_points(group=restoring.SCHEMAS)}
    assert rooms == {"library": LIBRARY, "api": API}


@pytest.mark.usefixtures("no_index")
def test_an_older_backup_is_migrated(filled: Path, tmp_path: Path) -> None:
    from retrieval.db import migrate
    from retrieval.schema import ROOM, STEPS

    home = tmp_path / "home"
    home.mkdir()
    with closing(connect(home)) as db:
        migrate(db, ROOM, STEPS[:1])
    back_up(home, tmp_path / "b.zip")
    restore(tmp_path / "b.zip", tmp_path / "other")
    with closing(sqlite3.connect(tmp_path / "other" / FILE)) as db:
        assert db.execute("SELECT version FROM schema_version").fetchall() == [(len(STEPS),)]


# Into a home that is in use


@pytest.mark.usefixtures("no_index")
def test_a_filled_home_is_replaced_only_when_told(saved: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    restore(saved, home)  # empty is as good as absent
    home.chmod(0o750)
    (home / "studies" / "mine.png").write_bytes(b"mine")
    with pytest.raises(BadInput, match="--replace"):
        restore(saved, home)
    assert (home / "studies" / "mine.png").exists()
    restore(saved, home, replace=True)
    assert not (home / "studies" / "mine.png").exists()
    assert stat.S_IMODE(home.stat().st_mode) == 0o750  # as it was
    assert [path.name for path in tmp_path.iterdir()] == ["home"]
    with pytest.raises(BadInput, match="is a file"):
        restore(saved, home / "salt", replace=True)


@pytest.mark.usefixtures("no_index")
def test_a_home_that_is_in_use_stays(saved: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    restore(saved, home)
    with exclusive(home), pytest.raises(Busy, match="ingestion"):
        restore(saved, home, replace=True)
    from assistant.api.app import _only_server

    with _only_server(home), pytest.raises(Busy, match="server"):
        restore(saved, home, replace=True)
    with archive.workplace(tmp_path, ".home.restoring-"), pytest.raises(Busy, match="under way"):
        restore(saved, home, replace=True)
    assert counted(home)["cases"] == 4


@pytest.mark.usefixtures("no_index")
def test_a_home_that_is_begun_to_be_used_meanwhile_stays(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"

    def begin(phase: str, done: int, total: int) -> None:
        home.mkdir(exist_ok=True)
        (home / "salt").write_bytes(b"mine")

    home.mkdir()
    monkeypatch.setattr(restoring, "_filled", lambda _: False)  # looked at just before the other one came
    with pytest.raises(Busy, match="meanwhile"):
        restore(saved, home, progress=begin)
    assert told(home) == {"salt": b"mine"}


@pytest.mark.usefixtures("no_index")
def test_where_names_can_not_be_exchanged(saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restoring, "_renameat2", lambda *_: False)
    home = tmp_path / "home"
    home.mkdir()
    (home / "mine").touch()
    restore(saved, home, replace=True)
    assert counted(home)["cases"] == 4
    assert [path.name for path in tmp_path.iterdir()] == ["home"]

    rename = Path.rename
    (home / "mine").touch()

    def fail(self: Path, target: Path) -> Path:
        if ".restoring-" in self.name:
            raise OSError(errno.EBUSY, "Device or resource busy")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(Misconfigured, match="set CONSULT_HOME to a folder on it"):
        restore(saved, home, replace=True)
    assert (home / "mine").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


# Killed

CHILD = """
import os, signal, sys
from pathlib import Path
from retrieval import archive, restore as restoring
from retrieval.backup import backup
from retrieval.store import open_store

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

what, home, file, point = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4]
steps = []
def progress(*step):
    steps.append(step)
    if point.isdigit() and len(steps) == int(point):
        die()

if point != "after":
    restoring.rebuild = lambda *_: ""
if point == "before":
    restoring._put_in_place = os.replace = die
if point == "after":
    archive.shutil.rmtree = die
archive.CHUNK = 4096
if what == "backup":
    backup(home, open_store(home), file, progress)
else:
    restoring.restore(file, home, replace=True, progress=progress)
print(len(steps))
"""


def run(what: str, home: Path, file: Path, point: str | int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", CHILD, what, str(home), str(file), str(point)]
    return subprocess.run(command, env=CHILD_ENV, capture_output=True, text=True)


@pytest.mark.usefixtures("no_index")
@pytest.mark.parametrize("point", [2, "before", "after"])
def test_a_killed_backup_leaves_none_and_the_next_one_tidies_up(filled: Path, tmp_path: Path, point: str | int) -> None:
    home, file = filled / "home", tmp_path / "b.zip"
    before = told(home)
    assert run("backup", home, file, point).returncode == -signal.SIGKILL
    assert file.exists() == (point == "after")
    assert list(home.glob(".backup-*"))
    file.unlink(missing_ok=True)
    back_up(home, file)
    assert [path.name for path in tmp_path.iterdir()] == ["b.zip"]
    assert told(home) == before
    assert restore(file, tmp_path / "other").cases == 4


@pytest.mark.usefixtures("no_index")
@pytest.mark.parametrize(
    ("point", "there"), [(1, False), (40, True), ("before", False), ("before", True), ("after", False), ("after", True)]
)
def test_a_killed_restore_leaves_nothing_or_everything(
    saved: Path, tmp_path: Path, point: str | int, there: bool
) -> None:
    home = tmp_path / "home"
    if there:
        with Library(home):
            (home / "mine").touch()
    assert run("restore", home, saved, point).returncode == -signal.SIGKILL
    if point == "after":
        assert counted(home)["cases"] == 4
        assert all(answers(home))
    else:
        assert home.exists() == there
        assert not there or ((home / "mine").exists() and counted(home)["cases"] == 0)
    assert restore(saved, home, replace=True).cases == 4
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


@pytest.mark.soak
@pytest.mark.parametrize("what", ["backup", "restore"])
def test_killed_at_every_step(filled: Path, saved: Path, tmp_path: Path, what: str) -> None:
    home = filled / "home" if what == "backup" else tmp_path / "home"
    file = tmp_path / "b.zip" if what == "backup" else saved
    point = 1
    while run(what, home, file, point).returncode == -signal.SIGKILL:
        assert not (tmp_path / "b.zip").exists()
        assert not (tmp_path / "home").exists()
        point += 1
    assert point > 30
    assert counted(home)["cases"] == 4
