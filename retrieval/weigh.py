"""How relevant a hit is, 0..1, and what of all hits is read.

What makes a passage relevant depends on the question. A question that names something ("is there an effusion?") is
answered by passages that are about it in words, and by similar cases whose report speaks of it; that a picture
resembles a passage never lifts one. An open question ("what is abnormal?") names nothing, and the picture decides.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Literal, Protocol, TypeGuard

from retrieval import select
from retrieval.copies import without_copies
from retrieval.errors import Misconfigured
from retrieval.legs import BM25, IMAGE_CASE, IMAGE_PASSAGE, RERANKED, TEXT_PASSAGE, compares
from retrieval.pairs import PAIR
from retrieval.types import Case, Fitted, Hit, Passage

UNSAID = 0.3  # what counts of the relevance of a passage that holds no word of the question's subject: an encoder finds
# something near every question (at .6 the pocket encoder read on pneumonia for "What is the capital of France?"),
# so without a word in common nothing reaches a usual floor

Mode = Literal["log-ratio", "ratio-to-top", "calibrated"]
GAMMA, FLOOR = 0.5, 0.35  # where nothing was fitted


class Limits(Protocol):
    """What `Selection` and the settings say alike."""

    @property
    def mode(self) -> Mode: ...

    @property
    def gamma(self) -> float | None: ...

    @property
    def floor(self) -> float | None: ...


@dataclass(frozen=True, slots=True)
class Selection:
    """How many hits deserve to be read: `gamma` is the log ratio of a steep drop; ratio-to-top takes 1 + gamma. None:
    as fitted with the index, else a default that was not measured."""

    mode: Mode = "log-ratio"
    gamma: float | None = None
    floor: float | None = None
    k_max: int = 4

    def after(self, fitted: Fitted, k: int | None) -> "Selection":
        """With every gap filled; `k` is what one query allows."""

        def first(*values: float | None) -> float | None:
            return next((value for value in values if value is not None), None)

        own = fitted.gamma_to_top if self.mode == "ratio-to-top" else fitted.gamma
        gamma, floor = first(self.gamma, own, GAMMA), first(self.floor, fitted.floor, FLOOR)
        return replace(self, gamma=gamma, floor=floor, k_max=self.k_max if k is None else k)


@dataclass(frozen=True, slots=True)
class Found:
    """A hit with its relevance and what it stands for."""

    hit: Hit
    relevance: float
    content: Passage | Case


def relevance_of(hit: Hit, calibration: select.Calibration, by_image: bool) -> float:
    """0..1, from the legs that may decide: a case by its picture, a pair of studies by both; a passage by the picture
    for an open question, else by its words: those a reranker read, where its raw scores were calibrated."""
    deciding = (IMAGE_PASSAGE,) if by_image else (TEXT_PASSAGE, BM25)
    if not by_image and RERANKED in hit.scores and RERANKED in calibration.legs:
        deciding = (RERANKED,)
    if hit.kind == "case":
        deciding = (PAIR,) if PAIR in hit.scores else (IMAGE_CASE,)
    return calibration.combined({leg: score for leg, score in hit.scores.items() if compares(leg) in deciding})


def selected(found: Sequence[Found], fitted: Fitted, how: Selection) -> list[Found]:
    """The most relevant, as many as the mode keeps; ties in the order they come in. `how` has no gaps."""
    ranked = sorted(found, key=lambda row: -row.relevance)
    ranked = [ranked[place] for place in islice(without_copies([row.content for row in ranked]), how.k_max)]
    s = [row.relevance for row in ranked]
    assert how.gamma is not None
    assert how.floor is not None
    match how.mode:
        case "log-ratio":
            kept = select.log_ratio(s, how.gamma, how.floor, how.k_max)
        case "ratio-to-top":
            kept = select.ratio_to_top(s, 1 + how.gamma, how.floor, how.k_max)
        case "calibrated":
            if fitted.ks is None:
                raise Misconfigured("Mode calibrated needs numbers of contexts fitted by `consult calibrate`.")
            kept = select.calibrated(s, fitted.ks, how.floor, how.k_max)
    return ranked[:kept]


def condensed(content: Passage | Case) -> TypeGuard[Passage]:
    """Whether a model wrote it from other passages."""
    return isinstance(content, Passage) and bool(content.condensed_by)


def sources_first(found: Sequence[Found], fitted: Fitted, how: Selection) -> list[Found]:
    """The selected passages: what a model condensed comes after its sources, in places that these leave free, and never
    for one that says the same."""
    sources = selected([row for row in found if not condensed(row.content)], fitted, how)
    free = replace(how, k_max=how.k_max - len(sources))
    rest = selected([row for row in found if condensed(row.content)], fitted, free)
    both = [*sources, *rest]
    return [both[place] for place in without_copies([row.content for row in both])]


def share(passages: int, cases: int, k_max: int) -> tuple[int, int]:
    """How many of each are read: half of the places each, what one leaves free goes to the other."""
    of_cases = min(cases, max(k_max // 2, k_max - passages))
    return min(passages, k_max - of_cases), of_cases


def values(how: Limits, fitted: Fitted) -> str:
    """What is in force, in words: each value with where it is from."""

    def one(name: str, own: float | None, found: float | None, default: float) -> str:
        value, source = (own, "set") if own is not None else (found, "fitted")
        return f"{name} {default:g} (default)" if value is None else f"{name} {value:g} ({source})"

    gamma = fitted.gamma_to_top if how.mode == "ratio-to-top" else fitted.gamma
    told = [how.mode, one("gamma", how.gamma, gamma, GAMMA), one("floor", how.floor, fitted.floor, FLOOR)]
    ks = "never fitted" if fitted.ks is None else ", ".join(map(str, fitted.ks)) or "none"
    legs = ", ".join(fitted.legs) or "none"
    whole = f"{', '.join(told)}; trusted numbers of contexts: {ks}; relevance fitted for: {legs}"
    data = fitted.told.get("data")
    return f"{whole}; on {data['name']}, n = {data['n']}, {fitted.told['made'][:10]}" if data else whole
