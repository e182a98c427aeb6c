"""Checks on a whole draft. Pure: a draft and what is known of the request in, what was noticed out."""

from collections.abc import Callable
from dataclasses import dataclass

from assistant.reports.draft import CheckResult, Draft
from assistant.reports.template import Template


@dataclass(frozen=True, slots=True)
class Situation:
    """`prior`: the request has pictures of a prior study; `sides`: left and right can be told in the pictures."""

    prior: bool
    prior_report: str
    sides: bool
    indication: str
    template: Template


Check = Callable[[Draft, Situation], list[CheckResult]]


def missing(draft: Draft, _: Situation) -> list[CheckResult]:
    """What must be said and is not."""
    return [CheckResult(check="missing", message=f"The draft does not say: {what}.") for what in draft.missing]


CHECKS: tuple[Check, ...] = (missing,)
