"""Differential diagnosis, first version: candidates with what speaks for them, each resting on picture or guideline."""

from collections.abc import Sequence

from assistant.checks import sides_agree
from assistant.events import EvidenceItem, Finding, Sentence
from assistant.requests import DiagnoseRequest
from assistant.tasks.base import Draft, Task
from assistant.tasks.vqa import TERMS

TASK = "Task: list the likely diagnoses. Sections: diagnosis, guideline."


def lookup(request: DiagnoseRequest) -> str:
    return " ".join(filter(None, (*request.candidates, request.history)))


def draft(request: DiagnoseRequest, evidence: Sequence[EvidenceItem]) -> Draft:
    laboratory = "; ".join(f"{name} {value}" for name, value in request.laboratory.items())
    context = [("History", request.history), ("Laboratory", laboratory), ("Candidates", "; ".join(request.candidates))]
    return Draft(
        TASK, tuple(evidence), request.study, "List the likely diagnoses.", request.prior,
        context=tuple((name, text) for name, text in context if text),
    )  # fmt: skip


def review(_: DiagnoseRequest, sentences: Sequence[Sentence]) -> list[Finding]:
    """Sides agree; a differential that cites no guideline says so."""
    found = sides_agree(sentences, TERMS)
    if not any(sentence.support == "cited" for sentence in sentences):
        note = "No guideline supports this list: it rests on the model's reading of the picture alone."
        found.append(Finding(check="no-guideline", message=note))
    return found


DIAGNOSIS: Task[DiagnoseRequest] = Task("diagnose", lambda _: ("diagnosis", "guideline"), lookup, draft, review)
