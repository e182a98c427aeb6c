"""JSONL: one document a line (`title`, `section`, `text`, `source`, …), so each keeps the source its line names."""

import json

from retrieval.errors import UnreadableDocument
from retrieval.readers.draft import Draft, Reading, Span
from retrieval.readers.meta import kept
from retrieval.readers.plain import clean, decode, words_of


def read_jsonl(data: bytes, stem: str) -> Reading:
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
        text = clean(row["text"]).strip() if isinstance(row, dict) and isinstance(row.get("text"), str) else ""
        if not isinstance(row, dict) or not text:
            skipped.append((f"line {number}", "is not a JSON object with a text"))
            continue
        key = str(row.get("id") or f"line {number}")
        key = key if key not in keys else f"{key} (line {number})"
        keys.add(key)
        title = str(row.get("title") or words_of(stem))
        span = Span(0, len(text), str(row.get("section") or ""))
        drafts.append(Draft(title, text, (span,), kept(row), key))
    if not drafts:
        raise UnreadableDocument('No line is a JSON object with a "text".')
    return Reading(tuple(drafts), tuple(skipped))
