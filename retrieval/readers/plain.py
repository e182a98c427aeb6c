"""Bytes to clean text: one kind of line end, no control characters, whatever encoding the file came in."""

import codecs
import re
import unicodedata
from collections.abc import Iterator

from retrieval.errors import UnreadableDocument

MARKS = {  # UTF-32's first: its little-endian mark begins with UTF-16's
    codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16",
}  # fmt: skip
ENOUGH = 32  # bytes: fewer don't tell one East Asian encoding from another
FOREIGN = 0.2  # share of bytes beyond ASCII above which no text in a Western European language lies (German: 3 %)


def decode(data: bytes) -> str:
    """Unicode in any form, with or without its mark; else Windows' Western European, or for a text in another script
    what charset-normalizer finds. Raises `UnreadableDocument` for what is no text."""
    for encoding in _candidates(data):
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        head = text[:65536]
        controls = sum(unicodedata.category(c) == "Cc" and c not in "\n\r\t\f\v\x85" for c in head)
        if controls * 100 <= len(head):
            return text
    raise UnreadableDocument("The file is not text, or in an unknown encoding; save it as UTF-8.")


def _candidates(data: bytes) -> Iterator[str]:
    marked = next((encoding for mark, encoding in MARKS.items() if data.startswith(mark)), None)
    if marked:
        yield marked
        return
    yield "utf-8-sig"
    head = data[:65536]
    zeros = b"\0" in head
    foreign = sum(byte > 127 for byte in head) > FOREIGN * len(head)
    if len(data) < ENOUGH or not (zeros or foreign):
        yield "cp1252"
        return
    from charset_normalizer import from_bytes

    best = from_bytes(data, cp_isolation=["utf_16_le", "utf_16_be"] if zeros else None).best()
    if best:
        yield best.encoding


def clean(text: str) -> str:
    """One kind of line end; no control characters, which a database or a terminal could take for something else."""
    text = re.sub(r"\r\n?|[\f\v\x85\u2028\u2029]", "\n", text)
    return re.sub(r"[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ud800-\udfff]", "", text)


def plain_headings(text: str) -> str:
    """One blank between a heading and its marks, whatever kind and number stood there."""
    return re.sub(r"(?m)^(#+)[^\S\n]+", r"\1 ", text)


def words_of(stem: str) -> str:
    """A title from a file's name."""
    return re.sub(r"[-_\s]+", " ", stem).strip() or "Untitled"


def stated_title(title: str) -> str:
    """A title from a file's properties, without what the program that wrote it added."""
    title = re.sub(r"^Microsoft (Office )?(Word|PowerPoint) - |\.(docx?|pdf|pptx?|indd|rtf|qxd)$", "", title.strip())
    return re.sub(r"\s+", " ", clean(title)).strip()
