import os
from collections.abc import Callable
from pathlib import Path

import pytest

from retrieval.encoders.bundle import Encoders
from retrieval.errors import BadInput
from retrieval.follow import folder_of, gone, inside
from retrieval.ingest import Report, add_documents, find_sources, remove
from retrieval.library import Library
from retrieval.rows import File
from retrieval.store.memory import MemoryStore

Add = Callable[..., Report]


def file(path: str, folder: str = "") -> File:
    return File(path, path, path, "sha", "1", folder)


@pytest.fixture
def guides(tmp_path: Path) -> Path:
    for name in ("guides/a.md", "guides/b.md", "guides/sub/c.md", "guides-2/d.md"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {name}\nText of {name}.")
    return tmp_path / "guides"


@pytest.fixture
def add(library: Library, store: MemoryStore, encoders: Encoders) -> Add:
    def add(*paths: Path) -> Report:
        folders = [path for path in paths if path.is_dir()]
        return add_documents(library, store, encoders, find_sources(paths), folders=folders)

    return add


def names(library: Library) -> list[str]:
    return sorted(file.name for file in library.files())


def test_what_left_the_folder_leaves_the_library(guides: Path, library: Library, store: MemoryStore, add: Add) -> None:
    add(guides, guides.parent / "guides-2")
    (guides / "a.md").unlink()
    assert add(guides.parent / "guides-2").removed == []  # it isn't from there, though the name begins alike
    report = add(guides)
    assert (report.removed, report.unchanged) == (["guides/a.md"], ["guides/b.md", "guides/sub/c.md"])
    assert names(library) == ["guides-2/d.md", "guides/b.md", "guides/sub/c.md"]
    assert store.manifest is not None
    assert store.manifest.records == 3
    assert add(guides).generation is None


def test_a_file_added_by_itself_stays(guides: Path, library: Library, add: Add) -> None:
    add(guides / "a.md")
    add(guides / "sub")
    (guides / "a.md").unlink()
    assert add(guides).removed == []
    assert names(library) == ["a.md", "guides/b.md", "sub/c.md"]


def test_a_folder_takes_over_what_it_finds(guides: Path, library: Library, add: Add) -> None:
    add(guides / "b.md")
    add(guides / "sub")
    add(guides)
    assert {file.folder for file in library.files()} == {str(guides)}
    (guides / "b.md").unlink()
    assert add(guides).removed == ["b.md"]


def test_a_part_of_a_folder_can_be_added_again(guides: Path, library: Library, add: Add) -> None:
    add(guides)
    (guides / "sub" / "e.md").write_text("# E\nText")
    (guides / "sub" / "c.md").unlink()
    (guides / "a.md").unlink()
    assert add(guides / "sub").removed == ["guides/sub/c.md"]
    assert add(guides).removed == ["guides/a.md"]


def test_an_emptied_folder_removes_nothing(guides: Path, library: Library, store: MemoryStore, add: Add) -> None:
    add(guides)
    generation = store.generations()[-1]
    for path in (guides / "a.md", guides / "b.md", guides / "sub" / "c.md"):
        path.unlink()
    with pytest.raises(BadInput, match=r"holds 3 of its files. Is its disk mounted\? .* consult knowledge remove"):
        add(guides)
    (guides / "broken.pdf").write_bytes(b"%PDF-broken")  # something is there, and nothing can be read
    assert add(guides).removed == []
    assert len(names(library)) == 3
    assert store.generations()[-1] == generation


def test_a_file_that_cannot_be_read_this_time_stays(guides: Path, library: Library, add: Add) -> None:
    add(guides)
    (guides / "a.md").write_bytes(b"\x00\x01\x02\x03" * 9)
    report = add(guides)
    assert report.removed == []
    assert "earlier version stays" in report.skipped[0][1]
    assert "guides/a.md" in names(library)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may enter every folder")
def test_a_folder_that_may_not_be_entered_keeps_its_files(guides: Path, library: Library, add: Add) -> None:
    add(guides)
    (guides / "sub").chmod(0)
    try:
        assert add(guides).removed == []
    finally:
        (guides / "sub").chmod(0o700)


def test_what_cannot_be_looked_at_is_not_gone(guides: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = [file(str(guides / name), str(guides)) for name in ("a.md", "b.md", "x.md")]
    read = [str(guides / "b.md")]
    assert [row.id for row in gone(known, read, [str(guides)])] == [str(guides / "x.md")]
    assert gone(known, [], [str(guides)]) == []

    def refused(self: Path) -> os.stat_result:
        raise PermissionError

    monkeypatch.setattr(Path, "lstat", refused)
    assert gone(known, read, [str(guides)]) == []


def test_removing_a_folder_on_purpose(
    guides: Path, library: Library, store: MemoryStore, encoders: Encoders, add: Add
) -> None:
    add(guides, guides.parent / "guides-2")
    assert remove(library, store, encoders, str(guides)) == 3
    assert names(library) == ["guides-2/d.md"]
    assert store.manifest is not None
    assert store.manifest.records == 1


def test_folders() -> None:
    assert inside("/g/a", "/g")
    assert not inside("/g2/a", "/g")
    assert folder_of("/g/s/a", None, ["/g/s", "/g"]) == "/g"
    assert folder_of("/g/s/a", file("/g/s/a", "/g"), ["/g/s"]) == "/g"
    assert folder_of("/g/s/a", file("/g/s/a", "/g/s"), []) == "/g/s"
    assert folder_of("/x", None, ["/g"]) == ""
