"""Where in a picture is what a sentence says: the similarity of its cells to the sentence, by RadZero's rule.

    s = cos(text, cell) / τ,  a = softmax(s),  score = cos(text, Σ a · cell)          (Park et al. 2025)

The map is the cosines, the score says how well the sentence fits the picture where it fits best. It is where the
encoder's similarity is highest: no segmentation, and nothing is there because a map has a peak. Pure.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.encoders.patches import Patches, Rectangle
from retrieval.types import Vector

TAU = 0.07  # CLIP's temperature before training
HALF = 0.5  # of the way from the median to the peak: what belongs to the place

Heat = NDArray[np.float32]  # (rows, columns) cosines; nan for a cell whose middle lies outside the picture
Whole = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Place:
    """`peak` (x, y) and `box` (x0, y0, x1, y1, half open) in pixels of the picture. `clear`: how far the peak stands
    out of its map, in standard deviations of the map."""

    peak: tuple[int, int]
    box: Whole
    clear: float


def heat_of(patches: Patches, text: Vector, picture: tuple[int, int]) -> Heat:
    """The map of a picture (width, height) for a text, a unit vector of the same space."""
    heat: Heat = (patches.vectors @ text).astype(np.float32)
    (across, down), (width, height) = _middles(heat, patches.extent), picture
    inside = ((down >= 0) & (down < height))[:, None] & ((across >= 0) & (across < width))[None, :]
    return np.where(inside, heat, np.float32(np.nan))


def score_of(patches: Patches, text: Vector, heat: Heat) -> float:
    """RadZero's score, −1..1: of several pictures, the one with the highest shows it best."""
    inside = ~np.isnan(heat)
    attention = np.exp((heat[inside] - heat[inside].max()) / TAU)
    seen = (attention[:, None] * patches.vectors[inside]).sum(axis=0)
    return float(seen @ text / max(float(np.linalg.norm(seen)), 1e-12))


def place_of(heat: Heat, extent: Rectangle, picture: tuple[int, int]) -> Place:
    """The hottest cell, and the box of what is hot around it. A flat map has a peak that is not clear at all."""
    from scipy.ndimage import label

    row, column = np.unravel_index(int(np.nanargmax(heat)), heat.shape)
    peak, middle, spread = float(heat[row, column]), float(np.nanmedian(heat)), float(np.nanstd(heat))
    parts, _ = label(np.nan_to_num(heat, nan=-2.0) >= middle + HALF * (peak - middle))
    rows, columns = np.nonzero(parts == parts[row, column])
    across, down = _middles(heat, extent)
    (x0, y0, x1, y1), (width, height) = extent, picture
    wide, high = (x1 - x0) / heat.shape[1], (y1 - y0) / heat.shape[0]
    left, right = max(0.0, x0 + wide * columns.min()), min(float(width), x0 + wide * (columns.max() + 1))
    top, bottom = max(0.0, y0 + high * rows.min()), min(float(height), y0 + high * (rows.max() + 1))
    box = (int(np.floor(left)), int(np.floor(top)), int(np.ceil(right)), int(np.ceil(bottom)))
    clear = (peak - float(np.nanmean(heat))) / spread if spread > 1e-6 else 0.0
    return Place((int(across[column]), int(down[row])), box, clear)


def _middles(heat: Heat, extent: Rectangle) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """x of the columns' middles and y of the rows', in pixels of the picture."""
    (x0, y0, x1, y1), (rows, columns) = extent, heat.shape
    across = x0 + (np.arange(columns) + 0.5) * (x1 - x0) / columns
    down = y0 + (np.arange(rows) + 0.5) * (y1 - y0) / rows
    return across, down
