"""Open questions about phantoms of the held-out families: side, zone, size, position of a tip, what there is to see.

An answer is compared with the reference as text, and by what it says in four slots: side, zone, grade, tip. A slot
counts where the reference fills it; an answer that fills it with several values has not filled it. "Wrong side" is
counted apart, over all questions whose answer has a side: that error harms.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import numpy as np

from assistant.requests import AskRequest
from eval.benchmarks.phantom_items import declines, drawn, rendered, sides_of, spoken, whose
from eval.exam.benchmark import Answer, Benchmark, Figure, Item, Scores, mean_of
from eval.metrics.contradiction import contradicts
from eval.metrics.text import bleu_of, bleu_statistics, exact_match, rouge_l, token_f1
from eval.phantoms import Phantom
from eval.phantoms.text import Question

PLACE = 2
_MM = re.compile(r"(\d+(?:\.\d+)?)\s*(mm|cm)\b")
_WORDS: dict[str, dict[str, str]] = {
    "side": {"left": r"left", "right": r"right", "both": r"both|bilateral\w*", "neither": r"neither"},
    "zone": {"upper": r"upper|apical", "middle": r"middle|mid", "lower": r"lower|basal|base"},
    "grade": {
        "small": r"small|mild(?:ly)?|slight(?:ly)?",
        "moderate": r"moderate(?:ly)?",
        "large": r"large|severe(?:ly)?|marked(?:ly)?",
    },
    "tip": {
        "carina": r"above the carina(?!.*too high)",
        "too high": r"too high",
        "main bronchus": r"main bronchus",
        "lobe bronchus": r"lobe bronchus",
        "jugular vein": r"jugular|neck",
        "subclavian vein": r"subclavian",
        "vena cava": r"vena cava",
        "cavoatrial junction": r"cavoatrial",
        "atrium": r"atrium",
        "oesophagus": r"o?esophagus",
        "stomach": r"stomach",
    },
}
_VALUES = {
    slot: {value: re.compile(rf"\b(?:{words})\b", re.IGNORECASE) for value, words in values.items()}
    for slot, values in _WORDS.items()
}
SLOTS = tuple(_WORDS)
_ASKS = {"side": ("side",), "zone": ("side", "zone"), "size": ("grade",), "more": ("side",), "position": ("tip",)}


def slot(name: str, text: str) -> str | None:
    """The one value the text gives this slot; a diameter is a grade as a nodule's is. None: no value, or several."""
    values = {value for value, words in _VALUES[name].items() if words.search(text)}
    if name == "grade":
        values |= {_grade(float(number) * (10 if unit == "cm" else 1)) for number, unit in _MM.findall(text)}
    return values.pop() if len(values) == 1 else None


def _grade(mm: float) -> str:
    return "small" if mm < 12.5 else "moderate" if mm <= 20 else "large"


def bleu(n: int) -> Figure:
    """Corpus BLEU-n over items that hold their `bleu` statistics; a bootstrap gets the BLEU of its draw."""

    def figure(rows: Sequence[Scores]) -> float:
        return bleu_of(np.sum([row["bleu"] for row in rows], axis=0), n) if rows else float("nan")

    return figure


class OpenVqa(Benchmark):
    name = "vqa-open"
    title = "Open questions (phantoms, held-out families)"
    full, quick = 1200, 60
    headline = "token F1"

    def items(self, n: int, seed: int) -> Iterator[Item]:
        made = 0
        for phantom in drawn(PLACE, seed):
            for number, question in enumerate(q for q in phantom.questions if not q.closed):
                if made == n:
                    return
                made += 1
                yield item_of(phantom, question, number)

    def score(self, item: Item, answers: Mapping[str, Answer]) -> Scores:
        said, reference = spoken(answers["asked"], "answer"), item.truth["answer"]
        filled = {name: (value, slot(name, said)) for name, value in item.truth["slots"].items()}
        return {
            "kind": item.truth["kind"],
            "answered": not declines(said),
            "token_f1": token_f1(said, reference),
            "exact": exact_match(said, reference),
            "bleu": bleu_statistics(said, reference).tolist(),
            "rouge_l": rouge_l(said, reference),
            **{name: value == own for name, (value, own) in filled.items()},
            "wrong_side": wrong_side(said, item.truth["sides"], filled.get("side")),
        }

    @property
    def figures(self) -> Mapping[str, Figure]:
        return {
            "token F1": mean_of("token_f1"),
            "exact match": mean_of("exact"),
            "BLEU-1": bleu(1),
            "ROUGE-L": mean_of("rouge_l"),
            **{f"{name} right": mean_of(name) for name in SLOTS},
            "wrong side": mean_of("wrong_side"),
            "answered": mean_of("answered"),
        }


def item_of(phantom: Phantom, question: Question, number: int) -> Item:
    """One question of a phantom, the `number`th that is open."""
    slots = {name: slot(name, question.answer) for name in _ASKS.get(question.kind, ())}
    sides = sides_of(phantom) if question.kind in ("open", "side", "zone") else {}
    return Item(
        id=f"{phantom.family}-{phantom.seed}-{number}-{question.kind}",
        truth={
            "question": question.text,
            "answer": question.answer,
            "kind": question.kind,
            "slots": {name: value for name, value in slots.items() if value},
            "sides": sides,
        },
        request=partial(_request, phantom, question.text),
        **whose(phantom, kind=question.kind),
    )


def wrong_side(said: str, sides: Mapping[str, Sequence[str]], filled: tuple[str, str | None] | None) -> bool | None:
    """Whether a side is stated that isn't the finding's; None where nothing has a side."""
    if not sides and filled is None:
        return None
    swapped = filled is not None and set(filled) == {"left", "right"}
    return swapped or side_against(said, sides)


def side_against(said: str, sides: Mapping[str, Sequence[str]]) -> bool:
    """Whether the text puts one of these findings on the other side."""
    truth = {label: ("present", own) for label, own in sides.items()}
    return any(why.endswith(": side") for why in contradicts(said, truth))  # type: ignore[arg-type]


def _request(phantom: Phantom, question: str) -> AskRequest:
    return AskRequest(study=rendered(phantom), question=question)
