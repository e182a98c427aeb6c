"""Corruptions grow with severity, are the same for the same seed, and their errors are the published formulas."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from eval.corruptions import KINDS, SEVERITIES, corrupt, corruption_error, mean_corruption_error, relative_error

ALL = sorted({kind for kinds in KINDS.values() for kind in kinds})
HIDING = [kind for kind in ALL if kind.endswith(("noise", "blur")) or kind in ("pixelate", "jpeg compression")]


def picture(seed: int, size: int = 128) -> NDArray[np.uint8]:
    """Soft blobs with a few sharp edges and fine texture, 20..230: something that every corruption can harm."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:size, 0:size] / size
    values = 0.3 + 0.3 * np.sin(rows * rng.uniform(4, 9) + 1) * np.cos(columns * rng.uniform(4, 9))
    for _ in range(6):
        y, x, radius = rng.uniform(0.1, 0.9), rng.uniform(0.1, 0.9), rng.uniform(0.03, 0.2)
        values += rng.uniform(-0.3, 0.3) * (np.hypot(rows - y, columns - x) < radius)
    values += rng.normal(0, 0.02, values.shape)
    return (20 + 210 * np.clip(values, 0, 1)).astype(np.uint8)


PICTURES = [picture(seed) for seed in range(4)]


@pytest.mark.parametrize("kind", ALL)
def test_damage_grows_with_severity(kind: str) -> None:
    for n, clean in enumerate(PICTURES):
        signal = [peak_signal_noise_ratio(clean, corrupt(clean, kind, severity, n)) for severity in SEVERITIES]
        assert all(np.diff(signal) < 0), (kind, n, signal)
        assert signal[0] < 50  # even the slightest is there


@pytest.mark.parametrize("kind", HIDING)
def test_structure_is_lost_with_severity(kind: str) -> None:
    kept = np.mean(
        [[structural_similarity(p, corrupt(p, kind, s, n)) for s in SEVERITIES] for n, p in enumerate(PICTURES)], axis=0
    )
    assert all(np.diff(kept) < 0), (kind, kept)


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("shape", [(64, 48), (48, 64, 3), (300, 260), (1, 1), (3, 2, 3)])
def test_form_is_kept_and_the_original_untouched(kind: str, shape: tuple[int, ...]) -> None:
    clean = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    before = clean.copy()
    for severity in (1, 5):
        damaged = corrupt(clean, kind, severity, 0)
        assert (damaged.shape, damaged.dtype) == (shape, np.uint8)
    assert np.array_equal(clean, before)


@pytest.mark.parametrize("kind", ALL)
def test_the_seed_decides(kind: str) -> None:
    same = [corrupt(PICTURES[0], kind, 3, 7) for _ in range(2)]
    assert np.array_equal(*same)
    drawn = kind.endswith("noise") or kind == "motion blur"
    assert np.array_equal(same[0], corrupt(PICTURES[0], kind, 3, 8)) != drawn


def test_noise_has_the_deviation_it_says_and_grows_grains_with_the_picture() -> None:
    grey = np.full((224, 224), 128, np.uint8)
    noise = corrupt(grey, "gaussian noise", 2, 0).astype(float) - 128
    assert noise.std() / 255 == pytest.approx(0.08, rel=0.03)
    assert corrupt(grey, "shot noise", 1, 0).std() / 255 == pytest.approx(math.sqrt(128 / 255 / 60), rel=0.03)
    assert (corrupt(grey, "impulse noise", 3, 0) != 128).mean() == pytest.approx(0.06, rel=0.1)
    large = corrupt(np.full((448, 448), 128, np.uint8), "gaussian noise", 2, 0)
    assert np.array_equal(large[::2, ::2], large[1::2, 1::2])  # grains of 2 x 2
    assert (large.astype(float) - 128).std() / 255 == pytest.approx(0.08, rel=0.03)


