"""Bulk embedding: in one process or several the same vectors, nothing twice, nothing left running."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval import embed as module
from retrieval.cases import picture_digest
from retrieval.embed import IMAGE_TEXT_WORDS, Pool, embed, image_text_of
from retrieval.encoders.bundle import TEXT, Encoders, Lane, Names, load
from retrieval.encoders.fake import FakeTextEncoder
from retrieval.errors import Unavailable
from retrieval.library import Library, stable_id
from retrieval.rows import Document, File
from retrieval.types import Case, Passage
from tests.retrieval.conftest import CHILD_ENV, picture


def fill(library: Library, n: int) -> None:
    text = " ".join(f"effusion{i}." for i in range(n))
    document = Document("d", "f", "Title", "a.md", text)
    spans = [(text.index(f"effusion{i}."), text.index(f"effusion{i}.") + len(f"effusion{i}.")) for i in range(n)]
    passages = [Passage(stable_id(str(a)), "d", "Title", "", text[a:b], a, b) for a, b in spans]
    library.put_file(File("f", "/a.md", "a.md", "sha", "1"), [(document, passages)])
    for seed in range(3):
        pixels = picture("effusion", seed)
        sha256 = picture_digest(pixels)
        library.put_case(Case(stable_id(sha256), sha256, "Effusion."), pixels)  # the same report three times


def vectors(library: Library, encoders: Encoders) -> dict[tuple[str, str], bytes]:
    made = {}
    for lane in encoders.lanes():
        found = library.vectors(lane.identity, lane.role, [*library.cached(lane.identity, lane.role)])
        made |= {(lane.role, key): vector.tobytes() for key, vector in found.items()}
    return made


def embedded(home: Path, processes: int) -> dict[tuple[str, str], bytes]:
    with Library(home) as library:
        fill(library, 30)
        encoders = load(Names("fake", "fake"), processes)
        steps: list[tuple[str, int, int]] = []
        assert embed(library, encoders, lambda *step: steps.append(step)) == 30 + 30 + 1 + 3
        assert {phase: done for phase, done, _ in steps} == {phase: total for phase, _, total in steps}
        assert embed(library, encoders) == 0  # nothing twice
        return vectors(library, encoders)


def test_several_processes_make_the_same_vectors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TEXT_BATCH", 4)
    assert embedded(tmp_path / "one", 1) == embedded(tmp_path / "two", 2)


def test_a_process_that_dies_is_told_and_what_was_done_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TEXT_BATCH", 1)
    with Library(tmp_path) as library:
        fill(library, 40)
        encoders = load(Names("fake", "fake"), 2)

        def kill(phase: str, done: int, total: int) -> None:
            if done == 10:
                for child in _children(os.getpid()):
                    os.kill(child, signal.SIGKILL)

        with pytest.raises(Unavailable, match="CONSULT_ENCODERS__PROCESSES"):
            embed(library, encoders, kill)
        assert embed(library, replace(encoders, processes=1)) < 74


PARENT = """
import sys, time
from pathlib import Path
from retrieval.embed import Pool
from retrieval.encoders.bundle import TEXT, Lane, Names
from retrieval.encoders.fake import FakeTextEncoder

if __name__ == "__main__":
    pool = Pool(Path("."), Names("fake", "fake"), 2)
    lane = Lane(TEXT, FakeTextEncoder())
    assert len(list(pool.encoded(lane, [[("a", "effusion")], [("b", "nodule")]]))) == 2
    print("ready", flush=True)
    time.sleep(100)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_processes_end_with_their_parent(tmp_path: Path) -> None:
    (tmp_path / "parent.py").write_text(PARENT)
    command = [sys.executable, str(tmp_path / "parent.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=CHILD_ENV, text=True, cwd=tmp_path) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "ready\n"
        children = _children(parent.pid)
        assert len(children) >= 2
        parent.kill()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and any(Path(f"/proc/{child}").exists() for child in children):
        time.sleep(0.05)
    assert not [child for child in children if Path(f"/proc/{child}").exists()]


def _children(pid: int) -> list[int]:
    """Those that embed; Python has a child of its own that keeps track of them."""
    children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [child for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def test_a_pool_is_left_clean() -> None:
    with Pool(Path(), Names("fake", "fake"), 2) as pool:
        batches = [[(str(n), f"effusion {n}")] for n in range(9)]
        keys = [key for keys, _ in pool.encoded(Lane(TEXT, FakeTextEncoder()), batches) for key in keys]
    assert sorted(keys) == [str(n) for n in range(9)]


@given(st.text(), st.text(), st.text())
def test_the_image_encoder_reads_the_first_words(title: str, section: str, text: str) -> None:
    read = image_text_of(Passage("p", "d", title, section, text, 0, len(text))).split()
    assert read == " ".join((title, section, text)).split()[:IMAGE_TEXT_WORDS]
