"""Two studies ask for pairs of studies: another patient whose earlier study resembles the prior and whose later one
resembles the current study (TemMed-Bench). What is read of a pair is its later report, which tells the change.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from retrieval.encoders.base import Vectors
from retrieval.encoders.bundle import IMAGE
from retrieval.legs import IMAGE_CASE, PRIOR_CASE, compares
from retrieval.library import Library
from retrieval.types import Case, Hit, Item, Leg, Vector

PAIR = "pair→pair"  # the score of both at once, as a leg's


def similarity(now: Vectors, before: Vectors, later: Vectors, earlier: Vectors) -> Vectors:
    """(p,) of p pairs, −1..1: half the best cosine of a current picture with the later study, and half that of a prior
    picture with the earlier. `now` (n, dim), `before` (m, dim), `later` and `earlier` (p, dim), rows of unit length."""
    likeness: Vectors = ((now @ later.T).max(axis=0) + (before @ earlier.T).max(axis=0)) / 2
    return likeness


def paired(hits: Sequence[Hit], legs: Sequence[Leg], library: Library) -> dict[str, tuple[Hit, Case]]:
    """By the id of the later study: its hit, with the pair's score, and the earlier study. Empty without a prior among
    the legs, or when no similar case has a study before or after it."""
    found: dict[str, tuple[Hit, Case]] = {}
    known = {hit.id: hit for hit in hits}
    pairs = library.pairs([hit.id for hit in hits if hit.kind == "case"]) if _looked(legs, PRIOR_CASE) else []
    for encoder, before in _looked(legs, PRIOR_CASE).items():
        now = _looked(legs, IMAGE_CASE).get(encoder)
        vectors = library.vectors(encoder, IMAGE, [case.sha256 for pair in pairs for case in pair])
        whole = [pair for pair in pairs if all(case.sha256 in vectors for case in pair)]
        if now is None or not whole:
            continue
        earlier, later = (np.stack([vectors[pair[at].sha256] for pair in whole]) for at in (0, 1))
        for (first, second), score in zip(whole, similarity(now, before, later, earlier).tolist(), strict=True):
            hit = known.get(second.id) or Hit(second.id, "case", {})
            found[second.id] = (Hit(hit.id, "case", {**hit.scores, PAIR: score}), first)
    return found


def with_earlier(items: Sequence[Item], pairs: Mapping[str, tuple[Hit, Case]]) -> list[Item]:
    """The later study of a pair together with the earlier."""
    return [replace(i, earlier=pairs[i.content.id][1]) if i.content.id in pairs else i for i in items]


def _looked(legs: Sequence[Leg], what: str) -> dict[str, Vectors]:
    """By encoder what it saw for these legs, (n, dim)."""
    seen: dict[str, list[Vector]] = {}
    for leg in legs:
        if compares(leg.name) == what and not isinstance(leg.query, str):
            seen.setdefault(leg.using, []).append(leg.query)
    return {encoder: np.stack(vectors) for encoder, vectors in seen.items()}
