"""Report drafting: a preliminary report by the sections of a template, from pictures, indication and prior."""

from collections.abc import Sequence

from assistant.checks import sides_agree
from assistant.events import EvidenceItem, Finding, Identity, Sentence
from assistant.reports.checks import CHECKS, Situation
from assistant.reports.draft import CheckResult, statement_id
from assistant.reports.draft import Draft as Report
from assistant.reports.drafting import make_draft
from assistant.reports.template import COMPARISON
from assistant.requests import ReportRequest
from assistant.study import sides_known
from assistant.tasks.base import Draft, Task, quoted
from assistant.tasks.vqa import TERMS

NO_PRIOR = "No prior study is available."
NO_PRIOR_PICTURES = "No pictures of a prior study are available."
PRELIMINARY = Finding(
    check="preliminary", message="This is a preliminary draft until a person has signed it.", severity="note"
)


def sections(request: ReportRequest) -> tuple[str, ...]:
    return request.template.parsed()


def lookup(request: ReportRequest) -> str:
    return " ".join(filter(None, (request.indication, request.history)))


def draft(request: ReportRequest, evidence: Sequence[EvidenceItem]) -> Draft:
    """Cases inform by what was found in them, so that their style and their negatives are not copied."""
    context = [
        ("Indication", request.indication), ("History", request.history), ("Prior report", request.prior_report)
    ]  # fmt: skip
    asked = ", ".join(element.name for element in request.template.asked(request.indication))
    return Draft(
        f"Task: draft the report. Sections: {', '.join(request.template.names)}.",
        tuple(evidence), request.study, f"Draft the report. Answer: {asked}." if asked else "Draft the report.",
        request.prior, context=tuple((name, text) for name, text in context if text), entities=True,
    )  # fmt: skip


def own(request: ReportRequest) -> list[tuple[str, str]]:
    """A missing prior is said by us: a model would be tempted to imagine one."""
    if request.prior or COMPARISON not in request.template.names:
        return []
    return [(COMPARISON, NO_PRIOR_PICTURES if request.prior_report else NO_PRIOR)]


def review(request: ReportRequest, sentences: Sequence[Sentence]) -> list[Finding]:
    """The checks on the whole draft, and that sides agree."""
    situation = Situation(
        prior=request.prior is not None, prior_report=request.prior_report, sides=sides_known(request.study.pictures),
        indication=request.indication, template=request.template,
    )  # fmt: skip
    whole = _drafted(request, sentences)
    index = {statement_id(sentence.index): sentence.index for sentence in sentences}
    results = [result for check in CHECKS for result in check(whole, situation)]
    found = [
        Finding(
            check=result.check, message=result.message, severity=result.severity,
            sentences=tuple(index[name] for name in result.statements),
        )
        for result in results
    ]  # fmt: skip
    return [*sides_agree(sentences, TERMS), *found]


def repair(sentences: Sequence[Sentence], failed: Sequence[Finding]) -> str:
    """What is asked once more: the failed checks, each with the sentences it is about."""
    text = {sentence.index: f"[{sentence.section}] {quoted(sentence.text)}" for sentence in sentences}
    lines = [
        " ".join((f"- {quoted(one.message)}", *(text[index] for index in one.sentences if index in text)))
        for one in failed
    ]
    return "\n".join(("These checks failed:", *lines, "Write only the corrected and the missing lines."))


def report(
    request: ReportRequest,
    sentences: Sequence[Sentence],
    superseded: Sequence[Sentence],
    findings: Sequence[Finding],
    identity: Identity,
) -> Report:
    checks = tuple(
        CheckResult(
            check=one.check,
            severity=one.severity,
            message=one.message,
            statements=tuple(map(statement_id, one.sentences)),
        )
        for one in findings
    )
    return _drafted(request, sentences, superseded).model_copy(update={"checks": checks, "identity": identity})


def _drafted(request: ReportRequest, sentences: Sequence[Sentence], superseded: Sequence[Sentence] = ()) -> Report:
    return make_draft(
        request.template, sentences, superseded, indication=request.indication, prior=request.prior is not None
    )


REPORT: Task[ReportRequest] = Task(
    "report", sections, lookup, draft, review, (PRELIMINARY,), own=own, repair=repair, report=report
)
