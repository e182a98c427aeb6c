"""Readers: a file in, texts out, each with what is known of its source. No passage is cut here.

Every reader gives plain text or Markdown in which a passage can later be found again by its characters, so the text is
made once, here, and never changed afterwards. A document's words are data: nothing in them is obeyed. One module a
format; each imports its library when it is called.
"""

from collections.abc import Callable
from pathlib import PurePath

from retrieval.errors import UnreadableDocument
from retrieval.readers.docx import read_docx
from retrieval.readers.draft import Draft, Reading, Span
from retrieval.readers.html import read_html
from retrieval.readers.jsonl import read_jsonl
from retrieval.readers.markdown import read_markdown
from retrieval.readers.pdf import read_pdf
from retrieval.readers.text import read_text

__all__ = ["KINDS", "MAX_BYTES", "READERS_VERSION", "Draft", "Reading", "Span", "read_document", "reader_for"]

MAX_BYTES = 64 * 1024 * 1024
READERS_VERSION = "3"  # raise it when the same bytes give another text: files are then read again
KINDS = "Markdown, HTML, PDF, DOCX, text and JSONL"

Reader = Callable[[bytes, str], Reading]
READERS: dict[str, Reader] = {
    ".md": read_markdown, ".markdown": read_markdown, ".html": read_html, ".htm": read_html, ".pdf": read_pdf,
    ".docx": read_docx, ".txt": read_text, ".text": read_text, ".jsonl": read_jsonl,
}  # fmt: skip
INSTEAD = {".doc": "docx", ".dot": "docx", ".docm": "docx", ".rtf": "docx", ".odt": "docx", ".xhtml": "html"}


def read_document(data: bytes, name: str) -> Reading:
    """Reads a file's bytes by its name's ending. Raises `UnreadableDocument` in words that don't name the file."""
    if not data.strip():
        raise UnreadableDocument("The file is empty.")
    if len(data) > MAX_BYTES:
        raise UnreadableDocument(f"The file is larger than {MAX_BYTES // 1024 // 1024} MB; split it.")
    reader = reader_for(data, name)
    if reader is None:
        suffix = PurePath(name).suffix.lower()
        advice = f"save it as .{INSTEAD[suffix]}" if suffix in INSTEAD else f"{KINDS} are"
        raise UnreadableDocument(f"Files of this kind ({suffix or 'no ending'}) aren't read; {advice}.")
    reading = reader(data, PurePath(name).stem)
    if not any(draft.text.strip() for draft in reading.drafts):
        raise UnreadableDocument("The file holds no text.")
    return reading


def reader_for(head: bytes, name: str) -> Reader | None:
    """The reader of a file, by its first bytes and its name's ending; None when there is none."""
    return READERS.get(".pdf" if head.startswith(b"%PDF-") else PurePath(name).suffix.lower())
