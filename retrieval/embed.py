"""Every vector the library lacks, each computed once, batch by batch, a batch stored at once.

Killed at any moment, only the batches under way are lost. With several processes each has encoders of its own and reads
the pictures itself; nothing but this process writes to the library.
"""

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import cache
from itertools import islice
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Protocol

from retrieval import blobs
from retrieval.cases import pixels_of
from retrieval.encoders.base import Vectors
from retrieval.encoders.bundle import IMAGE, IMAGE_TEXT, Encoders, Lane, Names, load
from retrieval.errors import Unavailable
from retrieval.library import Library, content_hash
from retrieval.types import Case, Passage

IMAGE_TEXT_WORDS = 60  # about what a contrastive text tower reads
HEADING = 4  # times 1, 2, 3, 4, 6: nDCG@10 .74, .80, .83, .85, .86 on 400 questions over 7,826 open texts
IMAGE_BATCH, TEXT_BATCH = 16, 64
WINDOW = 8192  # texts held in memory at a time

Progress = Callable[[str, int, int], None]  # phase, done, total
Row = tuple[str, str]  # what names a vector in the cache, and what the encoder is given


def no_progress(phase: str, done: int, total: int) -> None:
    """For callers that don't watch."""


def passage_text(passage: Passage) -> str:
    """What the text encoder reads: a passage says more under its title."""
    return "\n".join(part for part in (passage.document, passage.section, passage.text) if part)


def indexed_text(passage: Passage, names: Iterable[str]) -> str:
    """What BM25 reads: also the other names of the document's subject. A word of the headings counts `HEADING` times,
    which is BM25F with one weight (Robertson, Zaragoza and Taylor 2004)."""
    headings = (passage.document, passage.section, *names)
    return "\n".join([*filter(None, headings)] * HEADING + [passage.text])


def image_text_of(passage: Passage) -> str:
    """What the image-text encoder reads: title, section and as many first words as its tower takes."""
    return " ".join(passage_text(passage).split()[:IMAGE_TEXT_WORDS])


def given_of(role: str, item: Passage | Case) -> str:
    """What the encoder is given; the name of a picture stands for it."""
    if isinstance(item, Case):
        return item.sha256 if role == IMAGE else item.report
    return image_text_of(item) if role == IMAGE_TEXT else passage_text(item)


def key_of(role: str, item: Passage | Case) -> str:
    """What names a vector in the cache."""
    given = given_of(role, item)
    return given if role == IMAGE else content_hash(given)


def embed(library: Library, encoders: Encoders, progress: Progress = no_progress) -> int:
    """Computes every vector the library lacks; returns how many. Raises `Unavailable` when a process dies."""
    with _workers(library.home, encoders) as workers:
        return sum(_fill(library, lane, workers, progress) for lane in encoders.lanes())


def _fill(library: Library, lane: Lane, workers: "Workers", progress: Progress) -> int:
    wanted = {key_of(lane.role, item) for item in _items(library, lane)} - library.cached(lane.identity, lane.role)
    total, done = len(wanted), 0
    phase = "looking at pictures" if lane.role == IMAGE else f"embedding texts ({lane.name})"
    for keys, vectors in workers.encoded(lane, _batches(library, lane, wanted)):
        library.put_vectors(lane.identity, lane.role, zip(keys, vectors, strict=True))
        progress(phase, done := done + len(keys), total)
    return total


def _items(library: Library, lane: Lane) -> Iterator[Passage | Case]:
    """Everything that this lane reads."""
    passages = library.passages() if lane.role != IMAGE else ()
    cases = library.cases() if lane.role != IMAGE_TEXT else ()
    yield from (item for items in (passages, cases) for item in items if lane.reads(item.domain))


def _batches(library: Library, lane: Lane, wanted: set[str]) -> Iterator[list[Row]]:
    """Each wanted content once; in a window texts of like length share a batch, which saves padding."""
    size = IMAGE_BATCH if lane.role == IMAGE else TEXT_BATCH
    rows = _rows(library, lane, wanted)
    while window := sorted(islice(rows, WINDOW), key=lambda row: len(row[1])):
        yield from (window[at : at + size] for at in range(0, len(window), size))


def _rows(library: Library, lane: Lane, wanted: set[str]) -> Iterator[Row]:
    left = set(wanted)
    for item in _items(library, lane):
        if (key := key_of(lane.role, item)) in left:
            left.remove(key)
            yield key, given_of(lane.role, item)


class Workers(Protocol):
    def encoded(self, lane: Lane, batches: Iterable[list[Row]]) -> Iterator[tuple[list[str], Vectors]]:
        """The names of each batch with its vectors, in any order."""


@contextmanager
def _workers(home: Path, encoders: Encoders) -> Iterator[Workers]:
    if encoders.processes < 2 or encoders.names is None:
        yield Here(home)
        return
    with Pool(home, encoders.names, encoders.processes) as pool:
        yield pool


class Here:
    """In this process, with its own encoders."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def encoded(self, lane: Lane, batches: Iterable[list[Row]]) -> Iterator[tuple[list[str], Vectors]]:
        for batch in batches:
            yield [key for key, _ in batch], _encoded(self._home, lane, [given for _, given in batch])


class Pool:
    """In processes of their own, which end with this one however it ends."""

    def __init__(self, home: Path, names: Names, processes: int) -> None:
        self._home, self._processes = home, processes
        threads = max(1, len(os.sched_getaffinity(0)) // processes) if hasattr(os, "sched_getaffinity") else 1
        self._pool = ProcessPoolExecutor(processes, get_context("spawn"), _begin, (names, threads))

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def encoded(self, lane: Lane, batches: Iterable[list[Row]]) -> Iterator[tuple[list[str], Vectors]]:
        """At most two batches a process are under way: what is waiting costs memory."""
        waiting: dict[Future[Vectors], list[str]] = {}
        stream = iter(batches)
        try:
            while True:
                for batch in islice(stream, 2 * self._processes - len(waiting)):
                    given = [given for _, given in batch]
                    future = self._pool.submit(_encoded_there, self._home, lane.role, lane.domain, given)
                    waiting[future] = [key for key, _ in batch]
                if not waiting:
                    return
                for future in wait(waiting, return_when=FIRST_COMPLETED).done:
                    yield waiting.pop(future), future.result()
        except BrokenProcessPool as error:
            raise Unavailable(
                "A process that embeds died, perhaps for lack of memory; what was embedded is stored. Repeat the "
                "command with a smaller CONSULT_ENCODERS__PROCESSES."
            ) from error


def _encoded(home: Path, lane: Lane, given: Sequence[str]) -> Vectors:
    return lane.encode([pixels_of(blobs.get(home, name)) for name in given] if lane.role == IMAGE else given)


# In the processes of a pool

_names = Names()


def _begin(names: Names, threads: int) -> None:
    global _names
    _names = names
    os.environ["OMP_NUM_THREADS"] = str(threads)  # read when torch is imported
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _encoded_there(home: Path, role: str, domain: str | None, given: Sequence[str]) -> Vectors:
    return _encoded(home, _lanes()[role, domain], given)


@cache
def _lanes() -> dict[tuple[str, str | None], Lane]:
    return {(lane.role, lane.domain): lane for lane in load(_names).lanes()}
