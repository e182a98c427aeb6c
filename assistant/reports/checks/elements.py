"""What the template requires and the draft lacks."""

import re
from collections.abc import Iterator

from assistant.reports.checks.base import Situation, findings, result
from assistant.reports.draft import CheckResult, Draft


def missing(draft: Draft, situation: Situation) -> Iterator[str]:
    """Titles of required sections without a statement, and names of elements that nothing speaks of. An element of an
    organ system may stand in any of them."""
    said = {section.name: " ".join(s.text for s in section.statements) for section in draft.sections}
    described = " ".join(statement.text for statement in findings(draft))
    for section in situation.template.sections:
        text = said.get(section.name, "")
        if section.required and not text.strip():
            yield section.title
        for element in section.elements:
            words = "|".join(map(re.escape, element.any_of))
            if not re.search(rf"\b(?:{words})", described if section.findings else text, re.I):
                yield element.name


def complete(draft: Draft, situation: Situation) -> list[CheckResult]:
    return [result("missing", "warning", f"The draft says nothing of: {name}.") for name in missing(draft, situation)]
