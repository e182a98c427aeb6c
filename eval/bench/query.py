"""What one query costs beside the model: decode, embed, search, select, in core-milliseconds.

A core-millisecond is a millisecond of one core, whichever thread used it. Everything runs in this process, on the
encoders of the settings and a library of its own: the bundled cards and phantom cases. Decoding grows with the file's
pixels, embedding with the number of pictures, search and selection with passages and cases (see `eval.bench.search`).
Run: `python -m eval.bench.query`.
"""

import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from assistant.imaging import read_study
from assistant.settings import load_settings
from eval.exam.library import phantom_cases
from eval.phantoms import make_phantom
from eval.phantoms.dicom import to_dicom
from retrieval.cases import picture_reader
from retrieval.encoders.bundle import Encoders, load
from retrieval.ingest import add_cases, add_documents, bundled_sources
from retrieval.library import Library
from retrieval.retriever import Retriever
from retrieval.store.edge import EdgeStore
from retrieval.types import Query

QUESTIONS = ("Is there a pleural effusion?", "What does this radiograph show?", "Is the heart enlarged?")
WARM_UP = 3


class Clock:
    """Core-seconds by stage of one query."""

    def __init__(self) -> None:
        self.spent: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        start = time.process_time()
        yield
        self.spent[name] = self.spent.get(name, 0.0) + time.process_time() - start


class Timed:
    """Somebody else's object; what its methods take counts for a stage."""

    def __init__(self, inner: Any, clock: Clock, stage: str) -> None:
        self._inner, self._clock, self._stage = inner, clock, stage

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._inner, name)
        if not callable(value):
            return value

        def timed(*arguments: Any) -> Any:
            with self._clock.stage(self._stage):
                return value(*arguments)

        return timed


def query(file: Path, question: str, retriever: Retriever) -> dict[str, float]:
    """Core-seconds by stage of one question about one file."""
    clock = Clock()
    own = retriever.encoders
    eye, reader = Timed(own.image_text, clock, "embed picture"), Timed(own.text, clock, "embed question")
    watched = Retriever(
        Timed(retriever.store, clock, "search"), retriever.library, Encoders(eye, reader), retriever.selection
    )
    start = time.process_time()
    with clock.stage("decode"):
        study, _ = read_study([file], salt=b"bench")
    pixels = tuple(picture.pixels for picture in study.pictures)
    watched.retrieve(Query(question, images=pixels, sha256=tuple(picture.sha256 for picture in study.pictures)))
    clock.spent["select"] = time.process_time() - start - sum(clock.spent.values())
    return clock.spent


def fill(home: Path, cases: int) -> Retriever:
    library, store, encoders = Library(home), EdgeStore(home), load(load_settings().encoders.names)
    add_documents(library, store, encoders, bundled_sources())
    add_cases(library, store, encoders, phantom_cases(home / "cases", cases), picture_reader())
    return Retriever(store, library, encoders)


def main(
    cases: Annotated[int, typer.Option(help="phantom cases beside the cards")] = 48,
    rounds: Annotated[int, typer.Option(min=4)] = 30,
    size: Annotated[int, typer.Option(help="pixels a side of the DICOM file")] = 1024,
) -> None:
    """Print the median core-milliseconds of each stage."""
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        retriever = fill(Path(folder) / "home", cases)
        file = Path(folder) / "study.dcm"
        to_dicom(make_phantom(7, size=size)).save_as(file, enforce_file_format=True)
        runs = [query(file, QUESTIONS[n % len(QUESTIONS)], retriever) for n in range(WARM_UP + rounds)][WARM_UP:]
        counts = retriever.library.counts()
        retriever.store.close()
        retriever.library.close()
    medians = {stage: 1000 * statistics.median(run[stage] for run in runs) for stage in runs[0]}
    table = Table("stage", "core-ms (median)", "share")
    for stage, spent in medians.items():
        table.add_row(stage, f"{spent:.1f}", f"{spent / sum(medians.values()):.0%}")
    console.print(table)
    console.print(
        f"{len(runs)} queries, {size} x {size} DICOM, {counts['passages']} passages, {counts['cases']} cases: "
        f"{sum(medians.values()):.1f} core-ms"
    )


if __name__ == "__main__":
    typer.run(main)
