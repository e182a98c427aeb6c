"""Visual question answering: a question about the pictures, answered and grounded."""

from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING

from assistant.checks import sides_agree
from assistant.events import Event, EvidenceItem, Finding, Sentence
from assistant.places import locate, visible
from assistant.requests import AskRequest
from assistant.tasks.base import Draft, Task, quoted

if TYPE_CHECKING:
    from assistant.bench import Bench

TASK = "Task: answer the question. Sections: answer, guideline."
SECTIONS = ("answer", "guideline")
TERMS = ("pleural effusion", "pneumothorax", "consolidation", "nodule")


def draft(request: AskRequest, evidence: Sequence[EvidenceItem]) -> Draft:
    question = f"Question: {quoted(request.question)}"
    return Draft(TASK, tuple(evidence), request.study, question, request.prior, request.earlier)


def review(_: AskRequest, sentences: Sequence[Sentence]) -> list[Finding]:
    return sides_agree(sentences, TERMS)


async def further(bench: "Bench") -> AsyncGenerator[Event, None]:
    """Where the answer is seen, then the checks."""
    located = await locate(bench, visible(bench.course.standing, SECTIONS[:1]))
    if located.places:
        yield located
    for finding in bench.review():
        yield finding


VQA: Task[AskRequest] = Task(
    "ask", lambda _: SECTIONS, lambda request: request.question, draft, review, further=further
)
