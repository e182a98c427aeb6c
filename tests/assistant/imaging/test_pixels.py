import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from assistant.errors import TooLarge
from assistant.imaging import resize, thumbnail, to_png
from assistant.imaging.pixels import Budget, key_indices, robust_window, square, to_grey
from assistant.study import Picture
from tests.assistant.imaging.make import gradient


@given(st.integers(1, 5000), st.integers(1, 20))
def test_key_indices_are_few_distinct_ordered_and_spread(n: int, limit: int) -> None:
    chosen = key_indices(n, limit)
    assert len(chosen) == min(n, limit)
    assert chosen == sorted(set(chosen))
    assert 0 <= chosen[0] <= chosen[-1] < n
    gaps = np.diff(chosen)
    assert len(gaps) == 0 or gaps.max() - gaps.min() <= 1


def test_the_budget_counts_all_pictures_together() -> None:
    budget = Budget(1000)
    budget.take(20, 20, 2)
    with pytest.raises(TooLarge, match="20 × 20"):
        budget.take(20, 20)
    budget.take(10, 20)


def test_grey_levels_span_the_window_and_clip_outside() -> None:
    values = np.array([-5.0, 0.0, 5.0, 10.0, 99.0, np.nan])
    assert to_grey(values, (0, 10)).tolist() == [0, 0, 128, 255, 255, 0]
    assert to_grey(values, (3, 3)).tolist() == [0] * 6


def test_a_robust_window_ignores_the_few_extremes() -> None:
    values = np.concatenate([np.linspace(100, 200, 10_000), [1e6, np.inf, np.nan]])
    low, high = robust_window(values)
    assert 99 < low < 102
    assert 198 < high < 201
    assert robust_window(np.array([np.nan])) == (0.0, 0.0)


def test_pixels_are_made_square() -> None:
    pixels, spacing = square(np.zeros((10, 30), np.uint8), (3.0, 1.0))
    assert pixels.shape == (30, 30)
    assert spacing == (1.0, 1.0)
    same, spacing = square(pixels, (0.5, 0.5))
    assert same is pixels
    assert square(pixels, (100.0, 1.0))[0] is pixels  # no such detector: a broken header


def test_resizing_never_enlarges() -> None:
    pixels = gradient(50, 100, np.uint8, 255)
    assert resize(pixels, 40).shape == (20, 40)
    assert resize(pixels, 400) is pixels


def test_a_png_is_exact_repeatable_and_carries_no_metadata() -> None:
    for pixels in (gradient(30, 20, np.uint8, 255), np.dstack([gradient(30, 20, np.uint8, 255)] * 3)):
        png = to_png(Picture(pixels))
        assert png == to_png(Picture(pixels.copy()))
        with Image.open(io.BytesIO(png)) as image:
            assert (np.array(image) == pixels).all()
            assert not image.info
    with Image.open(io.BytesIO(thumbnail(gradient(90, 60, np.uint8), 30))) as image:
        assert image.size == (20, 30)
