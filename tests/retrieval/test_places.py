"""Places from maps whose cells are known."""

import numpy as np
import pytest

from retrieval.encoders.patches import Patches
from retrieval.places import heat_of, place_of, score_of

TEXT = np.array([1, 0], np.float32)


def patches(cosines: np.ndarray, extent: tuple[float, float, float, float]) -> Patches:
    """Cells of unit length with these cosines to TEXT."""
    return Patches(np.stack([cosines, np.sqrt(1 - cosines**2)], axis=-1).astype(np.float32), extent)


def spot(rows: int, columns: int, where: tuple[int, int], size: int = 1) -> np.ndarray:
    cosines = np.full((rows, columns), 0.1)
    cosines[where[0] : where[0] + size, where[1] : where[1] + size] = 0.6
    return cosines


def test_the_peak_and_the_box_are_in_pixels_of_the_picture() -> None:
    known = patches(spot(10, 20, (2, 14), 3), (0, 0, 400, 100))
    place = place_of(heat_of(known, TEXT, (400, 100)), known.extent, (400, 100))
    assert place.peak == (290, 25)
    assert place.box == (280, 20, 340, 50)
    assert place.clear > 3


def test_what_was_padded_is_never_a_place() -> None:
    """A wide picture in a square: the cells above and below it belong to no pixel."""
    cosines = spot(16, 16, (0, 5), 2)
    cosines[7, 9] = 0.4
    known = patches(cosines, (0, -100, 400, 300))
    heat = heat_of(known, TEXT, (400, 200))
    assert np.isnan(heat[:4]).all()
    assert np.isnan(heat[12:]).all()
    assert not np.isnan(heat[4:12]).any()
    place = place_of(heat, known.extent, (400, 200))
    assert place.peak == (237, 87)
    x0, y0, x1, y1 = place.box
    assert 0 <= x0 <= 237 < x1 <= 400
    assert 0 <= y0 <= 87 < y1 <= 200


def test_a_box_stays_in_the_picture_and_what_was_cropped_shifts_it() -> None:
    cropped = patches(spot(4, 4, (0, 0)), (50, 0, 150, 100))
    assert place_of(heat_of(cropped, TEXT, (200, 100)), cropped.extent, (200, 100)).box == (50, 0, 75, 25)
    padded = patches(spot(5, 5, (1, 0)), (-5, -5, 95, 95))
    assert place_of(heat_of(padded, TEXT, (90, 90)), padded.extent, (90, 90)).box == (0, 15, 15, 35)


def test_a_flat_map_is_not_clear_and_one_of_many_peaks_less_than_one_of_one() -> None:
    flat = patches(np.full((8, 8), 0.3), (0, 0, 8, 8))
    assert place_of(heat_of(flat, TEXT, (8, 8)), flat.extent, (8, 8)).clear == 0
    one, many = spot(8, 8, (3, 3)), np.where(np.indices((8, 8)).sum(0) % 2, 0.6, 0.1)
    clear = [place_of(heat_of(patches(c, (0, 0, 8, 8)), TEXT, (8, 8)), (0, 0, 8, 8), (8, 8)).clear for c in (one, many)]
    assert clear[0] > 3 > clear[1]


def test_the_box_leaves_out_what_is_hot_elsewhere() -> None:
    cosines = spot(10, 10, (1, 1), 2)
    cosines[8, 8] = 0.5
    known = patches(cosines, (0, 0, 100, 100))
    assert place_of(heat_of(known, TEXT, (100, 100)), known.extent, (100, 100)).box == (10, 10, 30, 30)


def test_the_score_is_that_of_the_cells_that_fit() -> None:
    """RadZero's rule: a small spot outweighs what is around it; the picture that shows it scores higher."""
    shows, lacks = (patches(c, (0, 0, 8, 8)) for c in (spot(8, 8, (3, 3), 2), np.full((8, 8), 0.1)))
    scores = [score_of(p, TEXT, heat_of(p, TEXT, (8, 8))) for p in (shows, lacks)]
    assert scores[1] == pytest.approx(0.1, abs=1e-4)
    assert scores[0] > shows.vectors.mean((0, 1)) @ TEXT / np.linalg.norm(shows.vectors.mean((0, 1)))
