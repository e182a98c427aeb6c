"""The same chest from the side, as a left lateral: breastbone on the picture's left, spine on its right.

Picture coordinates are z (to the back) and y (down). Both lungs lie on one another, so a finding changes the half of
the ray that crosses its own lung. A pneumothorax does not show: its mask is empty and its box all zeros.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.interpolate import PchipInterpolator

from eval.phantoms.anatomy import Anatomy
from eval.phantoms.canvas import Array, Canvas, Mask, chord, smoothstep
from eval.phantoms.effects import Effect, fill, ragged
from eval.phantoms.findings import Kind, Plan
from eval.phantoms.lungs import grain
from eval.phantoms.render import Layers
from eval.phantoms.skeleton import ribs


def lateral_anatomy(anatomy: Anatomy) -> Anatomy:
    """The person placed for this view: centred on the chest, straight, in a narrower field."""
    return replace(anatomy, shift_x=0.06 * anatomy.half_depth, rotation=0.0, field=0.9 * anatomy.field)


def lateral_layers(anatomy: Anatomy, canvas: Canvas, rng: np.random.Generator) -> Layers:
    """What each sideways ray crosses in a chest without findings."""
    depth = np.maximum(_depth(anatomy, canvas), 1.0)
    width = 2.0 * anatomy.width(canvas.y) * (1.0 - 0.10 * anatomy.recess / 60.0)
    cavity = np.where(np.abs(canvas.x) < depth, chord(np.abs(canvas.x / depth) ** 3.0, width), 0.0).astype(np.float32)
    lung = 0.5 * (_air(anatomy, canvas, -1) + _air(anatomy, canvas, 1)) * cavity
    lung = np.maximum(lung - _middle(anatomy, canvas), 0.0) * smoothstep(3.0, 12.0, canvas.y)
    texture = grain(canvas, rng, anatomy.grain_mm)
    density = 0.20 + 0.07 * np.clip(canvas.y / anatomy.dome_right, 0, 1.2) + anatomy.grain_gain * 0.55 * texture
    body = np.maximum(_trunk(anatomy, canvas), 1.06 * cavity)
    return Layers(
        body=body,
        lung=lung.astype(np.float32),
        cavity=cavity,
        density=density.astype(np.float32),
        vessel=(_branches(anatomy, canvas, rng) * smoothstep(20.0, 80.0, lung)).astype(np.float32),
        bone=_bones(anatomy, canvas),
        gas=_air_ways(anatomy, canvas),
        added=np.zeros_like(body),
    )


def _depth(anatomy: Anatomy, canvas: Canvas) -> Array:
    """Half depth of the thorax at each level."""
    cupola = smoothstep(2.0, 60.0, canvas.y)
    out: Array = anatomy.depth(np.minimum(canvas.y, 0.75 * anatomy.dome_right)) * (0.45 + 0.55 * cupola)
    return out


def _diaphragm(anatomy: Anatomy, canvas: Canvas, side: int) -> Array:
    """Level of one hemidiaphragm along z: highest in front of the middle, deepest at the back."""
    share = canvas.x / anatomy.half_depth
    drop = anatomy.drop(side)
    fall = np.where(share > -0.2, ((share + 0.2) / 1.15) ** 2 * (drop + 12.0), ((share + 0.2) / 0.8) ** 2 * 0.45 * drop)
    out: Array = (anatomy.dome(side) + fall).astype(np.float32)
    return out


def _air(anatomy: Anatomy, canvas: Canvas, side: int) -> Array:
    """1 above the hemidiaphragm of this side, 0 below it."""
    out: Array = smoothstep(4.0, -4.0, canvas.y - _diaphragm(anatomy, canvas, side))
    return out


def _heart(anatomy: Anatomy, canvas: Canvas) -> Array:
    """Normalised squared distance from the heart's axis; it lies on the diaphragm behind the breastbone."""
    reach = 0.43 + 0.17 * anatomy.heart
    z = canvas.x + (0.92 - min(reach, 0.8)) * anatomy.half_depth
    y = canvas.y - 0.76 * anatomy.dome_right
    along, across = 0.80 * z + 0.60 * y, -0.60 * z + 0.80 * y
    length, breadth = reach * 0.95 * anatomy.half_depth, anatomy.dome_right * (0.245 + 0.095 * anatomy.heart)
    out: Array = ((along / length) ** 2 + (across / breadth) ** 2).astype(np.float32)
    return out


