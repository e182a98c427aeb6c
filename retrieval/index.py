"""From the library to a generation of the index: the vectors that are still missing, then all records in one stream.

An index is disposable. It is made from the database and the cached vectors alone, without embedding anything twice.
"""

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np

from retrieval.encoders.base import ImageTextEncoder, TextEncoder, Vectors
from retrieval.encoders.folder import pocket
from retrieval.errors import Busy, Misconfigured
from retrieval.library import PAGE, Library, content_hash
from retrieval.select import Calibration
from retrieval.store.base import Store
from retrieval.types import Manifest, Passage, Record, Vector, VectorSpec

IMAGE, IMAGE_TEXT, TEXT = "image", "image_text", "text"  # roles: what was encoded, for which named vector
IMAGE_TEXT_WORDS = 60  # about what a contrastive text tower reads
IMAGE_BATCH, TEXT_BATCH = 16, 64
KEPT_GENERATIONS = 2  # the current one, and the one that readers may just be leaving

Progress = Callable[[str, int, int], None]  # phase, done, total


def no_progress(phase: str, done: int, total: int) -> None:
    """For callers that don't watch."""


@dataclass(frozen=True, slots=True)
class Encoders:
    """What makes the vectors of an index; the names of its named vectors are their identities. `calibration` goes with
    them into the manifest: leg name → [a, b] for `select.Calibration`, and "ks" for the mode "calibrated"."""

    image_text: ImageTextEncoder
    text: TextEncoder
    calibration: dict[str, Any] = field(default_factory=dict)

    def specs(self) -> dict[str, VectorSpec]:
        image_text = VectorSpec(self.image_text.identity, self.image_text.dim)
        return {IMAGE: image_text, IMAGE_TEXT: image_text, TEXT: VectorSpec(self.text.identity, self.text.dim)}


def load_encoders(image_text: str, text: str) -> Encoders:
    """The encoders that settings name, with what was calibrated for them. Raises `Misconfigured`."""
    from retrieval.encoders import load_image_text, load_text

    return Encoders(load_image_text(image_text), load_text(text), calibration(image_text, text))


def calibration(image_text: str, text: str) -> dict[str, Any]:
    """What was calibrated for these encoders, by leg. Raises `Misconfigured`."""
    return _calibration(image_text, "image_text") | _calibration(text, "text")


def encoder_folder(name: str, part: Literal["image_text", "text"]) -> Path | None:
    """Where an encoder's own files lie (`calibration.json`, `domains.json`); None for a name on a hub."""
    folder = pocket(part) if name == "pocket" else Path(name.removeprefix("local-dir:")).expanduser()
    return folder if folder.is_dir() else None


def _calibration(name: str, part: Literal["image_text", "text"]) -> dict[str, Any]:
    """Of the legs this encoder has a part in, from `calibration.json` beside its weights: {"text→passage": [a, b]}."""
    folder = encoder_folder(name, part)
    path = folder / "calibration.json" if folder else None
    if path is None or not path.is_file():
        return {}
    try:
        legs: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        Calibration.of({leg: ab for leg, ab in legs.items() if leg != "ks"})
    except (ValueError, TypeError, AttributeError) as error:
        raise Misconfigured(f"{path} is not a calibration (leg → [a, b]); calibrate again or remove it.") from error
    return legs


def is_current(library: Library, store: Store, encoders: Encoders) -> bool:
    """Whether the index holds what the library holds, in these encoders' vectors."""
    manifest, counts = store.manifest, library.counts()
    return (
        manifest is not None
        and (manifest.vectors, manifest.calibration) == (encoders.specs(), encoders.calibration)
        and manifest.records == counts["passages"] + counts["cases"]
        and library.state("indexed") == library.state("revision")
    )


def rebuild(library: Library, store: Store, encoders: Encoders, progress: Progress = no_progress) -> str:
    """Embeds what is missing, publishes a generation of everything, and returns its name."""
    embed(library, encoders, progress)
    revision = library.state("revision")
    manifest = Manifest(vectors=encoders.specs(), domains=tuple(library.domains()), calibration=encoders.calibration)
    name = store.publish(_records(library, encoders, progress), manifest)
    library.set_indexed(revision)
    for old in store.generations()[:-KEPT_GENERATIONS]:
        with contextlib.suppress(Busy):
            store.delete(old)
    return name


