"""Drawings that stand in for a fundus photograph and a brain MR where no real picture may be shown.

They look like such pictures at a glance and are of nobody: no anatomy is modelled, nothing is measured by them.
"""

import numpy as np
import numpy.typing as npt

SIDE = 512
Pixels = npt.NDArray[np.uint8]
Layer = npt.NDArray[np.float64]


def fundus(seed: int = 0) -> Pixels:
    """Height x width x RGB: optic disc, macula, vessels, dark red dots and yellow spots."""
    rng, (x, y) = np.random.default_rng(seed), _grid()
    field = np.stack([0.74 - 0.2 * (x**2 + y**2), 0.34 - 0.14 * (x**2 + y**2), np.full_like(x, 0.12)], axis=-1)
    disc_x, disc_y = 0.48, -0.04
    _paint(field, _spot(x, y, disc_x, disc_y, 0.13), (0.98, 0.83, 0.52))
    _paint(field, 0.55 * _spot(x, y, -0.12, 0.02, 0.2), (0.36, 0.12, 0.05))
    for bend in (-1.3, -0.7, -0.35, 0.35, 0.7, 1.3):
        away = np.clip(disc_x - x, 0, None)
        middle = disc_y + bend * np.sqrt(away) * (1 - 0.45 * away)
        _paint(field, 0.7 * np.exp(-(((y - middle) / 0.011) ** 2)) * (away > 0), (0.45, 0.08, 0.05))
    for _ in range(9):
        at_x, at_y = rng.uniform(-0.6, 0.25), rng.uniform(-0.5, 0.5)
        _paint(field, 0.9 * _spot(x, y, at_x, at_y, rng.uniform(0.012, 0.03)), (0.35, 0.03, 0.03))
    for _ in range(7):
        at_x, at_y = rng.uniform(-0.5, 0.1), rng.uniform(0.1, 0.4)
        _paint(field, 0.9 * _spot(x, y, at_x, at_y, rng.uniform(0.01, 0.025)), (0.95, 0.85, 0.45))
    return _bytes(field * (np.hypot(x, y) < 0.94)[..., None])


def brain() -> Pixels:
    """Height x width, grey: skull, brain, ventricles, and a bright round mass in the left half of the picture."""
    x, y = _grid()
    slice_: Layer = np.zeros_like(x)
    around = np.hypot(x / 0.74, y / 0.9)
    slice_ += 0.75 * np.exp(-(((around - 1) / 0.035) ** 2))
    inside = around < 0.93
    folds = np.sin(17 * x + 3 * np.sin(9 * y)) * np.sin(15 * y + 2 * np.cos(11 * x))
    slice_ += inside * (0.46 + 0.07 * folds * (around > 0.55))
    for side in (-1, 1):
        slice_ -= 0.36 * np.exp(-(((x - 0.1 * side) / 0.055) ** 2) - ((y / 0.25) ** 2))
    slice_ -= 0.2 * inside * np.exp(-((x / 0.008) ** 2))
    slice_ += 0.42 * _spot(x, y, -0.36, -0.22, 0.13) - 0.2 * _spot(x, y, -0.36, -0.22, 0.05)
    return _bytes(slice_)


def _grid() -> tuple[Layer, Layer]:
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    return x, y


def _spot(x: Layer, y: Layer, at_x: float, at_y: float, radius: float) -> Layer:
    """1 within `radius` (in half sides of the picture), 0 outside, with a soft edge."""
    edge: Layer = (1 - np.tanh((np.hypot(x - at_x, y - at_y) - radius) / (0.24 * radius))) / 2
    return edge


def _paint(field: Layer, cover: Layer, colour: tuple[float, float, float]) -> None:
    field += cover[..., None] * (np.array(colour) - field)


def _bytes(values: Layer) -> Pixels:
    return np.asarray(np.clip(255 * values, 0, 255), np.uint8)
