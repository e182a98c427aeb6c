"""Numbers with their units are copied as they stand: from the findings, the prior report or the history."""

import re

from assistant.reports.checks.base import IMPRESSION, Situation, findings, result
from assistant.reports.claims import EARLIER
from assistant.reports.draft import CheckResult, Draft

CHECK = "numbers"
_UNIT = (
    r"mm|cm|m[lL]|millimet(?:re|er)s?|centimet(?:re|er)s?|%|percent|HU|mmHg|mm Hg|°|degrees|kg|g/d?[lL]|mg/d?[lL]"
    r"|[µu]mol/[lL]|mmol/[lL]|years?|months?|weeks?|days?|hours?"
)
_VALUE = r"\d+(?:[.,]\d+)?"
_MEASURE = re.compile(
    rf"(?<![\w.])({_VALUE}(?:\s*(?:mm|cm)?\s*(?:x|×|by|to|-|–)\s*{_VALUE})*)[\s-]*({_UNIT})(?![A-Za-z])"
    r"|(?<![\w.])(\d+\.\d+)(?![\w.]*\d)"
)


def measures(text: str) -> set[str]:
    """Every number with its unit, and every decimal, as it stands but for blanks and the sign between two numbers."""
    found = set()
    for value, unit, bare in _MEASURE.findall(text):
        found.add(re.sub(r"\s*(?:×|by)\s*|\s+", lambda m: "x" if m[0].strip() else "", f"{value} {unit}") or bare)
    return found


def numbers_copied(draft: Draft, situation: Situation) -> list[CheckResult]:
    """The impression's numbers stand in the findings or in what the request tells of today; those of an earlier study
    and of the history, in what the request tells."""
    told = measures(situation.told)
    asked = measures(f"{situation.indication}\n{situation.history}")
    described = asked | measures(" ".join(said.text for said in findings(draft)))
    found = []
    for section in draft.sections:
        for said in section.statements:
            today, earlier = _parts(said.text)
            strange = earlier - told
            if section.name == IMPRESSION:
                strange |= today - described - {m for c in said.citations for m in measures(c.quote)}
            elif section.name in ("indication", "history"):
                strange |= today - asked
            if strange:
                message = f"{', '.join(sorted(strange))}: stands nowhere in what it is taken from."
                found.append(result(CHECK, "critical", message, said.id))
    return found


def _parts(text: str) -> tuple[set[str], set[str]]:
    """The measures of today, and those of an earlier study: "12 mm, previously 8 mm" has one of each."""
    parts = re.split(r",(?!\d)|[;:(]|\b(?:now|today|currently)\b", text)
    earlier = [part for part in parts if EARLIER.search(part)]
    today = [part for part in parts if not EARLIER.search(part)]
    return {m for part in today for m in measures(part)}, {m for part in earlier for m in measures(part)}
