"""Lungs: where the air is, the branching vessels in it, and the shape of a lung that has come off the chest wall."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.ndimage import gaussian_filter

from eval.phantoms.anatomy import Anatomy
from eval.phantoms.canvas import Array, Canvas, chord, smoothstep

# First branches of the right lung: direction in degrees from lateral (down positive) and radius in mm.
_TRUNKS = (
    (-78, 2.2), (-60, 2.8), (-42, 2.6), (-24, 2.4), (-6, 2.6), (12, 2.8),
    (28, 3.2), (43, 3.6), (57, 4.6), (70, 5.2), (84, 3.4),
)  # fmt: skip
_GENERATIONS = 7


def lung_path(anatomy: Anatomy, canvas: Canvas) -> tuple[Array, Array]:
    """Path length through lung (mm) and through the whole thoracic cavity (mm), both (size, size)."""
    x, y = canvas.x, canvas.y
    width, depth = anatomy.width(y), anatomy.depth(y)
    cavity = chord((x / np.maximum(width, 1e-3)) ** 2, 2.0 * depth)
    right, left = anatomy.mediastinum(y)
    middle, half = (left + right) / 2, (left - right) / 2
    grown = smoothstep(60.0, 0.7 * anatomy.dome_right, y)
    heart = chord(np.abs((x - middle) / half) ** 3.4, anatomy.half_depth * (1.15 + 0.45 * grown))
    column = smoothstep(34.0, 6.0, np.abs(x - anatomy.rotation * anatomy.half_depth * 0.6))
    aorta_x = 17.0 + 5.0 * anatomy.knob * smoothstep(120.0, 60.0, y)
    aorta = chord(((x - aorta_x) / (11.0 + 3.0 * anatomy.knob)) ** 2, 24.0) * smoothstep(52.0, 66.0, y)
    lung = np.maximum(cavity * (1.0 - column) - heart - aorta, 0.0) * smoothstep(3.0, 9.0, y)
    lower = np.where(x < 0, anatomy.dome_right, anatomy.dome_left) + anatomy.recess
    belly = np.zeros_like(lung)
    for side in (-1, 1):
        belly += _dome(anatomy, canvas, side)
    lung = np.maximum(lung - belly, 0.0) * smoothstep(0.0, -14.0, y - lower)
    return lung.astype(np.float32), cavity


def _dome(anatomy: Anatomy, canvas: Canvas, side: int) -> Array:
    """Path through what lies under one hemidiaphragm: a superellipsoid whose upper edge is the silhouette."""
    top = anatomy.dome(side)
    drop = anatomy.drop(side)
    bottom = top + drop
    centre, radius = 0.49 * side * anatomy.half_width, 0.505 * anatomy.half_width
    lateral = side * (canvas.x - centre) / radius
    u = np.where(lateral > 0, lateral, -0.55 * lateral)  # steep towards the ribs, shallow towards the heart
    v = np.clip((bottom - canvas.y) / drop, 0.0, None)
    path = chord(np.minimum(u, 1.3) ** 2.0 + v**1.8, 1.96 * anatomy.half_depth)
    return np.where(canvas.x * side > 0, path, 0.0).astype(np.float32)


def collapsed_edge(anatomy: Anatomy, side: int, y: Array, collapse: float) -> Array:
    """|x| of the visceral pleura at level y when the lung has lost `collapse` (0..1) of its reach at the apex.

    Air rises: the rim is widest over the apex and narrows towards the base.
    """
    base = anatomy.dome(side) + 0.8 * anatomy.recess
    apex = 5.0 + 1.25 * collapse * (base - 5.0) * 0.8
    source = base - (base - y) * (base - 5.0) / (base - apex)
    shrink = 1.0 - collapse * (0.35 + 0.65 * smoothstep(base, 0.3 * base, y))
    hilum = 30.0
    edge = hilum + (anatomy.width(source) - hilum) * shrink
    return np.where(y > apex, edge, 0.0).astype(np.float32)


def vessels(anatomy: Anatomy, canvas: Canvas, rng: np.random.Generator, collapse: Mapping[int, float]) -> Array:
    """Path length through pulmonary vessels, mm, before they are cut to the lung; (size, size)."""
    clouds = [_tree(anatomy, canvas, rng, side, collapse.get(side, 0.0)) for side in (-1, 1)]
    x, y, volume = (np.concatenate([c[i] for c in clouds]) for i in range(3))
    hilum = np.zeros((canvas.size, canvas.size), np.float32)
    for side in (-1, 1):  # nodes, bronchial walls and vessels too small to draw
        level = anatomy.dome_right / 212.0 * (108.0 - 10.0 * (side > 0))
        across = np.exp(-(((canvas.x - side * 40.0 * anatomy.half_width / 140.0) / 15.0) ** 2))
        hilum += 15.0 * anatomy.vessel_gain * across * np.exp(-(((canvas.y - level) / 24.0) ** 2))
    return canvas.splat(x, y, volume) + hilum


def _tree(
    anatomy: Anatomy, canvas: Canvas, rng: np.random.Generator, side: int, collapse: float
) -> tuple[Array, Array, Array]:
    """Point masses of one lung's branching tree; the same draws at every size and every collapse."""
    trunks = np.repeat(np.asarray(_TRUNKS, np.float32), 2, axis=0)  # arteries and veins run roughly together
    n = len(trunks)
    angle = np.deg2rad(trunks[:, 0]) + rng.normal(0, 0.13, n)
    radius = trunks[:, 1] * rng.uniform(0.75, 1.15, n)
    scale = anatomy.dome_right / 212.0
    x = (28.0 + 5.0 * np.cos(angle)) * anatomy.half_width / 140 + rng.normal(0, 3.5, n)
    y = scale * (104.0 - 9.0 * (side > 0)) + 16.0 * np.sin(angle) + rng.normal(0, 5.0, n)
    length = 30.0 * scale * rng.uniform(0.7, 1.25, n) * (1 + 0.4 * np.sin(angle).clip(0))
    parts = []
    for _ in range(_GENERATIONS):
        bend = rng.normal(0, 0.28, len(x))
        drawn = [a.astype(np.float32) for a in (x, y, angle, bend, length, radius)]
        parts.append(_strokes(canvas.spacing, *drawn))
        end = angle + bend / 2
        x, y = x + length * np.cos(end), y + length * np.sin(end)
        fork = anatomy.branching * rng.uniform(0.35, 1.5, len(x))
        major = np.where(rng.random(len(x)) < 0.5, -1, 1)
        angle = np.concatenate([angle + bend + 0.55 * major * fork, angle + bend - 1.25 * major * fork])
        radius = np.concatenate([radius * 0.86, radius * 0.64])
        length = np.concatenate([length * 0.86, length * 0.72]) * rng.uniform(0.75, 1.2, 2 * len(x))
        x, y = np.tile(x, 2), np.tile(y, 2)
        keep = (radius > 0.40) & (x > 18) & (x < anatomy.half_width) & (y > 0) & (y < anatomy.dome_left + 30)
        if not keep.any():
            break
        x, y, angle, radius, length = x[keep], y[keep], angle[keep], radius[keep], length[keep]
    xs, ys, volume = (np.concatenate([p[i] for p in parts]).astype(np.float32) for i in range(3))
    if collapse:
        base = anatomy.dome(side) + 0.8 * anatomy.recess
        ys = base - (base - ys) * (1.0 - collapse)
        xs = 30.0 + (xs - 30.0) * (1.0 - collapse)
        volume = volume * np.float32((1.0 - collapse) ** 2.6)  # crowded vessels, but emptier ones
    return side * xs, ys, volume * np.float32(anatomy.vessel_gain)


