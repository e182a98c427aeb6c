"""Report drafting, first version: a preliminary report by section from the pictures, the indication and a prior."""

from collections.abc import Sequence

from assistant.checks import sides_agree
from assistant.events import EvidenceItem, Finding, Sentence
from assistant.requests import ReportRequest
from assistant.tasks.base import Draft, Task
from assistant.tasks.vqa import TERMS

TASK = "Task: draft the report. Sections: technique, comparison, findings, impression."
SECTIONS = ("findings", "technique", "comparison", "impression")  # the first takes lines without a section


def lookup(request: ReportRequest) -> str:
    return request.indication


def draft(request: ReportRequest, evidence: Sequence[EvidenceItem]) -> Draft:
    context = [("Indication", request.indication), ("Prior report", request.prior_report)]
    return Draft(
        TASK, tuple(evidence), request.study, "Draft the report.", request.prior,
        context=tuple((name, text) for name, text in context if text),
    )  # fmt: skip


def review(_: ReportRequest, sentences: Sequence[Sentence]) -> list[Finding]:
    """Sides agree, and the two required sections are there."""
    found = sides_agree(sentences, TERMS)
    present = {sentence.section for sentence in sentences}
    for section in ("findings", "impression"):
        if section not in present:
            found.append(Finding(check="section-missing", message=f"The draft has no {section}.", severity="warning"))
    return found


PRELIMINARY = Finding(
    check="preliminary", message="This is a preliminary draft until a person has signed it.", severity="note"
)
REPORT: Task[ReportRequest] = Task("report", SECTIONS, lookup, draft, review, (PRELIMINARY,))
