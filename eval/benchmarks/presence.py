"""Present or absent: does the assistant see each finding in phantoms it never saw, with and without retrieval?

Balanced accuracy is the mean of sensitivity and specificity; an answer that says neither yes nor no counts as wrong.
Run: `python -m eval.benchmarks.presence`.
"""

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from assistant.assistant import Assistant
from assistant.events import Sentence
from assistant.requests import AskRequest
from assistant.settings import Settings, load_settings
from assistant.study import STANDARD_RADIOGRAPH, Picture, Study
from eval.bench.ask import apart
from eval.phantoms import FINDINGS, make_phantom
from retrieval.index import load_encoders
from retrieval.ingest import add_documents, bundled_sources

FIRST_SEED = 5_000_000  # training takes its phantoms from 1,000,000 on
Outcome = tuple[str, bool, bool | None, int]  # finding, present, said, citations


def items(n: int, family: str) -> Iterator[tuple[Study, str, str, bool]]:
    """(study, question, finding, present) of every presence question about `n` fresh phantoms."""
    for seed in range(FIRST_SEED, FIRST_SEED + n):
        phantom = make_phantom(seed, size=512, family=family)
        study = Study((Picture(phantom.pixels, "DX", "PA", STANDARD_RADIOGRAPH),))
        for question in phantom.questions:
            if question.kind == "presence" and question.finding:
                yield study, question.text, question.finding, bool(question.present)


async def ask(assistant: Assistant, study: Study, question: str) -> tuple[bool | None, int]:
    """What the first sentence says (None: neither yes nor no), and how many citations resolved."""
    async with aclosing(assistant.run(AskRequest(study=study, question=question))) as events:
        said = [event async for event in events if isinstance(event, Sentence)]
    first = said[0].text.lower() if said else ""
    verdict = {"yes": True, "no,": False, "no ": False}.get(first[:3])
    return verdict, sum(len(sentence.citations) for sentence in said)


async def measure(settings: Settings, knowledge: bool, n: int, family: str) -> list[Outcome]:
    """One arm: a library with the bundled cards, or an empty one."""
    with tempfile.TemporaryDirectory() as home:
        assistant = Assistant.open(apart(settings, Path(home)))
        try:
            if knowledge:
                encoders = load_encoders(settings.encoders.image_text, settings.encoders.text)
                add_documents(assistant.library, assistant.retriever.store, encoders, bundled_sources())
            await assistant.warm()
            outcomes = []
            name = "with retrieval" if knowledge else "without retrieval"
            for study, question, finding, present in track(list(items(n, family)), description=name):
                outcomes.append((finding, present, *await ask(assistant, study, question)))
            return outcomes
        finally:
            await assistant.close()


def balanced_accuracy(outcomes: list[Outcome]) -> float:
    """Mean of the shares of present and of absent findings that were told right; nan when one of them is empty."""
    right = {side: [said == side for _, present, said, _ in outcomes if present == side] for side in (True, False)}
    return sum(sum(row) / len(row) if row else float("nan") for row in right.values()) / 2


def main(
    n: Annotated[int, typer.Option(min=10, help="fresh phantoms")] = 200,
    family: Annotated[str, typer.Option(help="family of anatomy, texture and wording: train or exam")] = "train",
) -> None:
    """Print balanced accuracy by finding, with and without retrieval."""
    settings = load_settings()
    arms = [asyncio.run(measure(settings, knowledge, n, family)) for knowledge in (False, True)]
    table = Table("finding", "present", "without retrieval", "with retrieval", "cited", title=f"{n} phantoms, {family}")
    for finding in FINDINGS:
        rows = [[outcome for outcome in arm if outcome[0] == finding] for arm in arms]
        cited = sum(bool(outcome[3]) for outcome in rows[1]) / len(rows[1])
        figures = [f"{balanced_accuracy(row):.3f}" for row in rows]
        table.add_row(finding, str(sum(present for _, present, _, _ in rows[0])), *figures, f"{cited:.0%}")
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
