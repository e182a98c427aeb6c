"""Looking: does the answer follow the picture? One question is put about two pictures of one person, with no reference
beside them, and the two right answers differ: present and absent, or left and right. Only who gets both right counts:
whoever always says the same, whatever the picture, gets none.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from assistant.requests import AskRequest, Request
from eval.benchmarks.common import SIZE, TRUTH_SIZE, exam_seeds, first_sentence, study_of, yes_or_no
from eval.benchmarks.phantom_items import LABEL_OF
from eval.benchmarks.vqa_closed import WORDINGS
from eval.benchmarks.vqa_open import slot
from eval.exam.benchmark import Answer, Benchmark, Figure, Item, Scores, mean_of
from eval.exam.candidate import NOTHING, Candidate
from eval.phantoms import EXAM_FAMILIES, FINDINGS, FindingSpec, make_phantom
from eval.phantoms.family import get_family
from eval.phantoms.findings import GRADES, SIDED, Kind
from eval.phantoms.text import questions

PLACE = 14
ONE, OTHER = "one picture", "other picture"
Shows = tuple[FindingSpec, ...]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class TwoPictures(Item):
    """`request` shows one of them, `other` the other."""

    other: Callable[[], Request]


class Looking(Benchmark):
    name = "looking"
    title = "Looking: swap the picture, the answer follows (phantoms, held-out families)"
    full, quick = 480, 40
    headline = "both pictures right"

    def items(self, n: int, seed: int) -> Iterator[TwoPictures]:
        for number, place in zip(range(n), exam_seeds(PLACE, seed), strict=False):
            yield item_of(number, place)

    async def sit(self, candidate: Candidate, item: Item) -> dict[str, Answer]:
        assert isinstance(item, TwoPictures)
        one = await candidate.ask(item.request(), NOTHING)
        return {ONE: one, OTHER: await candidate.ask(item.other(), NOTHING)}

    def score(self, item: Item, answers: Mapping[str, Answer]) -> Scores:
        said = {name: _READ[item.truth["asked"]](answer, item.truth["label"]) for name, answer in answers.items()}
        right = [said[name] == item.truth[name] for name in (ONE, OTHER)]
        told = [value for value in said.values() if value is not None]
        return {
            "asked": item.truth["asked"],
            "both": all(right),
            "right": sum(right) / 2,
            "answered": len(told) / 2,
            "same": told[0] == told[1] if len(told) == 2 else None,
        }

    @property
    def figures(self) -> Mapping[str, Figure]:
        return {
            self.headline: mean_of("both"),
            **{f"{self.headline}, {asked}": mean_of("both", partial(_asks, asked)) for asked in _READ},
            "right, one by one": mean_of("right"),
            "answered": mean_of("answered"),
            "the same said of both": mean_of("same"),
        }


def _asks(asked: str, row: Scores) -> bool:
    return bool(row["asked"] == asked)


def item_of(number: int, seed: int) -> TwoPictures:
    """The `number`th: findings, families, ways of asking, wordings and grades go round."""
    sided = number % 2 == 1
    kinds: tuple[Kind, ...] = SIDED if sided else FINDINGS
    kind, family = kinds[number // 2 % len(kinds)], EXAM_FAMILIES[number // 2 % len(EXAM_FAMILIES)]
    grade, words = GRADES[number // 4 % len(GRADES)], list(WORDINGS)[number // 6 % 2]
    left, right = FindingSpec(kind, "left", grade=grade), FindingSpec(kind, "right", grade=grade)
    shows: tuple[Shows, Shows] = ((left,), (right,)) if sided else ((FindingSpec(kind, grade=grade),), ())
    question = _question(seed, family, words, shows[0], "side" if sided else "presence")
    truth = ("left", "right") if sided else (True, False)
    if seed % 3 == 0:  # the picture that comes first is not always the same of the two
        shows, truth = shows[::-1], truth[::-1]
    one, other = (partial(_request, seed, family, question, show) for show in shows)
    asked = "side" if sided else "present or absent"
    return TwoPictures(
        id=f"{family}-{seed}",
        truth={"asked": asked, "question": question, "label": LABEL_OF[kind], ONE: truth[0], OTHER: truth[1]},
        request=one,
        other=other,
        groups={"asked": asked, "finding": kind, "grade": grade, "wording": words, "family": family},
        cluster=f"{family}-{seed}",
        phantoms=((family, seed),),
    )


def _question(seed: int, family: str, words: str, shows: Shows, kind: str) -> str:
    phantom = make_phantom(seed, family=family, size=TRUTH_SIZE, findings=shows)
    wording = WORDINGS[words] or get_family(family).wording
    asked = questions(phantom.findings, wording, np.random.default_rng(seed))
    return next(q.text for q in asked if q.kind == kind and q.finding == shows[0].kind and not q.choices)


def _request(seed: int, family: str, question: str, shows: Shows) -> AskRequest:
    phantom = make_phantom(seed, family=family, size=SIZE, findings=shows)
    return AskRequest(study=study_of(phantom), question=question)


def _side(answer: Answer, label: str) -> str | None:
    said = slot("side", first_sentence(answer))
    return said if said in ("left", "right") else None


def _presence(answer: Answer, label: str) -> bool | None:
    return yes_or_no(first_sentence(answer), label)


_READ: dict[str, Callable[[Answer, str], object]] = {"present or absent": _presence, "side": _side}
