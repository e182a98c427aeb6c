"""The model's lines: `[section] sentence [1][image]`, as they stream in, one at a time and never half of one."""

import re
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass

from assistant.engines.base import Delta

_SECTION = re.compile(r"^\s*\[([a-z][a-z ]{0,30})\]\s*", re.IGNORECASE)
_SOURCES = re.compile(r"\[\s*((?:\d{1,9}|image)(?:\s*[,;]\s*(?:\d{1,9}|image))*)\s*\]", re.IGNORECASE)
_MARKUP = re.compile(r"^[\s>*#-]+|\*\*|__|`")
# A sentence ends at . ! or ? and the sources that follow it, before white space and a capital.
_END = re.compile(r"(?<=[.!?])(?P<refs>(?:\s*\[\s*(?:\d{1,9}|image)[\d,;\simage]*\])*)\s+(?=[A-Z])")
_ABBREVIATED = re.compile(r"\b(?:e\.g|i\.e|vs|cf|approx|Dr|Fig|no|ca|[A-Z])\.$")


@dataclass(frozen=True, slots=True)
class Line:
    """One sentence as the model wrote it. `sources`: evidence numbers in order; `image`: it cites the picture."""

    section: str
    text: str
    sources: tuple[int, ...]
    image: bool
    complete: bool = True  # False when the answer broke off inside it


def parse(raw: str, sections: Sequence[str], *, complete: bool = True) -> Iterator[Line]:
    """The sentences of one raw line. A line without a known section belongs to the first of `sections`; text that
    holds no letter, nor is a number by itself, is passed over. Never raises."""
    section, rest = sections[0], _MARKUP.sub("", raw).strip()
    if match := _SECTION.match(rest):
        name = match[1].lower()
        if name != "image":  # "[image] sentence" is a source in the wrong place, not a section
            section, rest = (name if name in sections else sections[0]), rest[match.end() :]
    pieces = list(_split(rest))
    for position, piece in enumerate(pieces):
        found = [source.strip().lower() for group in _SOURCES.findall(piece) for source in re.split("[,;]", group)]
        text = " ".join(_SOURCES.sub(" ", piece).split())
        text = re.sub(r"\s+([.,;:!?])", r"\1", text)
        said = str.isalpha if len(pieces) > 1 else str.isalnum  # "14." may be an answer; before other words it numbers
        if not any(map(said, text)):
            continue
        numbers = tuple(dict.fromkeys(int(source) for source in found if source != "image"))
        whole = complete or position < len(pieces) - 1
        yield Line(section, text, numbers, "image" in found, whole)


def _split(text: str) -> Iterator[str]:
    start = 0
    for match in _END.finditer(text):
        if _ABBREVIATED.search(text[start : match.start()]):
            continue
        yield text[start : match.end("refs")]
        start = match.end()
    yield text[start:]


async def lines(deltas: AsyncIterator[Delta]) -> AsyncIterator[tuple[str, bool]]:
    """Raw lines of a stream, each as soon as it's whole; False with the last one of an answer that was cut."""
    pending, cut = "", False
    async for delta in deltas:
        pending, cut = pending + delta.text, cut or delta.cut
        *whole, pending = pending.split("\n")
        for line in whole:
            yield line, True
    if pending.strip():
        yield pending, not cut
