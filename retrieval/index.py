"""From the library to a generation of the index: the vectors that are still missing, then all records in one stream.

An index is disposable. It is made from the database and the cached vectors alone, without embedding anything twice.
"""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

from retrieval.embed import Progress, embed, indexed_text, key_of, no_progress
from retrieval.encoders.bundle import IMAGE, IMAGE_TEXT, TEXT, Encoders, Lane
from retrieval.errors import Busy
from retrieval.fitted import merged
from retrieval.library import PAGE, Library
from retrieval.store.base import Store
from retrieval.types import Case, Fitted, Manifest, Passage, Record, Vector

LAYOUT = "2"  # raise it when the same library gives other records: an index of another layout is built anew
KEPT_GENERATIONS = 2  # the current one, and the one that readers may just be leaving


def is_current(library: Library, store: Store, encoders: Encoders) -> bool:
    """Whether the index holds what the library holds, in these encoders' vectors."""
    manifest = store.manifest
    return (
        manifest is not None
        and manifest.layout == LAYOUT
        and (manifest.vectors, manifest.fitted) == (encoders.specs(), in_force(library, encoders))
        and manifest.records == _indexed(library)
        and library.state("indexed") == library.state("revision")
    )


def _indexed(library: Library) -> int:
    """How many records the library makes: what was condensed from sources that have changed is left out."""
    counts = library.counts()
    stale = sum(1 for document in library.stale() for _ in library.passages(document))
    return counts["passages"] + counts["cases"] - stale


def in_force(library: Library, encoders: Encoders) -> Fitted:
    """What was fitted here, where it was for these encoders, over what came with them."""
    return merged(encoders.fitted, library.fitted(), encoders.identities)


def rebuild(library: Library, store: Store, encoders: Encoders, progress: Progress = no_progress) -> str:
    """Embeds what is missing, publishes a generation of everything, and returns its name."""
    embed(library, encoders, progress)
    revision = library.state("revision")
    fitted = in_force(library, encoders)
    manifest = Manifest(vectors=encoders.specs(), domains=tuple(library.domains()), fitted=fitted, layout=LAYOUT)
    name = store.publish(_records(library, encoders, progress), manifest)
    library.set_indexed(revision)
    for old in store.generations()[:-KEPT_GENERATIONS]:
        with contextlib.suppress(Busy):
            store.delete(old)
    return name


def _records(library: Library, encoders: Encoders, progress: Progress) -> Iterator[Record]:
    names, lanes, stale = library.names_of(), encoders.lanes(), library.stale()
    total, done = _indexed(library), 0
    for passages in _blocks(passage for passage in library.passages() if passage.document_id not in stale):
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
        keys = [key_of(lane.role, block[n]) for n in read]
        found = library.vectors(lane.identity, lane.role, keys)
        if not found.keys() >= set(keys):  # something was added behind the back of this ingestion
            raise Busy("The library was changed while its index was built. Run `consult knowledge rebuild`.")
        for n, key in zip(read, keys, strict=True):
            named[n][lane.identity] = found[key]
    return named
