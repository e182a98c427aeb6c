"""Differential diagnosis: phantoms with a history and all diseases as candidates, in an order of their own.

A disease is named by a sentence of the section "diagnosis" that neither denies nor doubts it; the order of naming is
the ranking. A study may show several diseases: the first one named must be one of them.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import numpy as np

from assistant.requests import DiagnoseRequest
from eval.benchmarks.phantom_items import drawn, rendered, whose
from eval.exam.benchmark import Answer, Benchmark, Figure, Item, Scores, mean_of
from eval.metrics.base import rate
from eval.phantoms import Phantom
from eval.phantoms.criteria import DISEASES, diagnosis, history

PLACE = 4
NORMAL = "no abnormality"
CANDIDATES = (*DISEASES, NORMAL)
_STREAM = 30  # keeps these draws apart from those of the study
_NAMES = re.compile("|".join(rf"\b{re.escape(name)}\b" for name in sorted(CANDIDATES, key=len, reverse=True)), re.I)
_DENIED_BEFORE = re.compile(r"\b(?:no|not|without|unlikely|excludes?|against|rather than)\b[^.,;]*$", re.I)
_DENIED_AFTER = re.compile(r"^[^.,;]*\b(?:unlikely|less likely|excluded|ruled out|not (?:likely|seen))\b", re.I)


class Diagnosis(Benchmark):
    name = "diagnosis"
    title = "Differential diagnosis (phantoms with histories, held-out families)"
    full, quick = 600, 30
    headline = "top-1"

    def items(self, n: int, seed: int) -> Iterator[Item]:
        for _, phantom in zip(range(n), drawn(PLACE, seed), strict=False):
            yield item_of(phantom)

    def score(self, item: Item, answers: Mapping[str, Answer]) -> Scores:
        answer, true = answers["asked"], set(item.truth["diseases"])
        named = ranked([s.text for s in answer.sentences if s.section == "diagnosis"])
        return {
            "top1": bool(true & set(named[:1])),
            "top3": bool(true & set(named[:3])),
            "hits": len(true & set(named)),
            "true": len(true),
            "named": len(named),
            "names": bool(named),
            "cites": any(sentence.cites for sentence in answer.sentences),
        }

    @property
    def figures(self) -> Mapping[str, Figure]:
        return {
            "top-1": mean_of("top1"),
            "top-3": mean_of("top3"),
            "recall": partial(_share, "true"),
            "precision": partial(_share, "named"),
            "diseases named": mean_of("named"),
            "names a candidate": mean_of("names"),
            "cites": mean_of("cites"),
        }


def item_of(phantom: Phantom) -> Item:
    true = diagnosis(phantom) or (NORMAL,)
    told, candidates = story(phantom)
    return Item(
        id=f"{phantom.family}-{phantom.seed}",
        truth={"diseases": true, "history": told, "candidates": candidates},
        request=partial(_request, phantom, told, candidates),
        **whose(phantom, disease=true[0]),
    )


def story(phantom: Phantom) -> tuple[str, tuple[str, ...]]:
    """The phantom's history and its order of candidates, always the same."""
    rng = np.random.default_rng([phantom.seed, _STREAM])
    return history(phantom, rng), tuple(CANDIDATES[n] for n in rng.permutation(len(CANDIDATES)))


def ranked(sentences: Sequence[str]) -> tuple[str, ...]:
    """The candidates that are held to be likely, each once, in the order of their naming."""
    found: dict[str, None] = {}
    for sentence in sentences:
        for match in _NAMES.finditer(sentence):
            before, after = sentence[: match.start()], sentence[match.end() :]
            if not _DENIED_BEFORE.search(before) and not _DENIED_AFTER.search(after):
                found[match[0].lower()] = None
    return tuple(found)


def _request(phantom: Phantom, told: str, candidates: tuple[str, ...]) -> DiagnoseRequest:
    return DiagnoseRequest(study=rendered(phantom), history=told, candidates=candidates)


def _share(of: str, rows: Sequence[Scores]) -> float:
    """True diseases that were named, over all of `of`."""
    return rate(sum(row["hits"] for row in rows), sum(row[of] for row in rows)).value
