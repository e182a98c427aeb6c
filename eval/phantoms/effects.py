"""What each finding does to the rays (`Layers`) that cross it in a frontal film, and the mask of where it did."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter

from eval.phantoms.anatomy import Anatomy
from eval.phantoms.canvas import Array, Canvas, Mask, chord, smoothstep
from eval.phantoms.findings import Finding, Kind, Plan, box_of
from eval.phantoms.lungs import collapsed_edge, resample
from eval.phantoms.render import Layers

Effect = Callable[[Plan, Layers, Anatomy, Canvas], Mask]


def apply_all(
    plans: Sequence[Plan], effects: dict[Kind, Effect], layers: Layers, anatomy: Anatomy, canvas: Canvas
) -> dict[str, Mask]:
    """Change the layers by every plan and say exactly where each did."""
    masks: dict[str, Mask] = {}
    for plan in sorted(plans, key=lambda plan: plan.spec.kind != "oedema"):  # wet lungs first: free air stays free
        masks[plan.spec.kind] = effects[plan.spec.kind](plan, layers, anatomy, canvas)
    return masks


def finding_of(plan: Plan, mask: Mask) -> Finding:
    """The truth of one plan, given where the picture shows it."""
    spec = plan.spec
    return Finding(spec.kind, spec.side, spec.zone, plan.grade, spec.size_mm, box_of(mask))


def ragged(seed: int, canvas: Canvas, *scales: float) -> list[Array]:
    """Zero-mean unit textures with features of these sizes in mm, all of one pattern."""
    white = np.random.default_rng(seed).standard_normal((96, 96), np.float32)
    smooth = [gaussian_filter(white, mm * 96 / canvas.field) for mm in scales]
    return [resample(field / field.std(), canvas.size) for field in smooth]


def fill(layers: Layers, share: Any, density: float) -> None:
    """Replace the air in `share` (0 to 1) of the lung by fluid or tissue."""
    layers.density = (layers.density + np.clip(share, 0.0, 1.0) * (density - layers.density)).astype(np.float32)


def _effusion(plan: Plan, layers: Layers, anatomy: Anatomy, canvas: Canvas) -> Mask:
    """Fluid in the costophrenic angle, its meniscus climbing the chest wall."""
    bottom = anatomy.dome(plan.sign) + anatomy.drop(plan.sign)
    u = np.clip(plan.sign * canvas.x / np.maximum(anatomy.width(canvas.y), 20.0), 0.0, 1.0)
    surface = bottom - plan.amount * (0.52 + 0.48 * u**5)
    share = smoothstep(-8.0, 20.0, canvas.y - surface) * (plan.sign * canvas.x > 0)
    mask = (share > 0.35) & (layers.lung > 12.0)
    layers.lung = layers.lung * (1.0 - 0.93 * share)
    layers.vessel = layers.vessel * (1.0 - share)
    return np.asarray(mask, np.bool_)


def _place(plan: Plan, anatomy: Anatomy, margin: float) -> tuple[float, float]:
    """Centre (x, y) of a zoned finding, between the mediastinum and the ribs and `margin` mm off either."""
    y = plan.level * (anatomy.dome_left if plan.sign > 0 else anatomy.dome_right)
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
    rough, patchy = ragged(plan.texture, canvas, 0.3 * radius, 3.5)
    distance = np.hypot((canvas.x - x) / radius, (canvas.y - y) / (radius * 0.92))
    distance = distance + 0.30 * rough
    share = smoothstep(1.3, 0.5, distance) * (plan.sign * canvas.x > 0)
    mask = (share > 0.35) & (layers.lung > 12.0)
    part = np.clip(1.7 * radius / np.maximum(layers.lung, 1.0), 0.5, 1.0)
    fill(layers, share * part * (0.92 + 0.16 * patchy), 0.92)
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


def _oedema(plan: Plan, layers: Layers, anatomy: Anatomy, canvas: Canvas) -> Mask:
    """Left heart failure in its three stages, each with the one before: upper vessels widen and the hila blur;
    septal lines and thickened bronchi; alveoli fill from the hila outwards, sparing the rim (bat wings).
    """
    level, reach = 0.52 * anatomy.dome_right, anatomy.half_width * (0.34 + 0.26 * plan.amount)
    rough, patchy = ragged(plan.texture, canvas, 12.0, 6.0)
    across = (np.abs(canvas.x) - 0.30 * anatomy.half_width) / reach
    distance = np.hypot(across, (canvas.y - level) / (0.34 * anatomy.dome_right * (0.8 + 0.4 * plan.amount)))
    share = smoothstep(1.35, 0.35, distance + 0.16 * rough)
    mask = (share > 0.35) & (layers.lung > 12.0)
    layers.vessel = layers.vessel * (1.0 + 0.9 * plan.amount * smoothstep(1.1 * level, 0.7 * level, canvas.y))
    lines = septal_lines(plan, anatomy, canvas) + _cuffs(plan, anatomy, canvas)
    layers.added = layers.added + lines * smoothstep(10.0, 40.0, layers.lung)
    haze = 0.07 + 0.55 * plan.amount**1.6 * (1.0 + 0.12 * patchy)
    fill(layers, share * haze, 0.9)
    layers.vessel = layers.vessel * (1.0 - 0.6 * plan.amount * share)  # their edges are lost in the haze
    return np.asarray(mask, np.bool_)


def septal_lines(plan: Plan, anatomy: Anatomy, canvas: Canvas) -> Array:
    """Kerley B lines: short, level, at the rim of the bases; mm of tissue."""
    rng = np.random.default_rng(plan.texture + 1)
    lines = np.zeros((canvas.size, canvas.size), np.float32)
    count = round(16 * float(smoothstep(0.3, 0.6, plan.amount)))
    for _ in range(count):
        side, y = rng.choice((-1, 1)), rng.uniform(0.62, 0.98) * anatomy.dome_right
        start = float(anatomy.width(y)) - 3.0
        xs = side * np.linspace(start - rng.uniform(10.0, 18.0), start, 60).astype(np.float32)
        ys = np.full_like(xs, y) + np.linspace(0.0, rng.uniform(-2.0, 2.0), 60).astype(np.float32)
        lines += canvas.line(np.stack([xs, ys], -1), 0.7, 3.0)
    return lines


def _cuffs(plan: Plan, anatomy: Anatomy, canvas: Canvas) -> Array:
    """Bronchi seen end on with thickened walls: small rings beside the hila; mm of tissue."""
    rng = np.random.default_rng(plan.texture + 2)
    turn = np.linspace(0.0, 2.0 * np.pi, 48)
    rings = np.zeros((canvas.size, canvas.size), np.float32)
    for side in (-1, 1) * round(2 * float(smoothstep(0.3, 0.6, plan.amount))):
        x = side * rng.uniform(0.36, 0.5) * anatomy.half_width
        y, radius = rng.uniform(0.42, 0.62) * anatomy.dome_right, rng.uniform(2.6, 3.6)
        ring = np.stack([x + radius * np.cos(turn), y + radius * np.sin(turn)], -1)
        rings += canvas.line(ring.astype(np.float32), 0.9, 3.0)
    return rings


def _atelectasis(plan: Plan, layers: Layers, anatomy: Anatomy, canvas: Canvas) -> Mask:
    """A lobe without air, bounded by its displaced fissure; `adjust` has drawn its surroundings towards it."""
    x, y = plan.sign * canvas.x, canvas.y
    dome = anatomy.dome_left if plan.sign > 0 else anatomy.dome_right
    right, left = anatomy.mediastinum(y)
    border = left if plan.sign > 0 else -right
    (rough,) = ragged(plan.texture, canvas, 9.0)
    if plan.spec.zone == "middle":  # a plate from hilum to ribs
        axis = plan.level * dome + 0.16 * (x - border)
        inside = 0.5 * (3.0 + 0.30 * plan.amount) - np.abs(y - axis)
    elif plan.spec.zone == "upper":  # along the mediastinum; the fissure swings up and inwards
        inside = border + plan.amount * np.clip((0.50 * dome - y) / (0.38 * dome), 0.0, 1.2) ** 0.8 - x
        inside = np.where(y < 0.50 * dome, inside, -20.0)
    else:  # a triangle behind the heart, its base on the diaphragm
        inside = border + plan.amount * np.clip((y - 0.48 * dome) / (0.44 * dome), 0.0, 1.2) - x
        inside = np.where(y > 0.48 * dome, inside, -20.0)
    share = smoothstep(-2.0, 2.5, inside + 0.8 * rough) * (x > 0)
    mask = (share > 0.35) & (layers.lung > 12.0)
    fill(layers, 0.74 * share, 0.95)
    layers.vessel = layers.vessel * (1.0 - 0.85 * share)
    fissure = np.exp(-((inside / max(1.0, 0.7 * canvas.spacing)) ** 2)) * (x > border)
    layers.added = layers.added + (4.0 * fissure * smoothstep(10.0, 40.0, layers.lung)).astype(np.float32)
    return np.asarray(mask, np.bool_)


FRONTAL: dict[Kind, Effect] = {
    "effusion": _effusion,
    "consolidation": _consolidation,
    "nodule": _nodule,
    "pneumothorax": _pneumothorax,
    "cardiomegaly": _cardiomegaly,
    "oedema": _oedema,
    "atelectasis": _atelectasis,
}
