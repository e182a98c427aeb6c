"""From the library to a generation of the index: the vectors that are still missing, then all records in one stream.

An index is disposable. It is made from the database and the cached vectors alone, without embedding anything twice.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

from retrieval.encoders.bundle import IMAGE, IMAGE_TEXT, TEXT, Encoders, Lane
from retrieval.errors import Busy
from retrieval.library import PAGE, Library, content_hash
from retrieval.store.base import Store
from retrieval.types import Case, Manifest, Passage, Record, Vector

IMAGE_TEXT_WORDS = 60  # about what a contrastive text tower reads
IMAGE_BATCH, TEXT_BATCH = 16, 64
KEPT_GENERATIONS = 2  # the current one, and the one that readers may just be leaving

Progress = Callable[[str, int, int], None]  # phase, done, total


def no_progress(phase: str, done: int, total: int) -> None:
    """For callers that don't watch."""


def is_current(library: Library, store: Store, encoders: Encoders) -> bool:
    """Whether the index holds what the library holds, in these encoders' vectors."""
    manifest, counts = store.manifest, library.counts()
    return (
        manifest is not None
        and (manifest.vectors, manifest.fitted) == (encoders.specs(), encoders.fitted)
        and manifest.records == counts["passages"] + counts["cases"]
        and library.state("indexed") == library.state("revision")
    )


def rebuild(library: Library, store: Store, encoders: Encoders, progress: Progress = no_progress) -> str:
    """Embeds what is missing, publishes a generation of everything, and returns its name."""
    embed(library, encoders, progress)
    revision = library.state("revision")
    manifest = Manifest(vectors=encoders.specs(), domains=tuple(library.domains()), fitted=encoders.fitted)
    name = store.publish(_records(library, encoders, progress), manifest)
    library.set_indexed(revision)
    for old in store.generations()[:-KEPT_GENERATIONS]:
        with contextlib.suppress(Busy):
            store.delete(old)
    return name


def embed(library: Library, encoders: Encoders, progress: Progress = no_progress) -> int:
    """Computes every vector the library lacks, batch by batch, each batch stored at once; returns how many."""
    return sum(_fill(library, lane, progress) for lane in encoders.lanes())


def _fill(library: Library, lane: Lane, progress: Progress) -> int:
    have = library.cached(lane.identity, lane.role)
    missing: dict[str, str] = {}
    for item in _items(library, lane.role):
        if lane.reads(item.domain) and (key := _key(lane.role, item)) not in have:
            missing[key] = _given(lane.role, item)
    rows = sorted(missing.items(), key=lambda row: len(row[1]))  # alike in length: little padding in a batch
    size, phase = (
        (IMAGE_BATCH, "looking at pictures") if lane.role == IMAGE else (TEXT_BATCH, f"embedding texts ({lane.name})")
    )
    for at in range(0, len(rows), size):
        batch = rows[at : at + size]
        given = [library.picture(name) if lane.role == IMAGE else name for _, name in batch]
        keys = (key for key, _ in batch)
        library.put_vectors(lane.identity, lane.role, zip(keys, lane.encode(given), strict=True))
        progress(phase, at + len(batch), len(rows))
    return len(rows)


def _items(library: Library, role: str) -> Iterator[Passage | Case]:
    """Everything that has a vector in this role."""
    if role != IMAGE:
        yield from library.passages()
    if role != IMAGE_TEXT:
        yield from library.cases()


def _given(role: str, item: Passage | Case) -> str:
    """What the encoder is given; the name of a picture stands for it."""
    if isinstance(item, Case):
        return item.sha256 if role == IMAGE else item.report
    return image_text_of(item) if role == IMAGE_TEXT else passage_text(item)


def _key(role: str, item: Passage | Case) -> str:
    """What names a vector in the cache."""
    given = _given(role, item)
    return given if role == IMAGE else content_hash(given)


def _records(library: Library, encoders: Encoders, progress: Progress) -> Iterator[Record]:
    counts, names, lanes = library.counts(), library.names_of(), encoders.lanes()
    total, done = counts["passages"] + counts["cases"], 0
    for passages in _blocks(library.passages()):
        for passage, vectors in zip(passages, _vectors(library, lanes, passages), strict=True):
            text = indexed_text(passage, names.get(passage.document_id, ()))
            yield Record(passage.id, "passage", vectors, text, passage.domain, superseded=passage.newer is not None)
        progress("building the index", done := done + len(passages), total)
    for cases in _blocks(library.cases()):
        for case, vectors in zip(cases, _vectors(library, lanes, cases), strict=True):
            yield Record(case.id, "case", vectors, case.report, case.domain, case.patient, case.sha256)
        progress("building the index", done := done + len(cases), total)


T = TypeVar("T")


def _blocks(rows: Iterable[T]) -> Iterator[list[T]]:
    stream = iter(rows)
    while block := list(islice(stream, PAGE)):
        yield block


def _vectors(library: Library, lanes: Sequence[Lane], block: Sequence[Passage | Case]) -> list[dict[str, Vector]]:
    """By item the vectors of all lanes that read it, by encoder."""
    named: list[dict[str, Vector]] = [{} for _ in block]
    roles = (IMAGE_TEXT if isinstance(block[0], Passage) else IMAGE, TEXT)
    for lane in (lane for lane in lanes if lane.role in roles):
        read = [n for n, item in enumerate(block) if lane.reads(item.domain)]
        keys = [_key(lane.role, block[n]) for n in read]
        found = library.vectors(lane.identity, lane.role, keys)
        if not found.keys() >= set(keys):  # something was added behind the back of this ingestion
            raise Busy("The library was changed while its index was built. Run `consult knowledge rebuild`.")
        for n, key in zip(read, keys, strict=True):
            named[n][lane.identity] = found[key]
    return named


def passage_text(passage: Passage) -> str:
    """What the text encoder reads: a passage says more under its title."""
    return "\n".join(part for part in (passage.document, passage.section, passage.text) if part)


def indexed_text(passage: Passage, names: Iterable[str]) -> str:
    """What BM25 reads: also the other names of the document's subject."""
    return "\n".join([passage_text(passage), *names])


def image_text_of(passage: Passage) -> str:
    """What the image-text encoder reads: title, section and as many first words as its tower takes."""
    return " ".join(passage_text(passage).split()[:IMAGE_TEXT_WORDS])
