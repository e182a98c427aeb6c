"""One query: a batch of legs, their raw scores as relevance, and what of it deserves to be read.

What makes a passage relevant depends on the question. A question that names something ("is there an effusion?") is
answered by passages that are about it in words, and by similar cases whose report speaks of it; that a picture
resembles a passage never lifts one. An open question ("what is abnormal?") names nothing, and the picture decides.
Nothing relevant gives no evidence, never padding.
"""

import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from retrieval import fuse, select
from retrieval.encoders.base import ImageTextEncoder, TextEncoder, Vectors
from retrieval.errors import EncoderMismatch, Misconfigured, NotFound
from retrieval.index import IMAGE, IMAGE_TEXT, TEXT, indexed_text
from retrieval.library import Library
from retrieval.question import search_words, searched_text, subject_words, words
from retrieval.store.base import Store
from retrieval.types import Case, Evidence, Filter, Hit, Image, Item, Kind, Leg, Manifest, Passage, Query

IMAGE_CASE, IMAGE_PASSAGE, TEXT_PASSAGE, BM25 = "image→case", "image→passage", "text→passage", "bm25"
MAX_LOOKS = 6  # image legs of one kind: more pictures than this are pooled in neighbouring groups
UNSAID = 0.6  # what counts of the relevance of a passage that holds no word of the question's subject: an encoder finds
# something near every question, and only what is very near may stand without a word in common

Mode = Literal["log-ratio", "ratio-to-top", "calibrated"]
Found = tuple[Hit, float, Passage | Case]  # with its relevance
_SAID = re.compile(r"\w+|[<>≤≥±]")


@dataclass(frozen=True, slots=True)
class Selection:
    """How many hits deserve to be read: `gamma` is the log ratio of a steep drop; ratio-to-top takes 1 + gamma."""

    mode: Mode = "log-ratio"
    gamma: float = 0.5
    floor: float = 0.35
    k_max: int = 4


class Retriever:
    """Finds what bears on a study. Without `image_text` it searches by words alone."""

    def __init__(
        self, store: Store, library: Library, image_text: ImageTextEncoder | None, text: TextEncoder,
        selection: Selection | None = None,
    ) -> None:  # fmt: skip
        self.store, self.library, self.selection = store, library, selection or Selection()
        self.image_text, self.text = image_text, text

    @property
    def identities(self) -> dict[str, str]:
        """Which encoders these are, by part."""
        seeing = {"image_text": self.image_text.identity} if self.image_text else {}
        return {**seeing, "text": self.text.identity}

    def look(self, images: Sequence[Image]) -> Vectors:
        """Embeddings of pictures, (n, dim) of unit length, to be handed back in `Query.embeddings`."""
        if self.image_text is None:
            raise Misconfigured("This retriever was made without an image encoder.")
        return self.image_text.encode_images(images)

    def retrieve(self, query: Query) -> Evidence:
        """What deserves to be read. Raises `EncoderMismatch` when the index was built with other encoders."""
        manifest = self.store.manifest
        if manifest is None:
            return Evidence()
        started = time.perf_counter()
        text = searched_text(query.text, query.earlier)
        legs = self._legs(query, text, manifest)
        embedded = time.perf_counter()
        hits = self.store.search(legs, Filter(query.domains, query.patient, query.sha256))
        searched = time.perf_counter()
        pictured = any(leg.name == IMAGE_PASSAGE for leg in legs)
        how = replace(self.selection, k_max=query.k) if query.k else self.selection
        subject = subject_words(text)
        items = self._items(hits, manifest, subject, how, by_image=pictured and not subject)
        timings = {"embed": embedded - started, "search": searched - embedded, "select": time.perf_counter() - searched}
        return Evidence(tuple(items), len(hits), timings)

    def _legs(self, query: Query, text: str, manifest: Manifest) -> list[Leg]:
        legs: list[Leg] = []
        if self.image_text is not None and (query.images or query.embeddings is not None):
            seeing = self.image_text.identity
            for role in (IMAGE, IMAGE_TEXT):
                _check(manifest, role, seeing)
            for vector in pooled(self.look(query.images) if query.embeddings is None else query.embeddings):
                legs.append(Leg(IMAGE_CASE, seeing, vector, "case"))
                legs.append(Leg(IMAGE_PASSAGE, seeing, vector, "passage"))
        if text.strip():
            _check(manifest, TEXT, self.text.identity)
            legs.append(Leg(TEXT_PASSAGE, self.text.identity, self.text.encode_queries([text])[0], "passage"))
        if asked := search_words(text):
            legs.append(Leg(BM25, "bm25", asked, "passage"))
        return legs

    def _items(
        self, hits: Sequence[Hit], manifest: Manifest, subject: set[str], how: Selection, by_image: bool
    ) -> list[Item]:
        calibration = select.Calibration.of({leg: ab for leg, ab in manifest.calibration.items() if leg != "ks"})
        place = {key: rank for rank, key in enumerate(fuse.reciprocal_rank(rankings(hits)))}
        found: dict[Kind, list[Found]] = {"passage": [], "case": []}
        for hit in sorted(hits, key=lambda hit: place[hit.id]):
            relevance = relevance_of(hit, calibration, by_image)
            if relevance < how.floor or (content := self._content(hit)) is None:
                continue
            if subject and not subject & self._said(content):
                relevance *= UNSAID if hit.kind == "passage" else 0  # a case has to speak of what was asked
            if relevance >= how.floor:
                found[hit.kind].append((hit, relevance, content))
        passages, cases = _selected(found["passage"], manifest, how), _selected(found["case"], manifest, how)
        of_passages, of_cases = share(len(passages), len(cases), how.k_max)
        chosen = sorted(passages[:of_passages] + cases[:of_cases], key=lambda row: place[row[0].id])
        return [
            Item(number, content, dict(hit.scores), relevance)
            for number, (hit, relevance, content) in enumerate(chosen, 1)
        ]

    def _content(self, hit: Hit) -> Passage | Case | None:
        """None for what was removed since the index was built."""
        try:
            return self.library.passage(hit.id) if hit.kind == "passage" else self.library.case(hit.id)
        except NotFound:
            return None

    def _said(self, content: Passage | Case) -> set[str]:
        """The words of a report or passage, of its title and of what its subject is also called."""
        if isinstance(content, Case):
            return set(words(_text(content)))
        return set(words(indexed_text(content, self.library.names_of(content.document_id))))


