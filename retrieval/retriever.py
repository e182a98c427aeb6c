"""One query: a batch of legs, their raw scores as relevance, and what of it deserves to be read.

Nothing relevant gives no evidence, never padding.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from retrieval import select
from retrieval.copies import said
from retrieval.embed import indexed_text, passage_text
from retrieval.encoders.base import Vectors
from retrieval.encoders.bundle import Encoders
from retrieval.errors import Misconfigured
from retrieval.legs import BM25, IMAGE_PASSAGE, RERANKED, compares, fused, legs_of
from retrieval.library import Library
from retrieval.pairs import paired, with_earlier
from retrieval.question import searched_text, subject_words, words
from retrieval.store.base import Store
from retrieval.store.bm25 import Bm25, idf_of
from retrieval.store.words import normalise
from retrieval.types import Case, Evidence, Filter, Fitted, Hit, Image, Item, Leg, Passage, Query
from retrieval.weigh import UNSAID, Found, Selection, condensed, relevance_of, selected, share, sources_first

FITTED_ON = 75  # passages of the library on which the default floor was fitted for BM25's raw / (raw + HALF)
HALF = 10
OF_A_CARD = 5  # passages that hold the word a card is about
MOST_RERANKED = 24  # passages: a reranker reads each of them with the question


class Retriever:
    """Finds what bears on a study."""

    def __init__(self, store: Store, library: Library, encoders: Encoders, selection: Selection | None = None) -> None:
        self.store, self.library, self.encoders = store, library, encoders
        self.selection = selection or Selection()

    @property
    def identities(self) -> dict[str, str]:
        """Which encoders these are, by part."""
        return self.encoders.identities

    def look(self, images: Sequence[Image]) -> Vectors:
        """The main encoder's embeddings, (n, dim) of unit length, to be handed back in `Query.embeddings`."""
        if self.encoders.image_text is None:
            raise Misconfigured("This retriever was made without an image encoder.")
        return self.encoders.image_text.encode_images(images)

    def retrieve(self, query: Query) -> Evidence:
        """What deserves to be read. Raises `EncoderMismatch` when the index was built with other encoders."""
        manifest = self.store.manifest
        if manifest is None:
            return Evidence()
        started = time.perf_counter()
        text = searched_text(query.text, query.earlier)
        legs = legs_of(query, text, self.encoders, manifest)
        embedded = time.perf_counter()
        hits = self.search(query, text, legs)
        searched = time.perf_counter()
        pairs = paired(hits, legs, self.library)
        if pairs:  # a single case tells of no change
            hits = fused([hit for hit in hits if hit.kind == "passage"] + [hit for hit, _ in pairs.values()], legs)
        how = self.selection.after(manifest.fitted, query.k)
        found = self.weighed(hits, legs, text, manifest.fitted, how.floor or 0)
        items = with_earlier(self.chosen(found, manifest.fitted, how), pairs)
        timings = {"embed": embedded - started, "search": searched - embedded, "select": time.perf_counter() - searched}
        return Evidence(tuple(items), len(hits), self._priors(query), timings)

    def search(self, query: Query, text: str, legs: Sequence[Leg]) -> list[Hit]:
        """What the legs find, in the order they vote for; the reranker, where there is one, votes too."""
        found = self.store.search(legs, Filter(query.domains, query.patient, query.sha256, query.all_editions))
        ordered = fused(self._reworded(found, legs), legs)
        return fused(self._reranked(text, ordered), legs) if self.encoders.reranker else ordered

    def _reworded(self, hits: Sequence[Hit], legs: Sequence[Leg]) -> list[Hit]:
        """In a library about one thing the very words it is about weigh nothing: BM25 of one that is smaller than that
        on which its relevance was fitted is counted here, as though it were as large."""
        asked = [leg.query for leg in legs if leg.name == BM25 and isinstance(leg.query, str)]
        if not asked or not self.library.smaller_than(FITTED_ON):
            return list(hits)
        index, names = Bm25(least=FITTED_ON), self.library.names_of()
        for passage in self.library.passages():
            index.add(passage.id, normalise(indexed_text(passage, names.get(passage.document_id, ()))))
        counted = index.scores(normalise(asked[0]))
        return [
            replace(hit, scores={**hit.scores, BM25: counted[hit.id]})
            if BM25 in hit.scores and hit.id in counted
            else hit
            for hit in hits
        ]

    def _half(self) -> float:
        """BM25 whose relevance is one half, where nothing was fitted. In a larger library the word a card is about is
        worth more, and would lift by itself what holds it above the floor."""
        texts = max(self.library.counts()["passages"], FITTED_ON)
        return HALF * idf_of(OF_A_CARD, texts) / idf_of(OF_A_CARD, FITTED_ON)

    def _reranked(self, text: str, hits: Sequence[Hit]) -> list[Hit]:
        """The first passages with what the reranker says of them, if there is one and something to read."""
        reranker = self.encoders.reranker
        first = [hit for hit in hits if hit.kind == "passage"][:MOST_RERANKED] if reranker and text.strip() else []
        contents = self.library.contents([hit.id for hit in first])
        texts = {key: passage_text(one) for key, one in contents.items() if isinstance(one, Passage)}
        if reranker is None or not texts:
            return list(hits)
        scores = dict(zip(texts, reranker.score(text, list(texts.values())).tolist(), strict=True))
        return [replace(h, scores={**h.scores, RERANKED: scores[h.id]}) if h.id in scores else h for h in hits]

    def _priors(self, query: Query) -> tuple[Case, ...]:
        if query.patient is None:
            return ()
        own = self.library.studies_of(query.patient, query.domains)
        return tuple(case for case in own if case.sha256 not in query.sha256)

    def weighed(
        self, hits: Sequence[Hit], legs: Sequence[Leg], text: str, fitted: Fitted, floor: float = 0
    ) -> list[Found]:
        """The hits of these legs that reach the floor, in their order, with what they stand for; what was removed since
        the index was built is not among them. `text` is what was asked, with what it refers back to."""
        subject = subject_words(text)
        by_image = not subject and any(compares(leg.name) == IMAGE_PASSAGE for leg in legs)
        calibration = select.Calibration(fitted.legs, self._half())
        weighed = [(hit, relevance_of(hit, calibration, by_image)) for hit in hits]
        near = [(hit, relevance) for hit, relevance in weighed if relevance >= floor]
        contents = self.library.contents([hit.id for hit, _ in near])
        names = self.library.names_of([c.document_id for c in contents.values() if isinstance(c, Passage)])
        found = []
        for hit, relevance in near:
            if (content := contents.get(hit.id)) is None:
                continue
            if subject and not subject & words_of(content, names):
                relevance *= UNSAID if hit.kind == "passage" else 0  # a case has to speak of what was asked
            if relevance >= floor:
                found.append(Found(hit, relevance, content))
        return found

    def chosen(self, found: Sequence[Found], fitted: Fitted, how: Selection) -> list[Item]:
        """What of `found` deserves to be read: passages and cases share the places; both stay in their order, what was
        condensed behind them. `how` has no gaps."""
        place = {row.hit.id: rank for rank, row in enumerate(found)}
        passages = sources_first([row for row in found if row.hit.kind == "passage"], fitted, how)
        cases = selected([row for row in found if row.hit.kind == "case"], fitted, how)
        of_passages, of_cases = share(len(passages), len(cases), how.k_max)
        chosen = passages[:of_passages] + cases[:of_cases]
        chosen.sort(key=lambda row: (bool(condensed(row.content)), place[row.hit.id]))
        return [Item(n, row.content, dict(row.hit.scores), row.relevance) for n, row in enumerate(chosen, 1)]


def words_of(content: Passage | Case, names: Mapping[str, Sequence[str]]) -> set[str]:
    """The words of a report or passage, of its title and of what its subject is also called (`names` by document)."""
    if isinstance(content, Case):
        return set(words(said(content)))
    return set(words(indexed_text(content, names.get(content.document_id, ()))))