def test_light_changes_as_named() -> None:
    grey = np.array([[100, 150]], np.uint8)
    assert corrupt(grey, "brightness up", 5, 0).tolist() == [[150, 225]]
    assert corrupt(grey, "brightness down", 5, 0).tolist() == [[50, 75]]
    assert corrupt(grey, "contrast down", 5, 0).tolist() == [[115, 135]]  # towards the mean of 125
    assert corrupt(grey, "contrast up", 1, 0).tolist() == [[97, 152]]
    expected = [[round(255 * (value / 255) ** 1.6) for value in (100, 150)]]
    assert corrupt(grey, "gamma up", 5, 0).tolist() == expected  # exponents above 1 darken


def test_a_blur_leaves_a_point_in_its_place_and_its_light_in_the_picture() -> None:
    point = np.zeros((225, 225), np.uint8)
    point[110:115, 110:115] = 255
    for kind in ("gaussian blur", "defocus blur", "motion blur"):
        blurred = corrupt(point, kind, 4, 3).astype(float)
        rows, columns = np.mgrid[0:225, 0:225]
        centre = (rows * blurred).sum() / blurred.sum(), (columns * blurred).sum() / blurred.sum()
        assert centre == pytest.approx((112, 112), abs=0.5), kind
        assert blurred.sum() == pytest.approx(point.sum(), rel=0.1), kind
        assert blurred.max() < 240, kind


def test_chests_get_the_kinds_of_chestmnist_c() -> None:
    assert len(KINDS["chest_xray"]) == 13
    assert not {"motion blur", "defocus blur"} & set(KINDS["chest_xray"])


@pytest.mark.parametrize(
    ("pixels", "kind", "severity", "says"),
    [
        (PICTURES[0], "fog", 1, "unknown corruption 'fog'; known: pixelate"),
        (PICTURES[0], "pixelate", 0, "severity must be 1 to 5, not 0"),
        (PICTURES[0], "pixelate", 6, "severity must be 1 to 5, not 6"),
        (PICTURES[0].astype(float), "pixelate", 1, "uint8"),
        (np.zeros((4, 4, 4), np.uint8), "pixelate", 1, "not uint8 of"),
        (np.zeros((0, 4), np.uint8), "pixelate", 1, "not uint8 of"),
    ],
)
def test_other_input_is_refused(pixels: NDArray[np.uint8], kind: str, severity: int, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        corrupt(pixels, kind, severity, 0)


def test_errors_by_hand() -> None:
    model, baseline = [0.2, 0.2, 0.3, 0.3, 0.5], [0.3, 0.4, 0.5, 0.6, 0.7]
    assert corruption_error(model, baseline) == pytest.approx(1.5 / 2.5)
    assert relative_error(model, 0.1, baseline, 0.2) == pytest.approx((1.5 - 0.5) / (2.5 - 1.0))
    kinds = {"pixelate": model, "shot noise": baseline}, {"pixelate": baseline, "shot noise": baseline}
    assert mean_corruption_error(*kinds) == pytest.approx((0.6 + 1.0) / 2)


def test_a_baseline_that_nothing_harms_measures_nothing() -> None:
    assert math.isnan(relative_error([0.3], 0.1, [0.2], 0.2))
    assert math.isnan(corruption_error([0.3], [0.0]))
    assert math.isnan(mean_corruption_error({"pixelate": [0.3]}, {"pixelate": [0.0]}))
    some = {"pixelate": [0.3], "shot noise": [0.1]}, {"pixelate": [0.0], "shot noise": [0.2]}
    assert mean_corruption_error(*some) == pytest.approx(0.5)


def test_other_kinds_and_severities_are_not_compared() -> None:
    with pytest.raises(ValueError, match="other kinds: \\['pixelate', 'shot noise'\\]"):
        mean_corruption_error({"pixelate": [0.3]}, {"shot noise": [0.3]})
    with pytest.raises(ValueError, match="2 errors of the model beside 1"):
        corruption_error([0.3, 0.4], [0.3])


@given(st.lists(st.floats(0.01, 1), min_size=5, max_size=5))
def test_the_baseline_itself_scores_one(errors: list[float]) -> None:
    assert corruption_error(errors, errors) == pytest.approx(1)
    assert relative_error(errors, 0.005, errors, 0.005) == pytest.approx(1)
