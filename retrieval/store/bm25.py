"""BM25 as Qdrant has it, for where its engine is not asked: the store of tests, and small libraries."""

import math
from collections import Counter, defaultdict
from dataclasses import dataclass, field

K1, B = 1.2, 0.75


def idf_of(holding: int, texts: int) -> float:
    """What a word is worth that `holding` of so many texts hold."""
    return math.log(1 + (texts - holding + 0.5) / (holding + 0.5))


@dataclass
class Bm25:
    """Okapi BM25 with the idf that stays positive. A word repeated in the query counts once.

    A word is worth the less the more texts hold it, as far as can be told from how many there are. `least`: fewer texts
    than this are weighed as though others, of none of the words asked for, filled them up to it.
    """

    least: int = 0
    postings: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))  # word → id → count
    lengths: dict[str, int] = field(default_factory=dict)

    def add(self, record_id: str, text: str) -> None:
        if words := text.split():
            self.lengths[record_id] = len(words)
        for word, count in Counter(words).items():
            self.postings[word][record_id] = count

    def scores(self, query: str) -> dict[str, float]:
        scores: dict[str, float] = defaultdict(float)
        n = max(len(self.lengths), self.least)
        mean = sum(self.lengths.values()) / max(len(self.lengths), 1)
        for word in set(query.split()):
            found = self.postings.get(word, {})
            idf = idf_of(len(found), n)
            for record_id, count in found.items():
                norm = K1 * (1 - B + B * self.lengths[record_id] / mean)
                scores[record_id] += idf * count * (K1 + 1) / (count + norm)
        return scores
