import gzip
import io
from itertools import permutations, product
from typing import Any

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nibabel.orientations import axcodes2ornt, ornt_transform

from assistant.errors import TooLarge, UnreadablePicture
from assistant.imaging import read_study
from assistant.study import Orientation, Study
from tests.assistant.imaging.make import complaint, nifti

CODES = [
    tuple(pair[i] for pair, i in zip(axes, flips, strict=True))
    for axes in permutations(["LR", "AP", "IS"])
    for flips in product((0, 1), repeat=3)
]


def study(data: bytes) -> Study:
    return read_study([("x", data)], salt=b"")[0]


def head(codes: tuple[str, ...] = ("R", "A", "S"), zooms: tuple[float, ...] = (1.5, 1.5, 2.0)) -> bytes:
    """A head of grey 400 with a bright ball on the patient's right, a nose in front and a knob on the top, stored along
    these axes."""
    shape = (60, 72, 50)
    x, y, z = ((np.arange(n) - n / 2).reshape([-1 if i == a else 1 for i in range(3)]) for a, n in enumerate(shape))
    volume = 400 * ((x / 24) ** 2 + (y / 28) ** 2 + (z / 18) ** 2 < 1).astype(np.int16)
    volume[(x - 12) ** 2 + y**2 + z**2 < 25] = 1000
    volume[(abs(x) < 3) & (y > 24) & (y < 33) & (abs(z) < 22)] = 700
    volume[(abs(x) < 3) & (abs(y) < 3) & (z > 15) & (z < 22)] = 900
    image = nibabel.Nifti1Image(volume, np.diag([*zooms, 1]))
    turn = ornt_transform(axcodes2ornt(("R", "A", "S")), axcodes2ornt(codes))
    return bytes(image.as_reoriented(turn).to_bytes())


@pytest.mark.parametrize("codes", CODES)
def test_however_it_is_stored_it_hangs_the_same_way(codes: tuple[str, ...]) -> None:
    shown = study(head(codes)).pictures
    assert [p.sha256 for p in shown] == [p.sha256 for p in study(head()).pictures]
    middle = shown[3]
    assert (middle.view, middle.orientation) == ("AXIAL", Orientation("L", "P"))
    _, columns = np.nonzero(middle.pixels > 240)  # the ball
    assert columns.mean() < middle.pixels.shape[1] * 0.45
    assert (middle.pixels[:10, 28:32] > 100).any()  # the nose is at the top
    assert not (middle.pixels[-8:] > 100).any()


def test_seven_slices_spread_over_the_head_from_below() -> None:
    shown = study(head()).pictures
    numbers = [int(p.origin.split()[2]) for p in shown]
    assert len(numbers) == 7
    assert numbers == sorted(numbers)
    assert numbers[0] >= 4
    assert numbers[-1] <= 48
    assert all((p.pixels > 50).any() for p in shown)
    assert shown[0].spacing_mm == (1.5, 1.5)


@pytest.mark.parametrize(
    ("zooms", "view", "orientation"),
    [((6, 1, 1), "SAGITTAL", Orientation("P", "F")), ((1, 6, 1), "CORONAL", Orientation("L", "F"))],
)
def test_a_volume_of_thick_slices_is_shown_as_acquired(zooms: Any, view: str, orientation: Orientation) -> None:
    middle = study(head(zooms=zooms)).pictures[3]
    assert (middle.view, middle.orientation) == (view, orientation)
    _, columns = np.nonzero(middle.pixels > 225 if view == "CORONAL" else middle.pixels > 100)
    if view == "CORONAL":
        assert (middle.pixels[3:9, 25:35] > 100).any()  # the knob is at the top
        assert columns.mean() < 28  # the ball is on the left
    else:
        assert columns.min() < 8  # the nose points to the left


def test_gzip_changes_nothing() -> None:
    assert study(gzip.compress(head())).pictures[0].sha256 == study(head()).pictures[0].sha256


