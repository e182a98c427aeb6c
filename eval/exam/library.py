"""What is searched while a benchmark is sat. Each corpus has a library of its own below the exam's folder; the user's
own is only read."""

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from PIL import Image

from assistant.assistant import Assistant
from assistant.settings import Settings
from eval.exam.benchmark import Corpus
from eval.leaks import Seeds
from eval.ledger import CORPUS_SEEDS
from eval.phantom_cli import truth
from eval.phantoms import make_phantom
from retrieval.cases import picture_reader
from retrieval.embed import Progress, no_progress
from retrieval.encoders.bundle import Encoders
from retrieval.ingest import add_cases, add_documents, bundled_sources, find_sources
from retrieval.library import Library
from retrieval.retriever import Retriever
from retrieval.store import Store, open_store
from retrieval.types import Case

CASES = 48  # phantoms of the training family beside the cards
_PHANTOM = re.compile(r"Synthetic study, family (\S+), seed (\d+)")


def bundled_documents() -> list[Path]:
    return [source.data for source in bundled_sources() if isinstance(source.data, Path)]


def phantom_cases(folder: Path, n: int = CASES, first: int = CORPUS_SEEDS.start, family: str = "train") -> Path:
    """Pictures and a manifest of `n` phantoms; returns the manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    manifest = folder / "studies.jsonl"
    with manifest.open("w", encoding="utf-8") as lines:
        for seed in range(first, first + n):
            phantom = make_phantom(seed, family=family)
            Image.fromarray(phantom.pixels).save(folder / f"{phantom.id}.png")
            lines.write(json.dumps(truth(phantom, f"{phantom.id}.png"), ensure_ascii=False) + "\n")
    return manifest


def phantoms_of(case: Case) -> tuple[Seeds, ...]:
    """Which phantom a case is, as its source says; () for a patient's."""
    return tuple(Seeds(family, int(seed), int(seed)) for family, seed in _PHANTOM.findall(case.source))


BUNDLED = Corpus("bundled", bundled_documents, phantom_cases)
NONE = Corpus("none")


@contextmanager
def over(
    assistant: Assistant, settings: Settings, corpus: Corpus, folder: Path, progress: Progress = no_progress
) -> Iterator[Assistant]:
    """The same engine and encoders over the library of this corpus, built below `folder` where it isn't yet."""
    old = assistant.retriever
    encoders = replace(old.encoders, fitted=settings.encoders.names.fitted())
    made_by = hashlib.sha256(repr((sorted(old.identities.items()), encoders.fitted)).encode()).hexdigest()[:8]
    home = folder / f"{corpus.name}-{made_by}"
    store, library = open_store(home), Library(home)
    try:
        if not (done := home / "complete").exists():
            _fill(store, library, encoders, corpus, progress)
            done.touch()
        retriever = Retriever(store, library, old.encoders, old.selection)
        yield Assistant(assistant.engine, retriever, assistant.domains)
    finally:
        store.close()
        library.close()


def _fill(store: Store, library: Library, encoders: Encoders, corpus: Corpus, progress: Progress) -> None:
    if corpus.documents:
        bundled = {source.data: source for source in bundled_sources()}
        sources = [bundled.get(source.data, source) for source in find_sources(corpus.documents())]
        add_documents(library, store, encoders, sources, progress=progress)
    if corpus.cases:
        manifest = corpus.cases(library.home / "cases")
        add_cases(library, store, encoders, manifest, picture_reader(), progress=progress)


def contents(library: Library) -> str:
    """Eight hex digits of what a library holds: an exam isn't mixed with one over another library."""
    ids = sorted([passage.id for passage in library.passages()] + [case.id for case in library.cases()])
    return hashlib.sha256("\n".join(ids).encode()).hexdigest()[:8]
