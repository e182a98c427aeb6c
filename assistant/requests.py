"""What can be asked: one frozen object a task. What a task needs is a field here, nothing is passed beside it."""

from dataclasses import dataclass, field

from assistant.reports.template import Template, built_in
from assistant.study import Study


@dataclass(frozen=True, slots=True)
class Turn:
    """An earlier question and what was answered (released sentences only)."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Common to all tasks. `seed` makes sampling repeatable; `adapter` names a tuned adapter of the engine."""

    study: Study
    prior: Study | None = None
    adapter: str | None = None
    seed: int = 0
    max_tokens: int = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class AskRequest(Request):
    question: str
    earlier: tuple[Turn, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRequest(Request):
    """`template` is found by its name where the request enters (`assistant.reports.template.find_template`)."""

    template: Template = field(default_factory=built_in)
    indication: str = ""
    history: str = ""
    prior_report: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiagnoseRequest(Request):
    history: str = ""
    laboratory: dict[str, str] = field(default_factory=dict)  # name → value with unit
    candidates: tuple[str, ...] = ()