def _middle(anatomy: Anatomy, canvas: Canvas) -> Array:
    """Path through heart, great vessels and what lies in front of the spine, mm."""
    x, y = canvas.x / anatomy.half_depth, canvas.y / anatomy.dome_right
    heart = chord(_heart(anatomy, canvas), 0.92 * anatomy.half_width * (0.6 + 0.4 * anatomy.heart))
    root = chord(((x + 0.28 + 0.25 * (y - 0.4)) / 0.34) ** 2, 46.0) * smoothstep(0.05, 0.2, y) * smoothstep(0.8, 0.5, y)
    arch = chord(((np.hypot(x - 0.02, (y - 0.40) * 1.9) - 0.40) / 0.16) ** 2, 26.0) * smoothstep(0.46, 0.36, y)
    down = chord(((x - 0.46) / 0.15) ** 2, 24.0) * smoothstep(0.30, 0.42, y)
    back = 34.0 * smoothstep(0.50, 0.62, x)
    out: Array = (heart + root + arch + down + back + 24.0).astype(np.float32)
    return out


def _trunk(anatomy: Anatomy, canvas: Canvas) -> Array:
    """Path through neck, raised arms, chest and belly, mm."""
    half = anatomy.half_depth + anatomy.fat
    levels = np.asarray([-120.0, -60.0, -20.0, 30.0, 110.0, 200.0, 300.0, 420.0])
    front = PchipInterpolator(levels, np.asarray([0.62, 0.58, 0.60, 0.80, 1.0, 1.03, 1.04, 1.04]) * half)(canvas.y)
    back = PchipInterpolator(levels, np.asarray([0.66, 0.70, 0.88, 1.06, 1.16, 1.16, 1.08, 1.06]) * half)(canvas.y)
    width = 2.0 * (anatomy.half_width + 0.7 * anatomy.wall)
    across = PchipInterpolator(levels, np.asarray([0.42, 0.46, 0.88, 1.06, 1.0, 1.0, 1.04, 1.04]) * width)(canvas.y)
    u = np.where(canvas.x < 0, canvas.x / front, canvas.x / back)
    trunk = chord(np.abs(u) ** 3.0, across)
    arms = chord(((canvas.x + 4.0) / 62.0) ** 2, 170.0) * smoothstep(34.0, -30.0, canvas.y)
    bust = ((canvas.x + 0.80 * half) / (0.22 * half + 0.8 * anatomy.breast)) ** 2 + ((canvas.y - 152.0) / 66.0) ** 2
    out = np.maximum(np.maximum(trunk, arms), chord(bust, 105.0) if anatomy.breast else 0.0)
    return out.astype(np.float32)


def _bones(anatomy: Anatomy, canvas: Canvas) -> Array:
    """Ribs of both sides, vertebrae with discs between them, breastbone, mm of cortical bone."""
    bone = 0.75 * canvas.splat(*ribs(anatomy, 0.9 * canvas.spacing, lateral=True))
    y, pitch = canvas.y, anatomy.rib_pitch
    curve = anatomy.half_depth * (0.62 + 0.14 * np.sin(np.clip((y + 20.0) / 300.0, 0.0, 1.0) * np.pi))
    radius = 14.0 + 0.018 * np.clip(y, -80.0, 320.0)
    phase = ((y / pitch + 0.15) % 1.0 - 0.5) * 2.0
    across = np.abs(canvas.x - curve) / radius
    body = smoothstep(1.06, 0.94, across) * smoothstep(0.94, 0.80, np.abs(phase))
    rim = np.exp(-(((across - 0.95) / 0.09) ** 2)) + np.exp(-(((np.abs(phase) - 0.82) / 0.08) ** 2))
    bone += body * (5.5 + 3.0 * rim)
    arch = np.abs(canvas.x - curve - radius - 12.0) / 12.0
    bone += 1.8 * smoothstep(1.1, 0.6, np.hypot(arch, 0.9 * phase))
    plate = (canvas.x + _depth(anatomy, canvas) + 5.0 - 0.05 * (y - 40.0)) / 5.5
    bone += 5.5 * smoothstep(1.1, 0.7, np.abs(plate)) * smoothstep(24.0, 34.0, y) * smoothstep(200.0, 180.0, y)
    out: Array = (bone * anatomy.bone).astype(np.float32)
    return out


