"""PDF: the text of each page, its tables as Markdown where they stand, sections by the outline where there is one.

PDFium reads the text (about 1,000 pages a second); pdfplumber, slower by far, only the pages on which lines are drawn.
A table it finds replaces the words inside it if it holds every one of them: nothing is shown twice and nothing lost.
"""

import io
import itertools
import logging
import re
import threading
from collections.abc import Iterable, Iterator, Sequence, Set
from typing import TYPE_CHECKING, Any

from retrieval.errors import UnreadableDocument
from retrieval.readers.draft import Draft, Reading, Span
from retrieval.readers.meta import PLAIN, kept
from retrieval.readers.plain import clean, stated_title, words_of

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument, PdfPage

FEWEST_LINES = 2  # drawn paths: a table has more, an underlined heading has one
MOST_LINES = 4000  # above it the page is a drawing, on which looking for tables takes minutes
SMALL = "a-zß-öø-ÿ"
HYPHEN = "\ufffe"  # how PDFium marks a hyphen at a line's end
_ONE_AT_A_TIME = threading.Lock()  # PDFium is not made for threads


def read_pdf(data: bytes, stem: str) -> Reading:
    with _ONE_AT_A_TIME:
        document = _opened(data)
        try:
            texts, ruled, pictures = _looked_at(document)
            headings = list(_outline(document))
            properties = _properties(document, data)
        except Exception as error:  # of several libraries, for a damaged file
            raise UnreadableDocument("The PDF is damaged and can't be read.") from error
        finally:
            document.close()
    skipped = [(f"page {number + 1}", "is a picture without text; run text recognition (OCR)") for number in pictures]
    for number, text in _with_tables(data, ruled):
        if text is None:
            skipped.append((f"page {number + 1}", "could not be searched for tables; its text was read"))
        else:
            texts[number] = text
    pages = _unwrap([clean(text) for text in texts], {path[-1] for _, path in headings})
    if not any(pages):
        raise UnreadableDocument("The PDF holds no text: a scan? Run it through text recognition (OCR) first.")
    title = stated_title(properties.pop("title")) or words_of(stem)
    draft = Draft(title, "\n\n".join(pages), tuple(_spans(pages, headings, title)), kept(properties))
    return Reading((draft,), tuple(skipped))


def _opened(data: bytes) -> "PdfDocument":
    from pypdfium2 import PdfDocument, PdfiumError
    from pypdfium2.raw import FPDF_ERR_PASSWORD, FPDF_ERR_SECURITY

    try:
        return PdfDocument(data)  # one that opens with an empty password opens
    except PdfiumError as error:
        if getattr(error, "err_code", None) in (FPDF_ERR_PASSWORD, FPDF_ERR_SECURITY):
            raise UnreadableDocument("The PDF is encrypted; save it without a password.") from error
        raise UnreadableDocument("The PDF is damaged and can't be read.") from error


def _looked_at(document: "PdfDocument") -> tuple[list[str], list[int], list[int]]:
    """The text of each page; the numbers, from 0, of those with drawn lines and of those that are only pictures."""
    texts: list[str] = []
    ruled, pictures = [], []
    for number, page in enumerate(document):
        texts.append(_text(page))
        if texts[-1] and _is_ruled(page):
            ruled.append(number)
        if not texts[-1] and _has_picture(page):
            pictures.append(number)
        page.close()
    return texts, ruled, pictures


def _text(page: "PdfPage") -> str:
    text_page = page.get_textpage()
    try:
        return str(text_page.get_text_range()).replace("\r\n", "\n").strip()
    finally:
        text_page.close()


def _is_ruled(page: "PdfPage") -> bool:
    from pypdfium2.raw import FPDF_PAGEOBJ_PATH

    drawn = itertools.islice(page.get_objects(filter=[FPDF_PAGEOBJ_PATH]), MOST_LINES + 1)
    return FEWEST_LINES <= sum(1 for _ in drawn) <= MOST_LINES


def _has_picture(page: "PdfPage") -> bool:
    from pypdfium2.raw import FPDF_PAGEOBJ_IMAGE

    return next(iter(page.get_objects(filter=[FPDF_PAGEOBJ_IMAGE])), None) is not None


def _properties(document: "PdfDocument", data: bytes) -> dict[str, str]:
    """Of the file's information, standard and custom; the date of publication is what its publisher wrote to XMP."""
    found = {key: document.get_metadata_value(key.title()).strip() for key in ("title", "source", "dated", *PLAIN)}
    if xmp := re.search(rb"prism:(?:publicationDate|coverDate)\W{1,3}(\d{4}(?:-\d\d){0,2})", data):
        found["dated"] = found["dated"] or xmp[1].decode()
    written = document.get_metadata_value("CreationDate") or document.get_metadata_value("ModDate")
    day = re.match(r"D:(\d{4})(\d\d)(\d\d)", written)
    return {**found, "file_dated": "-".join(day.groups()) if day else ""}


# Tables.


def _with_tables(data: bytes, numbers: Sequence[int]) -> Iterator[tuple[int, str | None]]:
    """Of these pages the ones with tables: (number, text). None for text: the page could not be searched."""
    import pdfplumber

    if not numbers:
        return
    logging.getLogger("pdfminer").setLevel(logging.CRITICAL)  # it logs every flaw it mends
    try:
        with pdfplumber.open(io.BytesIO(data), pages=[number + 1 for number in numbers]) as document:
            pages = dict(zip(numbers, document.pages, strict=True))
            for number, page in pages.items():
                yield from _table_page(number, page)
                page.close()
    except Exception:  # PDFium mends more than pdfminer does
        yield from ((number, None) for number in numbers)


