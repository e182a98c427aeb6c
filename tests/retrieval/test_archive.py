"""What a restore takes for a backup: everything else is refused before a file of the home is touched."""

import hashlib
import io
import json
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.archive import PLAIN, About, pack, unpack, workplace
from retrieval.embed import no_progress
from retrieval.errors import BadInput, Busy, Misconfigured, Unavailable

ABOUT = About("0.1.0", "2026-01-31T12:00:00+00:00", {"library": 2}, {"vectors": {}})


def accept(about: About) -> None:
    assert about == ABOUT


def packed(tmp_path: Path) -> Path:
    home = tmp_path / "packed"
    (home / "blobs").mkdir(parents=True)
    (home / "blobs" / "ab").write_bytes(b"picture" * 100)
    (home / "manifest.json").write_bytes(b"of somebody else")
    (home / "größe").write_bytes(b"")
    path = tmp_path / "backup.zip"
    with path.open("wb") as file:
        assert pack(home, file, ABOUT, no_progress) == (3, 716)
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_there_and_back(tmp_path: Path) -> None:
    steps: list[tuple[str, int, int]] = []
    into = tmp_path / "into"
    into.mkdir()
    about, files = unpack(packed(tmp_path), into, accept, lambda *step: steps.append(step))
    assert (about, files) == (ABOUT, 3)
    assert contents(into) == contents(tmp_path / "packed")
    assert {stat.S_IMODE(path.stat().st_mode) for path in into.rglob("*") if path.is_file()} == {0o600}
    assert steps[-1] == ("unpacking, MB", 0, 0)


@given(st.data())
def test_a_byte_that_changed_or_an_end_that_is_missing_is_found(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("backup")
    path = packed(folder)
    whole = path.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    flip = data.draw(st.integers(0, 255))  # 0: cut it off there
    path.write_bytes(whole[:at] + bytes([whole[at] ^ flip]) + whole[at + 1 :] if flip else whole[:at])
    into = folder / "into"
    into.mkdir()
    try:
        unpack(path, into, lambda about: None, no_progress)
    except (BadInput, Misconfigured):
        return
    assert contents(into) == contents(folder / "packed")  # a byte that says nothing, such as a date


def crafted(path: Path, *, told: Any = None, attributes: int = PLAIN, **members: bytes) -> Path:
    files = {name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in members.items()}
    manifest = {"format": 1, "consult": "0.1.0", "created": "", "schema": {}, "index": None, "files": files}
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            member = zipfile.ZipInfo(f"home/{name}")
            member.external_attr = attributes << 16
            archive.writestr(member, data)
        last = zipfile.ZipInfo("manifest.json")
        last.external_attr = PLAIN << 16
        archive.writestr(last, json.dumps({**manifest, **told} if isinstance(told, dict) else told or manifest))
    return path


def rezipped(path: Path) -> Path:
    """By a tool that compresses, as a bomb would be."""
    with zipfile.ZipFile(packed(path.parent)) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    return path


def not_a_zip(path: Path) -> Path:
    path.write_bytes(b"PK\x03\x04 or so")
    return path


def a_foreign_zip(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("hello", "")
    return path


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: crafted(path, **{"../evil": b"x"}), "outside"),
        (lambda path: crafted(path, **{"a/../../../evil": b"x"}), "outside"),
        (lambda path: crafted(path, **{"/evil": b"x"}), "outside"),
        (lambda path: crafted(path, **{"./a": b"x"}), "outside"),
        (lambda path: crafted(path, attributes=0o120777, link=b"/etc/passwd"), "links"),
        (rezipped, "not made by Consult"),
        (lambda path: crafted(path, told={"files": {}}, a=b"x"), "damaged"),
        (lambda path: crafted(path, told={"files": {"a": {"size": 1, "sha256": "0" * 64}}}, a=b"x"), "damaged"),
        (lambda path: crafted(path, told={"files": {"a": {"size": "1"}}}, a=b"x"), "damaged"),
        (lambda path: crafted(path, a=b"x", **{"a/b": b"x"}), "damaged"),
        (lambda path: crafted(path, told="[]", a=b"x"), "damaged"),
        (lambda path: crafted(path, told="{", a=b"x"), "damaged"),
        (not_a_zip, "damaged"),
        (a_foreign_zip, "damaged"),
        (lambda path: path.parent, "is a directory"),
        (lambda path: path / "nowhere", "no such file"),
    ],
)
def test_what_is_no_backup_is_refused(tmp_path: Path, make: Callable[[Path], Path], says: str) -> None:
    into = tmp_path / "a" / "b" / "into"
    into.mkdir(parents=True)
    with pytest.raises(BadInput, match=says):
        unpack(make(tmp_path / "crafted.zip"), into, lambda about: None, no_progress)
    assert not list(tmp_path.rglob("evil"))


def test_a_newer_format_is_told(tmp_path: Path) -> None:
    path = crafted(tmp_path / "newer.zip", told={"format": 2, "consult": "9.9.9"})
    with pytest.raises(Misconfigured, match=r"newer Consult \(9\.9\.9\)"):
        unpack(path, tmp_path, lambda about: None, no_progress)


def test_a_file_that_vanishes_is_told(tmp_path: Path) -> None:
    (tmp_path / "stage").mkdir()
    (tmp_path / "stage" / "gone").symlink_to(tmp_path / "nowhere")
    with pytest.raises(Unavailable, match="Repeat"):
        pack(tmp_path / "stage", io.BytesIO(), ABOUT, no_progress)


def test_one_works_at_a_place_and_sweeps_it(tmp_path: Path) -> None:
    (tmp_path / ".work-killed" / "inside").mkdir(parents=True)
    (tmp_path / "else").mkdir()
    with workplace(tmp_path, ".work-") as folder:
        assert not (tmp_path / ".work-killed").exists()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        with pytest.raises(Busy, match="under way"), workplace(tmp_path, ".work-"):
            pass
        assert folder.is_dir()
    assert [path.name for path in tmp_path.iterdir()] == ["else"]
