import json
import zipfile
from io import BytesIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retrieval import readers
from retrieval.errors import UnreadableDocument
from retrieval.readers import Draft, Reading, Span, read_document
from tests.retrieval.docxs import docx, paragraph, table
from tests.retrieval.pdfs import grid, outlined, pdf

CARD = """---
title: Pleural effusion
domain: chest_xray
aliases: [hydrothorax]
edition: "2023"
date: 2023-05-14
jurisdiction: United Kingdom
sources:
  - {organisation: British Thoracic Society, title: Pleural disease, year: 2023, section: Imaging}
  - {organisation: Fleischner Society, title: Glossary, year: 2008}
---
# Pleural effusion

Fluid.

##  Symptoms
- Cough.
"""


def only(data: bytes, name: str) -> Draft:
    (draft,) = read_document(data, name).drafts
    return draft


def test_markdown_with_front_matter() -> None:
    draft = only(CARD.encode(), "effusion.md")
    assert draft.title == "Pleural effusion"
    assert draft.text.startswith("# Pleural effusion\n\nFluid.\n\n## Symptoms\n- Cough.")
    assert draft.meta == {
        "source": "British Thoracic Society, Pleural disease, 2023, Imaging; Fleischner Society, Glossary, 2008",
        "domain": "chest_xray", "edition": "2023", "jurisdiction": "United Kingdom", "dated": "2023-05-14",
        "aliases": ["hydrothorax"],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "title"), [("# A title #\nx", "A title"), ("no heading", "my file"), ("\ufeff# Marked\nx", "Marked")]
)
def test_markdown_titles(text: str, title: str) -> None:
    assert only(text.encode(), "my_file.md").title == title


def test_headings_with_other_blanks() -> None:
    assert only("#\xa0A title\n\n##\u2003 Dose\nx".encode(), "g.md") == Draft("A title", "# A title\n\n## Dose\nx")


def test_a_pdf_is_known_by_its_bytes() -> None:
    assert only(pdf(["Words"]), "g.txt").text == "Words"


def test_text() -> None:
    assert only("Fièvre\r\nélevée\f".encode("cp1252"), "note-one.txt") == Draft(
        "note one", "Fièvre\nélevée", (Span(0, 13),)
    )


def test_jsonl_keeps_each_lines_source() -> None:
    rows = [
        {"id": "x", "title": "A", "section": "signs", "text": "one\u2028two", "source": "Book", "date": "2020"},
        {"id": "x", "title": "A", "text": "three"},
        {"title": "no text"},
        ["not an object"],
    ]  # fmt: skip
    lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + '\n{"broken\n\n'
    reading = read_document(lines.encode(), "book.jsonl")
    first, second = reading.drafts
    assert (first.title, first.text, first.key) == ("A", "one\ntwo", "x")
    assert first.meta == {"source": "Book", "dated": "2020"}
    assert first.spans == (Span(0, 7, "signs"),)
    assert second.key == "x (line 2)"
    assert [place for place, _ in reading.skipped] == ["line 3", "line 4", "line 5"]


def workbook() -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "name", "words"),
    [
        (b"", "a.md", "empty"),
        (b" \n", "a.pdf", "empty"),
        (b"---\ntitle: x\n---\n", "a.md", "no text"),
        (b"---\n a: [\n---\nx", "a.md", "front matter"),
        (b"---\n" + b"[" * 4000 + b"\n---\nx", "a.md", "front matter"),
        (b"x", "a.doc", "save it as .docx"),
        (b"x", "a.xlsx", "Markdown, HTML, PDF, DOCX, text and JSONL are"),
        (workbook(), "a.docx", "no Word document"),
        (b"x", "a", "no ending"),
        (b"\x00\x01\x02" * 50, "a.txt", "not text"),
        (b"\x7fELF\x02\x01\x01" + bytes(200), "a.html", "not text"),
        (b'{"question": "x"}', "a.jsonl", "No line"),
    ],
)
def test_unreadable_in_one_line(data: bytes, name: str, words: str) -> None:
    with pytest.raises(UnreadableDocument, match=words) as caught:
        read_document(data, name)
    assert "\n" not in str(caught.value)


