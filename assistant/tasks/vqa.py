"""Visual question answering: a question about the pictures, answered and grounded."""

from collections.abc import Sequence

from assistant.checks import sides_agree
from assistant.events import EvidenceItem, Finding, Sentence
from assistant.requests import AskRequest
from assistant.tasks.base import Draft, Task, quoted

TASK = "Task: answer the question. Sections: answer, guideline."
SECTIONS = ("answer", "guideline")
TERMS = ("pleural effusion", "pneumothorax", "consolidation", "nodule")


def draft(request: AskRequest, evidence: Sequence[EvidenceItem]) -> Draft:
    question = f"Question: {quoted(request.question)}"
    return Draft(TASK, tuple(evidence), request.study, question, request.prior, request.earlier)


def review(_: AskRequest, sentences: Sequence[Sentence]) -> list[Finding]:
    return sides_agree(sentences, TERMS)


VQA: Task[AskRequest] = Task("ask", lambda _: SECTIONS, lambda request: request.question, draft, review)
