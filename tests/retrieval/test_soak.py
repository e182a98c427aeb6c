"""Killing an ingestion of 2,000 passages at ten random moments while a reader asks all the time. `make soak`, or
`pytest -m soak tests/retrieval/test_soak.py -s` to see the figures."""

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from retrieval.encoders.bundle import Encoders, load
from retrieval.library import Library
from retrieval.retriever import Retriever
from retrieval.store.edge import EdgeStore
from retrieval.types import Query
from retrieval.weigh import Selection
from tests.retrieval.conftest import CHILD_ENV, WordEncoder

KILLS, FILES, SECTIONS, BEFORE = 10, 400, 5, 20  # so many files are in the library, and served, before it starts
WORDS = ("effusion", "pneumothorax", "cardiomegaly", "retinopathy", "nodule", "oedema", "fracture", "haemorrhage")
SYLLABLES = ("ba", "ce", "di", "fo", "gu", "ha", "je", "ki", "lo", "mu")
FILL = """
import sys
from pathlib import Path
from retrieval.ingest import add_documents, find_sources
from retrieval.library import Library
from retrieval.store.edge import EdgeStore
from tests.retrieval.test_soak import encoders_of

home, docs, kind = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
encoders = encoders_of(kind)
with Library(home) as library:
    told = lambda phase, done, total: print(phase, done, sep=": ", flush=True)
    add_documents(library, EdgeStore(home), encoders, find_sources([docs]), progress=told, folders=[docs])
print("done", flush=True)
"""
READ = """
import json, sys, time, traceback
from pathlib import Path
from threading import Thread
from tests.retrieval.test_soak import BEFORE, asked, called, opened

stop = []
Thread(target=lambda: stop.append(sys.stdin.read()), daemon=True).start()
count, slowest, failures = 0, 0.0, []
with opened(Path(sys.argv[1]), sys.argv[2]) as retriever:
    while not stop:
        number, started = count % BEFORE, time.perf_counter()
        try:
            titles = [item.content.document for item in asked(retriever, number).items]
            if called(number) not in titles:
                failures.append(f"{number}: {titles}")
        except Exception:
            failures.append(traceback.format_exc())
        count, slowest = count + 1, max(slowest, time.perf_counter() - started)
        if count == 1:
            print("reading", flush=True)
print(json.dumps({"asked": count, "slowest": slowest, "failures": failures[:3]}), flush=True)
"""


def encoders_of(kind: str) -> Encoders:
    if kind == "pocket":
        from assistant.settings import load_settings

        return load(load_settings().encoders.names)
    return Encoders(WordEncoder("seeing-1"), WordEncoder("reading-1"))


class opened:
    """A retriever over a home, with a library and an index of its own."""

    def __init__(self, home: Path, kind: str) -> None:
        self.library, self.store, self.encoders = Library(home), EdgeStore(home), encoders_of(kind)

    def __enter__(self) -> Retriever:
        return Retriever(self.store, self.library, self.encoders, Selection(floor=0, k_max=5, gamma=9))

    def __exit__(self, *error: object) -> None:
        with closing(self.library), closing(self.store):
            pass


def called(number: int) -> str:
    """A word that no other document holds."""
    return "Syndrome" + "".join(SYLLABLES[int(digit)] for digit in f"{number:03}")


def asked(retriever: Retriever, number: int) -> object:
    return retriever.retrieve(Query(f"{called(number)} management"))


def write(folder: Path, numbers: range) -> None:
    folder.mkdir(exist_ok=True)
    for number in numbers:
        draw = random.Random(number)
        sections = [
            f"## Section {at}\n{called(number)} management: {' '.join(draw.choices(WORDS, k=30))}."
            for at in range(SECTIONS)
        ]
        (folder / f"{number:03}.md").write_text(f"# {called(number)}\n\n" + "\n\n".join(sections))


