"""Plain text: one document, no sections."""

from retrieval.readers.draft import Draft, Reading, Span
from retrieval.readers.plain import clean, decode, words_of


def read_text(data: bytes, stem: str) -> Reading:
    text = clean(decode(data)).strip()
    return Reading((Draft(words_of(stem), text, (Span(0, len(text)),)),))
