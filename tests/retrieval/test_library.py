import sqlite3
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retrieval.cases import picture_digest
from retrieval.errors import NotFound
from retrieval.library import Library, content_hash, stable_id
from retrieval.rows import Document, File
from retrieval.types import Case, Passage
from tests.retrieval.conftest import picture

# What version 1 of the room wrote, kept as it was: later versions must read it.
VERSION_1 = """
CREATE TABLE schema_version (room TEXT PRIMARY KEY, version INTEGER NOT NULL);
INSERT INTO schema_version VALUES ('library', 1);
CREATE TABLE files (
    id TEXT PRIMARY KEY, path TEXT NOT NULL UNIQUE, name TEXT NOT NULL, sha256 TEXT NOT NULL,
    made_by TEXT NOT NULL, added TEXT NOT NULL
);
CREATE TABLE documents (
    id TEXT PRIMARY KEY, file TEXT NOT NULL REFERENCES files ON DELETE CASCADE, position INTEGER NOT NULL,
    title TEXT NOT NULL, name TEXT NOT NULL, text TEXT NOT NULL, meta TEXT NOT NULL
);
CREATE TABLE passages (
    id TEXT PRIMARY KEY, document TEXT NOT NULL REFERENCES documents ON DELETE CASCADE, position INTEGER NOT NULL,
    section TEXT NOT NULL, start INTEGER NOT NULL, "end" INTEGER NOT NULL, page INTEGER, text TEXT NOT NULL
);
CREATE TABLE cases (
    id TEXT PRIMARY KEY, sha256 TEXT NOT NULL, report TEXT NOT NULL, domain TEXT, patient TEXT,
    labels TEXT NOT NULL, source TEXT NOT NULL, added TEXT NOT NULL
);
CREATE TABLE embeddings (
    identity TEXT NOT NULL, role TEXT NOT NULL, content TEXT NOT NULL, vector BLOB NOT NULL
);
CREATE UNIQUE INDEX embeddings_of ON embeddings (identity, role, content);
CREATE TABLE state (key TEXT PRIMARY KEY, value INTEGER NOT NULL);
INSERT INTO state VALUES ('revision', 2), ('indexed', 2);
INSERT INTO files VALUES ('f', '/guides/a.md', 'a.md', 'aa', '1.1', '2026-11-01T00:00:00+00:00');
INSERT INTO documents VALUES ('d', 'f', 0, 'Title', 'a.md', 'One. Two.', '{"domain": "fundus", "source": "S"}');
INSERT INTO passages VALUES ('p', 'd', 0, 'Signs', 5, 9, NULL, 'Two.');
INSERT INTO cases VALUES ('c', 'bb', 'Normal.', NULL, NULL, '["normal"]', '', '2026-11-01T00:00:00+00:00');
"""


def filed(text: str, cuts: list[tuple[int, int]], path: str = "/a.md") -> tuple[File, Document, list[Passage]]:
    file = File(stable_id("file", path), path, path[1:], "sha", "1")
    document = Document(stable_id("document", path), file.id, "Title", path[1:], text, {"domain": "chest_xray"})
    passages = [
        Passage(stable_id(document.id, str(s), str(e)), document.id, "Title", "", text[s:e], s, e, domain="chest_xray")
        for s, e in cuts
    ]
    return file, document, passages


def test_version_1_is_read(home: Path) -> None:
    home.mkdir()
    old = sqlite3.connect(home / "consult.db")
    old.executescript(VERSION_1)
    old.close()
    with Library(home) as library:
        assert library.passage("p") == Passage("p", "d", "Title", "Signs", "Two.", 5, 9, domain="fundus", source="S")
        assert library.case("c") == Case("c", "bb", "Normal.", labels=("normal",))
        assert [(file.name, file.documents, file.title) for file in library.files()] == [("a.md", 1, "Title")]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1),
    st.lists(st.tuples(st.integers(0, 50), st.integers(1, 50)), max_size=5, unique=True),
)
def test_a_passage_is_where_it_says(library: Library, text: str, cuts: list[tuple[int, int]]) -> None:
    file, document, passages = filed(text, [(start, start + size) for start, size in cuts if start + size <= len(text)])
    library.put_file(file, [(document, passages)])
    stored = library.document(document.id).text
    for passage in passages:
        again = library.passage(passage.id)
        assert again == passage
        assert stored[again.start : again.end] == again.text


