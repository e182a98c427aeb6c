"""One query: a batch of legs, their raw scores as relevance, and what of it deserves to be read.

Nothing relevant gives no evidence, never padding.
"""

import time
from collections.abc import Sequence

from retrieval import fuse, select
from retrieval.copies import said
from retrieval.encoders.base import Vectors
from retrieval.encoders.bundle import Encoders
from retrieval.errors import Misconfigured, NotFound
from retrieval.index import indexed_text
from retrieval.legs import IMAGE_PASSAGE, compares, legs_of, rankings
from retrieval.library import Library
from retrieval.question import searched_text, subject_words, words
from retrieval.store.base import Store
from retrieval.types import Case, Evidence, Filter, Fitted, Hit, Image, Item, Kind, Passage, Query
from retrieval.weigh import UNSAID, Found, Selection, relevance_of, selected, share


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
        hits = self.store.search(legs, Filter(query.domains, query.patient, query.sha256, query.all_editions))
        searched = time.perf_counter()
        subject = subject_words(text)
        by_image = not subject and any(compares(leg.name) == IMAGE_PASSAGE for leg in legs)
        items = self._chosen(hits, manifest.fitted, subject, by_image, self.selection.after(manifest.fitted, query.k))
        timings = {"embed": embedded - started, "search": searched - embedded, "select": time.perf_counter() - searched}
        return Evidence(tuple(items), len(hits), timings=timings)

    def _chosen(
        self, hits: Sequence[Hit], fitted: Fitted, subject: set[str], by_image: bool, how: Selection
    ) -> list[Item]:
        """Passages and cases share the places; both stand in the fused order."""
        place = {key: rank for rank, key in enumerate(fuse.reciprocal_rank(rankings(hits)))}
        found = self._weighed(sorted(hits, key=lambda hit: place[hit.id]), fitted, subject, by_image, how)
        of_kind: dict[Kind, list[Found]] = {"passage": [], "case": []}
        for row in found:
            of_kind[row.hit.kind].append(row)
        passages, cases = selected(of_kind["passage"], fitted, how), selected(of_kind["case"], fitted, how)
        of_passages, of_cases = share(len(passages), len(cases), how.k_max)
        chosen = sorted(passages[:of_passages] + cases[:of_cases], key=lambda row: place[row.hit.id])
        return [Item(n, row.content, dict(row.hit.scores), row.relevance) for n, row in enumerate(chosen, 1)]

    def _weighed(
        self, hits: Sequence[Hit], fitted: Fitted, subject: set[str], by_image: bool, how: Selection
    ) -> list[Found]:
        """The hits that reach the floor, with what they stand for."""
        calibration, found = select.Calibration(fitted.legs), list[Found]()
        for hit in hits:
            relevance = relevance_of(hit, calibration, by_image)
            if relevance < (how.floor or 0) or (content := self._content(hit)) is None:
                continue
            if subject and not subject & self._said(content):
                relevance *= UNSAID if hit.kind == "passage" else 0  # a case has to speak of what was asked
            if relevance >= (how.floor or 0):
                found.append(Found(hit, relevance, content))
        return found

    def _content(self, hit: Hit) -> Passage | Case | None:
        """None for what was removed since the index was built."""
        try:
            return self.library.passage(hit.id) if hit.kind == "passage" else self.library.case(hit.id)
        except NotFound:
            return None

    def _said(self, content: Passage | Case) -> set[str]:
        """The words of a report or passage, of its title and of what its subject is also called."""
        if isinstance(content, Case):
            return set(words(said(content)))
        return set(words(indexed_text(content, self.library.names_of(content.document_id))))
