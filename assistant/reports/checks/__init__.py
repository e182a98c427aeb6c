"""Checks on a whole draft: pure functions of the draft and of what the request gave. None changes a statement; what
they notice is shown.

    change       stated without an earlier study, or against its report
    impression   Findings against Impression: unfounded, denied, other side, other severity, left out
    contradiction  found and denied within the findings
    numbers      a number or unit that stands nowhere in what it is taken from
    side         stated where sides can't be told, or on the other half than its region
    support      cited without a citation, or told by nobody
    missing      what the template requires
"""

from assistant.reports.alerts import alerts
from assistant.reports.checks.base import Check, Shown, Situation
from assistant.reports.checks.change import change_against_prior, change_without_prior
from assistant.reports.checks.elements import complete
from assistant.reports.checks.impression import against_findings, against_impression, within_findings
from assistant.reports.checks.numbers import numbers_copied
from assistant.reports.checks.support import side_of_region, side_unknown, unsupported
from assistant.reports.draft import Draft
from assistant.reports.missing import missing

__all__ = ["CHECKS", "Check", "Shown", "Situation", "checked"]

CHECKS: tuple[Check, ...] = (
    change_without_prior, change_against_prior, against_findings, against_impression, within_findings, numbers_copied,
    side_unknown, side_of_region, unsupported, complete,
)  # fmt: skip


def checked(draft: Draft, situation: Situation) -> Draft:
    """The draft with what is noticed of it now, each once, in place of what was noticed before; alerts on top; what is
    missing."""
    noticed = [found for check in CHECKS for found in check(draft, situation)]
    return draft.model_copy(
        update={
            "checks": tuple(found for n, found in enumerate(noticed) if found not in noticed[:n]),
            "alerts": alerts(draft),
            "missing": missing(draft, situation.template, prior=situation.prior),
        }
    )
