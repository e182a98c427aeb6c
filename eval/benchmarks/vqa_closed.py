"""Yes/no questions about phantoms of the held-out families: present or absent, by finding."""

from collections.abc import Iterator
from functools import partial

from assistant.requests import AskRequest
from eval.benchmarks.closed import Closed, ClosedItem
from eval.benchmarks.common import SIZE, TRUTH_SIZE, about, cluster_of, exam_seeds, study_of
from eval.phantoms import EXAM_FAMILIES, FindingSpec, Phantom, make_phantom
from eval.phantoms.text import Question


class ClosedVqa(Closed):
    name = "vqa-closed"
    title = "Closed questions (phantoms, held-out families)"
    full, quick = 2000, 80

    def items(self, n: int, seed: int) -> Iterator[ClosedItem]:
        made = 0
        for place, number in enumerate(exam_seeds(1, seed)):
            phantom = make_phantom(number, size=TRUTH_SIZE, family=EXAM_FAMILIES[place % len(EXAM_FAMILIES)])
            for question in balanced(phantom):
                if made == n:
                    return
                made += 1
                yield item_of(phantom, question)


def balanced(phantom: Phantom) -> list[Question]:
    """Of the yes/no questions, as many to be answered no as yes, at least one of each where there is one."""
    asked = [question for question in phantom.questions if question.kind == "presence"]
    yes = [question for question in asked if question.present]
    start = phantom.seed % len(asked)  # which findings are asked for in vain goes round
    no = [question for question in asked[start:] + asked[:start] if not question.present][: max(1, len(yes))]
    return yes + no


def item_of(phantom: Phantom, question: Question) -> ClosedItem:
    asked = partial(_request, phantom.seed, phantom.family, question.text)
    opposite = () if question.present else (FindingSpec(question.finding),) if question.finding else ()
    return ClosedItem(
        id=f"{cluster_of(phantom)}-{question.finding}",
        truth={"answer": bool(question.present), "finding": question.finding, "question": question.text},
        request=asked,
        groups={"finding": str(question.finding), **about(phantom)},
        cluster=cluster_of(phantom),
        phantoms=((phantom.family, phantom.seed),),
        other=partial(asked, findings=opposite),
    )


def _request(seed: int, family: str, question: str, findings: tuple[FindingSpec, ...] | None = None) -> AskRequest:
    """`findings` None: those the seed draws; otherwise the same person with exactly these."""
    phantom = make_phantom(seed, size=SIZE, family=family, findings=findings)
    return AskRequest(study=study_of(phantom), question=question)
