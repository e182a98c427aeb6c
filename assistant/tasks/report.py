"""Report drafting: a preliminary report by the sections of a template, from pictures, indication and prior."""

from collections.abc import AsyncGenerator, Sequence
from typing import TYPE_CHECKING

from assistant.events import Drafted, Event, EvidenceItem, Finding, Sentence
from assistant.places import UNABLE, locate, visible
from assistant.reports.checks import Shown, Situation, checked
from assistant.reports.draft import CheckResult, statement_id
from assistant.reports.draft import Draft as Report
from assistant.reports.drafting import make_draft
from assistant.reports.template import COMPARISON
from assistant.requests import ReportRequest
from assistant.study import sides_known
from assistant.tasks.base import Draft, Task, quoted

if TYPE_CHECKING:
    from assistant.bench import Bench

NO_PRIOR = "No prior study is available."
NO_PRIOR_PICTURES = "No pictures of a prior study are available."
PRELIMINARY = Finding(
    check="preliminary", message="This is a preliminary draft until a person has signed it.", severity="note"
)
NO_REGIONS = Finding(check="no-regions", message=UNABLE, severity="note")


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
    """The checks on the whole draft."""
    whole = checked(_drafted(request, sentences), situation_of(request))
    index = {statement_id(sentence.index): sentence.index for sentence in sentences}
    return [
        Finding(
            check=result.check, message=result.message, severity=result.severity,
            sentences=tuple(index[name] for name in result.statements),
        )
        for result in whole.checks
    ]  # fmt: skip


def situation_of(request: ReportRequest) -> Situation:
    """What the checks must know of the request."""
    return Situation(
        template=request.template, prior=request.prior is not None, prior_report=request.prior_report,
        indication=request.indication, history=request.history, sides=sides_known(request.study.pictures),
        shown=tuple(
            Shown(picture.pixels.shape[1], picture.orientation.right == "L" if picture.orientation else None)
            for picture in request.study.pictures
        ),
    )  # fmt: skip


async def further(bench: "Bench") -> AsyncGenerator[Event, None]:
    """The checks, one try at mending what they found, where what stands then is seen, what the checks find of it, and
    the typed draft."""
    failed = bench.review()
    for finding in failed:
        yield finding
    if bench.silent:
        return
    for sentence in await _mended(bench, failed):
        yield sentence
    assert isinstance(bench.course.request, ReportRequest)
    seen = visible(bench.course.standing, _seen_in(bench.course.request))
    located = await locate(bench, seen)
    if located.places:
        yield located
    unable = [NO_REGIONS] if seen and not located.encoder else []
    for finding in bench.review() + unable:
        if finding not in failed:
            yield finding
    draft = _report(bench)
    told = tuple(CheckResult(check=one.check, severity=one.severity, message=one.message) for one in unable)
    yield Drafted(draft=draft.model_copy(update={"checks": draft.checks + told}))


def _seen_in(request: ReportRequest) -> tuple[str, ...]:
    """The sections that say what the pictures show."""
    return tuple(s.name for s in request.template.sections if s.findings or s.name == "impression")


async def _mended(bench: "Bench", found: Sequence[Finding]) -> list[Sentence]:
    """It is heard to its end before any of it is released, since it is released only if it mends something."""
    failed, standing = [finding for finding in found if finding.severity != "note"], bench.course.standing
    if not failed:
        return []
    answer = "\n".join(f"[{sentence.section}] {sentence.text}" for sentence in standing)
    heard = await bench.again(answer, repair(standing, failed))
    if heard is None:
        bench.course.warnings.append("What the checks found was not put to the model again: the prompt is too long.")
        return []
    named = frozenset(index for finding in failed for index in finding.sentences)
    return bench.course.mend(*heard, named, lambda sentences: _failing(bench.review(sentences)))


def _failing(findings: Sequence[Finding]) -> int:
    return sum(finding.severity != "note" for finding in findings)


def repair(sentences: Sequence[Sentence], failed: Sequence[Finding]) -> str:
    """What is asked once more: the failed checks, each with the sentences it is about."""
    text = {sentence.index: f"[{sentence.section}] {quoted(sentence.text)}" for sentence in sentences}
    lines = [
        " ".join((f"- {quoted(one.message)}", *(text[index] for index in one.sentences if index in text)))
        for one in failed
    ]
    return "\n".join(("These checks failed:", *lines, "Write only the corrected and the missing lines."))


def _report(bench: "Bench") -> Report:
    course, request = bench.course, bench.course.request
    assert isinstance(request, ReportRequest)
    gone = [sentence for sentence in course.sentences if sentence.index in course.superseded]
    whole = checked(_drafted(request, course.standing, gone), situation_of(request))
    return whole.model_copy(update={"identity": bench.identity})


def _drafted(request: ReportRequest, sentences: Sequence[Sentence], superseded: Sequence[Sentence] = ()) -> Report:
    return make_draft(
        request.template, sentences, superseded, indication=request.indication, prior=request.prior is not None
    )


REPORT: Task[ReportRequest] = Task("report", sections, lookup, draft, review, (PRELIMINARY,), own, further)
