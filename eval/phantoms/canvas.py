"""The detector plane: a pixel grid measured in mm, and the projection of small masses onto it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Canvas:
    """Square grid of `size` pixels; x grows to the picture's right (the patient's left), y downwards, both in mm.

    Everything anatomical is computed in mm, so one anatomy looks the same at every size.
    """

    size: int
    field: float  # side of the picture in mm
    left: float  # mm coordinate of the picture's left edge
    top: float  # mm coordinate of the picture's top edge

    @property
    def spacing(self) -> float:
        """mm per pixel."""
        return self.field / self.size

    @cached_property
    def x(self) -> Array:
        """Pixel centres, shape (1, size), mm."""
        return ((np.arange(self.size, dtype=np.float32) + 0.5) * self.spacing + self.left)[None, :]

    @cached_property
    def y(self) -> Array:
        """Pixel centres, shape (size, 1), mm."""
        return ((np.arange(self.size, dtype=np.float32) + 0.5) * self.spacing + self.top)[:, None]

    def splat(self, x: Array, y: Array, volume: Array) -> Array:
        """Path length (mm) through small masses of `volume` mm^3 at (x, y) mm, each spread over 4 pixels."""
        n = self.size
        u = (x.ravel() - self.left) / self.spacing + 0.5  # a border of one pixel catches what falls beside the picture
        v = (y.ravel() - self.top) / self.spacing + 0.5
        w = np.broadcast_to(volume, x.shape).ravel()
        inside = np.flatnonzero((u > 0) & (u < n + 1) & (v > 0) & (v < n + 1))
        u, v, w = u[inside], v[inside], w[inside]
        iu, iv = u.astype(np.intp), v.astype(np.intp)
        u -= iu
        v -= iv
        right = w * u
        lower_right = right * v
        lower = w * v
        weights = (w - right - lower + lower_right, right - lower_right, lower - lower_right, lower_right)
        index = iv * (n + 2) + iu
        length = (n + 2) ** 2
        total = np.zeros(length)
        for offset, weight in zip((0, 1, n + 2, n + 3), weights, strict=True):
            part = np.bincount(index, weight, minlength=length)
            total[offset:] += part[: length - offset]
        grid = total.reshape(n + 2, n + 2)[1:-1, 1:-1]
        return (grid / self.spacing**2).astype(np.float32)

    def line(self, path: Array, radius: float, thickness: float) -> Array:
        """Path length (mm) through a round strand of `radius` mm along `path` (n, 2) mm, at most `thickness` thick."""
        run = np.concatenate([[0.0], np.hypot(*np.diff(path, axis=0).T).cumsum()])
        n = max(2, int(np.ceil(run[-1] / (0.7 * self.spacing))))
        at = (np.arange(n) + 0.5) * (run[-1] / n)
        x, y = (np.interp(at, run, path[:, axis]) for axis in (0, 1))
        heading = np.hypot(np.gradient(x), np.gradient(y)) + 1e-9
        nx, ny = -np.gradient(y) / heading, np.gradient(x) / heading
        k = max(3, int(np.ceil(2.0 * radius / (0.7 * self.spacing))))
        u = ((np.arange(k) + 0.5) * (2.0 / k) - 1.0)[:, None]
        volume = thickness * np.sqrt(1.0 - u**2) * (2.0 * radius / k) * (run[-1] / n) * np.ones(n)
        return self.splat(x + radius * u * nx, y + radius * u * ny, volume.astype(np.float32))


def smoothstep(low: float, high: float, value: Any) -> Array:
    """0 below `low`, 1 above `high`, smooth between; `low` may exceed `high`."""
    t = np.clip((np.asarray(value, np.float32) - low) * (1.0 / (high - low)), 0.0, 1.0)
    out: Array = t * t * (3.0 - 2.0 * t)
    return out


def chord(squared: Any, depth: Any) -> Array:
    """Path through an ellipsoid of full depth `depth` at normalised squared distance `squared` from its axis."""
    out: Array = np.sqrt(np.maximum(1.0 - squared, 0.0), dtype=np.float32) * np.asarray(depth, np.float32)
    return out
