"""From a number the model wrote to the place in the stored text it rests on."""

import re
from collections.abc import Iterable

from assistant.events import Citation, EvidenceItem

_SENTENCE = re.compile(r"[^.!?\n]+(?:[.!?](?!\s|$)[^.!?\n]*)*[.!?]?")
_WORD = re.compile(r"[a-z0-9]{3,}")


def resolve(numbers: Iterable[int], text: str, evidence: dict[int, EvidenceItem]) -> tuple[list[Citation], list[int]]:
    """Citations for the numbers that stand for evidence shown to the model, and the numbers that don't."""
    found, missing = [], []
    for number in numbers:
        item = evidence.get(number)
        if item is None:
            missing.append(number)
        else:
            found.append(_cite(item, text))
    return found, missing


def _cite(item: EvidenceItem, text: str) -> Citation:
    start, end = used_span(text, item.text)
    offset = item.start or 0
    return Citation(
        number=item.number,
        kind=item.kind,
        id=item.id,
        document_id=item.document_id,
        title=item.title,
        section=item.section,
        start=offset + start,
        end=offset + end,
        quote=item.text[start:end],
    )


def used_span(sentence: str, passage: str) -> tuple[int, int]:
    """Characters of the passage's sentence that shares the largest part of its words with `sentence`; the whole
    passage when none shares a word. Ties go to the first."""
    words = set(_WORD.findall(sentence.lower()))
    best, span = 0.0, (0, len(passage))
    for match in _SENTENCE.finditer(passage):
        stretch = match[0]
        own = set(_WORD.findall(stretch.lower()))
        shared = len(words & own) / (len(words | own) or 1)
        if shared > best:
            lead = len(stretch) - len(stretch.lstrip(" \t-*#•"))
            best, span = shared, (match.start() + lead, match.start() + len(stretch.rstrip()))
    return span
