"""Guideline criteria: each line of a checklist put as a question about a phantom and its history.

Of every study two checklists are asked: that of its likeliest disease, and another in turn. What neither the picture
nor the history tells is unknown, and must be called so.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from assistant.requests import AskRequest
from eval.benchmarks.common import chosen, first_sentence
from eval.benchmarks.diagnosis import PLACE, story
from eval.benchmarks.phantom_items import drawn, rendered, whose
from eval.exam.benchmark import Answer, Benchmark, Figure, Item, Scores, mean_of
from eval.metrics.criteria import STATES, criteria_f1, criteria_macro_f1, criteria_recall
from eval.phantoms import Phantom
from eval.phantoms.criteria import DISEASES, criteria, diagnosis

_NOT_MET = re.compile(r"\b(?:not (?:\w+ )?(?:met|fulfilled)|unmet)\b", re.I)
_NOT_KNOWN = re.compile(r"\b(?:not known|(?:cannot|can't|can not) be (?:told|known|determined|judged))\b", re.I)


class Criteria(Benchmark):
    name = "criteria"
    title = "Guideline criteria: met, contradicted or unknown (phantoms with histories)"
    full, quick = 1200, 60
    headline = "macro-F1"

    def items(self, n: int, seed: int) -> Iterator[Item]:
        made = 0
        for place, phantom in enumerate(drawn(PLACE, seed)):
            for disease in checklists(phantom, place):
                for line in range(len(criteria(phantom)[disease])):
                    if made == n:
                        return
                    made += 1
                    yield item_of(phantom, disease, line)

    def score(self, item: Item, answers: Mapping[str, Answer]) -> Scores:
        truth, said = item.truth["state"], state_of(first_sentence(answers["asked"]))
        return {"truth": truth, "said": said, "right": truth == said, "answered": said is not None}

    @property
    def figures(self) -> Mapping[str, Figure]:
        return {
            "macro-F1": lambda rows: criteria_macro_f1(*_columns(rows)),
            **{f"F1: {state}": partial(_f1_of, state) for state in STATES},
            "recall of criteria met": lambda rows: criteria_recall(*_columns(rows)).value,
            "accuracy": mean_of("right"),
            "answered": mean_of("answered"),
        }


def checklists(phantom: Phantom, place: int) -> tuple[str, ...]:
    """The likeliest disease, if any, and another."""
    likely = diagnosis(phantom)[:1]
    others = [disease for disease in DISEASES if disease not in likely]
    return (*likely, others[place % len(others)])


def item_of(phantom: Phantom, disease: str, line: int) -> Item:
    told, _ = story(phantom)
    criterion = criteria(phantom, told)[disease][line]
    question = asked(told, criterion.text)
    return Item(
        id=f"{phantom.family}-{phantom.seed}-{disease.replace(' ', '-')}-{line}",
        truth={"state": criterion.state, "criterion": criterion.text, "disease": disease, "history": told},
        request=partial(_request, phantom, question),
        **whose(phantom, disease=disease),
    )


def asked(history: str, criterion: str) -> str:
    """The question that puts one criterion."""
    told = f"History: {history} " if history else ""
    return f"{told}Criterion: {criterion} Is it met, contradicted or unknown?"


def state_of(text: str) -> str | None:
    """The one state an answer names; "not met" is contradicted. None: none, or several."""
    plain = _NOT_KNOWN.sub("unknown", _NOT_MET.sub("contradicted", text))
    return chosen(plain, STATES)


def _request(phantom: Phantom, question: str) -> AskRequest:
    return AskRequest(study=rendered(phantom), question=question)


def _columns(rows: Sequence[Scores]) -> tuple[list[str], list[str | None]]:
    return [row["truth"] for row in rows], [row["said"] for row in rows]


def _f1_of(state: str, rows: Sequence[Scores]) -> float:
    return criteria_f1(*_columns(rows))[state]