def test_a_passage_elsewhere_is_refused_and_nothing_is_written(library: Library) -> None:
    file, document, passages = filed("One two three.", [(0, 3)])
    wrong = Passage("x", document.id, "Title", "", "two", 0, 3)
    with pytest.raises(ValueError, match="isn't where"):
        library.put_file(file, [(document, [*passages, wrong])])
    assert library.counts() == {"files": 0, "documents": 0, "passages": 0, "cases": 0}


def test_a_file_replaces_itself(library: Library) -> None:
    file, document, passages = filed("One two three.", [(0, 3)])
    library.put_file(file, [(document, passages)])
    file, document, again = filed("One two four.", [(4, 7)])
    library.put_file(file, [(document, again)])
    assert [p.text for p in library.passages()] == ["two"]
    with pytest.raises(NotFound):
        library.passage(passages[0].id)


def test_a_failed_replacement_keeps_the_old(library: Library) -> None:
    file, document, passages = filed("One two three.", [(0, 3)])
    library.put_file(file, [(document, passages)])
    before = library.state("revision")
    file, document, again = filed("One two four.", [(4, 7), (4, 7)])  # the same id twice
    with pytest.raises(Exception, match="database failed"):
        library.put_file(file, [(document, again)])
    assert [p.text for p in library.passages()] == ["One"]
    assert library.state("revision") == before


def test_removing(library: Library) -> None:
    for path in ("/a.md", "/b.md"):
        file, document, passages = filed("One two three.", [(0, 3)], path)
        library.put_file(file, [(document, passages)])
    assert library.remove(document.id) == 1
    assert [file.name for file in library.files()] == ["a.md"]  # a file without documents goes with the last
    assert library.remove(library.files()[0].id) == 1
    assert library.counts()["passages"] == 0
    with pytest.raises(NotFound, match="consult knowledge list"):
        library.remove("nothing")


def test_cases_and_their_pictures(library: Library) -> None:
    pixels = picture("effusion")
    case = Case("c", picture_digest(pixels), "Effusion.", "chest_xray", "hash", ("effusion",), "Here")
    library.put_case(case, pixels)
    assert library.case("c") == case
    np.testing.assert_array_equal(library.picture(case.sha256), pixels)
    assert library.blob(case.sha256).startswith(b"\x89PNG")
    with pytest.raises(NotFound):
        library.blob("../consult.db")


def test_a_removed_case_leaves_neither_picture_nor_vectors(library: Library) -> None:
    pixels, vector = picture("effusion"), np.ones(4, np.float32)
    sha256 = picture_digest(pixels)
    for name in ("a", "b"):
        library.put_case(Case(name, sha256, f"Report {name}."), pixels)
        library.put_vectors("reading", "text", [(content_hash(f"Report {name}."), vector)])
    library.put_vectors("seeing", "image", [(sha256, vector), ("another", vector)])
    assert library.remove("a") == 1
    assert library.blob(sha256)  # the other case still shows it
    assert library.cached("seeing", "image") == {sha256, "another"}
    assert library.cached("reading", "text") == {content_hash("Report b.")}
    assert library.remove("b") == 1
    assert library.cached("seeing", "image") == {"another"}
    assert library.cached("reading", "text") == set()
    assert list((library.home / "blobs").iterdir()) == []
    with pytest.raises(NotFound):
        library.remove("b")


def test_vectors_come_back_exactly(library: Library) -> None:
    vector = np.random.default_rng(1).normal(size=16).astype(np.float32)
    library.put_vectors("enc", "text", [("a", vector)])
    assert library.vectors("enc", "text", ["a", "b"]).keys() == {"a"}
    np.testing.assert_array_equal(library.vectors("enc", "text", ["a"])["a"], vector)
    assert library.cached("enc", "text") == {"a"}
    assert library.cached("other", "text") == library.cached("enc", "image") == set()


def test_threads_share_a_library(library: Library) -> None:
    def work(number: int) -> None:
        for _ in range(10):
            file, document, passages = filed("One two three.", [(0, 3)], f"/{number}.md")
            library.put_file(file, [(document, passages)])
            assert library.passage(passages[0].id).text == "One"

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert library.counts()["documents"] == 4
    assert library.state("revision") == 40
