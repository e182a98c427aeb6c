"""What lies on a film and is no finding: things worn, things of the skin, what healed long ago. Never in the truth as
findings: an answer that makes one of them a finding is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from eval.phantoms.anatomy import Anatomy
from eval.phantoms.canvas import Array, Canvas, chord, smoothstep
from eval.phantoms.render import Layers
from eval.phantoms.skeleton import clavicle, magnify, rib_axis

Distractor = Literal[
    "ECG leads",
    "nipple shadows",
    "button",
    "necklace",
    "skin fold",
    "healed rib fracture",
    "companion shadows",
    "lead marker",
]
_CHANCE = 0.34  # of a study having any


def draw_distractors(rng: np.random.Generator) -> tuple[Distractor, ...]:
    """None in two studies of three, else one or two."""
    names = tuple(_DRAW)
    if rng.random() >= _CHANCE:
        return ()
    return tuple(names[i] for i in sorted(rng.permutation(len(names))[: int(rng.integers(1, 3))]))


def add_distractors(
    names: Sequence[Distractor],
    layers: Layers,
    anatomy: Anatomy,
    canvas: Canvas,
    stream: Callable[[int], np.random.Generator],
) -> None:
    """Draw them into the layers of a frontal film; ValueError on an unknown name."""
    for name in names:
        if name not in _DRAW:
            raise ValueError(f"unknown distractor {name!r}; known: {', '.join(_DRAW)}")
        _DRAW[name](layers, anatomy, canvas, stream(list(_DRAW).index(name)))


def _disc(canvas: Canvas, x: float, y: float, radius: float) -> Array:
    """1 inside the circle, 0 outside, with an edge one pixel wide."""
    edge = 0.5 * canvas.spacing
    return smoothstep(radius + edge, radius - edge, np.hypot(canvas.x - x, canvas.y - y))


def _ecg_leads(layers: Layers, anatomy: Anatomy, canvas: Canvas, rng: np.random.Generator) -> None:
    w, metal = anatomy.half_width, np.zeros_like(layers.bone)
    for x, y in ((-0.72, 0.10), (0.72, 0.12), (0.66, 0.92)):
        px, py = (x + rng.uniform(-0.12, 0.12)) * w, (y + rng.uniform(-0.06, 0.06)) * anatomy.dome_right
        metal += 6.0 * _disc(canvas, px, py, 4.0) + 1.2 * _disc(canvas, px, py, 7.5)
        ends = [px + np.sign(x) * rng.uniform(30.0, 70.0), np.sign(x) * 0.62 * canvas.field]
        xs = np.linspace(px, ends[1], 60)
        sag = rng.uniform(-30.0, 50.0) * np.sin(np.linspace(0.0, rng.uniform(1.5, 4.0), 60))
        metal += canvas.line(np.stack([xs, py + sag + 0.15 * np.abs(xs - px)], -1).astype(np.float32), 0.6, 3.2)
    layers.bone = layers.bone + metal


def _nipples(layers: Layers, anatomy: Anatomy, canvas: Canvas, rng: np.random.Generator) -> None:
    level = anatomy.dome_right - (10.0 if anatomy.breast else 34.0) + rng.uniform(-8.0, 8.0)
    for side in (-1, 1):
        x = side * (0.62 * anatomy.half_width + rng.uniform(-6.0, 6.0))
        squared = ((canvas.x - x) ** 2 + (canvas.y - level - rng.uniform(-5.0, 5.0)) ** 2) / rng.uniform(4.5, 5.5) ** 2
        layers.added = layers.added + chord(squared, 16.0)


def _button(layers: Layers, anatomy: Anatomy, canvas: Canvas, rng: np.random.Generator) -> None:
    x, y = rng.uniform(-0.6, 0.6) * anatomy.half_width, rng.uniform(0.15, 0.95) * anatomy.dome_right
    radius = rng.uniform(5.0, 7.5)
    disc: Array = _disc(canvas, x, y, radius) + np.float32(0.6) * (
        _disc(canvas, x, y, radius) - _disc(canvas, x, y, radius - 1.5)
    )
    for dx, dy in ((-1.6, -1.6), (1.6, -1.6), (-1.6, 1.6), (1.6, 1.6)):
        disc = disc - _disc(canvas, x + dx, y + dy, 0.8)
    layers.bone = layers.bone + 4.5 * disc


def _necklace(layers: Layers, anatomy: Anatomy, canvas: Canvas, rng: np.random.Generator) -> None:
    reach, low = rng.uniform(46.0, 62.0), rng.uniform(24.0, 62.0)
    x = np.linspace(-reach, reach, 120)
    y = low - (low + 70.0) * (np.abs(x) / reach) ** 2.4
    beads = 0.6 + 0.4 * np.sin(np.arange(120) * np.pi / 2)  # the links of the chain
    chain = canvas.line(np.stack([x, y], -1).astype(np.float32), 0.8 + 0.3 * float(beads.mean()), 4.5)
    layers.bone = layers.bone + chain + 5.0 * _disc(canvas, 0.0, low + 5.0, 4.0)


def _skin_fold(layers: Layers, anatomy: Anatomy, canvas: Canvas, rng: np.random.Generator) -> None:
    """Denser and denser towards an edge, then nothing: unlike a pleural line, with vessels beyond it."""
    side, lean = int(rng.choice((-1, 1))), rng.uniform(0.12, 0.3)
    middle = 0.5 * anatomy.dome_right
    edge = rng.uniform(0.62, 0.74) * anatomy.half_width + lean * (canvas.y - middle) * 0.6
    beside = edge - side * canvas.x
    ramp = smoothstep(0.0, 1.2, beside) * smoothstep(26.0, 0.0, beside)
    span = smoothstep(0.1 * middle, 0.5 * middle, canvas.y) * smoothstep(2.1 * middle, 1.7 * middle, canvas.y)
    layers.added = layers.added + (18.0 * ramp * span).astype(np.float32)


def _rib_fracture(layers: Layers, anatomy: Anatomy, canvas: Canvas, rng: np.random.Generator) -> None:
    """Callus: a knob of bone on one rib's side."""
    side, rib = int(rng.choice((-1, 1))), int(rng.integers(3, 8))
    x, y = magnify(anatomy, *rib_axis(anatomy, side, rib, rng.uniform(0.62, 0.8)))
    squared = ((canvas.x - x) / 8.5) ** 2 + ((canvas.y - y) / 6.5) ** 2
    layers.bone = layers.bone + chord(squared, 8.0)