def filling(home: Path, docs: Path, kind: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", FILL, str(home), str(docs), kind]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=CHILD_ENV)


def until_new(child: subprocess.Popen[str]) -> list[str]:
    """What an ingestion says until it has stored its first new file."""
    assert child.stdout is not None
    lines = []
    for line in child.stdout:
        lines.append(line.rstrip())
        if lines[-1] == f"reading documents: {BEFORE + 1}":
            break
    return lines


@dataclass
class Truth:
    """What an undisturbed ingestion leaves, and the seconds from its first new file to its end."""

    seconds: float
    passages: list[str]
    answers: list[list[tuple[str, float]]]


def state(home: Path, kind: str) -> tuple[list[str], list[list[tuple[str, float]]]]:
    with opened(home, kind) as retriever:
        answers = [
            [(item.content.id, round(item.relevance, 4)) for item in asked(retriever, number).items]  # type: ignore[attr-defined]
            for number in range(0, FILES, 10)
        ]
        return sorted(passage.id for passage in retriever.library.passages()), answers


def undisturbed(home: Path, docs: Path, kind: str) -> Truth:
    with filling(home, docs, kind) as child:
        lines = until_new(child)
        started = time.perf_counter()
        lines += child.communicate()[0].splitlines()
        assert lines[-1] == "done"
        seconds = time.perf_counter() - started
    return Truth(seconds, *state(home, kind))


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", ["words", "pocket"])
def test_killed_at_ten_random_moments(kind: str, tmp_path: Path) -> None:
    docs, start = tmp_path / "docs", tmp_path / "start"
    write(docs, range(BEFORE))
    undisturbed(start, docs, kind)
    write(docs, range(FILES))
    shutil.copytree(start, tmp_path / "truth")
    truth = undisturbed(tmp_path / "truth", docs, kind)
    assert len(truth.passages) == FILES * SECTIONS
    draw = random.Random(7)
    for number in range(KILLS):
        home = tmp_path / f"home-{number}"
        shutil.copytree(start, home)
        told = one_kill(home, docs, kind, draw.uniform(0, truth.seconds))
        with filling(home, docs, kind) as again:
            assert again.communicate()[0].rstrip().endswith("done")
        passages, answers = state(home, kind)
        assert passages == truth.passages
        assert answers == truth.answers
        print(f"\n{kind} {number + 1}: {json.dumps(told)}", end="")
        shutil.rmtree(home)
    print(f"\n{kind}: undisturbed {truth.seconds:.1f} s")


def one_kill(home: Path, docs: Path, kind: str, after: float) -> dict[str, object]:
    """Kills an ingestion `after` seconds; what was acknowledged is there and whole, and the reader never missed."""
    command = [sys.executable, "-c", READ, str(home), kind]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, env=CHILD_ENV, **pipes) as reader:  # type: ignore[call-overload]
        assert reader.stdout.readline().strip() == "reading"
        with filling(home, docs, kind) as child:
            lines = until_new(child)
            time.sleep(after)
            child.send_signal(signal.SIGKILL)
            lines += child.communicate()[0].splitlines()
        time.sleep(0.5)  # the reader goes on
        said = json.loads(reader.communicate()[0])
    assert said["failures"] == [], said
    done = max([int(line.split(": ")[1]) for line in lines if line.startswith("reading documents")], default=0)
    with Library(home) as library:
        files = sorted(file.name for file in library.files())
        assert files[:done] == [f"docs/{number:03}.md" for number in range(done)]
        held = Counter(passage.document for passage in library.passages())
        assert set(held.values()) == {SECTIONS}
        assert len(held) == len(files)
    with closing(EdgeStore(home)) as store:
        assert store.manifest is not None
        assert store.manifest.records in (BEFORE * SECTIONS, FILES * SECTIONS)
        published = store.manifest.records == FILES * SECTIONS
    return {"after": round(after, 2), "phase": lines[-1], "acknowledged": done, "published": published, **said}
