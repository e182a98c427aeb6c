"""Retrieval: does the library give what bears on a question (text → passage) or a picture (image → passage, → case)?"""

from collections.abc import Iterator, Mapping
from functools import cache, partial
from itertools import islice
from pathlib import Path
from typing import ClassVar

from assistant.requests import AskRequest
from assistant.study import Study
from eval.benchmarks.common import TRUTH_SIZE, cluster_of
from eval.benchmarks.gold import CARD_OF, NORMAL_CARD, card_titles, gold_pairs, place_of
from eval.benchmarks.phantom_items import drawn, rendered, whose
from eval.benchmarks.ranked import Gains, Ranked
from eval.exam.benchmark import Answer, Corpus, Figure, Item, Scores, mean_of
from eval.exam.library import BUNDLED, phantom_cases, phantoms_of
from eval.ledger import CORPUS_SEEDS
from eval.phantoms import Phantom, make_phantom
from retrieval.legs import BM25, IMAGE_CASE, IMAGE_PASSAGE, TEXT_PASSAGE
from retrieval.library import Library
from retrieval.types import Case, Passage

PLACE = 10  # of the exam's ranges of seeds
CASES = 300  # phantoms of the training family in the library of cases
OPEN = "What does this radiograph show?"


class TextPassage(Ranked):
    """Gold questions over the bundled cards; a place is a card's section. Some are answered by no card."""

    name = "retrieval-text"
    title = "Text → passage (gold questions over the bundled cards)"
    full, quick = 284, 284
    legs: ClassVar = {"dense": TEXT_PASSAGE, "BM25": BM25}
    fuses = True

    def corpus(self) -> Corpus:
        return BUNDLED

    def items(self, n: int, seed: int) -> Iterator[Item]:
        for pair in gold_pairs()[:n]:
            yield Item(
                id=pair.id,
                truth={"question": pair.question, "relevant": dict.fromkeys(pair.places, 1.0), "subject": pair.subject},
                request=partial(AskRequest, study=Study(()), question=pair.question),
                groups={"card": Path(pair.card).stem or "none"},
            )

    def place(self, content: Passage | Case, library: Library) -> str:
        assert isinstance(content, Passage)
        return place_of(content, library)

    def score(self, item: Item, answers: Mapping[str, Answer]) -> Scores:
        return super().score(item, answers) | {"subject": item.truth["subject"]}

    @property
    def figures(self) -> Mapping[str, Figure]:
        """False evidence: something is shown to a question that no card answers."""
        return {
            **{name: figure for name, figure in super().figures.items() if not name.endswith("chance")},
            "false evidence": mean_of("shown", lambda row: not row["answerable"]),
            "false evidence, other subject": mean_of("shown", lambda row: row["subject"] == "other"),
        }


class ImagePassage(Ranked):
    """A place is a card; relevant are those of the findings in the picture, or the one on normal radiographs."""

    name = "retrieval-images"
    title = "Image → passage (phantoms of held-out families)"
    full, quick = 1000, 80
    legs: ClassVar = {"image": IMAGE_PASSAGE}

    def corpus(self) -> Corpus:
        return BUNDLED

    def items(self, n: int, seed: int) -> Iterator[Item]:
        cards = len(card_titles())
        for phantom in islice(drawn(PLACE, seed), n):
            relevant = [CARD_OF[finding.kind] for finding in phantom.findings] or [NORMAL_CARD]
            yield item_of(phantom, dict.fromkeys(relevant, 1.0), cards)

    def place(self, content: Passage | Case, library: Library) -> str:
        assert isinstance(content, Passage)
        return place_of(content, library).partition(" / ")[0]


class ImageCase(Ranked):
    """Queries of the held-out families, cases of the training family. A case is relevant when it shares a finding on
    the same side with the query (gain 1), more so when all its findings are the same (gain 2), as those of a normal
    case are for a normal query."""

    name = "retrieval-cases"
    title = "Image → case (phantoms of held-out families, cases of the training family)"
    full, quick = 1000, 80
    headline = "hit@1, shown"  # among five random cases one is relevant, more often than not
    kind = "case"
    legs: ClassVar = {"image": IMAGE_CASE}
    one_is_enough = True

    def corpus(self) -> Corpus:
        return Corpus(f"phantom-cases-{CASES}", cases=partial(phantom_cases, n=CASES))

    def items(self, n: int, seed: int) -> Iterator[Item]:
        for phantom in islice(drawn(PLACE, seed), n):
            wanted = labels_of(phantom)
            gains = {case: shared(wanted, labels) for case, labels in case_labels(CASES).items()}
            yield item_of(phantom, {case: gain for case, gain in gains.items() if gain}, CASES)

    def place(self, content: Passage | Case, library: Library) -> str:
        assert isinstance(content, Case)
        return " ".join(f"{seeds.family}-{seeds.first}" for seeds in phantoms_of(content)) or content.id


def item_of(phantom: Phantom, relevant: Gains, places: int) -> Item:
    return Item(
        id=cluster_of(phantom),
        truth={"findings": sorted(labels_of(phantom)), "relevant": dict(relevant), "of": places},
        request=partial(_request, phantom),
        **whose(phantom, findings=str(len(phantom.findings))),
    )


def _request(phantom: Phantom) -> AskRequest:
    return AskRequest(study=rendered(phantom), question=OPEN)


def labels_of(phantom: Phantom) -> frozenset[str]:
    """Findings with their sides: "left effusion"."""
    return frozenset(" ".join(filter(None, (finding.side, finding.kind))) for finding in phantom.findings)


def shared(wanted: frozenset[str], has: frozenset[str]) -> float:
    """The gain of a case with findings `has` for a query with `wanted`."""
    return 2.0 if wanted == has else 1.0 if wanted & has else 0.0


@cache
def case_labels(n: int) -> dict[str, frozenset[str]]:
    phantoms = (make_phantom(seed, size=TRUTH_SIZE) for seed in CORPUS_SEEDS[:n])
    return {cluster_of(phantom): labels_of(phantom) for phantom in phantoms}
