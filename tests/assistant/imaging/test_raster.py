import io
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from assistant.errors import TooLarge, UnreadablePicture
from assistant.imaging import read_study
from assistant.imaging.pixels import Budget
from assistant.study import STANDARD_RADIOGRAPH, Picture
from tests.assistant.imaging.make import complaint, gradient, huge_png, raster

GREY = gradient(64, 48, np.uint8, 250)
RGB = np.dstack([GREY, GREY[::-1], np.full_like(GREY, 90)])


def pictures(data: bytes, **options: Any) -> tuple[Picture, ...]:
    return read_study([("x", data)], salt=b"", **options)[0].pictures


def tiff(pixels: Any, **options: Any) -> bytes:
    out = io.BytesIO()
    tifffile.imwrite(out, pixels, **options)
    return out.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP", "GIF"])
def test_grey_pictures_come_through_unchanged(kind: str) -> None:
    (picture,) = pictures(raster(GREY, kind))
    assert (picture.pixels == GREY).all()
    assert picture.orientation is None
    assert picture.modality is None


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_colour_pictures_come_through_unchanged(kind: str) -> None:
    assert (pictures(raster(RGB, kind))[0].pixels == RGB).all()


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_lossy_kinds_are_close(kind: str) -> None:
    smooth = np.dstack([GREY, GREY, 255 - GREY])
    assert np.abs(pictures(raster(smooth, kind, quality=95))[0].pixels.astype(int) - smooth).mean() < 4


def test_grey_stored_as_colour_becomes_grey() -> None:
    assert pictures(raster(np.dstack([GREY] * 3)))[0].pixels.shape == GREY.shape


@pytest.mark.parametrize("pixels", [gradient(64, 48, np.uint16, 4095), gradient(64, 48, np.uint16, 65535)])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_use_the_whole_range(kind: str, pixels: Any) -> None:
    shown = pictures(raster(pixels, kind))[0].pixels
    assert shown.dtype == np.uint8
    assert shown[0, 0] == 0
    assert shown[-1, -1] == 255
    assert 100 < np.median(shown) < 155


def test_transparency_is_laid_on_black() -> None:
    rgba = np.dstack([RGB, np.zeros_like(GREY)])
    rgba[:10, :, 3] = 255
    shown = pictures(raster(rgba))[0].pixels
    assert (shown[:10] == RGB[:10]).all()
    assert not shown[10:].any()


def test_a_palette_is_resolved() -> None:
    image = Image.new("P", (48, 64))
    image.putdata((GREY // 64).ravel().tolist())
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9])
    out = io.BytesIO()
    image.save(out, "PNG")
    shown = pictures(out.getvalue())[0].pixels
    assert shown[0, 0].tolist() == [255, 0, 0]
    assert shown[-1, -1].tolist() == [9, 9, 9]


def test_cmyk_becomes_rgb() -> None:
    out = io.BytesIO()
    Image.new("CMYK", (40, 30), (0, 255, 255, 0)).save(out, "TIFF")
    assert pictures(out.getvalue())[0].pixels[0, 0].tolist() == [255, 0, 0]


def test_the_cameras_rotation_is_honoured() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    shown = pictures(raster(GREY, "JPEG", quality=100, exif=exif))[0].pixels
    assert shown.shape == (48, 64)
    assert np.abs(shown.astype(int) - np.rot90(GREY, -1)).mean() < 3


def test_pages_are_read_like_frames() -> None:
    data = tiff(np.stack([GREY // (i + 1) for i in range(20)]), photometric="minisblack")
    study, _ = read_study([("x", data)], salt=b"")
    assert len(study.pictures) == 8
    assert study.pictures[0].origin == "frame 2 of 20"
    assert "12 are left out" in study.warnings[0]
    assert len({p.sha256 for p in study.pictures}) == 8


@pytest.mark.parametrize(
    ("pixels", "options"),
    [
        (gradient(64, 48, np.float32, 1), {"compression": "zstd"}),
        (gradient(64, 48, np.uint16, 4095), {"compression": "jpeg2000"}),
        (gradient(64, 48, np.int16, 4000) - np.int16(2000), {}),
        (np.stack([gradient(64, 48, np.uint16, 60000)] * 3), {"photometric": "rgb", "planarconfig": "separate"}),
    ],
)
def test_unusual_tiffs_are_read(pixels: Any, options: dict[str, Any]) -> None:
    shown = pictures(tiff(pixels, **options))[0].pixels
    assert shown.shape == (64, 48)
    assert shown[0, 0] < 5
    assert shown[-1, -1] > 250
    assert 100 < np.median(shown) < 155


def test_white_is_zero_in_some_tiffs() -> None:
    assert (pictures(tiff(255 - GREY, photometric="miniswhite"))[0].pixels == GREY).all()


def test_the_senders_word_on_how_pictures_hang() -> None:
    assert pictures(raster(GREY), standard_display=True)[0].orientation == STANDARD_RADIOGRAPH


def test_a_bomb_is_refused_from_its_header() -> None:
    bomb = huge_png()
    assert len(bomb) < 200_000
    for data in (bomb, huge_png(9_000, 9_000)):
        with pytest.raises(TooLarge):
            pictures(data)


def test_a_tiff_bomb_is_refused() -> None:
    def page(width: int) -> bytes:
        tags = [(256, 4, width), (257, 4, width), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1)]
        tags += [(278, 4, width), (279, 4, 16)]
        body = b"".join(
            tag.to_bytes(2, "little") + kind.to_bytes(2, "little") + b"\1\0\0\0" + value.to_bytes(4, "little")
            for tag, kind, value in tags
        )
        return b"II*\0\x08\0\0\0" + len(tags).to_bytes(2, "little") + body + b"\0" * 20

    for width in (9_000, 60_000, 2**31 - 1):
        with pytest.raises(TooLarge):
            pictures(page(width))


def test_an_animation_of_many_large_frames_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("assistant.imaging.Budget", lambda: Budget(1_000_000))
    frames = [Image.new("L", (300, 300), i) for i in range(12)]  # the eight that are shown would fit
    out = io.BytesIO()
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:])
    with pytest.raises(TooLarge):
        pictures(out.getvalue())


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_cut_or_damaged_files_raise_nothing_else(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(["PNG", "JPEG", "TIFF", "GIF", "BMP", "WEBP"]))
    whole = bytearray(raster(RGB, kind))
    if data.draw(st.booleans()):
        del whole[data.draw(st.integers(0, len(whole) - 1)) :]
    for _ in range(data.draw(st.integers(0, 4))):
        if whole:
            whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    said = complaint(bytes(whole))
    assert not said or said.startswith("The file ")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_half_a_picture_is_not_shown(kind: str) -> None:
    whole = raster(np.random.default_rng(0).integers(0, 255, (64, 64), np.uint8), kind)
    with pytest.raises(UnreadablePicture, match="cut short"):
        pictures(whole[: len(whole) // 2])
