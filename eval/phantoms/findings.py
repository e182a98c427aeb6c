"""Findings: which ones a study has, where they lie and how much there is of each. `effects` draws them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from eval.phantoms.anatomy import Anatomy, heart_for_ctr
from eval.phantoms.canvas import Mask

Kind = Literal["effusion", "consolidation", "nodule", "pneumothorax", "cardiomegaly", "oedema", "atelectasis"]
Side = Literal["left", "right"]
Zone = Literal["upper", "middle", "lower"]
Grade = Literal["small", "moderate", "large"]
Box = tuple[int, int, int, int]

FINDINGS: tuple[Kind, ...] = (
    "effusion", "consolidation", "nodule", "pneumothorax", "cardiomegaly", "oedema", "atelectasis",
)  # fmt: skip
SIDES: tuple[Side, ...] = ("left", "right")
ZONES: tuple[Zone, ...] = ("upper", "middle", "lower")
GRADES: tuple[Grade, ...] = ("small", "moderate", "large")
SIDED: tuple[Kind, ...] = ("effusion", "consolidation", "nodule", "pneumothorax", "atelectasis")
ZONED: tuple[Kind, ...] = ("consolidation", "nodule", "atelectasis")
_COUNT = (0.16, 0.22, 0.62)  # chance of 0, 1, 2 findings: each kind is then present in 21 % of studies

Bounds = dict[str, tuple[float, float]]
_NODULE_MM: Bounds = {"small": (8.0, 12.4), "moderate": (12.5, 20.0), "large": (20.1, 30.0)}
_AMOUNT: dict[Kind, Bounds] = {
    "effusion": {"small": (48.0, 62.0), "moderate": (88.0, 115.0), "large": (145.0, 180.0)},  # mm up the chest wall
    "consolidation": {"small": (20.0, 26.0), "moderate": (31.0, 39.0), "large": (46.0, 56.0)},  # radius, mm
    "nodule": _NODULE_MM,  # diameter
    "pneumothorax": {"small": (0.085, 0.13), "moderate": (0.22, 0.31), "large": (0.42, 0.56)},  # collapse
    "cardiomegaly": {"small": (0.53, 0.555), "moderate": (0.565, 0.60), "large": (0.61, 0.65)},  # ratio
    "oedema": {"small": (0.22, 0.32), "moderate": (0.48, 0.62), "large": (0.85, 1.0)},  # 1: bat wings
    "atelectasis": {"small": (16.0, 22.0), "moderate": (30.0, 40.0), "large": (52.0, 66.0)},  # base of the wedge, mm
}
_LEVEL = {"upper": (0.17, 0.28), "middle": (0.42, 0.56), "lower": (0.72, 0.84)}  # fraction of the way to the dome


@dataclass(frozen=True)
class FindingSpec:
    """A finding to render; what is None is drawn from the study's own random stream."""

    kind: Kind
    side: Side | None = None
    zone: Zone | None = None
    grade: Grade | None = None
    size_mm: float | None = None  # nodules: diameter, 8 to 30


@dataclass(frozen=True)
class Finding:
    """A finding as rendered: exact truth. Sides are the patient's; the box is x0, y0, x1, y1 in pixels, half open."""

    kind: Kind
    side: Side | None
    zone: Zone | None
    grade: Grade
    size_mm: float | None
    box: Box


@dataclass(frozen=True)
class Plan:
    """A complete spec with the numbers that its grade leaves open."""

    spec: FindingSpec
    amount: float  # in the units of `_AMOUNT`
    level: float  # zoned findings: fraction of the way from the first rib to the dome
    lateral: float  # zoned findings: fraction of the way from the mediastinum to the ribs
    depth: float  # fraction of the way from the front of the chest to its back
    texture: int  # seed of the texture

    @property
    def sign(self) -> int:
        """-1 for the patient's right, which is the picture's left."""
        return 1 if self.spec.side == "left" else -1

    @property
    def grade(self) -> Grade:
        """The grade, which every plan has."""
        assert self.spec.grade is not None
        return self.spec.grade