def _companion(layers: Layers, anatomy: Anatomy, canvas: Canvas, rng: np.random.Generator) -> None:
    """Soft tissue over the clavicle and under the second rib: thin even bands beside bone."""
    gap = rng.uniform(7.5, 9.5)
    for side in (-1, 1):
        path = clavicle(anatomy, side)
        layers.added = layers.added + canvas.line(path + np.asarray([0.0, -gap], np.float32), 2.2, 14.0)


_GLYPHS = {
    "R": ("1110", "1001", "1001", "1110", "1100", "1010", "1001"),
    "P": ("1110", "1001", "1001", "1110", "1000", "1000", "1000"),
    "A": ("0110", "1001", "1001", "1111", "1001", "1001", "1001"),
}


def _marker(layers: Layers, anatomy: Anatomy, canvas: Canvas, rng: np.random.Generator) -> None:
    """An R on the patient's right, or the projection: letters of lead beside the chest."""
    word, dot = ("R", "AP" if anatomy.heart_magnification > 1.0 else "PA")[int(rng.integers(2))], rng.uniform(1.6, 2.6)
    left = anatomy.shift_x + (-0.46 if word == "R" else 0.34) * canvas.field
    top = anatomy.shift_y + (-0.46 if word == "R" else -0.30) * canvas.field + rng.uniform(0.0, 20.0)
    rows = [" ".join(_GLYPHS[letter][i] for letter in word).replace(" ", "0") for i in range(7)]
    glyph = np.asarray([[float(bit) for bit in row] for row in rows], np.float32)
    row, column = np.floor((canvas.y - top) / dot).astype(int), np.floor((canvas.x - left) / dot).astype(int)
    inside = (row >= 0) & (row < 7) & (column >= 0) & (column < glyph.shape[1])
    lead = np.where(inside, glyph[np.clip(row, 0, 6), np.clip(column, 0, glyph.shape[1] - 1)], 0.0)
    layers.bone = layers.bone + (60.0 * lead).astype(np.float32)


_DRAW: dict[Distractor, Callable[[Layers, Anatomy, Canvas, np.random.Generator], None]] = {
    "ECG leads": _ecg_leads,
    "nipple shadows": _nipples,
    "button": _button,
    "necklace": _necklace,
    "skin fold": _skin_fold,
    "healed rib fracture": _rib_fracture,
    "companion shadows": _companion,
    "lead marker": _marker,
}
DISTRACTORS: tuple[Distractor, ...] = tuple(_DRAW)
