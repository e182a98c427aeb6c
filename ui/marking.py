"""Text that others wrote, as HTML: escaped always, with the parts marked that an answer rests on. Pure.

Invariant: without its tags the HTML is the text; nothing in the text becomes a tag, a link or an attribute.
"""

import re
from collections.abc import Iterable
from html import escape

Span = tuple[int, int]  # characters, end exclusive
FIRST_MARK = "used"  # the id of the first mark of a document
_HEADING = re.compile(r"#{1,6}\s+")
_BULLET = re.compile(r"\s*[-*•]\s+")


def merged(spans: Iterable[Span], start: int, end: int) -> list[Span]:
    """Spans within start..end, counted from `start`, in order, overlapping ones joined."""
    found: list[Span] = []
    for low, high in sorted((max(low, start) - start, min(high, end) - start) for low, high in spans):
        if low >= high:
            continue
        if found and low <= found[-1][1]:
            found[-1] = (found[-1][0], max(high, found[-1][1]))
        else:
            found.append((low, high))
    return found


def marked(text: str, spans: Iterable[Span]) -> str:
    """`text` in one line of HTML, `spans` in <mark>."""
    pieces, at = [], 0
    for low, high in merged(spans, 0, len(text)):
        pieces += [escape(text[at:low]), f"<mark>{escape(text[low:high])}</mark>"]
        at = high
    return "".join([*pieces, escape(text[at:])])


def paragraphs(text: str, spans: Iterable[Span]) -> str:
    """`text` as headings, list items and paragraphs, as Markdown's lines say; every other sign stays as it is."""
    spans, blocks, at = list(spans), [], 0
    for line in text.splitlines(keepends=True):
        content = line.rstrip()
        kind, lead = "p", 0
        if heading := _HEADING.match(content):
            kind, lead = "h", heading.end()
        elif bullet := _BULLET.match(content):
            kind, lead = "li", bullet.end()
        if content:
            inner = marked(content[lead:], merged(spans, at + lead, at + len(content)))
            blocks.append(f'<p class="{kind}">{"• " if kind == "li" else ""}{inner}</p>')
        at += len(line)
    return "".join(blocks)


def document(text: str, spans: Iterable[Span]) -> str:
    """A whole document, its first mark with an id, so that the page can scroll to it."""
    return paragraphs(text, spans).replace("<mark>", f'<mark id="{FIRST_MARK}">', 1)