def draw_specs(rng: np.random.Generator) -> tuple[FindingSpec, ...]:
    """Zero, one or two different findings; two in the chest lie on opposite sides, so neither hides the other."""
    count = int(rng.choice(3, p=_COUNT))
    kinds = [FINDINGS[i] for i in rng.permutation(len(FINDINGS))[:count]]
    first = int(rng.integers(2))
    specs = []
    for i, kind in enumerate(kinds):
        side = SIDES[(first + i) % 2] if kind in SIDED else None
        zone = ZONES[int(rng.integers(3))] if kind in ZONED else None
        if "cardiomegaly" in kinds and side == "left" and zone == "lower":
            zone = "upper"  # a large heart leaves no room there
        hides = kind == "oedema" and any(other in ZONED for other in kinds)
        specs.append(FindingSpec(kind, side, zone, "small" if hides else None))
    return tuple(specs)


def plan_findings(stream: Callable[[int], np.random.Generator], specs: Sequence[FindingSpec]) -> tuple[Plan, ...]:
    """Fill in what the specs leave open; ValueError on a kind, size or number that cannot be rendered.

    `stream` gives the random stream of the kind with this index: where a finding lies does not depend on the others,
    nor on what its spec says, so that it stays in its place from visit to visit.
    """
    kinds = [spec.kind for spec in specs]
    unknown = [kind for kind in kinds if kind not in FINDINGS]
    if unknown:
        raise ValueError(f"unknown finding {unknown[0]!r}; known: {', '.join(FINDINGS)}")
    if len(set(kinds)) != len(kinds):
        raise ValueError(f"one finding of a kind per study, not {kinds}")
    return tuple(_plan(stream(FINDINGS.index(spec.kind)), spec) for spec in specs)


def _plan(rng: np.random.Generator, spec: FindingSpec) -> Plan:
    side, zone, grade = SIDES[int(rng.integers(2))], ZONES[int(rng.integers(3))], GRADES[int(rng.integers(3))]
    share, along, lateral, depth = (float(value) for value in rng.random(4))
    grade = spec.grade or grade
    amount = _between(_AMOUNT[spec.kind][grade], share)
    if spec.kind == "nodule" and spec.size_mm is not None:
        if not 8.0 <= spec.size_mm <= 30.0:
            raise ValueError(f"a nodule of {spec.size_mm} mm; expected 8 to 30")
        amount = spec.size_mm
        grade = next(g for g in GRADES if amount <= _NODULE_MM[g][1] + 0.1)
    whole = FindingSpec(
        spec.kind,
        (spec.side or side) if spec.kind in SIDED else None,
        (spec.zone or zone) if spec.kind in ZONED else None,
        grade,
        round(amount, 1) if spec.kind == "nodule" else None,
    )
    level = _between(_LEVEL[whole.zone or "middle"], along)
    return Plan(whole, amount, level, 0.3 + 0.4 * lateral, 0.2 + 0.6 * depth, int(rng.integers(2**31)))


def _between(bounds: tuple[float, float], share: float) -> float:
    return bounds[0] + share * (bounds[1] - bounds[0])


def adjust(anatomy: Anatomy, plans: Sequence[Plan]) -> Anatomy:
    """The anatomy as the plans make it: a larger heart, a lung that has lost volume and drawn its surroundings in."""
    for plan in plans:
        if plan.spec.kind == "cardiomegaly":
            anatomy = replace(anatomy, heart=heart_for_ctr(anatomy.half_width, plan.amount))
        if plan.spec.kind == "atelectasis":
            lift = plan.amount * {"upper": 0.12, "middle": 0.15, "lower": 0.38}[plan.spec.zone or "middle"]
            left, right = (lift, 0.0) if plan.sign > 0 else (0.0, lift)
            anatomy = replace(anatomy, pull=plan.sign * 0.13 * plan.amount, lift_left=left, lift_right=right)
    return anatomy


def collapses(plans: Sequence[Plan]) -> dict[int, float]:
    """Side → fraction by which the lung has come off the chest wall."""
    return {plan.sign: plan.amount for plan in plans if plan.spec.kind == "pneumothorax"}


def box_of(mask: Mask) -> Box:
    """The smallest half-open box round a mask; all zeros when it is empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return (0, 0, 0, 0)
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
