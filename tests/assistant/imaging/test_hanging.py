from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.imaging.hanging import AXES, from_cosines, from_letters, hang, plane
from assistant.study import Orientation

PAIRS = [p for p in product("LRAPHF", repeat=2) if not any(set(p) <= axis for axis in AXES)]
FRONTAL = [p for p in PAIRS if set(p) & set("LR") and set(p) & set("HF")]
VECTORS = {"L": (1, 0, 0), "R": (-1, 0, 0), "P": (0, 1, 0), "A": (0, -1, 0), "H": (0, 0, 1), "F": (0, 0, -1)}


def body(right: str, down: str, size: int = 9) -> np.ndarray:
    """A picture of a marked body in this orientation: 200 in the patient's upper left, 100 in the upper right, 50 in
    the lower left (front counts as upper on an axial picture)."""
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    towards = {right: x, down: y}
    left = towards["L"] if "L" in towards else -towards["R"]
    up = next(
        towards[k] if k in towards else -towards[o] for k, o in (("H", "F"), ("A", "P")) if k in towards or o in towards
    )
    marks = 200 * ((left > 0.3) & (up > 0.3)) + 100 * ((left < -0.3) & (up > 0.3)) + 50 * ((left > 0.3) & (up < -0.3))
    return marks.astype(np.uint8)


def test_there_are_eight_ways_to_hang_a_frontal_picture() -> None:
    assert len(FRONTAL) == 8


@pytest.mark.parametrize(("right", "down"), [p for p in PAIRS if set(p) & set("LR")])
def test_every_orientation_ends_with_the_patients_right_on_the_left(right: str, down: str) -> None:
    turned, orientation, swapped = hang(body(right, down), Orientation(right, down))
    assert orientation.right == "L"
    assert orientation.down in "FP"
    assert swapped == (down in "LR")
    assert turned[0, -1] == 200
    assert turned[0, 0] == 100
    assert turned[-1, -1] == 50
    assert turned[-1, 0] == 0


@pytest.mark.parametrize(("right", "down"), [p for p in PAIRS if not set(p) & set("LR")])
def test_a_picture_without_sides_stays_as_it_is(right: str, down: str) -> None:
    pixels = np.arange(12, dtype=np.uint8).reshape(3, 4)
    turned, orientation, swapped = hang(pixels, Orientation(right, down))
    assert turned is pixels
    assert (orientation, swapped) == (Orientation(right, down), False)


@given(st.sampled_from(PAIRS), st.integers(1, 6), st.integers(1, 6))
def test_turning_keeps_every_pixel_and_turning_twice_changes_nothing(
    pair: tuple[str, str], height: int, width: int
) -> None:
    pixels = np.arange(height * width * 3, dtype=np.uint8).reshape(height, width, 3)
    once = hang(pixels, Orientation(*pair))
    twice = hang(once[0], once[1])
    assert sorted(once[0].ravel()) == sorted(pixels.ravel())
    assert (twice[0] == once[0]).all()
    assert twice[1:] == (once[1], False)


@pytest.mark.parametrize(("right", "down"), PAIRS)
def test_cosines_and_letters_say_the_same(right: str, down: str) -> None:
    tilt = np.array([0.1, -0.1, 0.1])
    row, column = (np.array(VECTORS[k]) + tilt for k in (right, down))
    cosines = [*(row / np.linalg.norm(row)), *(column / np.linalg.norm(column))]
    assert from_cosines(cosines) == Orientation(right, down) == from_letters([right, down + "X"])


@pytest.mark.parametrize("values", [[], ["L"], ["L", "R"], ["L", ""], ["Q", "F"], ["L", "F", "P"], ["IGNORE", "ALL"]])
def test_letters_that_make_no_sense_are_no_orientation(values: list[str]) -> None:
    assert from_letters(values) is None


@pytest.mark.parametrize("cosines", [[0] * 6, [1, 0, 0, 1, 0, 0], [5, 0, 0, 0, 1, 0], [float("nan")] * 6])
def test_cosines_that_make_no_sense_are_no_orientation(cosines: list[float]) -> None:
    assert from_cosines(cosines) is None


def test_planes() -> None:
    assert plane(Orientation("L", "P")) == "AXIAL"
    assert plane(Orientation("L", "F")) == "CORONAL"
    assert plane(Orientation("P", "F")) == "SAGITTAL"
