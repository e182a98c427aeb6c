"""Readers: a file in, texts out, each with what is known of its source. No passage is cut here.

Every reader gives plain text or Markdown in which a passage can later be found again by its characters, so the text is
made once, here, and never changed afterwards. A document's words are data: nothing in them is obeyed.
"""

import io
import json
import logging
import re
import unicodedata
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import PurePath
from typing import Any

from retrieval.errors import UnreadableDocument

MAX_BYTES = 64 * 1024 * 1024
READERS_VERSION = "2"  # raise it when the same bytes give another text: files are then read again
STRANGERS = (  # what of a page is no text of its own
    "script", "style", "noscript", "template", "nav", "svg", "iframe", "img", "button", "select", "textarea", "input",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch that no passage may cross: `text[start:end]`."""

    start: int
    end: int
    section: str = ""
    page: int | None = None  # 1-based


@dataclass(frozen=True, slots=True)
class Draft:
    """A document as read. `spans` None: the text is Markdown, its headings give the sections. `key` tells the
    documents of one file apart."""

    title: str
    text: str
    spans: tuple[Span, ...] | None = None
    meta: dict[str, Any] = field(default_factory=dict)
    key: str = ""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a file held, and what of it could not be read: ("line 3", why)."""

    drafts: tuple[Draft, ...]
    skipped: tuple[tuple[str, str], ...] = ()


def read_document(data: bytes, name: str) -> Reading:
    """Reads a file's bytes by its name's ending. Raises `UnreadableDocument` in words that don't name the file."""
    if not data.strip():
        raise UnreadableDocument("The file is empty.")
    if len(data) > MAX_BYTES:
        raise UnreadableDocument(f"The file is larger than {MAX_BYTES // 1024 // 1024} MB; split it.")
    suffix = PurePath(name).suffix.lower()
    reader = READERS.get(".pdf" if data.startswith(b"%PDF-") else suffix)
    if reader is None:
        raise UnreadableDocument(f"Files of this kind ({suffix or 'no ending'}) aren't read; {KINDS} are.")
    reading = reader(data, PurePath(name).stem)
    if not any(draft.text.strip() for draft in reading.drafts):
        raise UnreadableDocument("The file holds no text.")
    return reading


def read_markdown(data: bytes, stem: str) -> Reading:
    import frontmatter
    import yaml

    try:
        meta, text = frontmatter.parse(_clean(decode(data)))
    except (yaml.YAMLError, ValueError, TypeError) as error:
        raise UnreadableDocument("The front matter (between the --- lines) is not valid YAML.") from error
    text = _plain_headings(text)
    heading = re.search(r"(?m)^# (.+)$", text)
    title = str(meta.get("title") or (heading.group(1).strip(" #") if heading else "") or _words(stem))
    return Reading((Draft(title, text, meta=_kept(meta)),))


def read_html(data: bytes, stem: str) -> Reading:
    from bs4 import BeautifulSoup, Comment
    from bs4.exceptions import ParserRejectedMarkup
    from markdownify import markdownify

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about markup that looks like XML
            soup = BeautifulSoup(data, "lxml")
            for stranger in soup(STRANGERS):
                stranger.decompose()
            for form in soup("form"):  # some servers wrap a whole page in one
                form.unwrap()
            for comment in soup.find_all(string=lambda string: isinstance(string, Comment)):
                comment.extract()
            title = soup.title.get_text(" ", strip=True) if soup.title else ""
            heading = soup.find("h1")
            markdown = markdownify(
                str(soup.body or soup), heading_style="ATX", bullets="-", strip=["a", "b", "strong", "i", "em", "u"],
                escape_asterisks=False, escape_underscores=False,
            )  # fmt: skip
    except (ParserRejectedMarkup, RecursionError, AssertionError) as error:
        raise UnreadableDocument("The HTML is too damaged to be read.") from error
    title = title or (heading.get_text(" ", strip=True) if heading else "") or _words(stem)
    text = re.sub(r"\n{3,}", "\n\n", _clean(markdown).replace("\xa0", " ")).strip()
    return Reading((Draft(title, _plain_headings(text)),))


def read_text(data: bytes, stem: str) -> Reading:
    text = _clean(decode(data)).strip()
    return Reading((Draft(_words(stem), text, (Span(0, len(text)),)),))


def read_pdf(data: bytes, stem: str) -> Reading:
    import pypdf

    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # it logs every flaw it mends
    try:
        reader = pypdf.PdfReader(io.BytesIO(data))
        locked = reader.is_encrypted and not reader.decrypt("")
        pages = [] if locked else [_unwrap(_clean(page.extract_text())) for page in reader.pages]
        title = "" if locked or not reader.metadata else str(reader.metadata.title or "")
    except Exception as error:  # pypdf lets many kinds through for a damaged file
        raise UnreadableDocument("The PDF is damaged and can't be read.") from error
    if locked:
        raise UnreadableDocument("The PDF is encrypted; save it without a password.")
    if not any(pages):
        raise UnreadableDocument("The PDF holds no text: a scan? Run it through text recognition (OCR) first.")
    spans, at = [], 0
    for number, page in enumerate(pages, 1):
        spans.append(Span(at, at + len(page), page=number))
        at += len(page) + 2
    return Reading((Draft(_clean(title).strip() or _words(stem), "\n\n".join(pages), tuple(spans)),))


def read_jsonl(data: bytes, stem: str) -> Reading:
    """One document a line (`title`, `section`, `text`, `source`, …): so each keeps the source its line names."""
    drafts: list[Draft] = []
    skipped: list[tuple[str, str]] = []
    keys: set[str] = set()
    for number, line in enumerate(decode(data).split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        text = _clean(row["text"]).strip() if isinstance(row, dict) and isinstance(row.get("text"), str) else ""
        if not isinstance(row, dict) or not text:
            skipped.append((f"line {number}", "is not a JSON object with a text"))
            continue
        key = str(row.get("id") or f"line {number}")
        key = key if key not in keys else f"{key} (line {number})"
        keys.add(key)
        title = str(row.get("title") or _words(stem))
        span = Span(0, len(text), str(row.get("section") or ""))
        drafts.append(Draft(title, text, (span,), _kept(row), key))
    if not drafts:
        raise UnreadableDocument('No line is a JSON object with a "text".')
    return Reading(tuple(drafts), tuple(skipped))


Reader = Callable[[bytes, str], Reading]
READERS: dict[str, Reader] = {
    ".md": read_markdown, ".markdown": read_markdown, ".html": read_html, ".htm": read_html,
    ".pdf": read_pdf, ".txt": read_text, ".text": read_text, ".jsonl": read_jsonl,
}  # fmt: skip
KINDS = "Markdown, HTML, PDF, text and JSONL"


def decode(data: bytes) -> str:
    """UTF-8, UTF-16 with its mark, else Windows' Western European. Raises `UnreadableDocument` for what is no text."""
    marked = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    for encoding in ("utf-16",) if marked else ("utf-8-sig", "cp1252"):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        head = text[:65536]
        controls = sum(unicodedata.category(c) == "Cc" and c not in "\n\r\t\f\v\x85" for c in head)
        if controls * 100 > len(head):
            break
        return text
    raise UnreadableDocument("The file is not text, or in an unknown encoding; save it as UTF-8.")


def _clean(text: str) -> str:
    """One kind of line end; no control characters, which a database or a terminal could take for something else."""
    text = re.sub(r"\r\n?|[\f\v\x85\u2028\u2029]", "\n", text)
    return re.sub(r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff]", "", text)


def _plain_headings(text: str) -> str:
    """One blank between a heading and its marks, whatever kind and number stood there."""
    return re.sub(r"(?m)^(#+)[^\S\n]+", r"\1 ", text)


def _unwrap(page: str) -> str:
    """A PDF's lines end where the paper does: a line that goes on in lower case is joined."""
    page = re.sub(r"[ \t]+(?=\n)", "", page)
    return re.sub(r"(?<=[^\s.:;!?])\n(?=[a-z(])", " ", page).strip()


def _words(stem: str) -> str:
    return re.sub(r"[-_\s]+", " ", stem).strip() or "Untitled"


def _kept(meta: dict[str, Any]) -> dict[str, Any]:
    """What of a front matter or a JSONL line is kept: strings, and lists of strings."""
    source = meta.get("source") or _sources(meta.get("sources"))
    kept: dict[str, Any] = {
        key: str(meta[key]) for key in ("domain", "edition", "jurisdiction", "kind", "license", "url") if meta.get(key)
    }
    kept |= {key: [str(v) for v in meta[key]] for key in ("aliases", "terms") if isinstance(meta.get(key), list)}
    return kept | ({"source": str(source)} if source else {})


def _sources(sources: Any) -> str:
    """ "Organisation, title, year, section; …", ready to print."""
    rows: Sequence[Any] = sources if isinstance(sources, list) else []
    fields = ("organisation", "title", "year", "section")
    lines = [
        ", ".join(str(row[f].year if isinstance(row[f], date) else row[f]) for f in fields if row.get(f))
        for row in rows
        if isinstance(row, dict)
    ]
    return "; ".join(line for line in lines if line)
