"""What must be said and is not."""

from assistant.reports.checks.base import Situation, result
from assistant.reports.draft import CheckResult, Draft
from assistant.reports.missing import missing


def complete(draft: Draft, situation: Situation) -> list[CheckResult]:
    """A check for each thing that is missing."""
    gone = missing(draft, situation.template, prior=situation.prior)
    return [result("missing", "warning", f"The draft does not say: {what}.") for what in gone]
