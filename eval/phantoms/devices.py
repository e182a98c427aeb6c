"""Lines and tubes: where each runs, whether its tip lies where it should, and what it adds to the rays.

A path is a list of points in mm as in `anatomy`, x to the patient's left, y down, z to the back, the tip last; one path
serves the frontal and the lateral view.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.interpolate import PchipInterpolator

from eval.phantoms.anatomy import Anatomy
from eval.phantoms.canvas import Array, Canvas, Mask
from eval.phantoms.findings import Box, box_of
from eval.phantoms.render import Layers
from eval.phantoms.skeleton import magnify

DeviceKind = Literal["endotracheal tube", "central venous catheter", "nasogastric tube"]
DEVICES: tuple[DeviceKind, ...] = ("endotracheal tube", "central venous catheter", "nasogastric tube")
_CHANCE = 0.25  # of a study having any
_PLACED = 0.6  # of a device lying well

Points = list[tuple[float, float, float]]
Course = tuple[Points, str]


@dataclass(frozen=True)
class DeviceSpec:
    """A device to render; `placed` None is drawn."""

    kind: DeviceKind
    placed: bool | None = None


@dataclass(frozen=True)
class Device:
    """A device as rendered. `tip` (x, y) and `box` (x0, y0, x1, y1, half open) in pixels of the picture."""

    kind: DeviceKind
    placed: bool
    tip: tuple[int, int]
    note: str  # where the tip lies, in words
    box: Box


def draw_devices(rng: np.random.Generator) -> tuple[DeviceSpec, ...]:
    """None in three studies of four, else one to three; in intensive care they come together."""
    if rng.random() >= _CHANCE:
        return ()
    return tuple(DeviceSpec(DEVICES[i]) for i in sorted(rng.permutation(3)[: int(rng.integers(1, 4))]))


def add_devices(
    specs: Sequence[DeviceSpec],
    layers: Layers,
    anatomy: Anatomy,
    canvas: Canvas,
    stream: Callable[[int], np.random.Generator],
    view: str = "PA",
) -> tuple[tuple[Device, Mask], ...]:
    """Draw the devices into the layers, each with the mask of where it lies.

    `stream` gives the random stream of the kind with this index, so that no device depends on the others.

    ValueError on an unknown kind, or two of a kind.
    """
    kinds = [spec.kind for spec in specs]
    if len(set(kinds)) != len(kinds) or any(kind not in DEVICES for kind in kinds):
        raise ValueError(f"devices {kinds}; expected each at most once, of: {', '.join(DEVICES)}")
    return tuple(_add(spec, layers, anatomy, canvas, stream(DEVICES.index(spec.kind)), view) for spec in specs)


def _add(
    spec: DeviceSpec, layers: Layers, anatomy: Anatomy, canvas: Canvas, rng: np.random.Generator, view: str
) -> tuple[Device, Mask]:
    chance = bool(rng.random() < _PLACED)
    placed = chance if spec.placed is None else spec.placed
    points, note = _COURSES[spec.kind](anatomy, canvas, placed, rng)
    smooth = _smooth(np.asarray(points, np.float32))
    path = smooth[:, [2, 1]] if view == "LATERAL" else np.stack(magnify(anatomy, *smooth.T), -1)
    strand = np.zeros_like(layers.bone)
    for offset, radius, mm in _STRANDS[spec.kind]:
        strand += canvas.line(path + offset, radius, mm)
    layers.bone = layers.bone + strand
    mask: Mask = strand > 0.1
    column, row = ((path[-1] - (canvas.left, canvas.top)) / canvas.spacing).astype(int)
    last = canvas.size - 1
    tip = (int(np.clip(column, 0, last)), int(np.clip(row, 0, last)))
    return Device(spec.kind, placed, tip, note, box_of(mask)), mask


# Strands of each device: offset (x, y) mm, radius mm, mm of bone that absorb as much.
_STRANDS: dict[str, tuple[tuple[tuple[float, float], float, float], ...]] = {
    "endotracheal tube": (((-4.6, 0.0), 0.7, 2.0), ((4.6, 0.0), 0.7, 2.0), ((1.8, 0.0), 0.9, 7.5)),
    "central venous catheter": (((0.0, 0.0), 1.1, 7.0),),
    "nasogastric tube": (((0.0, 0.0), 1.2, 7.5), ((1.4, 0.0), 0.7, 2.0)),
}


def _smooth(points: Array) -> Array:
    """A smooth curve through `points` (k, 3), 160 of them."""
    run = np.concatenate([[0.0], np.linalg.norm(np.diff(points, axis=0), axis=1).cumsum()])
    out: Array = PchipInterpolator(run, points)(np.linspace(0.0, run[-1], 160)).astype(np.float32)
    return out


def _airway(anatomy: Anatomy, level: float) -> tuple[float, float, float]:
    """The middle of the trachea at this level; it leans back on its way down."""
    return float(anatomy.trachea(level)), level, 6.0 + 0.2 * max(level, 0.0)


def _right_bronchus(anatomy: Anatomy, beyond: float) -> tuple[float, float, float]:
    """A point this far (mm downwards) beyond the carina, in the right main bronchus and on into the lower lobe."""
    x, y, z = _airway(anatomy, anatomy.carina)
    return x - 0.62 * (beyond + 5.0), y + beyond, z + 0.15 * beyond


def _endotracheal(anatomy: Anatomy, canvas: Canvas, placed: bool, rng: np.random.Generator) -> Course:
    wrong, share = int(rng.integers(2)), float(rng.random())
    carina, start = anatomy.carina, canvas.top - 20.0
    highest = max(canvas.top + 8.0, -14.0)
    if not placed and wrong == 0:
        way = [_airway(anatomy, y) for y in np.linspace(start, carina - 8.0, 5)]
        return [*way, _right_bronchus(anatomy, 14.0 + 14.0 * share)], "tip in the right main bronchus"
    tip = carina - (30.0 + 40.0 * share) if placed else max(carina - (82.0 + 14.0 * share), highest)
    way = [_airway(anatomy, y) for y in np.linspace(start, tip, 5)]
    return way, f"tip {round(carina - tip):d} mm above the carina" + ("" if placed else ", too high")


def _catheter(anatomy: Anatomy, canvas: Canvas, placed: bool, rng: np.random.Generator) -> Course:
    wrong, share, route = int(rng.integers(3)), float(rng.random()), int(rng.integers(2))
    w, pull, carina = anatomy.half_width / 140.0, anatomy.pull, anatomy.carina
    cava = -22.0 * w + pull - 22.0 * anatomy.rotation
    subclavian: Points = [(-150.0 * w, 34.0, -20.0), (-104.0 * w, 24.0, -24.0), (-62.0 * w, 21.0, -20.0)]
    jugular: Points = [(-46.0 * w, canvas.top - 15.0, 0.0), (-38.0 * w, -6.0, -6.0)]
    joins: Points = [(-31.0 * w, 34.0, -14.0)]
    if not placed and wrong == 0:
        up = -22.0 - 14.0 * share
        turned: Points = [(-37.0 * w, 18.0, -14.0), (-33.0 * w, 0.0, -8.0), (-36.0 * w, up, -4.0)]
        return [*subclavian, *turned], "tip turned up into the neck, in the right internal jugular vein"
    if not placed and wrong == 1:
        across: Points = [(-4.0, 40.0, -24.0), (26.0 * w, 29.0, -22.0), ((52.0 + 16.0 * share) * w, 22.0, -20.0)]
        return [*subclavian, (-34.0 * w, 31.0, -18.0), *across], "tip across the midline in the left subclavian vein"
    depth = carina + (12.0 + 28.0 * share if placed else 72.0 + 22.0 * share)
    down: Points = [(cava, carina - 6.0, -14.0), (cava - 3.0, min(depth, carina + 45.0) - 4.0, -16.0)]
    tip = (cava - 3.0 + 0.22 * max(depth - carina - 45.0, 0.0), depth, -20.0)
    near = "at the cavoatrial junction" if share > 0.55 else "in the lower superior vena cava"
    way = [*(subclavian if route else jugular), *joins, *down, tip]
    return way, f"tip {near}" if placed else "tip deep in the right atrium"


def _nasogastric(anatomy: Anatomy, canvas: Canvas, placed: bool, rng: np.random.Generator) -> Course:
    wrong, share = int(rng.integers(2)), float(rng.random())
    start, carina, dome = canvas.top - 20.0, anatomy.carina, anatomy.dome(1)
    if not placed and wrong == 0:
        way = [_airway(anatomy, y) for y in np.linspace(start, carina - 8.0, 5)]
        beyond = (55.0 + 35.0 * share) * anatomy.dome_right / 212.0
        return [*way, _right_bronchus(anatomy, 0.5 * beyond), _right_bronchus(anatomy, beyond)], (
            "tip in the right lower lobe bronchus"
        )
    gullet: Points = [(3.0, start, 18.0), (4.0, 20.0, 26.0), (2.0, carina, 36.0)]
    if not placed:
        low, high = carina + 50.0 + 20.0 * share, carina + 2.0
        coil: Points = [(3.0, low - 12.0, 38.0), (8.0, low, 38.0), (13.0, low - 12.0, 38.0), (12.0, high, 36.0)]
        return [*gullet, *coil, (9.0, high - 10.0, 35.0)], "coiled in the oesophagus"
    reach = 48.0 + 20.0 * share
    hiatus: Points = [(4.0, 0.5 * (carina + dome), 36.0), (14.0, dome - 6.0, 26.0), (28.0, dome + 20.0, 8.0)]
    return [*gullet, *hiatus, (44.0 + 14.0 * share, dome + reach, -12.0)], "tip below the diaphragm in the stomach"


_COURSES: dict[str, Callable[[Anatomy, Canvas, bool, np.random.Generator], Course]] = {
    "endotracheal tube": _endotracheal,
    "central venous catheter": _catheter,
    "nasogastric tube": _nasogastric,
}
