"""What is true of a phantom, in words: the report, and questions with their answers. Few words, always the same ones.

The words of a family differ in the questions only: an answer states one truth in one way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from eval.phantoms.findings import FINDINGS, Finding, Kind

QuestionKind = Literal["presence", "side", "zone", "size", "open"]

TERMS: dict[Kind, str] = {
    "effusion": "pleural effusion",
    "consolidation": "consolidation",
    "nodule": "lung nodule",
    "pneumothorax": "pneumothorax",
    "cardiomegaly": "enlarged heart",
}
_ADVERBS = {"small": "mildly", "moderate": "moderately", "large": "severely"}
_NORMAL = "No abnormality is seen."


@dataclass(frozen=True)
class Question:
    """One question with its only right answer; `present` is None for an open question."""

    text: str
    answer: str
    kind: QuestionKind
    finding: Kind | None
    present: bool | None


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
class _Wording:
    """The ways in which one family asks; `{a}` is the term with its article, `{t}` the bare term."""

    presence: tuple[str, ...]
    heart: tuple[str, ...]
    side: tuple[str, ...]
    zone: tuple[str, ...]
    size: tuple[str, ...]
    heart_size: tuple[str, ...]
    open: tuple[str, ...]


_WORDINGS = {
    "train": _Wording(
        presence=(
            "Is there {a}?",
            "Does this radiograph show {a}?",
            "Is {a} present?",
            "Any sign of {t}?",
            "Do you see {a}?",
            "Can {a} be seen?",
        ),
        heart=(
            "Is the heart enlarged?",
            "Is there cardiomegaly?",
            "Does this radiograph show an enlarged heart?",
            "Any sign of cardiomegaly?",
        ),
        side=("On which side is the {t}?", "Which side is the {t} on?", "Is the {t} on the left or the right?"),
        zone=("In which zone is the {t}?", "Which zone shows the {t}?", "Where in the lung is the {t}?"),
        size=("How large is the {t}?", "What is the size of the {t}?", "How big is the {t}?"),
        heart_size=("How enlarged is the heart?", "How large is the heart?"),
        open=("What does this radiograph show?", "What is abnormal?", "What do you see?", "Describe the findings."),
    ),
    "exam": _Wording(
        presence=("Does the patient have {a}?", "Can you see {a} on this image?", "Is there evidence of {a}?"),
        heart=("Is the heart too large?", "Is cardiomegaly present?"),
        side=("Is the {t} left or right?", "Which lung has the {t}?", "What side is the {t} on?"),
        zone=("Where is the {t} located?", "What zone is the {t} in?"),
        size=("Is the {t} small or large?", "Give the size of the {t}."),
        heart_size=("How much is the heart enlarged?",),
        open=("What are the findings on this image?", "Is anything abnormal here?"),
    ),
}


def phrase(finding: Finding) -> str:
    """The finding as a noun phrase: "a small left pleural effusion"."""
    if finding.kind == "nodule":
        return f"a {finding.side} {finding.zone} zone nodule of about {_rounded(finding)} mm"
    if finding.kind == "cardiomegaly":
        return f"a {_ADVERBS[finding.grade]} enlarged heart"
    zone = f" {finding.zone} zone" if finding.zone else ""
    return f"a {finding.grade} {finding.side}{zone} {TERMS[finding.kind]}"


def sentence(finding: Finding) -> str:
    """The finding as a sentence."""
    if finding.kind == "cardiomegaly":
        return f"The heart is {_ADVERBS[finding.grade]} enlarged."
    return f"There is {phrase(finding)}."


def _rounded(finding: Finding) -> int:
    """Diameter to the nearest 5 mm: nobody measures better by eye."""
    return 5 * round((finding.size_mm or 0.0) / 5)


def report(findings: Sequence[Finding]) -> Report:
    """The report: heart, lungs, pleura, each with what is there and what is not; then the impression."""
    by_kind = {f.kind: f for f in findings}
    lines = [sentence(by_kind["cardiomegaly"]) if "cardiomegaly" in by_kind else "The heart is not enlarged."]
    for group, clear in ((("consolidation", "nodule"), "The lungs are clear."), (("effusion", "pneumothorax"), "")):
        present = [sentence(f) for f in findings if f.kind in group]
        absent = [TERMS[k] for k in FINDINGS if k in group and k not in by_kind]
        lines += present
        if clear and not present:
            lines.append(clear)
        elif absent:
            lines.append(f"There is no {' or '.join(absent)}.")
    impression = " ".join(_capital(phrase(f).split(" ", 1)[1]) + "." for f in findings) or _NORMAL
    return Report("Frontal chest radiograph, PA view.", " ".join(lines), impression)


def _capital(words: str) -> str:
    return words[0].upper() + words[1:]


def questions(findings: Sequence[Finding], family: str, rng: np.random.Generator) -> tuple[Question, ...]:
    """One presence question a kind, the details of what is there, and an open one; wording drawn from the family."""
    wording = _WORDINGS[family]
    by_kind = {f.kind: f for f in findings}

    def pick(ways: Sequence[str], term: str) -> str:
        return ways[int(rng.integers(len(ways)))].format(a=term if term == "consolidation" else f"a {term}", t=term)

    asked = []
    for kind in FINDINGS:
        ways = wording.heart if kind == "cardiomegaly" else wording.presence
        found = by_kind.get(kind)
        asked.append(Question(pick(ways, TERMS[kind]), _presence(kind, found), "presence", kind, found is not None))
    for f in findings:
        term = TERMS[f.kind]
        if f.side:
            answer = f"The {term} is on the patient's {f.side} side."
            asked.append(Question(pick(wording.side, term), answer, "side", f.kind, True))
        if f.zone:
            answer = f"The {term} is in the {f.side} {f.zone} zone."
            asked.append(Question(pick(wording.zone, term), answer, "zone", f.kind, True))
        ways = wording.heart_size if f.kind == "cardiomegaly" else wording.size
        asked.append(Question(pick(ways, term), _size(f), "size", f.kind, True))
    everything = " ".join(sentence(f) for f in findings) or _NORMAL
    asked.append(Question(pick(wording.open, ""), everything, "open", None, None))
    return tuple(asked)


def _presence(kind: Kind, found: Finding | None) -> str:
    if kind == "cardiomegaly":
        return f"Yes, the heart is {_ADVERBS[found.grade]} enlarged." if found else "No, the heart is not enlarged."
    return f"Yes, there is {phrase(found)}." if found else f"No, there is no {TERMS[kind]}."


def _size(finding: Finding) -> str:
    if finding.kind == "nodule":
        return f"The lung nodule is about {_rounded(finding)} mm."
    if finding.kind == "cardiomegaly":
        return sentence(finding)
    return f"The {TERMS[finding.kind]} is {finding.grade}."
