"""Comparison: how has a finding changed since the prior study? Each question is also asked without the prior study.

Without a prior no course can be known, so whatever is stated of one is made up: once as it was released, and once as
the model wrote it, before the assistant's own checks withheld it.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial

from assistant.lines import parse
from assistant.requests import AskRequest
from eval.benchmarks.common import SIZE, TRUTH_SIZE, chosen, first_sentence, study_of
from eval.benchmarks.phantom_items import places, whose, with_choices
from eval.exam.benchmark import Answer, Benchmark, Figure, Item, Scores, mean_of
from eval.exam.candidate import Candidate
from eval.metrics import classify
from eval.phantoms.pairs import CHANGES, Pair, make_pair
from eval.phantoms.text import Question

PLACE = 5
WITH, WITHOUT = "with prior", "without prior"
_UNTOLD = re.compile(r"\b(?:cannot|can't|can not|unable|impossible|no prior|without a prior)\b", re.I)


class Comparison(Benchmark):
    name = "comparison"
    title = "Comparison with a prior study (pairs of phantoms, held-out families)"
    full, quick = 600, 30
    headline = "accuracy"

    def items(self, n: int, seed: int) -> Iterator[Item]:
        made = 0
        for number, family in places(PLACE, seed):
            pair = make_pair(number, family=family, size=TRUTH_SIZE)
            for question in (q for q in pair.questions if q.choices):
                if made == n:
                    return
                made += 1
                yield item_of(pair, question)

    async def sit(self, candidate: Candidate, item: Item) -> dict[str, Answer]:
        request = item.request()
        with_prior = await candidate.ask(request, item.references)
        without = await candidate.ask(replace(request, prior=None), item.references)
        return {WITH: with_prior, WITHOUT: without}

    def score(self, item: Item, answers: Mapping[str, Answer]) -> Scores:
        truth, said = item.truth["change"], chosen(first_sentence(answers[WITH]), CHANGES)
        blind = answers[WITHOUT]
        return {
            "truth": truth,
            "said": said,
            "right": truth == said,
            "answered": said is not None,
            "made_up": any(states_change(sentence.text) for sentence in blind.sentences),
            "made_up_unchecked": any(map(states_change, written(blind.raw))),
        }

    @property
    def figures(self) -> Mapping[str, Figure]:
        return {
            "accuracy": mean_of("right"),
            "macro-F1": lambda rows: classify.macro_f1([row["truth"] for row in rows], [row["said"] for row in rows]),
            **{f"recall: {change}": mean_of("right", partial(_is, change)) for change in CHANGES},
            "answered": mean_of("answered"),
            "change stated without a prior": mean_of("made_up"),
            "change written without a prior, before checks": mean_of("made_up_unchecked"),
        }


def item_of(pair: Pair, question: Question) -> Item:
    current = pair.current
    return Item(
        id=f"{current.family}-{current.seed}-{question.finding}",
        truth={"change": question.answer, "finding": question.finding, "question": question.text},
        request=partial(request_of, current.seed, current.family, with_choices(question.text, question.choices)),
        **whose(current, change=question.answer, finding=str(question.finding)),
    )


def request_of(seed: int, family: str, question: str) -> AskRequest:
    return asked_of(make_pair(seed, family=family, size=SIZE), question)


def asked_of(pair: Pair, question: str) -> AskRequest:
    """A question about both studies of a pair."""
    return AskRequest(study=study_of(pair.current), prior=study_of(pair.prior), question=question)


def states_change(sentence: str) -> bool:
    """Whether the sentence says what became of the finding, and not that this can't be told."""
    return not _UNTOLD.search(sentence) and chosen(sentence, CHANGES) is not None


def written(raw: str) -> Iterator[str]:
    """The sentences of an answer as the model wrote it, guidelines apart."""
    for line in raw.splitlines():
        yield from (own.text for own in parse(line, ("answer", "guideline")) if own.section == "answer")


def _is(change: str, row: Scores) -> bool:
    return bool(row["truth"] == change)
