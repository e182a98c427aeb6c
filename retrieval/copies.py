"""Near-copies: what says or shows the same again is read once.

Two texts that differ in one word ("not", "left", "≥") say two things, so a text is a copy only where it stands word for
word in another: the same text with other blanks, or two passages cut from one text at different places.
"""

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

from retrieval.types import Case, Passage

COPIED = 0.8  # of a passage stands in the one that is read; of a report all must, for its last words may be a finding
COPY_BITS = 8  # of 256, between the hashes of one picture saved twice; different phantoms are 14 apart or more
_SAID = re.compile(r"\w+|[<>≤≥±]")


def said(content: Passage | Case) -> str:
    """The words of a passage; of a case its report and labels."""
    return content.text if isinstance(content, Passage) else " ".join((content.report, *content.labels))


def without_copies(ranked: Sequence[Passage | Case]) -> Iterator[int]:
    """Which of `ranked`, best first, to keep, by place. Each is compared with those kept before it: take no more than
    are read."""
    kept: list[tuple[Passage | Case, list[str]]] = []
    for place, content in enumerate(ranked):
        least = COPIED if isinstance(content, Passage) else 1.0
        text = _SAID.findall(said(content).casefold())
        if not any(stands_in(text, words, least) or same_picture(one, content) for one, words in kept):
            kept.append((content, text))
            yield place


def stands_in(text: Sequence[str], other: Sequence[str], least: float = 1.0) -> bool:
    """Whether the two are one text, cut at different places: one stretch of words stands in both, reaches on each side
    to an end of one of them, and is at least `least` of `text`."""
    if text == other:
        return True
    block = SequenceMatcher(None, text, other, autojunk=False).find_longest_match()
    begins = block.a == 0 or block.b == 0
    ends = block.a + block.size == len(text) or block.b + block.size == len(other)
    return begins and ends and block.size >= least * len(text)


def same_picture(one: Passage | Case, other: Passage | Case) -> bool:
    """Whether two cases show one picture, saved again or resized. Not told where a case's `look` is not known."""
    if not (isinstance(one, Case) and isinstance(other, Case) and one.look and len(one.look) == len(other.look)):
        return False
    return (int(one.look, 16) ^ int(other.look, 16)).bit_count() <= COPY_BITS
