"""One `ask` against the bare engine call on the same prompt: what does everything around the model cost?

Both arms run in turn in one process, on the same warmed worker and the same request; the ratio of their medians is the
figure, and the stages say where the rest goes. Run: `make bench`.
"""

import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from assistant.assistant import Assistant
from assistant.engines.base import Delta, Engine, Prompt
from assistant.events import Done
from assistant.requests import AskRequest
from assistant.settings import Settings, load_settings
from assistant.study import STANDARD_RADIOGRAPH, Picture, Study
from eval.phantoms import make_phantom
from retrieval.encoders.bundle import load
from retrieval.ingest import add_documents, bundled_sources

QUESTIONS = ("Is there a pleural effusion?", "Is there a pneumothorax?", "Is the heart enlarged?", "What is abnormal?")


class Recorder:
    """The engine itself, which keeps the last prompt it was given."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.prompt: Prompt | None = None

    def __getattr__(self, name: str) -> object:
        return getattr(self._engine, name)

    def stream(self, prompt: Prompt) -> AsyncGenerator[Delta, None]:
        self.prompt = prompt
        return self._engine.stream(prompt)


def apart(settings: Settings, home: Path) -> Settings:
    """The same models over a library of its own: never the index that a server of this installation serves."""
    retrieval = settings.retrieval.model_copy(update={"url": None})
    return settings.model_copy(update={"home": home, "retrieval": retrieval})


async def measure(assistant: Assistant, rounds: int) -> tuple[list[float], list[float], dict[str, list[float]]]:
    """Seconds of each whole ask, of each bare call, and of each stage of the asks."""
    bare_engine, recorder = assistant.engine, Recorder(assistant.engine)
    assistant.engine = recorder  # type: ignore[assignment]
    whole: list[float] = []
    bare: list[float] = []
    stages: dict[str, list[float]] = {}
    for n in range(-1, rounds):  # the first is to warm up
        picture = Picture(make_phantom(9000 + n, size=512).pixels, "DX", "PA", STANDARD_RADIOGRAPH)
        request = AskRequest(study=Study((picture,)), question=QUESTIONS[n % len(QUESTIONS)])
        recorder.prompt = None
        start = time.perf_counter()
        async with aclosing(assistant.run(request)) as events:
            end = [event async for event in events][-1]
        took = time.perf_counter() - start
        if recorder.prompt is None or n < 0:  # refused before the engine was asked, or warming up
            continue
        start = time.perf_counter()
        async with aclosing(bare_engine.stream(recorder.prompt)) as deltas:
            async for _ in deltas:
                pass
        bare.append(time.perf_counter() - start)
        whole.append(took)
        assert isinstance(end, Done)
        for stage, seconds in end.timings.items():
            stages.setdefault(stage, []).append(seconds)
    return whole, bare, stages


def main(rounds: Annotated[int, typer.Option(min=4, help="asks to time")] = 20) -> None:
    """Print the ratio whole/bare and the median of each stage."""
    settings = load_settings()
    with tempfile.TemporaryDirectory() as home:
        settings = apart(settings, Path(home))
        assistant = Assistant.open(settings)
        encoders = load(settings.encoders.names)
        add_documents(assistant.library, assistant.retriever.store, encoders, bundled_sources())

        async def everything() -> tuple[list[float], list[float], dict[str, list[float]]]:
            await assistant.warm()
            try:
                return await measure(assistant, rounds)
            finally:
                await assistant.close()

        whole, bare, stages = asyncio.run(everything())
    ratio = statistics.median(whole) / statistics.median(bare)
    first = stages.pop("first_sentence", [])
    table = Table("stage", "median ms", "share of the whole")
    for stage, seconds in stages.items():
        middle = statistics.median(seconds)
        table.add_row(stage, f"{1000 * middle:.1f}", f"{middle / statistics.median(whole):.1%}")
    console = Console()
    console.print(table)
    console.print(f"whole {1000 * statistics.median(whole):.0f} ms, bare {1000 * statistics.median(bare):.0f} ms")
    console.print(f"ratio whole / bare: {ratio:.3f} over {len(whole)} asks")
    if first:
        told = f"median {1000 * statistics.median(first):.0f} ms, slowest {1000 * max(first):.0f} ms"
        console.print(f"first sentence, checked and released: {told} of {len(first)} answers")


if __name__ == "__main__":
    typer.run(main)
