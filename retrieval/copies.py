"""Near-copies: what says the same again is shown once."""

import re
from collections.abc import Iterable

from retrieval.types import Case, Passage

_SAID = re.compile(r"\w+|[<>≤≥±]")


def said(content: Passage | Case) -> str:
    """The words of a passage; of a case its report and labels."""
    return content.text if isinstance(content, Passage) else " ".join((content.report, *content.labels))


def without_copies(ranked: Iterable[Passage | Case]) -> list[int]:
    """Which of `ranked` to keep, by place: of texts that say the same word for word, the first. One word more or less
    ("not", "left") says something else; case, blanks and punctuation don't, but a comparison does."""
    kept: dict[tuple[str, ...], int] = {}
    for place, content in enumerate(ranked):
        kept.setdefault(tuple(_SAID.findall(said(content).casefold())), place)
    return list(kept.values())
