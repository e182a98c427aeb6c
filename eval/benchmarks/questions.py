"""Questions of a data set from outside: what its adapters share. An adapter says what is asked, and nothing else.

How an answer is read depends on the kind: "yes/no" by its first word, "choice" by the one choice it names, "closed" (a
short answer of a data set that lists no choices) by whether its first sentence holds the reference word for word,
"number" by the first number it holds, "open" by its words (token F1, token recall, exact match). Silence is wrong.
"""

import math
import re
from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

from assistant.requests import AskRequest
from eval.benchmarks.common import chosen, first_sentence, yes_or_no
from eval.benchmarks.folder import UNKNOWN, Look, sample, study
from eval.benchmarks.phantom_items import spoken
from eval.exam.benchmark import Answer, Benchmark, Figure, Item, Scores, mean_of
from eval.metrics.classify import balanced_accuracy
from eval.metrics.text import exact_match, normalise, token_f1
from retrieval.errors import BadInput

Kind = Literal["yes/no", "choice", "closed", "number", "open"]
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


@dataclass(frozen=True, slots=True)
class Asked:
    """One question. `patient` as far as the set tells (else the picture): patients are what intervals are drawn over.
    `choices` of a "choice": the answer is one of them, and the question should name them."""

    id: str
    question: str
    answer: str
    pictures: tuple[Path, ...]
    kind: Kind = "open"
    choices: tuple[str, ...] = ()
    look: Look = UNKNOWN
    patient: str = ""
    groups: dict[str, str] = field(default_factory=dict)


def closed_kind(answer: str) -> Kind:
    """Of a closed question, by its answer."""
    return "yes/no" if normalise(answer) in ("yes", "no") else "closed"


class Questions(Benchmark):
    """`shown` names the figures that mean something for this set."""

    shown: ClassVar[tuple[str, ...]] = ("accuracy", "balanced accuracy", "chance", "answered")
    headline = "accuracy"
    full = 1_000_000  # all there are

    @abstractmethod
    def asked(self, folder: Path) -> Iterator[Asked]:
        """All questions, in any order. Raises `BadInput`."""

    def items(self, n: int, seed: int) -> Iterator[Item]:
        if self.data is None or not self.data.is_dir():
            raise BadInput(f"{self.name} reads {self.needs_data}: add --data {self.name}=FOLDER.")
        return map(item_of, sample(self.asked(self.data), n, seed))

    def score(self, item: Item, answers: Mapping[str, Answer]) -> Scores:
        answer, truth = answers["asked"], item.truth
        read = _READ[truth["kind"]](answer, truth)
        told = read.get("said", read.get("off_by", "")) is not None  # words that hold no choice or number are no answer
        return {"kind": truth["kind"], "answered": bool(answer.sentences) and told} | read

    @property
    def figures(self) -> Mapping[str, Figure]:
        return {name: FIGURES[name] for name in self.shown}


def item_of(asked: Asked) -> Item:
    return Item(
        id=asked.id,
        truth={"question": asked.question, "answer": asked.answer, "kind": asked.kind, "choices": list(asked.choices)},
        request=partial(_request, asked),
        groups={"kind": asked.kind, **{key: value for key, value in asked.groups.items() if value}},
        cluster=asked.patient or ", ".join(path.name for path in asked.pictures),
    )


def _request(asked: Asked) -> AskRequest:
    return AskRequest(study=study(asked.pictures, asked.look), question=asked.question)


Truth = Mapping[str, object]


def _yes_no(answer: Answer, truth: Truth) -> Scores:
    said = {True: "yes", False: "no", None: None}[yes_or_no(first_sentence(answer))]
    wanted = normalise(str(truth["answer"]))
    return {"truth": wanted, "said": said, "right": said == wanted, "chance": 0.5}


def _choice(answer: Answer, truth: Truth) -> Scores:
    choices = list(map(str, truth["choices"]))  # type: ignore[call-overload]
    said = chosen(first_sentence(answer), choices)
    return {"truth": truth["answer"], "said": said, "right": said == truth["answer"], "chance": 1 / len(choices)}


def _closed(answer: Answer, truth: Truth) -> Scores:
    wanted = normalise(str(truth["answer"]))
    return {"right": f" {wanted} " in f" {normalise(first_sentence(answer))} "}


def _number(answer: Answer, truth: Truth) -> Scores:
    found, wanted = _NUMBER.search(first_sentence(answer)), float(str(truth["answer"]))
    return {
        "right": found is not None and float(found[0]) == wanted,
        "off_by": abs(float(found[0]) - wanted) if found else None,
    }


def _open(answer: Answer, truth: Truth) -> Scores:
    said, reference = spoken(answer, "answer"), str(truth["answer"])
    scores = {"f1": token_f1(said, reference), "exact": exact_match(said, reference), "recall": recall(said, reference)}
    return {name: None if math.isnan(value) else value for name, value in scores.items()}


def recall(said: str, reference: str) -> float:
    """Share of the reference's words that are said, as often as they stand there: what LLaVA-Med reports of open
    questions. It doesn't punish many words; read it beside token F1. nan without a word in the reference."""
    wanted = Counter(normalise(reference).split())
    return (wanted & Counter(normalise(said).split())).total() / wanted.total() if wanted else math.nan


_READ: dict[str, Callable[[Answer, Truth], Scores]] = {
    "yes/no": _yes_no, "choice": _choice, "closed": _closed, "number": _number, "open": _open,
}  # fmt: skip


def balanced(rows: Sequence[Scores]) -> float:
    """Mean recall of the answers that occur, over the questions that have choices."""
    asked = [row for row in rows if "truth" in row]
    return balanced_accuracy([row["truth"] for row in asked], [row["said"] for row in asked])


FIGURES: dict[str, Figure] = {
    "accuracy": mean_of("right"),
    "balanced accuracy": balanced,
    "chance": mean_of("chance"),
    "off by": mean_of("off_by"),
    "token F1": mean_of("f1"),
    "token recall": mean_of("recall"),
    "exact match": mean_of("exact"),
    "answered": mean_of("answered"),
}
MIXED = ("accuracy", "balanced accuracy", "token F1", "token recall", "exact match", "answered")  # closed and open
