"""Do the citations point where they should, and does every statement have one? A rate for each item.

`pool` (from `base`) adds the rates of many items; the mean of the items' values is the other, macro, average. Gold are
the ids of the passages that answer the question; pass citations of passages only, not of similar cases.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from eval.metrics.base import Rate, pool, rate

__all__ = ["CitedSentence", "citation_coverage", "citation_precision", "citation_recall", "pool"]


@dataclass(frozen=True, slots=True)
class CitedSentence:
    """A sentence of an answer: does it state a finding or a recommendation, and what does it rest on?"""

    states: bool
    citations: tuple[str, ...] = ()  # ids of what the citations resolved to
    own_reading: bool = False  # marked as the model's own reading of the image


def citation_precision(cited: Iterable[str], gold: Collection[str]) -> Rate:
    """Share of the citations that point at a gold passage, each as often as it was made; nan without a citation."""
    made = list(cited)
    return rate(sum(own in gold for own in made), len(made))


def citation_recall(cited: Iterable[str], gold: Collection[str]) -> Rate:
    """Share of the gold passages that are cited at least once; nan when the question has none."""
    wanted = set(gold)
    return rate(len(wanted & set(cited)), len(wanted))


def citation_coverage(sentences: Iterable[CitedSentence]) -> Rate:
    """Of the sentences that state a finding or a recommendation, the share cited or marked as own reading.

    nan when no sentence states one, as in an answer that abstains.
    """
    stating = [sentence for sentence in sentences if sentence.states]
    return rate(sum(bool(sentence.citations) or sentence.own_reading for sentence in stating), len(stating))