def _air_ways(anatomy: Anatomy, canvas: Canvas) -> Array:
    """Trachea, the left upper bronchus end on, and the stomach's bubble, mm of air."""
    y, carina = canvas.y, anatomy.carina
    axis = 6.0 + 0.2 * np.clip(y, 0.0, None)
    gas = chord(((canvas.x - axis) / 8.5) ** 2, 16.0) * smoothstep(carina + 8.0, carina - 8.0, y)
    end_on = np.hypot(canvas.x - 6.0 - 0.2 * carina, y - carina - 14.0) / 6.0
    r = anatomy.bubble
    bubble = ((canvas.x - 0.05 * anatomy.half_depth) / (1.7 * r)) ** 2 + ((y - anatomy.dome(1) - r - 9.0) / r) ** 2
    out: Array = (gas + chord(end_on**2, 22.0) + chord(bubble, 14.0 + 1.4 * r)).astype(np.float32)
    return out


def _branches(anatomy: Anatomy, canvas: Canvas, rng: np.random.Generator) -> Array:
    """Vessels that spread from the hila, and the hila themselves, mm of blood."""
    x0, y0 = 0.1 * anatomy.half_depth, 0.47 * anatomy.dome_right
    total = np.zeros((canvas.size, canvas.size), np.float32)
    paths, widths = [], rng.uniform(0.9, 2.3, 44)
    for angle in np.linspace(0.0, 2.0 * np.pi, 44, endpoint=False) + rng.normal(0.0, 0.1, 44):
        t = np.linspace(0.08, 1.0, 24) * rng.uniform(45.0, 95.0)
        bend = angle + rng.normal(0.0, 0.35) * t / 90.0
        paths.append(np.stack([x0 + t * np.cos(bend), y0 + 1.15 * t * np.sin(bend)], -1).astype(np.float32))
    for path, width in zip(paths, widths, strict=True):
        total += canvas.line(path, float(width), 2.2 * float(width))
    hilum = np.exp(-(((canvas.x - x0) / 20.0) ** 2) - ((canvas.y - y0) / 24.0) ** 2)
    out: Array = (anatomy.vessel_gain * (total + 14.0 * hilum)).astype(np.float32)
    return out


def _own_half(plan: Plan, anatomy: Anatomy, canvas: Canvas) -> Array:
    """Share of the ray's air that lies in the finding's own lung."""
    own, other = _air(anatomy, canvas, plan.sign), _air(anatomy, canvas, -plan.sign)
    out: Array = own / np.maximum(own + other, 0.05)
    return out


def _centre(plan: Plan, anatomy: Anatomy, margin: float) -> tuple[float, float]:
    """(z, y) of a zoned finding: the height is that of the frontal view."""
    y = plan.level * (anatomy.dome_left if plan.sign > 0 else anatomy.dome_right)
    reach = float(anatomy.depth(y)) - margin
    return (2.0 * plan.depth - 1.0) * max(reach, 10.0) * 0.9, y


def _effusion(plan: Plan, layers: Layers, anatomy: Anatomy, canvas: Canvas) -> Mask:
    """Fluid in the angle behind, where it gathers first, climbing the back and the front of the chest."""
    bottom = anatomy.dome(plan.sign) + anatomy.drop(plan.sign) + 12.0
    u = np.clip(np.abs(canvas.x) / np.maximum(_depth(anatomy, canvas), 20.0), 0.0, 1.0)
    surface = bottom - plan.amount * (0.72 + 0.28 * u**4)
    share = smoothstep(-6.0, 14.0, canvas.y - surface) * _own_half(plan, anatomy, canvas)
    mask = (share > 0.3) & (layers.lung > 12.0)
    layers.lung = layers.lung * (1.0 - 0.93 * share)
    layers.vessel = layers.vessel * (1.0 - share)
    return np.asarray(mask, np.bool_)


def _consolidation(plan: Plan, layers: Layers, anatomy: Anatomy, canvas: Canvas) -> Mask:
    radius = plan.amount
    z, y = _centre(plan, anatomy, 0.55 * radius)
    rough, patchy = ragged(plan.texture, canvas, 0.3 * radius, 3.5)
    share = smoothstep(1.3, 0.5, np.hypot(canvas.x - z, canvas.y - y) / radius + 0.30 * rough)
    mask = (share > 0.35) & (layers.lung > 12.0)
    part = np.clip(1.7 * radius / np.maximum(layers.lung, 1.0), 0.25, 1.0) * _own_half(plan, anatomy, canvas)
    fill(layers, share * 1.4 * part * (0.92 + 0.16 * patchy), 0.92)
    return np.asarray(mask, np.bool_)