def embed(library: Library, encoders: Encoders, progress: Progress = no_progress) -> int:
    """Computes every vector the library lacks, batch by batch, each batch stored at once; returns how many."""
    pictures = encoders.image_text

    def look(names: Sequence[str]) -> Vectors:
        return pictures.encode_images([library.picture(name) for name in names])

    return (
        _fill(library, pictures.identity, IMAGE, look, pictures.dim, IMAGE_BATCH, progress)
        + _fill(library, pictures.identity, IMAGE_TEXT, pictures.encode_texts, pictures.dim, TEXT_BATCH, progress)
        + _fill(library, encoders.text.identity, TEXT, encoders.text.encode_passages, encoders.text.dim, TEXT_BATCH,
                progress)
    )  # fmt: skip


def _fill(
    library: Library, identity: str, role: str, encode: Callable[[Sequence[str]], Vectors], dim: int, size: int,
    progress: Progress,
) -> int:  # fmt: skip
    have = library.cached(identity, role)
    missing = {content: payload for content, payload in _payloads(library, role) if content not in have}
    rows = sorted(missing.items(), key=lambda row: len(row[1]))  # alike in length: little padding in a batch
    phase = "looking at pictures" if role == IMAGE else f"embedding texts ({role})"
    for at in range(0, len(rows), size):
        batch = rows[at : at + size]
        vectors = np.asarray(encode([payload for _, payload in batch]), dtype=np.float32)
        if vectors.shape != (len(batch), dim) or not np.isfinite(vectors).all():
            raise Misconfigured(f"The encoder {identity} made vectors that can't be used; its weights may be damaged.")
        library.put_vectors(identity, role, ((row[0], vector) for row, vector in zip(batch, vectors, strict=True)))
        progress(phase, at + len(batch), len(rows))
    return len(rows)


def _payloads(library: Library, role: str) -> Iterator[tuple[str, str]]:
    """(content hash, what the encoder is given) of everything that has a vector in this role."""
    if role == IMAGE:
        yield from ((case.sha256, case.sha256) for case in library.cases())
        return
    for passage in library.passages():
        text = image_text_of(passage) if role == IMAGE_TEXT else passage_text(passage)
        yield content_hash(text), text
    if role == TEXT:
        yield from ((content_hash(case.report), case.report) for case in library.cases())


def _records(library: Library, encoders: Encoders, progress: Progress) -> Iterator[Record]:
    counts, names = library.counts(), library.other_names()
    total, done = counts["passages"] + counts["cases"], 0
    seeing, reading = encoders.image_text.identity, encoders.text.identity
    for block in _blocks(library.passages()):
        seen = _vectors(library, seeing, IMAGE_TEXT, [content_hash(image_text_of(passage)) for passage in block])
        read = _vectors(library, reading, TEXT, [content_hash(passage_text(passage)) for passage in block])
        for passage, *vectors in zip(block, seen, read, strict=True):
            text = indexed_text(passage, names.get(passage.document_id, ()))
            yield Record(
                passage.id, "passage", dict(zip((seeing, reading), vectors, strict=True)), text, passage.domain
            )
        progress("building the index", done := done + len(block), total)
    for cases in _blocks(library.cases()):
        seen = _vectors(library, seeing, IMAGE, [case.sha256 for case in cases])
        read = _vectors(library, reading, TEXT, [content_hash(case.report) for case in cases])
        for case, *vectors in zip(cases, seen, read, strict=True):
            named = dict(zip((seeing, reading), vectors, strict=True))
            yield Record(case.id, "case", named, case.report, case.domain, case.patient, case.sha256)
        progress("building the index", done := done + len(cases), total)


T = TypeVar("T")


def _blocks(rows: Iterable[T]) -> Iterator[list[T]]:
    stream = iter(rows)
    while block := list(islice(stream, PAGE)):
        yield block


def _vectors(library: Library, identity: str, role: str, contents: Sequence[str]) -> list[Vector]:
    found = library.vectors(identity, role, contents)
    if not found.keys() >= set(contents):  # something was added behind the back of this ingestion
        raise Busy("The library was changed while its index was built. Run `consult knowledge rebuild`.")
    return [found[content] for content in contents]


def passage_text(passage: Passage) -> str:
    """What the text encoder reads: a passage says more under its title."""
    return "\n".join(part for part in (passage.document, passage.section, passage.text) if part)


def indexed_text(passage: Passage, names: Iterable[str]) -> str:
    """What BM25 reads: also the other names of the document's subject."""
    return "\n".join([passage_text(passage), *names])


def image_text_of(passage: Passage) -> str:
    """What the image-text encoder reads: title, section and as many first words as its tower takes."""
    return " ".join(passage_text(passage).split()[:IMAGE_TEXT_WORDS])
