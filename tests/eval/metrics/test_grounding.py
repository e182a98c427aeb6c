"""Grounding against hand-computed cases and scikit-learn's Jaccard and F1."""

import math

import numpy as np
import pytest
from sklearn.metrics import f1_score, jaccard_score

from eval.metrics.grounding import (
    box_iou,
    boxes_mask,
    dice,
    mask_iou,
    mean_iou,
    peak,
    points_at_box,
    points_at_mask,
)
from retrieval.errors import BadInput

BOX = (2, 1, 6, 4)


def test_boxes_are_half_open() -> None:
    assert points_at_box((2, 1), [BOX])
    assert points_at_box((5.9, 3.9), [BOX])
    assert not points_at_box((6, 2), [BOX])
    assert not points_at_box((3, 4), [BOX])
    assert points_at_box((7.5, 2), [BOX], tolerance=2)
    assert points_at_box((0, 0), [BOX, (0, 0, 1, 1)])
    assert not points_at_box((0, 0), [])


def test_masks_are_indexed_y_x() -> None:
    mask = np.zeros((3, 5), dtype=bool)
    mask[1, 4] = True
    assert points_at_mask((4, 1), mask)
    assert points_at_mask((4.9, 1.2), mask)
    assert not points_at_mask((1, 2), mask)
    assert not points_at_mask((-1, 1), mask)
    assert not points_at_mask((1, 4), mask)


def test_peak_is_x_y() -> None:
    heat = np.zeros((3, 5))
    heat[1, 4] = 1
    assert peak(heat) == (4, 1)
    with pytest.raises(BadInput, match="two axes"):
        peak(np.zeros(3))


def test_iou_of_boxes_by_hand() -> None:
    assert box_iou((0, 0, 4, 4), (2, 2, 6, 6)) == pytest.approx(4 / 28)
    assert box_iou(BOX, BOX) == 1
    assert box_iou((0, 0, 2, 2), (2, 0, 4, 2)) == 0
    assert box_iou((0, 0, 1, 1), (3, 3, 4, 4)) == 0
    assert mean_iou([BOX, None], [BOX, BOX]) == 0.5
    assert math.isnan(mean_iou([], []))


@pytest.mark.parametrize("seed", range(4))
def test_masks_equal_scikit_learn_and_boxes_equal_masks(seed: int) -> None:
    random = np.random.default_rng(seed)
    a, b = random.random((2, 12, 9)) < 0.4
    assert mask_iou(a, b) == pytest.approx(jaccard_score(a.ravel(), b.ravel()))
    assert dice(a, b) == pytest.approx(f1_score(a.ravel(), b.ravel()))
    (x0, y0, u0, v0), (w, h, s, t) = random.integers(0, 8, size=4), random.integers(1, 8, size=4)
    left, right = (x0, y0, x0 + w, y0 + h), (u0, v0, u0 + s, v0 + t)
    assert box_iou(left, right) == pytest.approx(mask_iou(boxes_mask([left], 16, 16), boxes_mask([right], 16, 16)))


def test_masks_by_hand() -> None:
    a, b = np.array([[1, 1, 0]]), np.array([[0, 1, 1]])
    assert mask_iou(a, b) == pytest.approx(1 / 3)
    assert dice(a, b) == 0.5
    empty = np.zeros((1, 3))
    assert math.isnan(mask_iou(empty, empty))
    assert math.isnan(dice(empty, empty))
    assert mask_iou(a, empty) == 0


def test_several_boxes_are_one_mask() -> None:
    mask = boxes_mask([(0, 0, 2, 1), (1, 0, 3, 2)], 2, 4)
    assert mask.astype(int).tolist() == [[1, 1, 1, 0], [0, 1, 1, 0]]
    # A pixel belongs to a box that holds its centre.
    assert boxes_mask([(0.4, 0, 1.6, 1)], 1, 3).astype(int).tolist() == [[1, 1, 0]]


def test_bad_shapes_are_refused() -> None:
    with pytest.raises(BadInput, match="x0 < x1"):
        box_iou((4, 0, 2, 2), BOX)
    with pytest.raises(BadInput, match="differ in size"):
        dice(np.ones((2, 2)), np.ones((2, 3)))
    with pytest.raises(BadInput, match="two axes"):
        mask_iou(np.ones(4), np.ones(4))
