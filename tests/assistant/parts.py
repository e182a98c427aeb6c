"""An assistant with a small real library and index, fake encoders and an engine that says what it is told."""

from collections.abc import Callable, Sequence
from pathlib import Path

from assistant.assistant import Assistant
from assistant.engines.base import EngineInfo, Prompt
from assistant.engines.fake import INFO, FakeEngine
from assistant.requests import AskRequest
from assistant.study import STANDARD_RADIOGRAPH, Picture, Study
from eval.phantoms import make_phantom
from retrieval.domain import Domains
from retrieval.encoders.bundle import Encoders
from retrieval.encoders.fake import FakeImageTextEncoder, FakeTextEncoder
from retrieval.ingest import Source, add_documents
from retrieval.library import Library
from retrieval.retriever import Retriever
from retrieval.store.memory import MemoryStore

CARD = b"""---
title: Pleural effusion
domain: chest_xray
edition: "2023"
sources: [{organisation: Thoracic Society, title: Pleural disease, year: 2023, section: Imaging}]
---
# Pleural effusion

Fluid between lung and chest wall.

## Radiological findings
- A pleural effusion blunts the costophrenic angle.
- A large pleural effusion has a curved upper edge.

## Next step
- Sample a pleural effusion of unknown cause by aspiration.
"""


def make_assistant(
    home: Path,
    answers: Sequence[str] | Callable[[Prompt], str],
    *,
    documents: dict[str, bytes] | None = None,
    info: EngineInfo = INFO,
    domains: Domains | None = None,
    **engine: object,
) -> Assistant:
    """`documents`: file name → content; the effusion card when not given."""
    library, store = Library(home), MemoryStore()
    encoders = Encoders(FakeImageTextEncoder(), FakeTextEncoder(256))
    given = {"effusion.md": CARD} if documents is None else documents
    if given:
        add_documents(library, store, encoders, [Source(name, name, data) for name, data in given.items()])
    retriever = Retriever(store, library, encoders)
    return Assistant(FakeEngine(answers, info=info, **engine), retriever, domains)  # type: ignore[arg-type]


def study(*, sides: bool = True, seed: int = 0, patient: str | None = None) -> Study:
    """A phantom: a picture the quality gate has nothing to say about."""
    pixels = make_phantom(seed, size=256).pixels
    return Study((Picture(pixels, "DX", "PA", STANDARD_RADIOGRAPH if sides else None),), patient)


def ask(question: str = "Is there a pleural effusion?", **changes: object) -> AskRequest:
    fields: dict[str, object] = {"study": study(), "question": question} | changes
    return AskRequest(**fields)  # type: ignore[arg-type]
