"""The report of a phantom by organ system: the sections of the chest template (`assistant/reports/templates`), so that
training writes what an exam compares.

Phantoms have no bony findings, and no sentence speaks of bones.
"""

from __future__ import annotations

from collections.abc import Sequence

from eval.phantoms.devices import Device
from eval.phantoms.faults import Fault, consequence, describe
from eval.phantoms.findings import Finding, Kind
from eval.phantoms.phrases import (
    NO_DEVICE,
    NORMAL,
    TERMS,
    capital,
    device_sentence,
    devices_told,
    kinds_told,
    phrase,
    sentence,
    told,
)

ORGANS = ("lines", "lungs", "pleura", "heart")
_LUNGS: tuple[Kind, ...] = ("consolidation", "nodule", "oedema", "atelectasis")
_PLEURA: tuple[Kind, ...] = ("effusion", "pneumothorax")
_NEGATED = ("consolidation", "nodule", "effusion", "pneumothorax")  # absence goes without saying for the others
_VIEWS = {
    "PA": "Frontal chest radiograph, PA view.",
    "AP": "Frontal chest radiograph, AP view.",
    "LATERAL": "Lateral chest radiograph.",
}


def organs(
    findings: Sequence[Finding],
    devices: Sequence[Device] = (),
    view: str = "PA",
    fault: Fault | None = None,
    comparison: str = "",
    sought: Sequence[str] = (),
) -> dict[str, str]:
    """Section → its sentences, in the template's order. `comparison` (`pairs.compare`): what has changed since the
    prior study; without it there is no such section. `sought`: findings whose absence is said in so many words."""
    found, devices = told(findings, view), devices_told(devices, view)
    hearts = [sentence(f) for f in found if f.kind == "cardiomegaly"]
    abnormal = [capital(phrase(f).removeprefix("a ")) + "." for f in found]
    abnormal += [f"Malpositioned {d.kind}." for d in devices if not d.placed]
    return {
        "technique": _technique(view, fault),
        **({"comparison": comparison} if comparison else {}),
        "lines": " ".join(map(device_sentence, devices)) or NO_DEVICE,
        "lungs": _group(found, view, _LUNGS, sought, "The lungs are clear."),
        "pleura": _group(found, view, _PLEURA, sought),
        "heart": hearts[0] if hearts else "The heart is not enlarged.",
        "impression": " ".join(abnormal) or NORMAL,
    }


def _group(found: Sequence[Finding], view: str, group: Sequence[Kind], sought: Sequence[str], clear: str = "") -> str:
    """What is there of the group, and what is not. `clear` says that none is."""
    present = [sentence(f) for f in found if f.kind in group]
    here = {f.kind for f in found}
    missed = [k for k in kinds_told(view) if k in group and k not in here]
    if clear and not present:
        present, missed = [clear], [k for k in missed if k in sought]
    else:
        missed = [k for k in missed if k in sought or k in _NEGATED]
    absent = " or ".join(TERMS[k] for k in missed)
    return " ".join([*present, f"There is no {absent}."] if absent else present)


def _technique(view: str, fault: Fault | None) -> str:
    taken = _VIEWS[view]
    return f"{taken} {describe(fault)} {consequence(fault)}" if fault and fault.changes_reading else taken
