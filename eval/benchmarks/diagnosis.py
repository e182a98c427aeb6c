"""Differential diagnosis: phantoms with a history and all diseases as candidates, in an order of their own, held to the
phantoms' own checklists as guidelines.

Read is the `Differential`, not the model's words. A study may show several diseases: the first candidate must be one of
them. Of a healthy one it must be said that there is not enough to tell.
"""

from collections.abc import Iterator, Mapping
from functools import cache, partial

import numpy as np

from assistant.diagnosis.names import plain
from assistant.requests import DiagnoseRequest
from eval.benchmarks.common import TRUTH_SIZE
from eval.benchmarks.phantom_items import drawn, rendered, whose
from eval.calibration.phantom_cards import phantom_cards
from eval.exam.benchmark import Answer, Benchmark, Figure, Item, Scores, mean_of
from eval.exam.candidate import Candidate
from eval.phantoms import Phantom, make_phantom
from eval.phantoms.criteria import DISEASES, diagnosis, history
from retrieval.cards import Card

PLACE = 4
NORMAL = "no abnormality"
CANDIDATES = (*DISEASES, NORMAL)
_STREAM = 30  # keeps these draws apart from those of the study


@cache
def guidelines() -> tuple[Card, ...]:
    """The checklists as cards: any phantom has the same."""
    return phantom_cards(make_phantom(0, size=TRUTH_SIZE))


class Diagnosis(Benchmark):
    name = "diagnosis"
    title = "Differential diagnosis (phantoms with histories and checklists, held-out families)"
    full, quick = 200, 12  # each costs the model a question for every criterion it must see for itself
    headline = "top-1"

    def items(self, n: int, seed: int) -> Iterator[Item]:
        for _, phantom in zip(range(n), drawn(PLACE, seed), strict=False):
            yield item_of(phantom)

    async def sit(self, candidate: Candidate, item: Item) -> dict[str, Answer]:
        return {"asked": await candidate.ask(item.request(), item.references, cards=guidelines())}

    def score(self, item: Item, answers: Mapping[str, Answer]) -> Scores:
        answer, true = answers["asked"], set(item.truth["diseases"])
        found = [plain(candidate.name) in true for candidate in answer.candidates]
        leads = answer.verdict == "leads"
        return {
            "top1": any(found[:1]) if true else None,
            "top3": any(found[:3]) if true else None,
            "leads": leads if true else None,
            "right_lead": found[0] if true and leads else None,
            "spared": answer.verdict == "not enough to tell" if not true else None,
            "cites": any(sentence.cites for sentence in answer.sentences),
        }

    @property
    def figures(self) -> Mapping[str, Figure]:
        return {
            "top-1": mean_of("top1"),
            "top-3": mean_of("top3"),
            "said to lead": mean_of("leads"),
            "right when said to lead": mean_of("right_lead"),
            "healthy: not enough to tell": mean_of("spared"),
            "cites": mean_of("cites"),
        }


def item_of(phantom: Phantom) -> Item:
    true = diagnosis(phantom)
    told, order = story(phantom)
    candidates = tuple(name for name in order if name in DISEASES)
    return Item(
        id=f"{phantom.family}-{phantom.seed}",
        truth={"diseases": true, "history": told, "candidates": candidates},
        request=partial(request_of, phantom, told, candidates),
        **whose(phantom, disease=true[0] if true else NORMAL),
    )


def story(phantom: Phantom) -> tuple[str, tuple[str, ...]]:
    """The phantom's history and its order of candidates, always the same."""
    rng = np.random.default_rng([phantom.seed, _STREAM])
    return history(phantom, rng), tuple(CANDIDATES[n] for n in rng.permutation(len(CANDIDATES)))


def request_of(phantom: Phantom, told: str, candidates: tuple[str, ...]) -> DiagnoseRequest:
    return DiagnoseRequest(study=rendered(phantom), history=told, candidates=candidates)