def _nodule(plan: Plan, layers: Layers, anatomy: Anatomy, canvas: Canvas) -> Mask:
    z, y = _centre(plan, anatomy, plan.amount / 2 + 8.0)
    squared = ((canvas.x - z) ** 2 + (canvas.y - y) ** 2) / (plan.amount / 2) ** 2
    layers.added = layers.added + np.minimum(chord(squared, 1.4 * plan.amount), layers.lung)
    return np.asarray(squared < 1.0, np.bool_)


def _unseen(plan: Plan, layers: Layers, anatomy: Anatomy, canvas: Canvas) -> Mask:
    """Air in front of a lung that still fills its half does not show from the side."""
    return np.zeros((canvas.size, canvas.size), np.bool_)


def _cardiomegaly(plan: Plan, layers: Layers, anatomy: Anatomy, canvas: Canvas) -> Mask:
    """The heart was enlarged in the anatomy: it fills the space behind the breastbone and reaches the spine."""
    return np.asarray((_heart(anatomy, canvas) < 1.0) & (layers.cavity > 0.0), np.bool_)


def _oedema(plan: Plan, layers: Layers, anatomy: Anatomy, canvas: Canvas) -> Mask:
    """Haze round the hila; fluid thickens the fissures."""
    x0, y0 = 0.1 * anatomy.half_depth, 0.50 * anatomy.dome_right
    rough, patchy = ragged(plan.texture, canvas, 12.0, 6.0)
    reach = 0.46 + 0.26 * plan.amount
    across = (canvas.x - x0) / (reach * anatomy.half_depth * 1.3)
    distance = np.hypot(across, (canvas.y - y0) / (reach * anatomy.dome_right * 0.75))
    share = smoothstep(1.35, 0.35, distance + 0.16 * rough)
    mask = (share > 0.35) & (layers.lung > 12.0)
    fill(layers, share * (0.07 + 0.5 * plan.amount**1.6 * (1.0 + 0.12 * patchy)), 0.9)
    thick = 0.6 + 1.2 * plan.amount
    oblique = np.asarray([[0.55, 0.30], [0.1, 0.58], [-0.45, 0.98]]) * (anatomy.half_depth, anatomy.dome_right)
    minor = np.asarray([[0.05, 0.55], [-0.85, 0.52]]) * (anatomy.half_depth, anatomy.dome_right)
    lines = canvas.line(oblique.astype(np.float32), thick, 12.0 * plan.amount)
    lines = lines + canvas.line(minor.astype(np.float32), thick, 12.0 * plan.amount)
    layers.added = layers.added + lines * smoothstep(10.0, 40.0, layers.lung)
    return np.asarray(mask, np.bool_)


def _atelectasis(plan: Plan, layers: Layers, anatomy: Anatomy, canvas: Canvas) -> Mask:
    """Upper lobe: a band behind the breastbone; middle: a plate in front; lower: a wedge before the spine."""
    x, y = canvas.x / anatomy.half_depth, canvas.y / anatomy.dome_right
    extent = plan.amount / anatomy.half_depth
    rough = ragged(plan.texture, canvas, 9.0)[0] * 0.012
    if plan.spec.zone == "upper":
        inside = np.where(y < 0.55, extent * np.clip((0.55 - y) / 0.4, 0.0, 1.2) - (x + 0.80), -0.3)
    elif plan.spec.zone == "middle":
        inside = np.where(x < 0.1, 0.012 + 0.10 * extent - np.abs(y - plan.level - 0.12 * (0.1 - x)), -0.3)
    else:
        inside = np.where(y > 0.5, extent * np.clip((y - 0.5) / 0.45, 0.0, 1.3) - (0.88 - x), -0.3)
    share = smoothstep(-0.02, 0.03, inside + rough)
    mask = (share > 0.35) & (layers.lung > 12.0)
    fill(layers, 0.8 * share * _own_half(plan, anatomy, canvas) * 1.4, 0.95)
    return np.asarray(mask, np.bool_)


LATERAL: dict[Kind, Effect] = {
    "effusion": _effusion,
    "consolidation": _consolidation,
    "nodule": _nodule,
    "pneumothorax": _unseen,
    "cardiomegaly": _cardiomegaly,
    "oedema": _oedema,
    "atelectasis": _atelectasis,
}
