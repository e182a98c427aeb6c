"""Guideline criteria: the checklists of a differential, each line met, contradicted or unknown, against what is true.

Of every study two checklists are filled: that of its likeliest disease, and another in turn. What neither the picture
nor the history tells is unknown, and must be called so.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain

from eval.benchmarks.diagnosis import PLACE, guidelines, request_of, story
from eval.benchmarks.phantom_items import drawn, whose
from eval.exam.benchmark import Answer, Benchmark, Figure, Item, Scores
from eval.exam.candidate import Candidate
from eval.metrics.base import rate
from eval.metrics.criteria import STATES, criteria_f1, criteria_macro_f1, criteria_recall
from eval.phantoms import Phantom
from eval.phantoms.criteria import DISEASES, criteria, diagnosis


class Criteria(Benchmark):
    name = "criteria"
    title = "Guideline criteria: met, contradicted or unknown (phantoms with histories, held-out families)"
    full, quick = 200, 12
    headline = "macro-F1"

    def items(self, n: int, seed: int) -> Iterator[Item]:
        for place, phantom in zip(range(n), drawn(PLACE, seed), strict=False):
            yield item_of(phantom, checklists(phantom, place))

    async def sit(self, candidate: Candidate, item: Item) -> dict[str, Answer]:
        return {"asked": await candidate.ask(item.request(), item.references, cards=guidelines())}

    def score(self, item: Item, answers: Mapping[str, Answer]) -> Scores:
        """`said`: None for a criterion that no checklist has, since the study was refused, say."""
        told = {text: state for one in answers["asked"].candidates for text, state in one.states.items()}
        truth = item.truth["states"]
        return {"truth": list(truth.values()), "said": [told.get(text) for text in truth]}

    @property
    def figures(self) -> Mapping[str, Figure]:
        return {
            "macro-F1": lambda rows: criteria_macro_f1(*_columns(rows)),
            **{f"F1: {state}": partial(_f1_of, state) for state in STATES},
            "recall of criteria met": lambda rows: criteria_recall(*_columns(rows)).value,
            "accuracy": lambda rows: _share(rows, lambda truth, said: truth == said),
            "decided": lambda rows: _share(rows, lambda truth, said: said is not None),
        }


def checklists(phantom: Phantom, place: int) -> tuple[str, ...]:
    """The likeliest disease, if any, and another."""
    likely = diagnosis(phantom)[:1]
    others = [disease for disease in DISEASES if disease not in likely]
    return (*likely, others[place % len(others)])


def item_of(phantom: Phantom, diseases: tuple[str, ...]) -> Item:
    told, _ = story(phantom)
    lines = criteria(phantom, told)
    states = {line.text: line.state for disease in diseases for line in lines[disease]}
    return Item(
        id=f"{phantom.family}-{phantom.seed}",
        truth={"diseases": diseases, "states": states, "history": told},
        request=partial(request_of, phantom, told, diseases),
        **whose(phantom, disease=diseases[0]),
    )


def asked(history: str, criterion: str) -> str:
    """The question that puts one criterion by itself, the history before it."""
    told = f"History: {history} " if history else ""
    return f"{told}Criterion: {criterion} Is it met, contradicted or unknown?"


def _columns(rows: Sequence[Scores]) -> tuple[list[str], list[str | None]]:
    """Truth and answer of every criterion of every row."""
    truth, said = ([row[name] for row in rows] for name in ("truth", "said"))
    return list(chain.from_iterable(truth)), list(chain.from_iterable(said))


def _f1_of(state: str, rows: Sequence[Scores]) -> float:
    return criteria_f1(*_columns(rows))[state]


def _share(rows: Sequence[Scores], holds: Callable[[str, str | None], bool]) -> float:
    pairs = list(zip(*_columns(rows), strict=True))
    return rate(sum(holds(truth, said) for truth, said in pairs), len(pairs)).value