def _strokes(
    spacing: float, x: Array, y: Array, angle: Array, bend: Array, length: Array, radius: Array
) -> tuple[Array, Array, Array]:
    """Masses of one generation of bent tubes: n points along, k across."""
    n = max(3, int(np.ceil(1.25 * float(length.mean()) / spacing)))
    k = max(1, int(np.ceil(1.5 * float(radius.mean() + radius.std()) / spacing)))
    t = ((np.arange(n, dtype=np.float32) + 0.5) / n)[None, :, None]
    v = ((np.arange(k, dtype=np.float32) + 0.5) * (2.0 / k) - 1.0)[None, None, :]
    angle, bend, length, radius = (a[:, None, None] for a in (angle, bend, length, radius))
    heading = angle + bend * t * np.float32(0.5)
    along, across = length * t, radius * v * (1.0 - 0.12 * t)
    cos, sin = np.cos(heading), np.sin(heading)
    px = x[:, None, None] + along * cos - across * sin
    py = y[:, None, None] + along * sin + across * cos
    volume = 2.0 * radius**2 * np.sqrt(1.0 - v**2) * np.float32(2.0 / k) * (length / n) * (1 + 0 * t)
    return px.ravel().astype(np.float32), py.ravel().astype(np.float32), volume.ravel()


def grain(canvas: Canvas, rng: np.random.Generator, scale: float) -> Array:
    """Zero-mean unit texture of the interstitium with a feature size of `scale` mm; one pattern for every size."""
    cells = 220
    fine = rng.standard_normal((cells, cells), np.float32)
    cell = canvas.field / cells
    texture = gaussian_filter(fine, scale / cell) * 1.0
    texture /= texture.std()
    broad = gaussian_filter(fine[::-1], 4.0 * scale / cell)
    texture += 0.7 * broad / broad.std()
    return resample(texture, canvas.size)


def resample(field: Array, size: int) -> Array:
    """Bilinear resampling of a square field to `size` pixels."""
    at = (np.arange(size) + 0.5) * (len(field) / size) - 0.5
    at = np.clip(at, 0, len(field) - 1)
    low = np.minimum(at.astype(np.intp), len(field) - 2)
    t = (at - low).astype(np.float32)
    rows = field[low] * (1 - t)[:, None] + field[low + 1] * t[:, None]
    out: Array = rows[:, low] * (1 - t) + rows[:, low + 1] * t
    return out
