import pytest

from retrieval.errors import UnreadableDocument
from retrieval.readers import Draft, read_document
from retrieval.readers import pdf as pdf_reader
from tests.retrieval.pdfs import PICTURE, encrypted, grid, outlined, pdf, words

DOSES = [["Drug", "Dose", "Days"], ["Amoxicillin", "500 mg | 8 h", "5"], ["Doxycycline", "200 mg", ""]]
AS_MARKDOWN = (
    "| Drug | Dose | Days |\n| --- | --- | --- |\n| Amoxicillin | 500 mg \\| 8 h | 5 |\n| Doxycycline | 200 mg |  |"
)


def only(data: bytes) -> Draft:
    (draft,) = read_document(data, "a_guide.pdf").drafts
    return draft


def texts(draft: Draft) -> list[tuple[int | None, str, str]]:
    assert draft.spans is not None
    found = [(span.page, span.section, draft.text[span.start : span.end].strip()) for span in draft.spans]
    return [row for row in found if row[2]]


def test_pages() -> None:
    draft = only(pdf(["First page,\nstill going.\nNew line", "Second (page)"], "A guide"))
    assert draft.title == "A guide"
    assert texts(draft) == [(1, "", "First page, still going.\nNew line"), (2, "", "Second (page)")]


def test_a_table_stands_once_and_in_its_place() -> None:
    page = "\n".join([words("Before it.", 72, 700), grid(DOSES, 72, 680), words("After it.", 72, 500)])
    draft = only(pdf(["", "Next page"], drawn={0: page}))
    assert texts(draft) == [(1, "", f"Before it.\n\n{AS_MARKDOWN}\n\nAfter it."), (2, "", "Next page")]


def test_two_tables_and_columns_on_a_page() -> None:
    left = [words(f"Left {n}", 72, 700 - 12 * n) for n in range(3)]
    right = [words(f"Right {n}", 320, 700 - 12 * n) for n in range(3)]
    page = "\n".join([*left, grid([["A", "B"], ["1", "2"]], 72, 650), *right, grid([["C", "D"], ["3", "4"]], 320, 650)])
    assert only(pdf([""], drawn={0: page})).text == (
        "Left 0\nLeft 1\nLeft 2\n\n| A | B |\n| --- | --- |\n| 1 | 2 |\n\n"
        "Right 0\nRight 1\nRight 2\n\n| C | D |\n| --- | --- |\n| 3 | 4 |"
    )


@pytest.mark.parametrize(
    "drawing",
    [
        grid([["Only a frame"]], 72, 650, width=200),
        grid([["One row", "of two"]], 72, 650),
        grid([["1"] + [""] * 5] + [[""] * 6] * 5 + [["0"] + [""] * 5], 72, 650, width=30),  # a chart with its axis
    ],
)
def test_frames_and_charts_are_no_tables(drawing: str) -> None:
    text = only(pdf(["Words"], drawn={0: drawing})).text
    assert text.startswith("Words")
    assert "|" not in text


def test_words_between_cells_are_not_lost() -> None:
    broken = grid(DOSES, 72, 680) + "\n" + words("beside the cells", 345, 666)  # runs over the table's edge
    text = only(pdf(["Words"], drawn={0: broken})).text
    assert all(word in text for word in ("Amoxicillin", "Doxycycline", "beside the cells"))


def test_a_page_that_cannot_be_searched_for_tables_keeps_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ValueError

    monkeypatch.setattr(pdf_reader, "_rows", fail)
    reading = read_document(pdf(["", "Two"], drawn={0: grid(DOSES, 72, 680)}), "g.pdf")
    assert "Amoxicillin" in reading.drafts[0].text
    assert [place for place, _ in reading.skipped] == ["page 1"]


def test_a_drawing_is_not_searched_for_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pdf_reader, "MOST_LINES", 5)
    assert "|" not in only(pdf(["Words"], drawn={0: grid(DOSES[:1], 72, 680)})).text


def test_the_outline_gives_sections() -> None:
    pages = ["Preface", "1.1 Dosing\nthe adult\nTwo a day.\n2 Harms\nFew.", "None yet.", "Go."]
    marks = [("A guide", 0, 0), ("Use", 1, 1), ("Dosing", 1, 2), ("Harms", 1, 1), ("Not on the page", 3, 0)]
    draft = only(outlined(pdf(pages, "A guide"), marks))
    assert texts(draft) == [
        (1, "", "Preface"), (2, "Use / Dosing", "the adult\nTwo a day."), (2, "Harms", "Few."),
        (3, "Harms", "None yet."), (4, "Not on the page", "Go."),
    ]  # fmt: skip


def test_hyphens_at_the_end_of_a_line() -> None:
    page = "The pneu-\nmonia needs a follow-\nup; a follow-up in 5-\n10 days. COVID-\n19"
    assert only(pdf([page])).text == "The pneumonia needs a follow-up; a follow-up in 5-\n10 days. COVID-19"


def test_dates() -> None:
    made = "/CreationDate (D:20250208122313Z)"
    assert only(pdf(["Words"], info=made)).meta == {"file_dated": "2025-02-08"}
    stated = made + " /Dated (2023-05) /Edition (2nd) /Jurisdiction (Chile)"
    assert only(pdf(["Words"], info=stated)).meta == {
        "edition": "2nd", "jurisdiction": "Chile", "dated": "2023-05", "file_dated": "2025-02-08",
    }  # fmt: skip
    xmp = b"\n<x:xmpmeta><prism:publicationDate>2022-11-01</prism:publicationDate></x:xmpmeta>"
    assert only(pdf(["Words"]) + xmp).meta == {"dated": "2022-11-01"}


@pytest.mark.parametrize("title", ["Microsoft Word - Guide.docx", "Guide.pdf"])
def test_titles_without_their_program(title: str) -> None:
    assert only(pdf(["Words"], title)).title == "Guide"


def test_encrypted_without_password_is_read_with_its_tables() -> None:
    assert only(encrypted(pdf([""], drawn={0: grid(DOSES, 72, 680)}), "")).text == AS_MARKDOWN


def test_scanned_pages_among_others_are_told() -> None:
    reading = read_document(pdf(["Words", "", ""], drawn={1: PICTURE}), "a.pdf")
    assert reading.skipped == (("page 2", "is a picture without text; run text recognition (OCR)"),)


@pytest.mark.parametrize(
    ("data", "words_said"),
    [
        (b"%PDF-1.4\nnonsense", "damaged"),
        (pdf(["Words " * 50])[:500], "damaged|no text"),
        (pdf([""]), "OCR"),
        (pdf(["", ""], drawn={0: PICTURE, 1: PICTURE}), "OCR"),
        (encrypted(pdf(["Words"]), "secret"), "encrypted"),
    ],
)
def test_unreadable_in_one_line(data: bytes, words_said: str) -> None:
    with pytest.raises(UnreadableDocument, match=words_said) as caught:
        read_document(data, "a.pdf")
    assert "\n" not in str(caught.value)
