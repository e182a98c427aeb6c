"""What is true of a phantom, in words: the report, and questions with their answers. Few words, always the same ones.

Families differ in the words of their questions only (`wordings`): report and answers state a truth in one way
(`phrases`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eval.phantoms.devices import Device
from eval.phantoms.faults import Fault, consequence, describe
from eval.phantoms.findings import Finding
from eval.phantoms.phrases import (
    NORMAL,
    TERMS,
    Question,
    capital,
    device_sentence,
    devices_told,
    kinds_told,
    phrase,
    sentence,
    told,
)
from eval.phantoms.questions import questions

__all__ = ["TERMS", "FollowUpReport", "Question", "Report", "phrase", "questions", "report", "sentence"]

_LUNGS = ("consolidation", "nodule", "oedema", "atelectasis")
_NEGATED = ("consolidation", "nodule", "effusion", "pneumothorax")  # absence goes without saying for the others
_VIEWS = {
    "PA": "Frontal chest radiograph, PA view.",
    "AP": "Frontal chest radiograph, AP view.",
    "LATERAL": "Lateral chest radiograph.",
}


@dataclass(frozen=True)
class Report:
    """The sections of a report; each is a run of whole sentences."""

    technique: str
    findings: str
    impression: str

    @property
    def text(self) -> str:
        """The report as one text."""
        return f"Technique: {self.technique}\nFindings: {self.findings}\nImpression: {self.impression}"


@dataclass(frozen=True)
class FollowUpReport(Report):
    """A report that had a prior study to compare with: only such a one has this section."""

    comparison: str

    @property
    def text(self) -> str:
        """The report as one text, the comparison before the findings."""
        technique, rest = super().text.split("\n", 1)
        return f"{technique}\nComparison: {self.comparison}\n{rest}"


def report(
    findings: Sequence[Finding], devices: Sequence[Device] = (), view: str = "PA", fault: Fault | None = None
) -> Report:
    """The report: heart, lungs, pleura, each with what is there and what is not; tubes and lines; the impression."""
    found, devices = told(findings, view), devices_told(devices, view)
    by_kind = {f.kind: f for f in found}
    lines = [sentence(by_kind["cardiomegaly"]) if "cardiomegaly" in by_kind else "The heart is not enlarged."]
    for group, clear in ((_LUNGS, "The lungs are clear."), (("effusion", "pneumothorax"), "")):
        present = [sentence(f) for f in found if f.kind in group]
        absent = [TERMS[k] for k in kinds_told(view) if k in group and k in _NEGATED and k not in by_kind]
        lines += present
        if clear and not present:
            lines.append(clear)
        elif absent:
            lines.append(f"There is no {' or '.join(absent)}.")
    lines += map(device_sentence, devices)
    abnormal = [capital(phrase(f).removeprefix("a ")) + "." for f in found]
    abnormal += [f"Malpositioned {d.kind}." for d in devices if not d.placed]
    return Report(_technique(view, fault), " ".join(lines), " ".join(abnormal) or NORMAL)


def _technique(view: str, fault: Fault | None) -> str:
    taken = _VIEWS[view]
    return f"{taken} {describe(fault)} {consequence(fault)}" if fault and fault.changes_reading else taken
