"""What only the embedded store promises: several processes, interrupted publishers, damaged folders."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

import pytest

from retrieval.errors import Busy, Misconfigured, Unavailable
from retrieval.store import open_store
from retrieval.store.build import Layout
from retrieval.store.edge import BUILDING, EdgeStore
from retrieval.types import Filter, Leg, Record
from tests.retrieval.store.conftest import IMAGE, MANIFEST, case, passage, uid, unit

LEG = Leg("image→case", IMAGE, unit(1), "case", 1)
OLD = case("old", unit(1))

SLOW_PUBLISHER = """
import sys, time
from pathlib import Path
from retrieval.store.edge import EdgeStore
from tests.retrieval.store.conftest import MANIFEST, case, unit

def records():
    for i in range(600):
        yield case(f"new{i}", unit(1))
    print("under way", flush=True)
    time.sleep(60)

EdgeStore(Path(sys.argv[1])).publish(records(), MANIFEST)
"""
PUBLISHER = """
import sys
from pathlib import Path
from retrieval.store.edge import EdgeStore
from tests.retrieval.store.conftest import MANIFEST, case, unit

EdgeStore(Path(sys.argv[1])).publish((case(f"new{i}", unit(1, i)) for i in range(2000)), MANIFEST)
"""
READER = """
import sys
from pathlib import Path
from retrieval.store.edge import EdgeStore
from retrieval.types import Filter
from tests.retrieval.store.test_edge import LEG

store = EdgeStore(Path(sys.argv[1]))
for _ in range(8):
    print(store.search([LEG], Filter())[0].id, end=" ")
    store.close()
