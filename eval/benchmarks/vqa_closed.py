"""Yes/no questions about phantoms of the held-out families: present or absent, by finding.

Every other study is asked about in the words of the training family: what a model cannot see and what it does not
understand are then told apart.
"""

from collections.abc import Iterator
from functools import partial

import numpy as np

from assistant.requests import AskRequest
from eval.benchmarks.closed import Closed, ClosedItem
from eval.benchmarks.common import SIZE, TRUTH_SIZE, about, cluster_of, exam_seeds, study_of
from eval.benchmarks.phantom_items import LABEL_OF
from eval.phantoms import EXAM_FAMILIES, FindingSpec, Phantom, make_phantom
from eval.phantoms.family import get_family
from eval.phantoms.text import Question, questions

WORDINGS = {"of training": "train", "held out": None}  # None: the family's own


class ClosedVqa(Closed):
    name = "vqa-closed"
    title = "Closed questions (phantoms, held-out families)"
    full, quick = 2000, 80

    def items(self, n: int, seed: int) -> Iterator[ClosedItem]:
        made = 0
        for place, number in enumerate(exam_seeds(1, seed)):
            phantom = make_phantom(number, size=TRUTH_SIZE, family=EXAM_FAMILIES[place % len(EXAM_FAMILIES)])
            wording = list(WORDINGS)[place % 2]
            for question in balanced(phantom, asked(phantom, wording)):
                if made == n:
                    return
                made += 1
                yield item_of(phantom, question, wording)


def asked(phantom: Phantom, wording: str) -> list[Question]:
    """Present or absent, each finding once, in these words."""
    words = WORDINGS[wording] or get_family(phantom.family).wording
    rng = np.random.default_rng(phantom.seed)
    every = questions(phantom.findings, words, rng, phantom.devices, phantom.view, phantom.fault)
    return [question for question in every if question.kind == "presence" and question.finding]


def balanced(phantom: Phantom, every: list[Question]) -> list[Question]:
    """As many to be answered no as yes, at least one of each where there is one."""
    yes = [question for question in every if question.present]
    start = phantom.seed % len(every)  # which findings are asked for in vain goes round
    no = [question for question in every[start:] + every[:start] if not question.present][: max(1, len(yes))]
    return yes + no


def item_of(phantom: Phantom, question: Question, wording: str) -> ClosedItem:
    request = partial(_request, phantom.seed, phantom.family, question.text)
    opposite = () if question.present or not question.finding else (FindingSpec(question.finding),)
    return ClosedItem(
        id=f"{cluster_of(phantom)}-{question.finding}",
        truth={
            "answer": bool(question.present),
            "finding": question.finding,
            "question": question.text,
            "label": LABEL_OF[question.finding] if question.finding else None,
        },
        request=request,
        groups={"finding": str(question.finding), "wording": wording, **about(phantom)},
        cluster=cluster_of(phantom),
        phantoms=((phantom.family, phantom.seed),),
        other=partial(request, findings=opposite),
    )


def _request(seed: int, family: str, question: str, findings: tuple[FindingSpec, ...] | None = None) -> AskRequest:
    """`findings` None: those the seed draws; otherwise the same person with exactly these."""
    phantom = make_phantom(seed, size=SIZE, family=family, findings=findings)
    return AskRequest(study=study_of(phantom), question=question)