def test_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "MAX_BYTES", 2**20)
    with pytest.raises(UnreadableDocument, match="larger than 1 MB"):
        read_document(b"x" * (2**20 + 1), "a.txt")


# What holds of every reader.

XML = [b"<", b">", b"/>", b"</w:p>", b'"', b"w:tbl", b"&", b"\xff", b"9"]
ENDINGS = sorted(readers.READERS)
WORDS = st.text(st.characters(codec="cp1252", exclude_categories=["Cc"]), max_size=30)
VALID = {  # files that are read up to where they are damaged
    ".md": CARD.encode(),
    ".html": b"<html><head><meta name=date content=2020></head><h1>A</h1><table><tr><td>a</table><p>b<ul><li>c",
    ".pdf": outlined(pdf(["One", "Two"], "T", drawn={0: grid([["a", "b"], ["c", "d"]], 72, 600)}), [("Two", 1, 0)]),
    ".docx": docx(paragraph("A", "Titel") + table([["a", "b"], ["c", "d"]]), "<dc:title>T</dc:title>"),
    ".jsonl": b'{"text": "a", "title": "b"}\n{"text": "c"}',
}


def check(reading: Reading) -> None:
    for draft in reading.drafts:
        draft.text.encode()
        assert draft.title.strip()
        assert not any(ord(c) < 9 for c in draft.text)
        end = 0
        for span in draft.spans or ():
            assert end <= span.start <= span.end <= len(draft.text)
            end = span.end
    assert all(place and why for place, why in reading.skipped)


@settings(max_examples=150, deadline=None)
@given(st.binary(min_size=1, max_size=400), st.sampled_from(ENDINGS))
def test_any_bytes_are_read_or_refused(data: bytes, ending: str) -> None:
    try:
        check(read_document(data, "x" + ending))
    except UnreadableDocument:
        return


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(VALID)), st.lists(st.tuples(st.integers(0, 9999), st.binary(max_size=9)), max_size=6))
def test_damaged_files_are_read_or_refused(ending: str, changes: list[tuple[int, bytes]]) -> None:
    data = bytearray(VALID[ending])
    for place, change in changes:
        at = place % len(data)
        data[at : at + len(change)] = change
    try:
        check(read_document(bytes(data), "x" + ending))
    except UnreadableDocument:
        return


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 99), st.lists(st.tuples(st.integers(0, 9999), st.sampled_from(XML)), min_size=1, max_size=3))
def test_damaged_parts_of_a_docx(victim: int, changes: list[tuple[int, bytes]]) -> None:
    with zipfile.ZipFile(BytesIO(VALID[".docx"])) as archive:
        parts = {name: bytearray(archive.read(name)) for name in archive.namelist()}
    part = list(parts.values())[victim % len(parts)]
    for place, change in changes:
        at = place % len(part)
        part[at : at + len(change)] = change
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, bytes(data))
    try:
        check(read_document(out.getvalue(), "x.docx"))
    except UnreadableDocument:
        return


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(WORDS, min_size=1, max_size=5), min_size=1, max_size=4), st.data())
def test_spans_of_a_pdf_with_an_outline(pages: list[list[str]], data: st.DataObject) -> None:
    lines = [(number, line) for number, page in enumerate(pages) for line in page]
    chosen = data.draw(st.lists(st.sampled_from(lines), max_size=4))
    made = outlined(pdf(["\n".join(page) for page in pages]), [(line or "x", number, 0) for number, line in chosen])
    try:
        check(read_document(made, "x.pdf"))
    except UnreadableDocument as error:
        assert "OCR" in str(error)  # noqa: PT017 - blank pages
