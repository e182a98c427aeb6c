"""What the checks of a whole draft share: what they know of the request, and how they read a draft."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from assistant.checks import GUIDELINE
from assistant.reports.claims import Claim, claims
from assistant.reports.draft import CheckResult, Draft, DraftSection, Statement
from assistant.reports.entity_words import Finding
from assistant.reports.template import Template

IMPRESSION = "impression"
Severity = Literal["note", "warning", "critical"]


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture of the request: its width in pixels, and whether the patient's right lies on its left half as usual
    (None: the orientation isn't known)."""

    width: int
    right_on_left: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What the checks must know of the request. `prior`: there is an earlier study; `sides`: left and right can be
    told; `shown`: the pictures, in the order in which regions count them."""

    template: Template
    prior: bool = False
    prior_report: str = ""
    indication: str = ""
    history: str = ""
    sides: bool = True
    shown: tuple[Shown, ...] = ()

    @property
    def chest(self) -> bool:
        """Whether the words are those that `entities` reads: of a chest, or of whatever the template leaves open."""
        return not self.template.domains or "chest_xray" in self.template.domains

    @property
    def told(self) -> str:
        """All that the request says in words."""
        return "\n".join((self.indication, self.history, self.prior_report))


Check = Callable[[Draft, Situation], list[CheckResult]]


def result(check: str, severity: Severity, message: str, *statements: str) -> CheckResult:
    return CheckResult(check=check, severity=severity, message=message, statements=tuple(dict.fromkeys(statements)))


def named(finding: Finding) -> str:
    """The finding as a sentence begins with it."""
    return finding.replace("Edema", "Oedema").capitalize()


def impression(draft: Draft) -> list[Statement]:
    return [said for section in draft.sections if section.name == IMPRESSION for said in section.statements]


def findings(draft: Draft) -> list[Statement]:
    return [said for section in draft.sections if section.findings for said in section.statements]


def about_patient(draft: Draft) -> Iterator[tuple[DraftSection, Statement]]:
    """Every statement but those that say what a guideline says."""
    for section in draft.sections:
        for said in section.statements:
            if section.name != GUIDELINE or not said.citations:
                yield section, said


def claims_of(statements: list[Statement]) -> list[tuple[str, Claim]]:
    """(id of the statement, claim) of each claim, in the order of the draft."""
    return [(said.id, claim) for said in statements for claim in claims([said.text])]
