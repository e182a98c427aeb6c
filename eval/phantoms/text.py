"""What is true of a phantom, in words: the report, and questions with their answers. Few words, always the same ones.

Families differ in the words of their questions only (`wordings`): report and answers state a truth in one way
(`phrases`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from eval.phantoms.devices import Device
from eval.phantoms.faults import Fault
from eval.phantoms.findings import Finding
from eval.phantoms.organs import organs
from eval.phantoms.phrases import TERMS, Question, phrase, sentence
from eval.phantoms.questions import questions

__all__ = ["TERMS", "FollowUpReport", "Question", "Report", "phrase", "questions", "report", "sentence"]


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
    told = organs(findings, devices, view, fault)
    parts = [told["heart"], told["lungs"], told["pleura"], told["lines"] if devices else ""]
    return Report(told["technique"], " ".join(filter(None, parts)), told["impression"])
