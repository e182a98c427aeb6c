"""What a picture is known to show, as numbers a vision tower can learn: one vector of yes/no targets, NaN where nobody
knows, and a coarse map of where things are. One list of names serves phantoms and real pictures alike.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from eval.phantoms import DEVICES, FAULTS, FINDINGS
from eval.phantoms.findings import GRADES, SIDED, SIDES, ZONED, ZONES

Vector = NDArray[np.float32]

KINDS = ("chest", "brain", "fundus", "blood")
_NIH = (
    "atelectasis", "cardiomegaly", "consolidation", "edema", "effusion", "emphysema", "fibrosis", "hernia",
    "infiltration", "mass", "nodule", "pleural thickening", "pneumonia", "pneumothorax",
)  # fmt: skip
RED_CELLS = (6, 9, 12, 15, 18, 22)  # thresholds a count is told by
NAMES: tuple[str, ...] = (
    *(f"is {kind}" for kind in KINDS),
    *FINDINGS,
    *(f"{side} {kind}" for kind in SIDED for side in SIDES),
    *(f"{zone} {kind}" for kind in ZONED for zone in ZONES),
    *(f"{grade} {kind}" for kind in FINDINGS for grade in GRADES),
    *(f"{device}" for device in DEVICES),
    *(f"{device} misplaced" for device in DEVICES),
    "lateral view", "AP view", *FAULTS, "fault changes reading",
    *(f"real {label}" for label in _NIH), "real any finding",
    *(f"retinopathy {grade}" for grade in (1, 2, 3, 4)), "oedema risk 1", "oedema risk 2",
    "platelets 1", "platelets 2", "white cells 1", "white cells 2", *(f"red cells {n}" for n in RED_CELLS),
    "tumour left", "tumour up",
)  # fmt: skip
PLACES: tuple[str, ...] = (
    *FINDINGS, *DEVICES, "brain tumor", "red blood cell", "white blood cell", "platelet",
    "microaneurysm", "hard exudate", "haemorrhage", "soft exudate",
)  # fmt: skip
_AT = {name: n for n, name in enumerate(NAMES)}
FAULT_TARGETS = [_AT[name] for name in (*FAULTS, "fault changes reading")]
HALVES = [_AT["tumour left"], _AT["tumour up"]]


def vector(known: dict[str, float]) -> Vector:
    """(len(NAMES),) with NaN for every name that `known` leaves out."""
    values = np.full(len(NAMES), np.nan, np.float32)
    for name, value in known.items():
        values[_AT[name]] = value
    return values


def of_kind(kind: str | None) -> dict[str, float]:
    """Which kind of picture it is; None: none of them."""
    return {f"is {name}": float(name == kind) for name in KINDS}


def of_phantom(facts: dict[str, Any]) -> Vector:
    """Everything is known of a phantom, but a side is not told by a lateral view."""
    known = of_kind("chest")
    found = {finding["kind"]: finding for finding in facts["findings"]}
    lateral = facts["view"] == "LATERAL"
    for kind in FINDINGS:
        here = found.get(kind) or {}
        known[kind] = float(kind in found)
        known |= {f"{grade} {kind}": float(here.get("grade") == grade) for grade in GRADES}
        if kind in SIDED and not lateral:
            known |= {f"{side} {kind}": float(here.get("side") == side) for side in SIDES}
        if kind in ZONED:
            known |= {f"{zone} {kind}": float(here.get("zone") == zone) for zone in ZONES}
    placed = {device["kind"]: device["placed"] for device in facts["devices"]}
    known |= {device: float(device in placed) for device in DEVICES}
    known |= {f"{device} misplaced": float(not placed.get(device, True)) for device in DEVICES}
    known |= {"lateral view": float(lateral), "AP view": float(facts["view"] == "AP")}
    fault = facts["fault"] or {"kind": None, "grade": 0}
    known |= {kind: float(fault["kind"] == kind) for kind in FAULTS}
    known["fault changes reading"] = float(fault["grade"] >= (3 if fault["kind"] == "rotation" else 2))
    return vector(known)


def of_real(source: str, row: dict[str, Any]) -> Vector:
    """What a line of a source's `studies.jsonl` tells."""
    return vector(_READERS[source](row))


def _chest(row: dict[str, Any]) -> dict[str, float]:
    known = of_kind("chest") | {"lateral view": 0.0}
    return known | ({"AP view": float(row["view"] == "AP")} if row.get("view") else {})


def _nih(row: dict[str, Any]) -> dict[str, float]:
    labels = set(row["labels"])
    return (
        _chest(row)
        | {f"real {name}": float(name in labels) for name in _NIH}
        | {"real any finding": float(bool(labels))}
    )


def _fundus(row: dict[str, Any]) -> dict[str, float]:
    grade = row.get("grade") or {}
    known = of_kind("fundus")
    if grade.get("dr") is not None:
        known |= {f"retinopathy {n}": float(grade["dr"] >= n) for n in (1, 2, 3, 4)}
    if grade.get("dme") is not None:
        known |= {f"oedema risk {n}": float(grade["dme"] >= n) for n in (1, 2)}
    return known


def _blood(row: dict[str, Any]) -> dict[str, float]:
    count = row["grade"]
    known = {f"platelets {n}": float(count["platelets"] >= n) for n in (1, 2)}
    known |= {f"white cells {n}": float(count["white_blood_cells"] >= n) for n in (1, 2)}
    return of_kind("blood") | known | {f"red cells {n}": float(count["red_blood_cells"] >= n) for n in RED_CELLS}


_READERS = {
    "cxr_nih": _nih, "cxr_hannover": _chest, "fundus": _fundus, "blood": _blood,
    "brain_mri": lambda _: of_kind("brain"),
}  # fmt: skip
