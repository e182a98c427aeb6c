"""From a query to a batch of legs: who looks at the pictures, who reads the question, what BM25 is asked.

A leg is named for what it compares, and "@" a domain where that domain's own encoder does it: each has its own raw
scores, and its own calibration.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from retrieval.encoders.base import ImageTextEncoder, Vectors
from retrieval.encoders.bundle import IMAGE, TEXT, Encoders, named
from retrieval.errors import EncoderMismatch
from retrieval.fuse import reciprocal_rank
from retrieval.question import search_words
from retrieval.types import Hit, Image, Leg, Manifest, Query, Vector

IMAGE_CASE, IMAGE_PASSAGE, TEXT_PASSAGE, BM25 = "image→case", "image→passage", "text→passage", "bm25"
PRIOR_CASE = "prior→case"  # what the prior study's pictures resemble
RERANKED = "rerank"  # no search: what a reranker says of the passages that the others found
MAX_LOOKS = 6  # image legs of one kind: more pictures than this are pooled in neighbouring groups
DAMPING = 3  # k of reciprocal-rank fusion
VOTES = {"pocket-text": 0.25}  # of encoders whose order counts less than BM25's, which counts 1
# Chosen on half of 400 questions over 7,826 open texts and on 126 over the bundled cards. Recall@5 and nDCG@10 of BM25
# on the other half are .945 · .853; fused with the pocket encoder, .864 · .763 at k 60 and equal votes, .947 · .857 as
# here; over the cards .952 · .870, .972 · .859 and .972 · .878. An encoder that knows more is worth a whole vote:
# all-MiniLM-L6-v2 .952 · .858 at a quarter, .961 · .892 at one; over the cards .956 · .875 and .992 · .906.


def legs_of(query: Query, text: str, encoders: Encoders, manifest: Manifest) -> list[Leg]:
    """`text` is the question, with what it refers back to. Raises `EncoderMismatch` for an index of other encoders."""
    now, before = (query.images, query.embeddings), (query.prior_images, query.prior_embeddings)
    legs: list[Leg] = []
    for domain, eye, vector in _looks(*now, query.domains, encoders, manifest):
        legs.append(Leg(named(IMAGE_CASE, domain), eye.identity, vector, "case"))
        if eye.reads_text:  # else no passage is in its space
            legs.append(Leg(named(IMAGE_PASSAGE, domain), eye.identity, vector, "passage"))
    for domain, eye, vector in _looks(*before, query.domains, encoders, manifest):
        legs.append(Leg(named(PRIOR_CASE, domain), eye.identity, vector, "case"))
    if text.strip():
        for domain, reader in encoders.reads(query.domains).items():
            _check(manifest, named(TEXT, domain), reader.identity)
            vector = reader.encode_queries([text])[0]
            legs.append(Leg(named(TEXT_PASSAGE, domain), reader.identity, vector, "passage"))
    if asked := search_words(text):
        legs.append(Leg(BM25, BM25, asked, "passage"))
    return legs


def _looks(
    images: Sequence[Image], embeddings: Vectors | None, domains: Sequence[str], encoders: Encoders, manifest: Manifest
) -> Iterator[tuple[str | None, ImageTextEncoder, Vector]]:
    """(domain, encoder, what it sees), one a picture and encoder. `embeddings` are the main encoder's, when
    they were made before; a domain's own encoder needs the pictures themselves."""
    if not images and embeddings is None:
        return
    for domain, eye in encoders.looks(domains).items():
        if domain is not None and not images:
            continue
        _check(manifest, named(IMAGE, domain), eye.identity)
        seen = eye.encode_images(images) if domain is not None or embeddings is None else embeddings
        yield from ((domain, eye, vector) for vector in pooled(seen))


def _check(manifest: Manifest, role: str, identity: str) -> None:
    spec = manifest.vectors.get(role)
    if spec is None or spec.identity != identity:
        built = spec.identity if spec else "none"
        raise EncoderMismatch(
            f"The index was built with the encoder {built}, this is {identity}. Run `consult knowledge rebuild`."
        )


def compares(leg: str) -> str:
    """What a leg compares, whoever does it: "image→case@fundus" → "image→case"."""
    return leg.partition("@")[0]


def fused(hits: Sequence[Hit], legs: Iterable[Leg]) -> list[Hit]:
    """In the order that the legs vote for."""
    votes = {leg.name: VOTES.get(leg.using.rpartition("-")[0], 1.0) for leg in legs}
    orders = _rankings(hits)
    ids = reciprocal_rank(list(orders.values()), DAMPING, [votes.get(leg, 1.0) for leg in orders])
    place = {one: rank for rank, one in enumerate(ids)}
    return sorted(hits, key=lambda hit: place[hit.id])


def _rankings(hits: Iterable[Hit]) -> dict[str, list[str]]:
    """Each leg's hits, best first."""
    legs: dict[str, list[tuple[float, str]]] = {}
    for hit in hits:
        for leg, score in hit.scores.items():
            legs.setdefault(leg, []).append((-score, hit.id))
    return {leg: [key for _, key in sorted(rows)] for leg, rows in legs.items()}


def pooled(embeddings: Vectors) -> Vectors:
    """At most `MAX_LOOKS` unit vectors: the mean of each group of neighbours, so that every picture counts."""
    if len(embeddings) <= MAX_LOOKS:
        return embeddings
    means = np.stack([group.mean(axis=0) for group in np.array_split(embeddings, MAX_LOOKS)])
    pooled: Vectors = means / np.linalg.norm(means, axis=1, keepdims=True)
    return pooled
