import pytest

from retrieval.cutting import cut
from retrieval.errors import UnreadableDocument
from retrieval.readers import Draft, read_document
from retrieval.readers import docx as docx_reader
from tests.retrieval.docxs import docx, paragraph, table

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)
GUIDE = (
    paragraph("Pneumonia in adults", "Titel")
    + paragraph("Treatment", "berschrift1")
    + paragraph("Start early.")
    + paragraph("Dose & interval", "berschrift2")
    + paragraph("by mouth", bullet=True)
    + paragraph("by vein", bullet=True)
    + table([["Drug", "Dose"], ["Amoxicillin", "500 mg | 8 h"], ["Doxycycline", "200 mg"]])
    + paragraph("A note", "berschrift7")
    + paragraph("The end.")
)


def only(data: bytes) -> Draft:
    (draft,) = read_document(data, "a_guide.docx").drafts
    return draft


def test_headings_lists_and_tables() -> None:
    draft = only(docx(GUIDE))
    assert draft.title == "Pneumonia in adults"
    assert draft.text == (
        "# Pneumonia in adults\n\n# Treatment\n\nStart early.\n\n## Dose & interval\n\n- by mouth\n- by vein\n\n"
        "| Drug | Dose |\n| --- | --- |\n| Amoxicillin | 500 mg \\| 8 h |\n| Doxycycline | 200 mg |\n\n"
        "###### A note\n\nThe end."
    )
    assert [span.section for span in cut([draft])[0]] == [
        "Treatment", "Treatment / Dose & interval", "Treatment / Dose & interval / A note",
    ]  # fmt: skip


def test_properties() -> None:
    core = (
        "<dc:title>Word's own title.docx</dc:title><dcterms:created>2020-01-01T00:00:00Z</dcterms:created>"
        "<dcterms:modified>2021-02-03T10:00:00Z</dcterms:modified>"
    )
    draft = only(docx(paragraph("Words"), core, {"Edition": "3rd", "Jurisdiction": "Austria", "Published": "May 2020"}))
    assert draft.title == "Word's own title"
    assert draft.meta == {
        "edition": "3rd", "jurisdiction": "Austria", "dated": "2020-05", "file_dated": "2021-02-03",
    }  # fmt: skip


def test_the_day_of_a_file_is_no_day_of_publication() -> None:
    core = "<dcterms:created>2020-01-01T00:00:00Z</dcterms:created>"
    assert only(docx(paragraph("Words"), core)).meta == {"file_dated": "2020-01-01"}


def test_without_title_the_files_name_is_it() -> None:
    assert only(docx(paragraph("Words"))).title == "a guide"


def test_damaged_properties_lose_nothing() -> None:
    assert only(docx(paragraph("Words"), "<dc:title>")).text == "Words"


def test_tracked_changes_are_accepted() -> None:
    body = (
        "<w:p><w:r><w:t>Give </w:t></w:r><w:del><w:r><w:delText>500</w:delText></w:r></w:del>"
        "<w:ins><w:r><w:t>250</w:t></w:r></w:ins><w:r><w:t> mg</w:t></w:r></w:p>"
    )
    assert only(docx(body)).text == "Give 250 mg"


def test_powers_stay_powers() -> None:
    power = '<w:r><w:rPr><w:vertAlign w:val="superscript"/></w:rPr><w:t>9</w:t></w:r>'
    assert only(docx(f"<w:p><w:r><w:t>10</w:t></w:r>{power}<w:r><w:t>/L</w:t></w:r></w:p>")).text == "10^9/L"


def laughs() -> bytes:
    entities = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "ha"}">' for n in range(10))
    text = f"<!DOCTYPE d [{entities}]><d>&l9;</d>".encode()
    return docx(paragraph("x"), **{"word__footnotes.xml": text})


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (OLE + "EncryptedPackage".encode("utf-16-le"), "password"),
        (OLE + "WordDocument".encode("utf-16-le"), "old Word file"),
        (docx(GUIDE)[:900], "cut short"),
        (b"PK\x03\x04 nonsense", "cut short"),
        (b"just text", "cut short"),
        (docx("<w:p>"), "damaged"),
        (docx("", word__document2=b"").replace(b"word/", b"data/"), "no Word document"),
        (docx("").replace(b"word/", b"xl__/"), "no Word document"),
        (docx(""), "no text"),
        (docx(paragraph("x" * docx_reader.MAX_XML)), "16 MB"),
        (docx(paragraph("x"), **{"word__odd.bin": bytes(docx_reader.MAX_XML)}), "16 MB"),
        (laughs(), "damaged"),
        (docx("<w:p>" * 5000 + "</w:p>" * 5000), "damaged|no text"),
    ],
)  # fmt: skip
def test_unreadable_in_one_line(data: bytes, words: str) -> None:
    with pytest.raises(UnreadableDocument, match=words) as caught:
        read_document(data, "a.docx")
    assert "\n" not in str(caught.value)
