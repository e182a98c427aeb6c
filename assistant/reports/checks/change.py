"""Change: stated only with an earlier study, and not against what its report says."""

import re
from collections.abc import Iterator, Sequence
from typing import Literal

from assistant.checks import states_change
from assistant.reports.checks.base import Situation, about_patient, findings, named, result
from assistant.reports.claims import THAN_BEFORE, Claim, claims, ends
from assistant.reports.draft import CheckResult, Draft
from assistant.reports.entities import Mention, clauses, label
from assistant.reports.entity_words import Finding

CHECK = "change"
Course = Literal["new", "larger", "smaller", "unchanged", "resolved"]
_COURSES: dict[Course, re.Pattern[str]] = {
    "new": re.compile(r"\b(?:(?<!no )new(?:ly)?|(?:has|have) developed)\b", re.I),
    "larger": re.compile(r"\b(?:larger|bigger|increas\w+|worse\w*|progress\w+|enlarging|grown)\b", re.I),
    "smaller": re.compile(
        r"\b(?:smaller|decreas\w+|improv\w+|regress\w+|(?:partial\w*|incomplete\w*) (?:resol\w+|clear\w+))\b", re.I
    ),
    "unchanged": re.compile(r"\b(?:unchanged|stable|persist\w+|similar|no (?:\w+ ){0,2}change)\b", re.I),
    "resolved": re.compile(
        r"\b(?:(?<!partially )(?<!incompletely )(?:resolved|cleared)|no longer|disappeared|resolution of)\b", re.I
    ),
}
_SILENT = "the prior report does not have it"
_UNSPOKEN: frozenset[Finding] = frozenset(("No Finding", "Support Devices"))


def change_without_prior(draft: Draft, situation: Situation) -> list[CheckResult]:
    if situation.prior:
        return []
    message = "A change is stated, and the request has no prior study."
    return [result(CHECK, "critical", message, said.id) for _, said in about_patient(draft) if states_change(said.text)]


def change_against_prior(draft: Draft, situation: Situation) -> list[CheckResult]:
    """A course that the two studies can't have had: against the prior report, or against the findings of today.

    An earlier report that doesn't name a finding denies it: whoever states its course has it from nowhere."""
    if not situation.prior:
        return []
    today = _present([said.text for said in findings(draft)])
    before = _present([situation.prior_report]) if situation.prior_report.strip() else None
    doubted = {m.finding for m in label(situation.prior_report) if m.state == "uncertain"}
    found = []
    for section, said in about_patient(draft):
        for course, mention in _courses(said.text):
            now = _alike(mention, today)
            why = None if section.findings else _against_today(course, now)
            if why is None and before is not None and mention.finding not in doubted:
                why = _against_before(course, _alike(mention, before), now)
            if why:
                message = f"{named(mention.finding)} is called {course}; {why}."
                found.append(result(CHECK, "note" if why == _SILENT else "warning", message, said.id))
    return found


def _courses(text: str) -> Iterator[tuple[Course, Mention]]:
    """Every finding with the one course that its clause gives it."""
    for _, clause in clauses(THAN_BEFORE.sub("", text)):
        stated = [course for course, words in _COURSES.items() if words.search(clause)]
        if len(stated) == 1:
            yield from ((stated[0], mention) for mention in label(clause) if mention.finding not in _UNSPOKEN)


def _alike(mention: Mention, said: Sequence[Claim]) -> list[Claim]:
    own = ends([mention.side] if mention.side else [])
    return [
        c for c in said
        if c.mention.finding == mention.finding
        and (not own or not c.mention.side or own & ends([c.mention.side]))
    ]  # fmt: skip


def _grades(said: Sequence[Claim]) -> frozenset[int]:
    return frozenset(grade for claim in said for grade in claim.grades)


def _present(texts: Sequence[str]) -> list[Claim]:
    return [claim for claim in claims(texts) if claim.mention.state == "present"]


def _against_today(course: Course, now: Sequence[Claim]) -> str | None:
    if course == "resolved":
        return "the findings have it" if now else None
    return None if now else "the findings do not have it"


def _against_before(course: Course, before: Sequence[Claim], now: Sequence[Claim]) -> str | None:
    if course == "new":
        return "the prior report has it" if before else None
    if not before:
        return _SILENT
    was, is_now = _grades(before), _grades(now)
    if not was or not is_now or course == "resolved":
        return None
    grew, shrank = min(is_now) > max(was), max(is_now) < min(was)
    same = is_now == was and len(was) == 1
    against = {"larger": shrank or same, "smaller": grew or same, "unchanged": grew or shrank}
    return "the severities of the two reports say otherwise" if against[course] else None
