"""Small benchmarks sat by engines whose faults are known: the perfect one knows the truth by its pictures' hashes."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from assistant.engines.base import EngineInfo, Prompt
from assistant.engines.fake import INFO
from assistant.requests import AskRequest, Request
from assistant.study import Picture
from eval.calibration.reader import SimulatedReader
from eval.exam.benchmark import Benchmark, Item, Row
from eval.exam.candidate import Candidate
from eval.exam.sitting import Journal, sit
from eval.phantoms import make_phantom
from retrieval.types import Case, Evidence
from retrieval.types import Item as Reference
from tests.assistant.parts import make_assistant

Says = Callable[[Prompt], str]
Score = Callable[[Prompt, Sequence[str]], list[float]]
NO_SCORES = replace(INFO, capabilities=INFO.capabilities - {"score"})


@contextmanager
def small_films(*modules: ModuleType) -> Iterator[None]:
    """Films of half the size while it lasts: no engine here looks at them."""
    with pytest.MonkeyPatch.context() as patch:
        for module in modules:
            patch.setattr(module, "SIZE", 256)
        yield


def abstains(prompt: Prompt) -> str:
    return ""


def text_of(prompt: Prompt) -> str:
    return "".join(part for message in prompt.messages for part in message.parts if isinstance(part, str))


def shown(prompt: Prompt) -> tuple[str, ...]:
    return tuple(p.sha256 for message in prompt.messages for p in message.parts if isinstance(p, Picture))


def perfect(asked: Iterable[tuple[Request, str]], otherwise: str = "") -> Says:
    """Gives the answer that goes with the pictures and the question; `otherwise` to anything else."""
    known: dict[tuple[str, ...], list[tuple[str, str]]] = {}
    for request, answer in asked:
        prior = request.prior.pictures if request.prior else ()
        question = request.question if isinstance(request, AskRequest) else ""
        key = tuple(picture.sha256 for picture in (*prior, *request.study.pictures))
        known.setdefault(key, []).append((question, answer))

    def says(prompt: Prompt) -> str:
        text = text_of(prompt)
        return next((answer for question, answer in known.get(shown(prompt), []) if question in text), otherwise)

    return says


def showing(items: Iterable[Item], report: str) -> list[Item]:
    """The same items, with one similar case as the only reference."""
    case = Case("case", "0" * 64, report, "chest_xray")
    return [replace(item, references=Evidence((Reference(1, case, {}, 0.9),), 1)) for item in items]


async def rows_of(
    benchmark: Benchmark, items: Sequence[Item], says: Says, home: Path, *, info: EngineInfo = INFO,
    score: Score | None = None,
) -> list[Row]:  # fmt: skip
    """The rows of a sitting with an engine that says this; `score`: its likelihoods, where they matter."""
    assistant = make_assistant(home / "home", says, info=info)
    if score is not None:

        async def scored(prompt: Prompt, completions: Sequence[str]) -> list[float]:
            return score(prompt, completions)

        assistant.engine.score = scored  # type: ignore[method-assign]
    try:
        return await sit(benchmark, Candidate(assistant), items, Journal(home / "journal" / "rows.jsonl", {}))
    finally:
        await assistant.close()


async def rows_of_oracles(benchmark: Benchmark, items: Sequence[Item], home: Path, errs: float = 0.0) -> list[Row]:
    """As readers sit it that know the truth of their study, and tell it wrongly at this rate: each has its own."""
    rows = []
    for item in items:
        ((family, seed),) = item.phantoms
        assistant = make_assistant(home / item.id, [""], documents={})
        phantom = make_phantom(seed, family=family, size=64)
        assistant.engine = SimulatedReader(phantom, item.truth["history"], errs)
        try:
            rows += await sit(benchmark, Candidate(assistant), [item], Journal(home / item.id / "rows.jsonl", {}))
        finally:
            await assistant.close()
    return rows


def figures_of(benchmark: Benchmark, rows: Sequence[Row]) -> dict[str, float]:
    scores = [row.scores for row in rows]
    return {name: figure(scores) for name, figure in benchmark.figures.items()}
