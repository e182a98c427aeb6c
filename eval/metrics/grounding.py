"""Is the finding where the model says? Boxes are (x0, y0, x1, y1) in pixels, half open: x0 <= x < x1, y0 <= y < y1.

Points are (x, y); masks are boolean (height, width), so that a point is mask[y, x].
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from eval.metrics.base import same_length
from retrieval.errors import BadInput

Box = tuple[float, float, float, float]
Point = tuple[float, float]


def peak(heatmap: ArrayLike) -> tuple[int, int]:
    """The hottest pixel (x, y) of a map (height, width); the first in reading order when several are."""
    heat = np.asarray(heatmap)
    if heat.ndim != 2 or not heat.size:
        raise BadInput("a heat map has two axes, height and width, and at least one pixel")
    y, x = np.unravel_index(np.nanargmax(heat), heat.shape)
    return int(x), int(y)


def points_at_box(point: Point, boxes: Iterable[Box], tolerance: float = 0.0) -> bool:
    """Pointing game (Zhang et al. 2016): the point lies in one of the boxes, or within `tolerance` pixels of one."""
    x, y = point
    return any(
        x0 - tolerance <= x < x1 + tolerance and y0 - tolerance <= y < y1 + tolerance
        for x0, y0, x1, y1 in map(_box, boxes)
    )


def points_at_mask(point: Point, mask: ArrayLike) -> bool:
    """Pointing game on a mask: the point's pixel belongs to it; a point outside the picture doesn't."""
    area = _mask(mask)
    x, y = math.floor(point[0]), math.floor(point[1])
    return 0 <= y < area.shape[0] and 0 <= x < area.shape[1] and bool(area[y, x])


def box_iou(a: Box, b: Box) -> float:
    """Area of the intersection over area of the union, 0..1."""
    (ax0, ay0, ax1, ay1), (bx0, by0, bx1, by1) = _box(a), _box(b)
    shared = max(0.0, min(ax1, bx1) - max(ax0, bx0)) * max(0.0, min(ay1, by1) - max(ay0, by0))
    return shared / ((ax1 - ax0) * (ay1 - ay0) + (bx1 - bx0) * (by1 - by0) - shared)


def mean_iou(predicted: Sequence[Box | None], truth: Sequence[Box]) -> float:
    """Mean `box_iou` over the items; an item without a predicted box (None) counts 0. nan over no items."""
    same_length(predicted=predicted, truth=truth)
    found = [box_iou(a, b) if a is not None else 0.0 for a, b in zip(predicted, truth, strict=True)]
    return sum(found) / len(found) if found else math.nan


def mask_iou(a: ArrayLike, b: ArrayLike) -> float:
    """Pixels in both over pixels in either, 0..1; nan when both masks are empty."""
    left, right = _masks(a, b)
    either = int((left | right).sum())
    return int((left & right).sum()) / either if either else math.nan


def dice(a: ArrayLike, b: ArrayLike) -> float:
    """Twice the pixels in both over the sum of the two, 0..1; nan when both masks are empty."""
    left, right = _masks(a, b)
    total = int(left.sum()) + int(right.sum())
    return 2 * int((left & right).sum()) / total if total else math.nan


def boxes_mask(boxes: Iterable[Box], height: int, width: int) -> NDArray[np.bool_]:
    """The pixels whose centre lies in one of the boxes: several boxes of one finding are scored as one mask."""
    y, x = np.mgrid[:height, :width] + 0.5
    mask = np.zeros((height, width), dtype=bool)
    for x0, y0, x1, y1 in map(_box, boxes):
        mask |= (x0 <= x) & (x < x1) & (y0 <= y) & (y < y1)
    return mask


def _box(box: Box) -> Box:
    x0, y0, x1, y1 = box
    if not (x0 < x1 and y0 < y1):
        raise BadInput("a box is x0, y0, x1, y1 with x0 < x1 and y0 < y1; leave an empty one out")
    return x0, y0, x1, y1


def _mask(mask: ArrayLike) -> NDArray[np.bool_]:
    area = np.asarray(mask)
    if area.ndim != 2:
        raise BadInput("a mask has two axes, height and width")
    return area.astype(bool)


def _masks(a: ArrayLike, b: ArrayLike) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    left, right = _mask(a), _mask(b)
    if left.shape != right.shape:
        raise BadInput(f"the masks differ in size ({left.shape} and {right.shape}): resample one to the other's grid")
    return left, right
