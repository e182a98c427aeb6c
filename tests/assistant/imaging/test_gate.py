"""The gate on pictures with one visible fault, and on pictures without any."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from assistant.imaging.gate import inspect
from assistant.study import STANDARD_RADIOGRAPH, Picture
from eval.phantoms import make_phantom

Grey = NDArray[np.uint8]
CLINIC = Path(__file__).parents[4] / "shared" / "data" / "open"


@pytest.fixture(scope="module")
def chests() -> list[Grey]:
    return [make_phantom(seed, size=512).pixels for seed in range(10)]


def kinds(pixels: Grey, chest: bool | None = None) -> set[str]:
    return {defect.kind for defect in inspect(Picture(pixels), 1, chest=chest)}


def clipped(values: NDArray[np.floating]) -> Grey:
    return np.clip(values, 0, 255).astype(np.uint8)


def test_good_pictures_pass_without_a_word(chests: list[Grey]) -> None:
    assert [kinds(chest) for chest in chests] == [set()] * len(chests)


def test_every_blurred_picture_is_noticed(chests: list[Grey]) -> None:
    assert all("blurred" in kinds(clipped(ndimage.gaussian_filter(c.astype(float), 6))) for c in chests)


def test_every_too_bright_picture_is_noticed(chests: list[Grey]) -> None:
    assert all("too-bright" in kinds(clipped(c * 2.5)) for c in chests)


def test_every_too_dark_picture_is_noticed(chests: list[Grey]) -> None:
    assert all("too-dark" in kinds(clipped(c / 5)) for c in chests)


def test_flat_pictures_are_noticed(chests: list[Grey]) -> None:
    assert all("low-contrast" in kinds(clipped(110 + c / 10)) for c in chests)


@pytest.mark.parametrize("value", [0, 120, 255])
def test_a_blank_picture_is_refused(value: int) -> None:
    (defect,) = inspect(Picture(np.full((300, 300), value, np.uint8)), 3)
    assert (defect.kind, defect.refuse, defect.picture) == ("blank", True, 3)
    assert defect.message.startswith("Picture 3 is blank")


@pytest.mark.parametrize("shape", [(300, 300), (1200, 900), (300, 300, 3)])
def test_noise_is_refused(shape: tuple[int, ...]) -> None:
    (defect,) = inspect(Picture(np.random.default_rng(0).integers(0, 256, shape, np.uint8)), 1)
    assert (defect.kind, defect.refuse) == ("noise", True)


@pytest.mark.parametrize(("size", "kind", "refuse"), [(63, "too-small", True), (100, "too-small", False)])
def test_small_pictures(size: int, kind: str, refuse: bool) -> None:
    (defect,) = inspect(Picture(make_phantom(1, size=size if size >= 64 else 64).pixels[:size, :size]), 1)
    assert (defect.kind, defect.refuse) == (kind, refuse)


def test_a_strip_is_noticed(chests: list[Grey]) -> None:
    wide = np.hstack(chests[:5])
    assert kinds(wide, chest=False) == {"aspect-ratio"}


def quarters(pixels: Grey) -> Iterator[Grey]:
    height, width = (n // 2 for n in pixels.shape)
    for y in (0, height):
        for x in (0, width):
            yield pixels[y : y + height, x : x + width]


def test_most_quarters_of_a_chest_are_noticed_to_be_cut_off(chests: list[Grey]) -> None:
    noticed = ["cut-off" in kinds(quarter, chest=True) for chest in chests for quarter in quarters(chest)]
    assert np.mean(noticed) > 0.6


def test_what_is_no_frontal_chest_is_not_judged_as_one(chests: list[Grey]) -> None:
    part = next(q for c in chests for q in quarters(c) if "cut-off" in kinds(q))
    assert "cut-off" not in kinds(part, chest=False)
    for picture in (
        Picture(part, "DX", "LATERAL", STANDARD_RADIOGRAPH),
        Picture(part, "MR", "AXIAL"),
        Picture(np.dstack([part, part, part // 2])),
    ):
        assert "cut-off" not in {d.kind for d in inspect(picture, 1)}


def test_messages_are_sentences_for_a_clinician(chests: list[Grey]) -> None:
    for pixels in (clipped(chests[0] / 5), np.zeros((9, 9), np.uint8), chests[0][:, :120]):
        for defect in inspect(Picture(pixels), 2):
            assert defect.message.startswith("Picture 2 ")
            assert defect.message.endswith((".", "?"))


@pytest.mark.skipif(not (CLINIC / "cxr_nih").is_dir(), reason="open radiographs are not on this machine")
def test_real_radiographs_pass() -> None:
    from PIL import Image

    files = sorted((CLINIC / "cxr_nih" / "images").glob("*.jpg"))[::12]
    found = [inspect(Picture(np.asarray(Image.open(file))), 1) for file in files]
    assert not any(defect.refuse for defects in found for defect in defects)
    assert np.mean([bool(defects) for defects in found]) < 0.06
