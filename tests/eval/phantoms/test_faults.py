"""Faults spoil a picture by degrees, each in its own way, and nothing else."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy.ndimage import gaussian_filter

from eval.phantoms.faults import FAULTS, GRADES, Fault, FaultKind, apply_fault, consequence, describe, shown_mask

Pixels = npt.NDArray[np.uint8]


def _chest(seed: int = 0, shape: tuple[int, int] = (160, 160)) -> Pixels:
    """Something smooth with edges and all grey levels: two dark fields in a bright one."""
    y, x = np.mgrid[0 : 1 : shape[0] * 1j, 0 : 1 : shape[1] * 1j]
    lungs = sum(np.hypot((x - c) / 0.17, (y - 0.5) / 0.36) < 1 for c in (0.3, 0.7))
    texture = gaussian_filter(np.random.default_rng(seed).standard_normal(shape), 1.5) * 0.2
    return np.asarray(255 * np.clip(0.75 + 0.1 * x - 0.5 * lungs + texture, 0.03, 0.97), np.uint8)


def _psnr(picture: Pixels, other: Pixels) -> float:
    return float(10 * np.log10(255.0**2 / np.mean((picture.astype(float) - other) ** 2)))


def _all_grades(kind: FaultKind, picture: Pixels, seed: int = 0) -> list[Pixels]:
    return [apply_fault(picture, Fault(kind, grade), np.random.default_rng(seed)) for grade in GRADES]


@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize("seed", range(12))
def test_each_grade_is_further_from_the_original(kind: FaultKind, seed: int) -> None:
    picture = _chest(seed)
    before = picture.copy()
    distances = [_psnr(picture, spoilt) for spoilt in _all_grades(kind, picture, seed)]
    assert distances[0] - 1 > distances[1] > distances[2] + 1
    assert np.array_equal(picture, before)


@pytest.mark.parametrize("kind", FAULTS)
def test_a_fault_is_reproducible_and_keeps_the_shape(kind: FaultKind) -> None:
    picture = _chest(shape=(120, 97))
    first, again = (apply_fault(picture, Fault(kind, 3), np.random.default_rng(4)) for _ in range(2))
    assert first.shape == picture.shape
    assert first.dtype == np.uint8
    assert np.array_equal(first, again)


def test_exposure_moves_the_film_towards_white_or_black() -> None:
    picture = _chest()
    under, over = _all_grades("underexposure", picture)[2], _all_grades("overexposure", picture)[2]
    assert under.mean() > picture.mean() > over.mean()
    assert (under == 255).mean() > 0.3 > (picture == 255).mean()
    assert (over == 0).mean() > 0.1 > (picture == 0).mean()


def test_motion_blurs_along_its_path_and_focus_everywhere() -> None:
    picture = np.zeros((200, 200), np.uint8)
    picture[100, 100] = 255
    motion = _all_grades("motion", picture)[2].astype(float)
    rows, columns = np.nonzero(motion)
    assert np.ptp(rows) > 1.3 * np.ptp(columns)
    blurred = _all_grades("blur", np.where(np.arange(200)[:, None] < 100, 255, 0).astype(np.uint8).repeat(200, 1))[2]
    assert 0 < blurred[95, 50] < 255


def test_noise_is_worst_where_the_picture_is_bright() -> None:
    picture = np.full((100, 200), 60, np.uint8)
    picture[:, 100:] = 180
    noisy = _all_grades("noise", picture)[1].astype(float)
    assert noisy[:, 100:].std() > 1.2 * noisy[:, :100].std()


def test_masks_go_where_the_picture_goes() -> None:
    picture = np.zeros((128, 128), np.uint8)
    picture[20:50, 70:100] = 255
    mask = picture > 0
    for kind in ("cut-off", "rotation"):
        for seed in range(6):
            spoilt = apply_fault(picture, Fault(kind, 3), np.random.default_rng(seed))
            moved = shown_mask(mask, Fault(kind, 3), np.random.default_rng(seed))
            assert np.array_equal(moved, spoilt > 127)
    assert np.array_equal(shown_mask(mask, Fault("noise", 3), np.random.default_rng(0)), mask)


def test_words_and_consequences() -> None:
    assert describe(Fault("underexposure", 2)) == "The film is underexposed."
    assert describe(Fault("noise", 1)) == "The film is slightly noisy."
    assert consequence(Fault("noise", 3)) == "It should be repeated."
    assert consequence(Fault("rotation", 2)) == "The reading is not affected."
    assert [Fault("blur", grade).changes_reading for grade in GRADES] == [False, True, True]
    assert [Fault("rotation", grade).changes_reading for grade in GRADES] == [False, False, True]
    assert len({describe(Fault(kind, grade)) for kind in FAULTS for grade in GRADES}) == 24


def test_what_is_no_fault_or_no_picture_is_refused() -> None:
    with pytest.raises(ValueError, match="no fault 'dust' of grade 1"):
        Fault("dust", 1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="of grade 4"):
        Fault("noise", 4)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="one grey picture of bytes"):
        apply_fault(np.zeros((4, 4, 3), np.uint8), Fault("blur", 1), np.random.default_rng(0))
