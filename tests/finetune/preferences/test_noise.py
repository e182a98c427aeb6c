"""Damage stays inside its region, and a region is the same from a mask, a box or a heat map."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from eval.phantoms import make_phantom
from finetune.preferences.lesion import Lesion, Noise, region_of_phantom
from finetune.preferences.material import pictures_in
from finetune.preferences.noise import DAMAGES, Damage, damaged, diffused, kept_share
from finetune.preferences.region import Region, mask_as_read, mask_of
from tests.finetune.preferences.parts import case_of, rows_of

BOX = (4, 2, 12, 10)


@pytest.mark.parametrize("how", DAMAGES)
@pytest.mark.parametrize("shape", [(32, 24), (32, 24, 3)])
def test_only_the_region_changes(how: Damage, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, shape).astype(np.uint8)
    mask = mask_of(Region(box=BOX), shape)
    changed = damaged(pixels, mask, how, np.random.default_rng(1))
    assert changed.dtype == np.uint8
    assert np.array_equal(changed[~mask], pixels[~mask])
    assert (changed[mask] != pixels[mask]).mean() > 0.8
    assert np.array_equal(changed, damaged(pixels, mask, how, np.random.default_rng(1)))


def test_a_grey_picture_of_three_channels_stays_grey() -> None:
    grey = np.repeat(np.arange(64, dtype=np.uint8).reshape(8, 8, 1), 3, axis=2)
    changed = damaged(grey, np.ones((8, 8), bool), "diffusion", np.random.default_rng(0))
    assert np.array_equal(changed[..., 0], changed[..., 2])


def test_the_diffusion_keeps_less_with_every_step() -> None:
    shares = [kept_share(step) for step in (1, 100, 500, 1000)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] == pytest.approx(1 - 1e-4)
    assert shares[2] == pytest.approx(0.078, abs=0.001)
    pixels = np.full((64, 64), 200, np.uint8)
    early, late = (diffused(pixels, np.random.default_rng(0), step).std() for step in (10, 300))
    assert early < late
    with pytest.raises(ValueError, match="1001"):
        kept_share(1001)


def test_a_heat_map_of_any_size_marks_its_peak() -> None:
    heat = np.zeros((4, 4), np.float32)
    heat[1, 2] = 1
    mask = mask_of(Region(heat=heat), (40, 40))
    rows, columns = np.nonzero(mask)
    assert 0 < mask.mean() < 0.2
    assert (round(rows.mean()), round(columns.mean())) == pytest.approx((14, 24), abs=2)


def test_a_mask_moves_as_its_picture_does() -> None:
    mask = np.zeros((20, 40), bool)
    mask[:, 20:] = True
    moved = mask_as_read(mask, 20)
    assert moved.shape == (20, 20)
    assert not moved[:5].any()  # the black border of a wide picture in a square
    assert moved[8:12, 12:].all()
    assert not moved[:, :8].any()


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="over a picture"):
        mask_of(Region(mask=np.ones((3, 3), bool)), (4, 4))


def test_a_lesion_pair_says_the_same_of_the_damaged_picture(tmp_path: Path) -> None:
    found = 0
    for row in rows_of(tmp_path, 4):
        case = case_of(row)
        phantom = make_phantom(row.told.seed or 0, family=str(row.told.family), size=64)
        lesion = Lesion(Noise(lambda case, phantom=phantom: region_of_phantom(case, phantom)))
        for draft in asyncio.run(lesion.drafts(case, np.random.default_rng(0))):
            found += 1
            assert draft.source == "lesion"
            assert draft.chosen == draft.rejected == case.answer
            ((was,), (now,)) = pictures_in(case.prompt), draft.instead
            assert 0 < (was.pixels != now.pixels).mean() < 0.9
            assert was.sha256 != now.sha256
        if not case.stated:
            assert asyncio.run(lesion.drafts(case, np.random.default_rng(0))) == []
    assert found


def test_whole_noise_needs_no_region(tmp_path: Path) -> None:
    case = next(case for row in rows_of(tmp_path, 4) if (case := case_of(row)).stated)
    (draft,) = asyncio.run(Lesion(Noise(None)).drafts(case, np.random.default_rng(0)))
    assert draft.source == "whole_noise"
    assert (pictures_in(case.prompt)[0].pixels != draft.instead[0].pixels).mean() > 0.9
