"""Findings: which ones a study has, where they lie, and what each does to the rays (`Layers`) that cross it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.ndimage import gaussian_filter

from eval.phantoms.anatomy import Anatomy, heart_for_ctr
from eval.phantoms.canvas import Array, Canvas, Mask, chord, smoothstep
from eval.phantoms.lungs import collapsed_edge, resample
from eval.phantoms.render import Layers

Kind = Literal["effusion", "consolidation", "nodule", "pneumothorax", "cardiomegaly"]
Side = Literal["left", "right"]
Zone = Literal["upper", "middle", "lower"]
Grade = Literal["small", "moderate", "large"]
Box = tuple[int, int, int, int]

FINDINGS: tuple[Kind, ...] = ("effusion", "consolidation", "nodule", "pneumothorax", "cardiomegaly")
SIDES: tuple[Side, ...] = ("left", "right")
ZONES: tuple[Zone, ...] = ("upper", "middle", "lower")
GRADES: tuple[Grade, ...] = ("small", "moderate", "large")
_SIDED = FINDINGS[:4]
_ZONED = ("consolidation", "nodule")
_COUNT = (0.16, 0.32, 0.52)  # chance of 0, 1, 2 findings: each kind is then present in 27 % of studies

Bounds = dict[str, tuple[float, float]]
_FLUID_MM: Bounds = {"small": (48.0, 62.0), "moderate": (88.0, 115.0), "large": (145.0, 180.0)}
_PATCH_MM: Bounds = {"small": (20.0, 26.0), "moderate": (31.0, 39.0), "large": (46.0, 56.0)}
_NODULE_MM: Bounds = {"small": (8.0, 12.4), "moderate": (12.5, 20.0), "large": (20.1, 30.0)}
_COLLAPSE: Bounds = {"small": (0.085, 0.13), "moderate": (0.22, 0.31), "large": (0.42, 0.56)}
_CTR: Bounds = {"small": (0.53, 0.555), "moderate": (0.565, 0.60), "large": (0.61, 0.65)}
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
    amount: float  # mm of fluid or radius or diameter, fraction of collapse, or cardiothoracic ratio
    level: float  # zoned findings: fraction of the way from the first rib to the dome
    lateral: float  # zoned findings: fraction of the way from the mediastinum to the ribs
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
        side = SIDES[(first + i) % 2] if kind in _SIDED else None
        zone = ZONES[int(rng.integers(3))] if kind in _ZONED else None
        if "cardiomegaly" in kinds and side == "left" and zone == "lower":
            zone = "upper"  # a large heart leaves no room there
        specs.append(FindingSpec(kind, side, zone))
    return tuple(specs)


def plan_findings(rng: np.random.Generator, specs: Sequence[FindingSpec]) -> tuple[Plan, ...]:
    """Fill in what the specs leave open; ValueError on a kind or size that cannot be rendered."""
    return tuple(_plan(rng, spec) for spec in specs)


def _plan(rng: np.random.Generator, spec: FindingSpec) -> Plan:
    if spec.kind not in FINDINGS:
        raise ValueError(f"unknown finding {spec.kind!r}; known: {', '.join(FINDINGS)}")
    side = (spec.side or SIDES[int(rng.integers(2))]) if spec.kind in _SIDED else None
    zone = (spec.zone or ZONES[int(rng.integers(3))]) if spec.kind in _ZONED else None
    grade = spec.grade or GRADES[int(rng.integers(3))]
    size = None
    if spec.kind == "nodule" and spec.size_mm is not None:
        if not 8.0 <= spec.size_mm <= 30.0:
            raise ValueError(f"a nodule of {spec.size_mm} mm; expected 8 to 30")
        size = spec.size_mm
        grade = next(g for g in GRADES if size <= _NODULE_MM[g][1] + 0.1)
    tables: dict[str, Bounds] = {
        "effusion": _FLUID_MM,
        "consolidation": _PATCH_MM,
        "nodule": _NODULE_MM,
        "pneumothorax": _COLLAPSE,
        "cardiomegaly": _CTR,
    }
    amount = float(rng.uniform(*tables[spec.kind][grade])) if size is None else size
    size = round(amount, 1) if spec.kind == "nodule" else None
    level = float(rng.uniform(*_LEVEL[zone or "middle"]))
    lateral = float(rng.uniform(0.3, 0.7))
    return Plan(FindingSpec(spec.kind, side, zone, grade, size), amount, level, lateral, int(rng.integers(2**31)))


def adjust(anatomy: Anatomy, plans: Sequence[Plan]) -> Anatomy:
    """The anatomy with its heart enlarged where the plans ask for it."""
    for plan in plans:
        if plan.spec.kind == "cardiomegaly":
            anatomy = replace(anatomy, heart=heart_for_ctr(anatomy.half_width, plan.amount))
    return anatomy


def collapses(plans: Sequence[Plan]) -> dict[int, float]:
    """Side → fraction by which the lung has come off the chest wall."""
    return {plan.sign: plan.amount for plan in plans if plan.spec.kind == "pneumothorax"}


def apply(plan: Plan, layers: Layers, anatomy: Anatomy, canvas: Canvas) -> tuple[Finding, Mask]:
    """Change the layers and say exactly where."""
    mask = _APPLY[plan.spec.kind](plan, layers, anatomy, canvas)
    spec = plan.spec
    return Finding(spec.kind, spec.side, spec.zone, plan.grade, spec.size_mm, box_of(mask)), mask


def box_of(mask: Mask) -> Box:
    """The smallest half-open box round a mask; all zeros when it is empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return (0, 0, 0, 0)
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _effusion(plan: Plan, layers: Layers, anatomy: Anatomy, canvas: Canvas) -> Mask:
    """Fluid in the costophrenic angle, its meniscus climbing the chest wall."""
    bottom = anatomy.dome(plan.sign) + anatomy.recess
    u = np.clip(plan.sign * canvas.x / np.maximum(anatomy.width(canvas.y), 20.0), 0.0, 1.0)
    surface = bottom - plan.amount * (0.52 + 0.48 * u**5)
    share = smoothstep(-8.0, 20.0, canvas.y - surface) * (plan.sign * canvas.x > 0)
    mask = (share > 0.35) & (layers.lung > 12.0)
    layers.lung = layers.lung * (1.0 - 0.93 * share)
    layers.vessel = layers.vessel * (1.0 - share)
    return np.asarray(mask, np.bool_)


