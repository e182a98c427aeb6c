import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval import documents
from retrieval.documents import Draft, decode, read_document
from retrieval.errors import UnreadableDocument
from tests.retrieval.pdfs import encrypted, pdf

CARD = """---
title: Pleural effusion
domain: chest_xray
aliases: [hydrothorax]
edition: "2023"
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
    assert (
        draft.meta["source"]
        == "British Thoracic Society, Pleural disease, 2023, Imaging; Fleischner Society, Glossary, 2008"
    )
    assert {key: draft.meta[key] for key in ("domain", "edition", "jurisdiction")} == {
        "domain": "chest_xray", "edition": "2023", "jurisdiction": "United Kingdom",
    }  # fmt: skip
    assert draft.meta["aliases"] == ["hydrothorax"]


@pytest.mark.parametrize(
    ("text", "title"), [("# A title #\nx", "A title"), ("no heading", "my file"), ("\ufeff# Marked\nx", "Marked")]
)
def test_markdown_titles(text: str, title: str) -> None:
    assert only(text.encode(), "my_file.md").title == title


def test_html_without_scripts_and_styles() -> None:
    html = """<html><head><title>Guide &amp; more</title><style>p {color: red}</style></head><body>
    <script>alert(1)</script><!-- hidden --><nav>menu</nav><h1>Guide</h1><p>Take <b>great</b>&nbsp;care_of 2*3.</p>
    <h2>Signs</h2><ul><li>one</li><li>two</li></ul><table><tr><th>a</th></tr><tr><td>b</td></tr></table></body></html>"""
    draft = only(html.encode(), "g.html")
    assert draft.title == "Guide & more"
    assert draft.text.startswith("# Guide\n\nTake great care_of 2*3.\n\n## Signs\n\n- one\n- two")
    assert not any(word in draft.text for word in ("alert", "color", "hidden", "menu"))
    assert draft.spans is None


def test_html_wrapped_in_a_form_keeps_its_text() -> None:
    html = """<html><body><form action="."><input type="hidden" value="state"><h1>Guide</h1><p>Take care.</p>
    <select><option>English</option></select><button>Send</button></form></body></html>"""
    assert only(html.encode(), "g.aspx.html").text == "# Guide\n\nTake care."


def test_headings_with_other_blanks() -> None:
    assert only("#\xa0A title\n\n##\u2003 Dose\nx".encode(), "g.md") == Draft("A title", "# A title\n\n## Dose\nx")


def test_html_in_its_own_encoding() -> None:
    html = '<html><head><meta charset="iso-8859-1"></head><body><p>Müller</p></body></html>'
    assert only(html.encode("latin-1"), "g.htm").text == "Müller"


def test_pdf_pages() -> None:
    draft = only(pdf(["First page,\nstill going.\nNew line", "Second (page)"], "A guide"), "g.pdf")
    assert draft.title == "A guide"
    assert draft.spans is not None
    assert [(span.page, draft.text[span.start : span.end]) for span in draft.spans] == [
        (1, "First page, still going.\nNew line"), (2, "Second (page)"),
    ]  # fmt: skip


def test_a_pdf_is_known_by_its_bytes() -> None:
    assert only(pdf(["Words"]), "g.txt").text == "Words"


def test_pdf_encrypted_without_password_is_read() -> None:
    assert only(encrypted(pdf(["Words"]), ""), "g.pdf").text == "Words"


def test_text() -> None:
    assert only("Fièvre\r\nélevée\f".encode("cp1252"), "note-one.txt") == Draft(
        "note one", "Fièvre\nélevée", (documents.Span(0, 13),)
    )
    assert only("Fièvre".encode("utf-16"), "n.txt").text == "Fièvre"


def test_jsonl_keeps_each_lines_source() -> None:
    rows = [
        {"id": "x", "title": "A", "section": "signs", "text": "one\u2028two", "source": "Book, 2020", "url": None},
        {"id": "x", "title": "A", "text": "three"},
        {"title": "no text"},
        ["not an object"],
    ]
    lines = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows) + '\n{"broken\n\n'
    reading = read_document(lines.encode(), "book.jsonl")
    first, second = reading.drafts
    assert (first.title, first.text, first.key, first.meta) == ("A", "one\ntwo", "x", {"source": "Book, 2020"})
    assert first.spans == (documents.Span(0, 7, "signs"),)
    assert second.key == "x (line 2)"
    assert [place for place, _ in reading.skipped] == ["line 3", "line 4", "line 5"]


@pytest.mark.parametrize(
    ("data", "name", "words"),
    [
        (b"", "a.md", "empty"),
        (b" \n", "a.pdf", "empty"),
        (b"---\ntitle: x\n---\n", "a.md", "no text"),
        (b"---\n a: [\n---\nx", "a.md", "front matter"),
        (b"x", "a.docx", "aren't read"),
        (b"x", "a", "no ending"),
        (b"\x00\x01\x02" * 50, "a.txt", "not text"),
        (b"\x7fELF\x02\x01\x01" + bytes(200), "a.md", "not text"),
        (b"\x81\x8d\x8f\x90", "a.txt", "save it as UTF-8"),
        (b"%PDF-1.4\nnonsense", "a.pdf", "damaged"),
        (pdf(["Words " * 50])[:500], "a.pdf", "damaged|no text"),
        (pdf([""]), "a.pdf", "OCR"),
        (encrypted(pdf(["Words"]), "secret"), "a.pdf", "encrypted"),
        (b'{"question": "x"}', "a.jsonl", "No line"),
        (b"<html><body><script>x</script></body></html>", "a.html", "no text"),
    ],
)
def test_unreadable_in_one_line(data: bytes, name: str, words: str) -> None:
    with pytest.raises(UnreadableDocument, match=words) as caught:
        read_document(data, name)
    assert "\n" not in str(caught.value)


def test_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MAX_BYTES", 2**20)
    with pytest.raises(UnreadableDocument, match="larger than 1 MB"):
        read_document(b"x" * (2**20 + 1), "a.txt")


@settings(max_examples=60, deadline=None)
@given(st.binary(min_size=1, max_size=400), st.sampled_from([".md", ".html", ".pdf", ".txt", ".jsonl"]))
def test_any_bytes_are_read_or_refused(data: bytes, suffix: str) -> None:
    try:
        reading = read_document(data, "x" + suffix)
    except UnreadableDocument:
        return
    for draft in reading.drafts:
        draft.text.encode()
        assert not any(ord(c) < 9 for c in draft.text)


@given(st.text(st.characters(categories=["L", "N", "P"]), min_size=1))
def test_utf8_comes_back(text: str) -> None:
    assert decode(text.encode()) == text