def _selected(found: Sequence[Found], manifest: Manifest, how: Selection) -> list[Found]:
    """The most relevant, as many as the mode keeps; ties in the fused order they come in."""
    ranked = without_twins(sorted(found, key=lambda row: -row[1]))
    s = [relevance for _, relevance, _ in ranked]
    match how.mode:
        case "log-ratio":
            kept = select.log_ratio(s, how.gamma, how.floor, how.k_max)
        case "ratio-to-top":
            kept = select.ratio_to_top(s, 1 + how.gamma, how.floor, how.k_max)
        case "calibrated":
            if "ks" not in manifest.calibration:
                raise Misconfigured("Mode calibrated needs an index calibrated on validation data; use log-ratio.")
            kept = select.calibrated(s, manifest.calibration["ks"], how.floor, how.k_max)
    return ranked[:kept]


def _check(manifest: Manifest, role: str, identity: str) -> None:
    spec = manifest.vectors.get(role)
    if spec is None or spec.identity != identity:
        built = spec.identity if spec else "none"
        raise EncoderMismatch(
            f"The index was built with the encoder {built}, this is {identity}. Run `consult knowledge rebuild`."
        )


def relevance_of(hit: Hit, calibration: select.Calibration, by_image: bool) -> float:
    """0..1, from the legs that may decide: a case by its picture; a passage by the picture for an open question, else
    by its words."""
    deciding = (IMAGE_CASE,) if hit.kind == "case" else (IMAGE_PASSAGE,) if by_image else (TEXT_PASSAGE, BM25)
    return calibration.combined({leg: score for leg, score in hit.scores.items() if leg in deciding})


def rankings(hits: Iterable[Hit]) -> list[list[str]]:
    """Each leg's hits, best first."""
    legs: dict[str, list[tuple[float, str]]] = {}
    for hit in hits:
        for leg, score in hit.scores.items():
            legs.setdefault(leg, []).append((-score, hit.id))
    return [[key for _, key in sorted(rows)] for rows in legs.values()]


def share(passages: int, cases: int, k_max: int) -> tuple[int, int]:
    """How many of each are read: half of the places each, what one leaves free goes to the other."""
    of_cases = min(cases, max(k_max // 2, k_max - passages))
    return min(passages, k_max - of_cases), of_cases


def without_twins(ranked: Iterable[Found]) -> list[Found]:
    """Of texts that say the same word for word, the first. One word more or less ("not", "left") says something else;
    case, blanks and punctuation don't, but a comparison does."""
    kept: dict[tuple[str, ...], Found] = {}
    for row in ranked:
        kept.setdefault(tuple(_SAID.findall(_text(row[2]).casefold())), row)
    return list(kept.values())


def _text(content: Passage | Case) -> str:
    return content.text if isinstance(content, Passage) else " ".join((content.report, *content.labels))


def pooled(embeddings: Vectors) -> Vectors:
    """At most `MAX_LOOKS` unit vectors: the mean of each group of neighbours, so that every picture counts."""
    if len(embeddings) <= MAX_LOOKS:
        return embeddings
    means = np.stack([group.mean(axis=0) for group in np.array_split(embeddings, MAX_LOOKS)])
    pooled: Vectors = means / np.linalg.norm(means, axis=1, keepdims=True)
    return pooled
