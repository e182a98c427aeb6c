import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as PillowImage

from retrieval.cases import _line, find_manifest, picture_digest, pixels_of, read_manifest, taken_of
from retrieval.errors import BadInput
from tests.retrieval.conftest import picture


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that says it is very large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(100))) + chunk(b"IEND", b"")
    )


def saved(tmp_path: Path, mode: str) -> Path:
    path = tmp_path / "p.png"
    PillowImage.new(mode, (6, 4)).save(path)
    return path


@pytest.mark.parametrize(("mode", "shape"), [("L", (4, 6)), ("1", (4, 6)), ("RGB", (4, 6, 3)), ("RGBA", (4, 6, 3))])
def test_pictures(tmp_path: Path, mode: str, shape: tuple[int, ...]) -> None:
    pixels = pixels_of(saved(tmp_path, mode))
    assert (pixels.shape, pixels.dtype) == (shape, np.uint8)


@pytest.mark.parametrize("size", [(30_000, 30_000), (10_000, 10_000), (8_100, 8_000)])
def test_a_huge_picture_is_refused_before_it_is_unpacked(size: tuple[int, int]) -> None:
    with pytest.raises(BadInput, match="million pixels"):
        pixels_of(bomb(*size))


def test_pictures_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="8 bits"):
        pixels_of(saved(tmp_path, "I;16"))
    for data in (b"", b"GIF", bomb(50, 50)):
        with pytest.raises(BadInput, match="can't be read"):
            pixels_of(data)


def test_a_pictures_name_is_of_its_pixels(tmp_path: Path) -> None:
    for suffix in ("png", "bmp"):
        PillowImage.fromarray(picture("nodule")).save(tmp_path / f"a.{suffix}")
    assert picture_digest(pixels_of(tmp_path / "a.png")) == picture_digest(pixels_of(tmp_path / "a.bmp"))
    assert picture_digest(picture("nodule")) != picture_digest(picture("nodule", 1))
    assert picture_digest(np.zeros((2, 8), np.uint8)) != picture_digest(np.zeros((8, 2), np.uint8))


def test_the_same_name_as_the_readers_picture() -> None:
    from assistant.study import Picture

    pixels = picture("nodule")
    assert Picture(pixels).sha256 == picture_digest(pixels)  # or one's own picture comes back as a similar case


def test_finding_a_manifest(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"studies\.jsonl"):
        find_manifest(tmp_path)
    (tmp_path / "studies.jsonl").write_text("")
    assert find_manifest(tmp_path) == find_manifest(tmp_path / "studies.jsonl") == tmp_path / "studies.jsonl"


def test_a_manifest_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(BadInput, match="UTF-8"):
        list(read_manifest(tmp_path / "m.jsonl"))


@pytest.mark.parametrize(
    ("found", "labels"),
    [
        (["a", "b", "a"], ("a", "b")),
        ([{"name": "a"}, {"finding": "b"}, {"other": 1}], ("a", "b")),
        ({"a": {"side": "left"}, "b": None}, ("a",)),
        ("a", ()),
        (None, ()),
    ],
)
def test_labels(found: object, labels: tuple[str, ...]) -> None:
    assert _line({"image": "a", "report": "x", "findings": found}, Path()).labels == labels


@pytest.mark.parametrize(
    ("row", "taken"),
    [
        ({"date": "2023-05-14"}, "2023-05-14"),
        ({"date": 20230514}, "2023-05-14"),
        ({"taken": "2023-05-14T08:30:00Z"}, "2023-05-14T08:30:00"),
        ({"taken": "2023-05"}, "2023-05"),
        ({"date": 2023}, "2023"),
        ({"date": "", "day": "12"}, "000000012"),
        ({"order": 2023}, "000002023"),
        ({"day": None}, ""),
        ({}, ""),
    ],
)
def test_when_a_picture_was_taken(row: dict[str, object], taken: str) -> None:
    assert _line({"image": "a", "report": "x", **row}, Path()).taken == taken


@pytest.mark.parametrize("row", [{"date": "14/05/2023"}, {"day": [1]}, {"date": "2023-13-01"}, {"order": True}])
def test_a_time_that_is_none_is_told(row: dict[str, object]) -> None:
    with pytest.raises(BadInput, match="ISO date"):
        _line({"image": "a", "report": "x", **row}, Path())


@given(st.lists(st.integers(-(10**6), 10**6).map(lambda n: n / 4)))
def test_numbers_sort_as_their_texts_do(numbers: list[float]) -> None:
    assert sorted(numbers) == sorted(numbers, key=lambda number: taken_of(number, counted=True) or "")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)
KEYS = st.sampled_from(["image", "file", "report", "patient", "domain", "labels", "findings", "source", "date", "day"])


@given(JSON | st.dictionaries(KEYS, JSON))
def test_any_line_is_read_or_refused(row: object) -> None:
    try:
        line = _line(json.loads(json.dumps(row)), Path())
    except BadInput:
        return
    assert line.report
    assert all(isinstance(value, str | None) for value in (line.patient, line.domain, line.source))
    assert all(isinstance(label, str) for label in line.labels)
