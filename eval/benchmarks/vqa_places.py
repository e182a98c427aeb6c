"""Side, zone and size of what is there, on phantoms of the held-out families: asked openly, and as a choice.

Every other study is asked about in the words of the training family, as in `vqa-closed`. An open answer is read by the
one value it gives (see `vqa_open.slot`), a choice by the one it names.
"""

from collections.abc import Iterator, Mapping
from functools import partial

import numpy as np

from assistant.requests import AskRequest
from eval.benchmarks.common import chosen, cluster_of, first_sentence
from eval.benchmarks.phantom_items import drawn, rendered, spoken, whose, with_choices
from eval.benchmarks.vqa_closed import WORDINGS
from eval.benchmarks.vqa_open import slot
from eval.exam.benchmark import Answer, Benchmark, Figure, Item, Scores, mean_of
from eval.phantoms import Phantom
from eval.phantoms.family import get_family
from eval.phantoms.text import Question, questions

PLACE = 13
SLOTS = {"side": "side", "zone": "zone", "size": "grade"}  # kind of question → what fills it
GROUPS = {"side": ("side",), "zone": ("zone",), "side and zone": ("side", "zone"), "size grade": ("size",)}


class Places(Benchmark):
    name = "vqa-places"
    title = "Side, zone and size (phantoms, held-out families)"
    full, quick = 1200, 60
    headline = "side and zone right"

    def items(self, n: int, seed: int) -> Iterator[Item]:
        made = 0
        for place, phantom in enumerate(drawn(PLACE, seed)):
            words = list(WORDINGS)[place // 3 % 2]  # not in step with the families, which go round by three
            for number, question in enumerate(asked(phantom, words)):
                if made == n:
                    return
                made += 1
                yield item_of(phantom, question, number, words)

    def score(self, item: Item, answers: Mapping[str, Answer]) -> Scores:
        truth, answer = item.truth, answers["asked"]
        if truth["choices"]:
            said = chosen(first_sentence(answer), truth["choices"])
        else:
            said = slot(SLOTS[truth["kind"]], spoken(answer, "answer"))
        return {"kind": truth["kind"], "wording": item.groups["wording"], "right": said == truth["value"],
                "answered": said is not None}  # fmt: skip

    @property
    def figures(self) -> Mapping[str, Figure]:
        told = {f"{name} right": mean_of("right", partial(_of, kinds, "")) for name, kinds in GROUPS.items()}
        for words in WORDINGS:
            told |= {
                f"{name} right, words {words}": mean_of("right", partial(_of, kinds, words))
                for name, kinds in GROUPS.items()
            }
        return {**told, "answered": mean_of("answered")}


def _of(kinds: tuple[str, ...], words: str, row: Scores) -> bool:
    return row["kind"] in kinds and words in ("", row["wording"])


def asked(phantom: Phantom, words: str) -> list[Question]:
    """Of every finding that is there: its side, its zone and its size, in these words."""
    wording, rng = WORDINGS[words] or get_family(phantom.family).wording, np.random.default_rng(phantom.seed)
    every = questions(phantom.findings, wording, rng, phantom.devices, phantom.view, phantom.fault)
    return [question for question in every if question.kind in SLOTS and question.present]


def item_of(phantom: Phantom, question: Question, number: int, words: str) -> Item:
    """One question of a phantom, the `number`th."""
    choices = question.choices
    text = with_choices(question.text, choices) if choices else question.text
    value = question.answer if choices else slot(SLOTS[question.kind], question.answer)
    return Item(
        id=f"{cluster_of(phantom)}-{number}-{question.kind}",
        truth={"question": text, "answer": question.answer, "kind": question.kind, "value": value,
               "choices": list(choices)},
        request=partial(_request, phantom, text),
        **whose(phantom, kind=question.kind, asked="as a choice" if choices else "openly", wording=words,
                finding=str(question.finding)),
    )  # fmt: skip


def _request(phantom: Phantom, question: str) -> AskRequest:
    return AskRequest(study=rendered(phantom), question=question)
