"""Rankings: what retrieval benchmarks share. No model is asked.

What every leg finds is read where the retriever itself reads it, so that nothing is searched in another way than for an
answer; "shown" is the evidence that would be read, in its order. What lies in one place (a section, a card, a document)
counts once, at its first hit.
"""

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from anyio import to_thread

from assistant.assistant import Assistant
from assistant.requests import AskRequest
from eval.exam.benchmark import Answer, Benchmark, Figure, Item, Scores, mean_of
from eval.exam.candidate import Candidate
from eval.metrics import ranking
from retrieval.legs import fused
from retrieval.library import Library
from retrieval.retriever import Retriever
from retrieval.store.base import Store
from retrieval.types import Case, Filter, Hit, Kind, Leg, Passage, Query

DEPTH = 40  # hits a leg is asked for: ten places must be left when those of one place are counted once
RECALLS = (1, 5, 10)
SHOWN, FUSED, CHANCE = "shown", "fused", "chance"
Gains = Mapping[str, float]  # place → how relevant, above 0


class Watched:
    """The store itself, which also keeps what the same legs find when they may go deeper."""

    def __init__(self, store: Store) -> None:
        self._store, self.legs, self.hits = store, list[Leg](), list[Hit]()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def search(self, legs: Sequence[Leg], where: Filter) -> list[Hit]:
        self.legs = [Leg(leg.name, leg.using, leg.query, leg.kind, DEPTH) for leg in legs]
        self.hits = self._store.search(self.legs, where)
        return self._store.search(legs, where)


class Ranked(Benchmark):
    """`truth` of an item holds "relevant": place → gain, and where chance is to be told "of": how many places there
    are. An answer is a ranking: `retrieved` the ids, `text` the places they lie in, one a line.

    recall@k of a query is the share of its relevant places among the first k; where `one_is_enough`, because dozens are
    relevant, hit@k stands in its place: 1 when one of them is.
    """

    headline: ClassVar[str] = f"recall@5, {SHOWN}"
    kind: ClassVar[Kind] = "passage"
    legs: ClassVar[dict[str, str]]  # condition → leg
    fuses: ClassVar[bool] = False  # whether the fused order of all legs is an answer, too
    beside: ClassVar[tuple[str, ...]] = ()  # conditions that `rank` adds: yardsticks that are no leg of a search
    one_is_enough: ClassVar[bool] = False

    @abstractmethod
    def place(self, content: Passage | Case, library: Library) -> str:
        """What counts as one."""

    async def sit(self, candidate: Candidate, item: Item) -> dict[str, Answer]:
        request = item.request()
        assert isinstance(request, AskRequest)
        return await to_thread.run_sync(self.rank, candidate.assistant, request)

    def rank(self, assistant: Assistant, request: AskRequest) -> dict[str, Answer]:
        own = assistant.retriever
        watched = Watched(own.store)
        retriever = Retriever(watched, own.library, own.encoders, own.selection)
        evidence = retriever.retrieve(query_of(assistant, request))
        hits = [hit for hit in watched.hits if hit.kind == self.kind]
        orders = {
            condition: [hit.id for hit in sorted(hits, key=partial(_by, leg)) if leg in hit.scores]
            for condition, leg in self.legs.items()
        }
        if self.fuses:
            orders[FUSED] = [hit.id for hit in fused(hits, watched.legs)]
        wanted = Case if self.kind == "case" else Passage
        orders[SHOWN] = [item.content.id for item in evidence.items if isinstance(item.content, wanted)]
        return {condition: self._answer(ids, own.library) for condition, ids in orders.items()}

    def _answer(self, ids: Sequence[str], library: Library) -> Answer:
        get = library.case if self.kind == "case" else library.passage
        places = [self.place(get(one), library) for one in ids]
        return Answer(status="answered" if ids else "abstained", text="\n".join(places), retrieved=tuple(ids))

    def score(self, item: Item, answers: Mapping[str, Answer]) -> Scores:
        gains: dict[str, float] = item.truth["relevant"]
        shown = answers[SHOWN].text.splitlines()
        scores: Scores = {
            "answerable": bool(gains),
            "shown": bool(shown),
            "wrong": sum(place not in gains for place in shown) / len(shown) if gains and shown else None,
        }
        if not gains:
            return scores
        for condition, answer in answers.items():
            places = list(dict.fromkeys(answer.text.splitlines()))
            scores |= _of(condition, measured(places, gains, self.one_is_enough))
        if "of" in item.truth:
            scores |= _of(CHANCE, by_chance(list(gains.values()), item.truth["of"], self.one_is_enough))
        return scores

    @property
    def figures(self) -> Mapping[str, Figure]:
        conditions = [SHOWN, *([FUSED] if self.fuses else []), *self.legs, *self.beside, CHANCE]
        names = [
            f"{name}, {condition}" for name in measured([], {"": 1.0}, self.one_is_enough) for condition in conditions
        ]
        return {**{name: mean_of(name) for name in names}, "not relevant of what is shown": mean_of("wrong"),
                "something shown": mean_of("shown", lambda row: row["answerable"])}  # fmt: skip


def query_of(assistant: Assistant, request: AskRequest) -> Query:
    """As the assistant would ask: the domain of a picture restricts what is searched."""
    pictures = request.study.pictures
    if not pictures:
        return Query(request.question)
    embeddings = assistant.retriever.look([picture.pixels for picture in pictures])
    domain = assistant.domains.identify(embeddings[0]) if assistant.domains else None
    domains = (domain.name,) if domain and domain.name and domain.sure else ()
    sha256 = tuple(picture.sha256 for picture in pictures)
    return Query(request.question, embeddings=embeddings, domains=domains, sha256=sha256)


def measured(places: Sequence[str], gains: Gains, one_is_enough: bool) -> dict[str, float]:
    """What one ranking is worth, each 0..1; `gains` must not be empty."""
    recalls = {k: ranking.recall_at_k(places, gains, k) for k in RECALLS}
    if one_is_enough:
        first = {f"hit@{k}": float(value > 0) for k, value in recalls.items()}
    else:
        first = {f"recall@{k}": value for k, value in recalls.items()}
    return {**first, "nDCG@10": ranking.ndcg_at_k(places, gains, 10), "MRR": ranking.reciprocal_rank(places, gains)}


def by_chance(gains: Sequence[float], n: int, one_is_enough: bool) -> dict[str, float]:
    """What `measured` is on average, exactly, over all orders of n places of which `len(gains)` are relevant."""
    first = [math.comb(n - rank, len(gains) - 1) / math.comb(n, len(gains)) for rank in range(1, n + 1)]
    discounts = [1 / math.log2(rank + 1) for rank in range(1, min(10, n) + 1)]
    best = sum(gain * weight for gain, weight in zip(sorted(gains, reverse=True), discounts, strict=False))
    return {
        **(
            {f"hit@{k}": sum(first[:k]) for k in RECALLS}
            if one_is_enough
            else {f"recall@{k}": min(k, n) / n for k in RECALLS}
        ),
        "nDCG@10": sum(gains) / n * sum(discounts) / best,
        "MRR": sum(p / rank for rank, p in enumerate(first, 1)),
    }


def _of(condition: str, values: Mapping[str, float]) -> Scores:
    return {f"{name}, {condition}": value for name, value in values.items()}


def _by(leg: str, hit: Hit) -> tuple[float, str]:
    return -hit.scores.get(leg, -math.inf), hit.id
