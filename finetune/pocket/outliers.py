"""Pictures that are no chest radiograph, made from nothing: what the encoder must learn to hold apart from what it
knows. Shapes only loosely like other kinds (discs, slices, cells, scenes, pages), so that no real kind is favoured."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter


def outlier(size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """(size, size, 3) uint8, grey or in colour."""
    kind = rng.integers(7)
    makers = (_noise, _clouds, _disc, _slice, _cells, _polygons, _page)
    grey = makers[kind](size, rng)
    if rng.random() < 0.5:
        grey = 1 - grey if rng.random() < 0.3 else grey
        return (np.clip(np.repeat(grey[..., None], 3, 2), 0, 1) * 255).astype(np.uint8)
    low, high = rng.random(3), rng.random(3)
    colour = low + grey[..., None] * (high - low) + _clouds(size, rng)[..., None] * rng.uniform(0, 0.2)
    return (np.clip(colour, 0, 1) * 255).astype(np.uint8)


def _grid(size: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    return y, x


def _noise(size: int, rng: np.random.Generator) -> NDArray[np.float64]:
    return rng.random((size, size))


def _clouds(size: int, rng: np.random.Generator) -> NDArray[np.float64]:
    total = sum(gaussian_filter(rng.standard_normal((size, size)), s) * s for s in 2.0 ** rng.uniform(0, 5, 3))
    total = np.asarray(total)
    return (total - total.min()) / (np.ptp(total) + 1e-9)


def _disc(size: int, rng: np.random.Generator) -> NDArray[np.float64]:
    y, x = _grid(size)
    inside = np.hypot(y + rng.normal(0, 0.1), x + rng.normal(0, 0.1)) < rng.uniform(0.5, 1.0)
    spot = np.exp(-((y - rng.normal(0, 0.3)) ** 2 + (x - rng.normal(0, 0.3)) ** 2) / rng.uniform(0.005, 0.1))
    lines = sum(
        np.exp(-(((x * np.cos(a) + y * np.sin(a) - rng.normal(0, 0.3) * x**2) / 0.02) ** 2))
        for a in rng.uniform(0, np.pi, rng.integers(0, 6))
    )
    return inside * (0.4 + 0.3 * _clouds(size, rng) + spot * rng.uniform(-0.4, 0.5) - 0.3 * lines)


def _slice(size: int, rng: np.random.Generator) -> NDArray[np.float64]:
    y, x = _grid(size)
    radius = np.hypot(y / rng.uniform(0.6, 0.95), x / rng.uniform(0.5, 0.95))
    inside, rim = radius < 1, np.abs(radius - 0.95) < rng.uniform(0.02, 0.08)
    picture = inside * (rng.uniform(0.2, 0.5) + 0.3 * _clouds(size, rng)) + rim * rng.uniform(0.2, 0.5)
    for _ in range(rng.integers(1, 8)):
        cy, cx, r = *rng.normal(0, 0.3, 2), rng.uniform(0.03, 0.3)
        picture += inside * (np.hypot(y - cy, (x - cx) * rng.uniform(0.5, 2)) < r) * rng.uniform(-0.4, 0.5)
    return picture


def _cells(size: int, rng: np.random.Generator) -> NDArray[np.float64]:
    y, x = _grid(size)
    picture = np.full((size, size), rng.uniform(0.6, 0.95))
    radius = rng.uniform(0.05, 0.25)
    for _ in range(rng.integers(5, 60)):
        cy, cx = rng.uniform(-1, 1, 2)
        distance = np.hypot(y - cy, x - cx) / (radius * rng.uniform(0.7, 1.3))
        picture -= rng.uniform(0.05, 0.4) * (distance < 1) * (1 - rng.uniform(0, 0.6) * (distance < 0.5))
    return picture


def _polygons(size: int, rng: np.random.Generator) -> NDArray[np.float64]:
    y, x = _grid(size)
    picture = _clouds(size, rng) * rng.uniform(0, 0.4)
    for _ in range(rng.integers(3, 14)):
        half = np.ones((size, size), bool)
        for angle in rng.uniform(0, 2 * np.pi, rng.integers(2, 5)):
            half &= x * np.cos(angle) + y * np.sin(angle) < rng.uniform(-0.2, 0.6)
        picture = np.where(half, rng.random() + 0.1 * y, picture)
    return picture


def _page(size: int, rng: np.random.Generator) -> NDArray[np.float64]:
    picture = np.full((size, size), rng.uniform(0.8, 1.0))
    step = int(rng.integers(4, 12))
    for top in range(step, size - step, step):
        ink = rng.random(size) < rng.uniform(0.4, 0.8)
        picture[top : top + max(1, step // 2), step : int(size * rng.uniform(0.4, 1))] -= 0.7
        picture[top : top + max(1, step // 2)] += 0.7 * ~ink
    return picture
