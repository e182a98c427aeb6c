"""One truth, one phrase: what the report and the answers say of a finding or a device, whatever the family.

A lateral view superimposes the lungs, so nothing said of one names a side, nor speaks of a pneumothorax.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from eval.phantoms.devices import Device
from eval.phantoms.findings import FINDINGS, Finding, Grade, Kind

QuestionKind = Literal[
    "presence", "negation", "choice", "side", "zone", "size", "more", "count", "normal", "open",
    "device", "position", "view", "quality", "change",
]  # fmt: skip

TERMS: dict[Kind, str] = {
    "effusion": "pleural effusion",
    "consolidation": "consolidation",
    "nodule": "lung nodule",
    "pneumothorax": "pneumothorax",
    "cardiomegaly": "enlarged heart",
    "oedema": "pulmonary oedema",
    "atelectasis": "atelectasis",
}
SEVERITIES: dict[Grade, str] = {"small": "mild", "moderate": "moderate", "large": "severe"}
NORMAL = "No abnormality is seen."
NO_DEVICE = "No tube or line is seen."
_SIDE = re.compile(r"\b(?:left|right) (?!atrium)")
_UNCOUNTED = ("consolidation", "pulmonary oedema", "atelectasis")


@dataclass(frozen=True)
class Question:
    """One question with its only right answer.

    A closed question has `choices`, of which the answer is one, or is answered by a sentence that begins with Yes or
    No. `present` is whether `finding` or `device` is there, None where the question is about neither.
    """

    text: str
    answer: str
    kind: QuestionKind
    finding: Kind | None = None
    present: bool | None = None
    closed: bool = False
    choices: tuple[str, ...] = ()
    device: str | None = None

    @property
    def yes(self) -> bool | None:
        """Whether the answer is yes; None where it is neither yes nor no."""
        return {"Yes,": True, "No, ": False}.get(self.answer[:4])


def with_article(term: str) -> str:
    """The term as it stands in "Is there …?"."""
    if term in _UNCOUNTED:
        return term
    return f"an {term}" if term.startswith("endo") else f"a {term}"


def capital(words: str) -> str:
    """The words with their first letter large."""
    return words[0].upper() + words[1:]


def decapital(words: str) -> str:
    """The words with their first letter small."""
    return words[0].lower() + words[1:]


def kinds_told(view: str) -> tuple[Kind, ...]:
    """The findings that this view shows where they are."""
    return tuple(k for k in FINDINGS if (view, k) != ("LATERAL", "pneumothorax"))


def told(findings: Sequence[Finding], view: str) -> tuple[Finding, ...]:
    """The findings as far as this view tells them."""
    seen = [f for f in findings if f.kind in kinds_told(view)]
    return tuple(replace(f, side=None) if view == "LATERAL" else f for f in seen)


def devices_told(devices: Sequence[Device], view: str) -> tuple[Device, ...]:
    """The devices as far as this view tells them; the right atrium is called so on every view."""
    return tuple(replace(d, note=_SIDE.sub("", d.note)) if view == "LATERAL" else d for d in devices)


def phrase(finding: Finding) -> str:
    """The finding as a noun phrase: "a small left pleural effusion"."""
    where = "".join(f" {word}" for word in (finding.side, finding.zone and f"{finding.zone} zone") if word)
    if finding.kind == "nodule":
        return f"a{where} nodule of about {rounded_mm(finding)} mm"
    if finding.kind == "cardiomegaly":
        return f"a {adverb(finding)} enlarged heart"
    if finding.kind == "oedema":
        return f"{SEVERITIES[finding.grade]} pulmonary oedema"
    return f"a {finding.grade}{where} {TERMS[finding.kind]}"


def sentence(finding: Finding) -> str:
    """The finding as a sentence."""
    if finding.kind == "cardiomegaly":
        return f"The heart is {adverb(finding)} enlarged."
    return f"There is {phrase(finding)}."


def adverb(finding: Finding) -> str:
    """How much the heart is enlarged."""
    return f"{SEVERITIES[finding.grade]}ly"


def rounded_mm(finding: Finding) -> int:
    """Diameter to the nearest 5 mm: nobody measures better by eye."""
    return 5 * round((finding.size_mm or 0.0) / 5)


def device_sentence(device: Device) -> str:
    """Whether the device lies well, and where its tip is."""
    return f"The {device.kind} is {'well placed' if device.placed else 'malpositioned'}, {device.note}."


def everything(findings: Sequence[Finding], devices: Sequence[Device]) -> str:
    """All that there is to say, in sentences; findings as `told`."""
    abnormal = [sentence(f) for f in findings]
    if not abnormal and all(d.placed for d in devices):
        abnormal = [NORMAL]
    return " ".join([*abnormal, *map(device_sentence, devices)])
