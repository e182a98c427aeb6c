"""How long a backup and its restore take, and how long writers wait meanwhile.

    python -m eval.bench.backup --records 10000 --files 10000

Makes a home of passages with random vectors (512 and 384 numbers) and pictures of 20 kB, none of which compresses.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from uuid import UUID

import numpy as np

from retrieval import backup as backing
from retrieval.embed import key_of
from retrieval.encoders.bundle import IMAGE, IMAGE_TEXT, TEXT
from retrieval.index import rebuild
from retrieval.library import Library
from retrieval.restore import remembered, restore
from retrieval.rows import Document, File
from retrieval.store import open_store
from retrieval.types import Manifest, Passage, Vector, VectorSpec

SEEING, READING = VectorSpec("seeing", 512), VectorSpec("reading", 384)
BATCH = 2000


def fill(home: Path, records: int, files: int) -> None:
    random = np.random.default_rng(0)
    lines = [f"Passage {n} says that finding {n % 977} goes with finding {n * 7 % 1009}." for n in range(records)]
    passages, at = [], 0
    for n, line in enumerate(lines):
        passages.append(Passage(str(UUID(int=n)), "d", "Title", "", line, at, at + len(line)))
        at += len(line) + 1
    with Library(home) as library, closing(open_store(home)) as store:
        library.put_file(File("f", "/f", "f", "", ""), [(Document("d", "f", "Title", "f", "\n".join(lines)), passages)])
        for role, spec in ((IMAGE_TEXT, SEEING), (TEXT, READING)):
            for first in range(0, records, BATCH):
                batch = passages[first : first + BATCH]
                vectors = random.standard_normal((len(batch), spec.dim)).astype(np.float32)
                library.put_vectors(spec.identity, role, _named(role, batch, vectors))
        rebuild(library, store, remembered(Manifest({IMAGE: SEEING, IMAGE_TEXT: SEEING, TEXT: READING})))
    (home / "studies").mkdir()
    for n in range(files):
        (home / "studies" / f"{n:064x}.png").write_bytes(os.urandom(20_000))
    os.sync()


def _named(role: str, batch: list[Passage], vectors: Vector) -> Iterator[tuple[str, Vector]]:
    return ((key_of(role, passage), vector) for passage, vector in zip(batch, vectors, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--files", type=int, default=10_000)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home, file = Path(folder) / "home", Path(folder) / "backup.zip"
        fill(home, chosen.records, chosen.files)
        started = time.perf_counter()
        backing._link_all(home, _made(Path(folder) / "links"))
        print(f"writers wait   {(time.perf_counter() - started) / chosen.files * 1e6:.0f} µs a file")
        with closing(open_store(home)) as store:
            started = time.perf_counter()
            report = backing.backup(home, store, file)
        _say("backup", started, report.bytes)
        started = time.perf_counter()
        restore(file, Path(folder) / "new")
        _say("restore", started, report.bytes)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _say(what: str, started: float, size: int) -> None:
    seconds = time.perf_counter() - started
    print(f"{what:14} {seconds:.1f} s, {size / 1e6:.0f} MB, {size / 1e6 / seconds:.0f} MB/s")


if __name__ == "__main__":
    main()
