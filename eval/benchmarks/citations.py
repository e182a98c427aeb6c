"""Citations: gold questions asked with a radiograph, and where the sentences of the answer point.

Gold are the sections of the bundled cards that answer the question; only citations of passages are judged. The picture
is a phantom of a held-out family that shows what the card is about, where that can be seen.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from assistant.requests import AskRequest
from eval.benchmarks.common import SIZE, TRUTH_SIZE, study_of
from eval.benchmarks.gold import SHOWS, Pair, card_titles, gold_pairs
from eval.benchmarks.phantom_items import places, whose
from eval.exam.benchmark import Answer, Benchmark, Corpus, Figure, Item, Scores, mean_of
from eval.exam.library import BUNDLED
from eval.metrics import citations
from eval.metrics.citations import CitedSentence
from eval.phantoms import FindingSpec, Phantom, make_phantom
from retrieval.types import Passage

PLACE = 12


class Citations(Benchmark):
    name = "citations"
    title = "Citations (gold questions over the bundled cards)"
    full, quick = 192, 24
    headline = "citation precision"

    def corpus(self) -> Corpus:
        return BUNDLED

    def items(self, n: int, seed: int) -> Iterator[Item]:
        pairs = [pair for pair in gold_pairs() if pair.answers and pair.card in SHOWS]
        for pair, (number, family) in zip(pairs[:n], places(PLACE, seed), strict=False):
            yield item_of(pair, number, family)

    def score(self, item: Item, answers: Mapping[str, Answer]) -> Scores:
        answer, gold = answers["asked"], set(item.truth["places"])
        titles = {title: card for card, title in card_titles().items()}
        where = {
            one.content.id: f"{titles.get(one.content.document, one.content.document)} / {one.content.section}"
            for one in answer.evidence.items
            if isinstance(one.content, Passage)
        }
        cited = [where[one] for sentence in answer.sentences for one in sentence.cites if one in where]
        stating = [CitedSentence(True, said.cites, said.support == "image") for said in answer.sentences]
        return {
            "abstained": not answer.sentences,
            "precision": citations.citation_precision(cited, gold)[1:],
            "recall": citations.citation_recall(cited, gold)[1:],
            "coverage": citations.citation_coverage(stating)[1:],
            "cited": citations.citation_coverage([replace(one, own_reading=False) for one in stating])[1:],
            "dropped": (answer.dropped, answer.dropped + len(answer.sentences)),
            "gold_shown": bool(gold & set(where.values())),
        }

    @property
    def figures(self) -> Mapping[str, Figure]:
        """Rates over all citations and sentences together. Coverage counts a sentence that is marked as the model's
        own reading of the picture; "cited" doesn't. "Withheld": sentences and citations that failed their checks."""
        return {
            "citation precision": pooled("precision"),
            "citation recall": pooled("recall"),
            "citation coverage": pooled("coverage"),
            "sentences cited": pooled("cited"),
            "withheld": pooled("dropped"),
            "abstained": mean_of("abstained"),
            "gold passage shown": mean_of("gold_shown"),
        }


def pooled(key: str) -> Callable[[Sequence[Scores]], float]:
    """(hits, of) of the items, added."""

    def figure(rows: Sequence[Scores]) -> float:
        of = sum(row[key][1] for row in rows)
        return sum(row[key][0] for row in rows) / of if of else float("nan")

    return figure


def item_of(pair: Pair, number: int, family: str) -> Item:
    phantom = _phantom(pair, number, family, TRUTH_SIZE)
    return Item(
        id=pair.id,
        truth={"question": pair.question, "places": pair.places},
        request=partial(_request, pair, number, family),
        **whose(phantom, card=Path(pair.card).stem),
    )


def _request(pair: Pair, number: int, family: str) -> AskRequest:
    return AskRequest(study=study_of(_phantom(pair, number, family, SIZE)), question=pair.question)


def _phantom(pair: Pair, number: int, family: str, size: int) -> Phantom:
    findings = [FindingSpec(kind) for kind in SHOWS[pair.card]]
    return make_phantom(number, size=size, family=family, findings=findings)