def _table_page(number: int, page: Any) -> Iterator[tuple[int, str | None]]:
    try:
        tables = [(table.bbox, rows) for table in page.find_tables() if (rows := _rows(page, table))]
        if tables:
            yield number, _flow(page, tables)
    except Exception:
        yield number, None


def _rows(page: Any, table: Any) -> list[list[str]]:
    """A table's cells; none for what is only a frame, a chart, or holds words that lie in no cell."""
    rows = [[" ".join((cell or "").split()) for cell in row] for row in table.extract()]
    rows = [row for row in rows if any(row)]
    cells = [cell for row in rows for cell in row]
    inside = sum(not char["text"].isspace() for char in page.chars if _within(char, table.bbox))
    held = sum(len("".join(cell.split())) for cell in cells)
    if len(rows) < 2 or max(map(len, rows)) < 2 or 2 * sum(map(bool, cells)) < len(cells) or held < inside:
        return []
    return rows


def _within(thing: dict[str, Any], box: tuple[float, float, float, float]) -> bool:
    """Whether its middle lies in the box (left, top, right, bottom)."""
    x, y = (thing["x0"] + thing["x1"]) / 2, (thing["top"] + thing["bottom"]) / 2
    return box[0] <= x <= box[2] and box[1] <= y <= box[3]


def _flow(page: Any, tables: Sequence[tuple[tuple[float, float, float, float], list[list[str]]]]) -> str:
    """The page's text in the order in which it was written, so that columns stay whole, each table in its place."""
    boxes = [box for box, _ in tables]
    parts: list[str] = []
    shown: set[int] = set()

    def table_of(char: dict[str, Any]) -> int:
        return next((at for at, box in enumerate(boxes) if _within(char, box)), -1)

    for at, run in itertools.groupby(page.chars, key=table_of):
        if at == -1:
            parts.append(_lines(list(run)))
        elif at not in shown:
            shown.add(at)
            parts.append(_markdown(tables[at][1]))
    return "\n\n".join(part for part in parts if part)


def _lines(chars: list[dict[str, Any]]) -> str:
    from pdfplumber.utils import extract_words

    text, last = "", None
    for word in extract_words(chars, use_text_flow=True):
        same = last and abs(word["bottom"] - last["bottom"]) < 4 and word["x0"] > last["x0"]
        text += (" " if same else "\n" if last else "") + word["text"]
        last = word
    return re.sub(rf"(?<=[{SMALL}])-\n(?=[{SMALL}])", HYPHEN, text)


def _markdown(rows: list[list[str]]) -> str:
    width = max(map(len, rows))
    cells = [[cell.replace("|", "\\|") for cell in row] + [""] * (width - len(row)) for row in rows]
    lines = ["| " + " | ".join(row) + " |" for row in cells]
    return "\n".join([lines[0], "|" + " --- |" * width, *lines[1:]])


# Lines and sections.


def _unwrap(pages: list[str], headings: Set[str]) -> list[str]:
    """A PDF's lines end where the paper does: one that goes on in lower case is joined, unless it is a heading. A
    hyphen at its end goes, but not if the document writes the word with one elsewhere ("follow-up") or in "5-10"."""
    compounds = set(re.findall(r"\w+-\w+", " ".join(pages)))

    def joined(match: re.Match[str]) -> str:
        left, right = match.groups()
        return f"{left}-{right}" if f"{left}-{right}" in compounds else left + right

    def onward(match: re.Match[str]) -> str:
        return match[0] if re.sub(r"^[\d. ]+", "", match[1]) in headings else f"{match[1]} "

    pages = [re.sub(rf"([^\W\d_]+){HYPHEN}([{SMALL}]\w*)", joined, page).replace(HYPHEN, "-") for page in pages]
    pages = [re.sub(r"[ \t]+(?=\n)", "", page) for page in pages]
    return [re.sub(rf"(?m)^(.*[^\s.:;!?|])\n(?=[{SMALL}(])", onward, page).strip() for page in pages]


def _outline(document: "PdfDocument") -> Iterator[tuple[int, tuple[str, ...]]]:
    """(page from 0, path of headings), in the order of the outline."""
    path: list[str] = []
    for mark in document.get_toc():
        path = [*path[: mark.level], " ".join(clean(mark.get_title()).split())]
        target = mark.get_dest()
        page = target.get_index() if target else None
        if page is not None and path[-1]:
            yield page, tuple(path)


def _spans(pages: Sequence[str], headings: Iterable[tuple[int, tuple[str, ...]]], title: str) -> Iterator[Span]:
    """Each page, cut where a heading of the outline is found as a line; others open at the page's top or end."""
    section, latest, at = "", "", 0
    headings = sorted(headings, key=lambda heading: heading[0])
    for number, page in enumerate(pages):
        begin = 0
        for path in (path for where, path in headings if where == number):
            if found := re.compile(rf"(?m)^[\d. ]*{re.escape(path[-1])} *$").search(page, begin):
                yield Span(at + begin, at + found.start(), section, number + 1)
                begin = found.end()
            latest = " / ".join(path[1:] if path[0].casefold() == title.casefold() else path)
            section = latest if found or not begin else section
        yield Span(at + begin, at + len(page), section, number + 1)
        section = latest
        at += len(page) + 2
