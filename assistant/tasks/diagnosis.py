"""Differential diagnosis: the model's own list, then `assistant.diagnosis` holds candidates to their guidelines."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING

from assistant.checks import sides_agree
from assistant.diagnosis.values import read_values
from assistant.events import Event, EvidenceItem, Finding, Sentence
from assistant.requests import DiagnoseRequest
from assistant.tasks.base import Draft, Task
from assistant.tasks.vqa import TERMS

if TYPE_CHECKING:
    from assistant.bench import Bench

CHECKLIST = "checklist"  # the section of the readings that decide criteria
SECTIONS = ("diagnosis", "guideline")
TASK = "Task: list the likely diagnoses. Sections: diagnosis, guideline."


def lookup(request: DiagnoseRequest) -> str:
    """Raises `BadInput` for a laboratory value that can't be read or can't be: before anything is asked of anybody."""
    read_values(request.laboratory)
    return " ".join(filter(None, (*request.candidates, request.history)))


def draft(request: DiagnoseRequest, evidence: Sequence[EvidenceItem]) -> Draft:
    laboratory = "; ".join(f"{name} {value}" for name, value in request.laboratory.items())
    context = [("History", request.history), ("Laboratory", laboratory), ("Candidates", "; ".join(request.candidates))]
    return Draft(
        TASK, tuple(evidence), request.study, "List the likely diagnoses.", request.prior,
        context=tuple((name, text) for name, text in context if text),
    )  # fmt: skip


def review(_: DiagnoseRequest, sentences: Sequence[Sentence]) -> list[Finding]:
    """Sides agree in what the model says by itself; a list that cites no guideline says so."""
    sentences = [sentence for sentence in sentences if sentence.section != CHECKLIST]
    found = sides_agree(sentences, TERMS)
    if not any(sentence.support == "cited" for sentence in sentences):
        note = "No guideline supports this list: it rests on the model's reading of the picture alone."
        found.append(Finding(check="no-guideline", message=note))
    return found


async def further(bench: "Bench") -> AsyncGenerator[Event, None]:
    from assistant.diagnosis.differential import differential  # itself needs this package

    async with aclosing(differential(bench)) as events:
        async for event in events:
            yield event
    for finding in bench.review():
        yield finding


DIAGNOSIS: Task[DiagnoseRequest] = Task("diagnose", lambda _: SECTIONS, lookup, draft, review, further=further)