def _place(plan: Plan, anatomy: Anatomy, margin: float) -> tuple[float, float]:
    """Centre (x, y) of a zoned finding, between the mediastinum and the ribs and `margin` mm off either."""
    y = plan.level * anatomy.dome(plan.sign)
    row = np.asarray([y], np.float32)
    right, left = anatomy.mediastinum(row)
    border = float(left[0] if plan.sign > 0 else -right[0])
    wall = float(anatomy.width(row)[0])
    low, high = border + margin, wall - margin
    if low > high:
        low = high = 0.45 * border + 0.55 * wall
    return plan.sign * (low + plan.lateral * (high - low)), y


def _consolidation(plan: Plan, layers: Layers, anatomy: Anatomy, canvas: Canvas) -> Mask:
    """Air spaces filled in a patch with a ragged edge; the vessels in it are lost."""
    radius = plan.amount
    x, y = _place(plan, anatomy, 0.55 * radius)
    rng = np.random.default_rng(plan.texture)
    white = rng.standard_normal((96, 96), np.float32)
    cell = canvas.field / 96
    ragged, patchy = (gaussian_filter(white, mm / cell) for mm in (0.3 * radius, 3.5))
    distance = np.hypot((canvas.x - x) / radius, (canvas.y - y) / (radius * 0.92))
    distance = distance + 0.30 * resample(ragged / ragged.std(), canvas.size)
    share = smoothstep(1.3, 0.5, distance) * (plan.sign * canvas.x > 0)
    mask = (share > 0.35) & (layers.lung > 12.0)
    filled = np.clip(1.7 * radius / np.maximum(layers.lung, 1.0), 0.5, 1.0)
    filled = share * filled * (0.92 + 0.16 * resample(patchy / patchy.std(), canvas.size))
    layers.density = layers.density + np.clip(filled, 0.0, 1.0) * (0.92 - layers.density)
    layers.vessel = layers.vessel * (1.0 - 0.8 * share)
    return np.asarray(mask, np.bool_)


def _nodule(plan: Plan, layers: Layers, anatomy: Anatomy, canvas: Canvas) -> Mask:
    """A ball of soft tissue, slightly denser than water so that it shows as well as a real one."""
    radius = plan.amount / 2
    x, y = _place(plan, anatomy, radius + 8.0)
    squared = ((canvas.x - x) ** 2 + (canvas.y - y) ** 2) / radius**2
    layers.added = layers.added + np.minimum(chord(squared, 1.4 * plan.amount), layers.lung)
    return np.asarray(squared < 1.0, np.bool_)


def _pneumothorax(plan: Plan, layers: Layers, anatomy: Anatomy, canvas: Canvas) -> Mask:
    """Air between the chest wall and the visceral pleura, which shows as a line with no vessel beyond it."""
    rows = canvas.y
    edge = collapsed_edge(anatomy, plan.sign, rows, plan.amount)
    slope = np.gradient(edge[:, 0]).astype(np.float32)[:, None] / canvas.spacing
    distance = (plan.sign * canvas.x - edge) / np.hypot(1.0, slope)
    here = plan.sign * canvas.x > 0
    width = max(0.4, 0.35 * canvas.spacing)
    beyond = smoothstep(-width, width, distance) * here
    mask = (beyond > 0.5) & (layers.lung > 12.0)
    squeezed = layers.density * np.float32((1.0 - plan.amount) ** -0.8)
    inside: Array = np.where(here, squeezed, layers.density)
    layers.density = (inside * (1.0 - beyond)).astype(np.float32)
    layers.vessel = layers.vessel * (1.0 - beyond)
    line = np.exp(-((distance / max(0.9, 0.6 * canvas.spacing)) ** 2)) * here
    layers.added = layers.added + (9.0 * line * smoothstep(5.0, 30.0, layers.lung)).astype(np.float32)
    return np.asarray(mask, np.bool_)


def _cardiomegaly(plan: Plan, layers: Layers, anatomy: Anatomy, canvas: Canvas) -> Mask:
    """The heart was enlarged in the anatomy itself (`adjust`); this only says where it is."""
    right, left = anatomy.mediastinum(canvas.y)
    level = (canvas.y > 0.48 * anatomy.dome_right) & (canvas.y < anatomy.dome_left + 0.3 * anatomy.recess)
    return np.asarray((canvas.x > right) & (canvas.x < left) & level, np.bool_)


_APPLY: dict[Kind, Callable[[Plan, Layers, Anatomy, Canvas], Mask]] = {
    "effusion": _effusion,
    "consolidation": _consolidation,
    "nodule": _nodule,
    "pneumothorax": _pneumothorax,
    "cardiomegaly": _cardiomegaly,
}