"""


def run(script: str, home: Path) -> subprocess.Popen:
    root = Path(__file__).parents[3]
    env = {**os.environ, "PYTHONPATH": str(root)}
    return subprocess.Popen([sys.executable, "-c", script, str(home)], stdout=subprocess.PIPE, text=True, env=env)


def found(store: EdgeStore) -> list[str]:
    return [hit.id for hit in store.search([LEG], Filter())]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[EdgeStore]:
    store = EdgeStore(tmp_path)
    store.publish([OLD], MANIFEST)
    yield store
    store.close()


def test_a_publisher_killed_midway_changes_nothing(store: EdgeStore, tmp_path: Path) -> None:
    publisher = run(SLOW_PUBLISHER, tmp_path)
    assert publisher.stdout is not None
    assert publisher.stdout.readline() == "under way\n"
    with pytest.raises(Busy, match="another process is publishing"):
        store.publish([OLD], MANIFEST)
    assert list((tmp_path / "index").glob(f"{BUILDING}*"))
    publisher.send_signal(signal.SIGKILL)
    publisher.communicate()
    assert found(store) == [uid("old")]
    assert len(store.generations()) == 1
    store.publish([case("new", unit(1))], MANIFEST)
    assert found(store) == [uid("new")]
    assert not list((tmp_path / "index").glob(f"{BUILDING}*"))


@pytest.mark.soak
def test_a_publisher_killed_at_any_moment_leaves_the_old_or_the_new(store: EdgeStore, tmp_path: Path) -> None:
    """Ten moments spread over a whole publication, some before its first record and some around its swap."""
    start = time.monotonic()
    run(PUBLISHER, tmp_path).communicate()
    whole, draw, stopped = time.monotonic() - start, random.Random(0), 0
    for moment in range(10):
        store.publish([OLD], MANIFEST)
        before = store.generations()
        publisher = run(PUBLISHER, tmp_path)
        until = time.monotonic() + whole * (moment + draw.random()) / 10
        while time.monotonic() < until:
            assert found(store) in ([uid("old")], [uid("new0")])
        publisher.kill()
        publisher.communicate()
        published = len(store.generations()) > len(before)
        stopped += not published
        assert found(store) == [uid("new0" if published else "old")]
    assert stopped > 5
    time.sleep(5)  # the last builder, left alone, ends by itself
    store.publish([OLD], MANIFEST)
    assert not list((tmp_path / "index").glob(f"{BUILDING}*"))


def test_a_builder_killed_midway_is_told_and_swept(store: EdgeStore, tmp_path: Path) -> None:
    def records() -> Iterator[Record]:
        yield from (case(f"n{i}", unit(1)) for i in range(256))
        children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
        for child in children:
            if b"retrieval.store.build" in Path(f"/proc/{child}/cmdline").read_bytes():
                os.kill(int(child), signal.SIGKILL)
        yield from (case(f"m{i}", unit(1)) for i in range(100_000))

    with pytest.raises(Unavailable, match=r"could not be built.*previous one stays"):
        store.publish(records(), MANIFEST)
    assert found(store) == [uid("old")]
    assert not list((tmp_path / "index").glob(f"{BUILDING}*"))


def test_a_full_disk_is_told_and_leaves_nothing(store: EdgeStore, tmp_path: Path, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("retrieval.store.edge._to_disk", full)
    with pytest.raises(Unavailable, match="No space left on device"):
        store.publish([case("new", unit(1))], MANIFEST)
    monkeypatch.setattr("retrieval.store.edge.os.replace", full)
    monkeypatch.setattr("retrieval.store.edge._to_disk", lambda *_: None)
    with pytest.raises(Unavailable, match="No space left on device"):
        store.publish([case("new", unit(1))], MANIFEST)
    assert found(store) == [uid("old")]
    assert len(store.generations()) == 1
    assert not list((tmp_path / "index").glob(f"{BUILDING}*"))


def test_other_processes_read_while_this_one_does(store: EdgeStore, tmp_path: Path) -> None:
    readers = [run(READER, tmp_path) for _ in range(2)]
    until = time.monotonic() + 60
    while any(reader.poll() is None for reader in readers) and time.monotonic() < until:
        assert found(store) == [uid("old")]
    for reader in readers:
        output, _ = reader.communicate(timeout=10)
        assert reader.returncode == 0
        assert output.split() == [uid("old")] * 8


def test_a_second_reader_notices_a_new_generation(store: EdgeStore, tmp_path: Path) -> None:
    other = EdgeStore(tmp_path)
    assert found(other) == [uid("old")]
    old = store.generations()[0]
    store.publish([case("new", unit(1))], MANIFEST)
    store.delete(old)
    assert found(other) == [uid("new")]
    other.close()
    assert found(other) == [uid("new")]  # closing lets go, it does not end
    other.close()


def test_threads_search_while_generations_change(store: EdgeStore) -> None:
    done, seen, errors = Event(), set(), []

    def search() -> None:
        while not done.is_set():
            try:
                seen.update(found(store))
            except Exception as error:
                errors.append(error)
                return

    threads = [Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    for i in range(2):
        store.publish([case(f"g{i}", unit(1))], MANIFEST)
        for name in store.generations()[:-1]:
            store.delete(name)
    time.sleep(0.1)
    done.set()
    for thread in threads:
        thread.join()
    assert not errors
    assert uid("g1") in seen
    assert seen <= {uid("old"), uid("g0"), uid("g1")}


@pytest.mark.parametrize("damage", ["manifest", "version", "shard", "layout", "pointer"])
def test_a_damaged_index_names_the_command(store: EdgeStore, tmp_path: Path, damage: str) -> None:
    store.close()
    index = tmp_path / "index"
    folder = index / store.generations()[0]
    match damage:
        case "manifest":
            (folder / "manifest.json").write_text("{")
        case "version":
            (folder / "manifest.json").write_text('{"vectors": {}, "domains": [], "new": 1}')
        case "shard":
            for segment in (folder / "shard").rglob("segment.json"):
                segment.write_text("")
        case "layout":  # of Consult 0.1.0: one shard for both kinds
            (folder / "shard" / "case").rename(folder / "moved")
            shutil.rmtree(folder / "shard")
            (folder / "moved").rename(folder / "shard")
        case "pointer":
            (index / "CURRENT").write_text("gone\n")
    with pytest.raises(Misconfigured, match="consult knowledge rebuild"):
        found(store)
    store.publish([OLD], MANIFEST)  # and the command's work mends it
    assert found(store) == [uid("old")]


def test_words_weigh_the_same_in_one_part_and_in_several(tmp_path: Path) -> None:
    records = [passage(f"p{i}", "lung " * (i % 7) + "nodule " * (i % 3) + "word " * (i % 11)) for i in range(600)]
    leg, found = Leg("bm25", "bm25", "nodule of the lung", "passage", 50), []
    for name, layout in (("one", Layout()), ("several", Layout(part=200))):
        store = EdgeStore(tmp_path / name, layout)
        store.publish(records, MANIFEST)
        found.append([hit.scores["bm25"] for hit in store.search([leg], Filter())])
        store.close()
    assert found[0] == pytest.approx(found[1], rel=1e-5)


def test_opening_a_store_touches_nothing(tmp_path: Path) -> None:
    store = open_store(tmp_path / "home")
    assert store.manifest is None
    assert store.generations() == []
    assert not (tmp_path / "home").exists()