def test_of_a_series_of_volumes_the_first_is_read() -> None:
    rng = np.random.default_rng(0)
    volume = rng.normal(100, 20, (20, 22, 12, 5)).astype(np.float32)
    read = study(gzip.compress(nifti(volume)))
    assert read.warnings == ("The file holds 5 volumes: the first is read.",)
    assert read.pictures[3].sha256 == study(nifti(volume[..., 0])).pictures[3].sha256


def test_unknown_orientation_stays_unknown() -> None:
    image = nibabel.Nifti1Image(np.random.default_rng(0).normal(size=(20, 20, 9)).astype(np.float32), None)
    read = study(bytes(image.to_bytes()))
    assert {p.orientation for p in read.pictures} == {None}
    assert "sides are not known" in read.warnings[0]


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64, np.complex64])
def test_every_kind_of_number(dtype: Any) -> None:
    volume = (np.arange(24 * 24 * 7).reshape(24, 24, 7) % 200).astype(dtype)
    assert study(nifti(volume)).pictures[0].pixels.shape == (24, 24)


def test_colour_volumes() -> None:
    volume = np.zeros((20, 20, 3), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    volume["R"][:, 10:] = 250
    image = nibabel.Nifti1Image(volume, np.eye(4))
    shown = study(bytes(image.to_bytes())).pictures[0].pixels
    assert shown[0, 0].tolist() == [250, 0, 0]
    assert shown[-1, 0].tolist() == [0, 0, 0]


def test_the_second_version_of_the_format() -> None:
    image = nibabel.Nifti2Image(np.random.default_rng(0).normal(size=(20, 20, 7)).astype(np.float32), np.eye(4))
    assert len(study(bytes(image.to_bytes())).pictures) == 7


def header(shape: tuple[int, ...], dtype: Any = np.int16) -> bytes:
    head = nibabel.Nifti1Header()
    head.set_data_shape(shape)
    head.set_data_dtype(dtype)
    head["magic"], head["vox_offset"] = b"n+1", 352
    head.set_sform(np.eye(4), 1)
    out = io.BytesIO()
    head.write_to(out)
    return out.getvalue() + b"\0" * 4


def test_bombs_are_refused() -> None:
    with pytest.raises(TooLarge):
        study(header((30_000, 30_000, 30_000)))
    with pytest.raises(TooLarge):
        study(gzip.compress(header((32_767, 32_767, 1)) + b"\0" * 1000))
    with pytest.raises(TooLarge):  # small volumes, but slices too large to be shown
        study(header((30_000, 8_000, 1), np.uint8) + b"\0" * 240_000_000)


def test_no_more_than_one_volume_is_inflated(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = gzip.compress(header((32, 32, 4, 30_000)) + b"\0" * (32 * 32 * 4 * 2) + b"\1" * 50_000_000)
    seen = 0
    original = gzip.GzipFile.read

    def counting(self: gzip.GzipFile, size: int | None = -1) -> bytes:
        nonlocal seen
        piece = original(self, size)
        seen += len(piece)
        return piece

    monkeypatch.setattr(gzip.GzipFile, "read", counting)
    assert len(study(bomb).pictures) == 4
    assert seen < 20_000


def test_a_cut_volume_is_named_so() -> None:
    for data in (head()[:-100], gzip.compress(head())[:-400]):
        with pytest.raises(UnreadablePicture, match="cut short"):
            study(data)


def test_a_header_without_its_picture() -> None:
    pair = head().replace(b"n+1\0", b"ni1\0", 1)
    with pytest.raises(UnreadablePicture, match="second file"):
        study(pair)


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_cut_or_damaged_files_raise_nothing_else(data: st.DataObject) -> None:
    volume = np.arange(600, dtype=np.int16).reshape(10, 10, 6)
    whole = bytearray(nifti(volume))
    for _ in range(data.draw(st.integers(0, 6))):
        whole[data.draw(st.integers(0, 351))] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        whole = bytearray(gzip.compress(bytes(whole), mtime=0))
    if data.draw(st.booleans()):
        del whole[data.draw(st.integers(0, len(whole) - 1)) :]
    said = complaint(bytes(whole))
    assert not said or said.startswith("The file ")
