"""Text → passage at scale: questions on diseases over thousands of public texts (MedQuAD, Ben Abacha and
Demner-Fushman 2019). A place is a document; what isn't listed as relevant may answer a question all the same.

The folder holds `medquad.jsonl` (documents: `id`, `title`, `section`, `text`) and `questions.jsonl` (`id`, `question`,
`relevant_ids`). Every other `*.jsonl` beside them is searched along: more texts that answer something else.

"plain BM25" is the yardstick, and no part of Consult's search: over whole documents, title, section and text alike,
words as they are written but for capitals.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, ClassVar

from assistant.assistant import Assistant
from assistant.requests import AskRequest
from assistant.study import Study
from eval.benchmarks.folder import entries, file_in, sample
from eval.benchmarks.ranked import CHANCE, DEPTH, FUSED, Ranked
from eval.exam.benchmark import Answer, Corpus, Figure, Item, Scores, mean_of
from retrieval.errors import BadInput
from retrieval.legs import BM25, TEXT_PASSAGE
from retrieval.library import Library
from retrieval.store.bm25 import Bm25
from retrieval.types import Case, Passage

QUESTIONS = "questions.jsonl"
PLAIN = "plain BM25"
TOLD = ("recall@5", "nDCG@10")  # the figures whose differences are told
FIELDS = ("title", "section", "text")
FIRST = 5  # places of an order that say which leg found what


class MedQuad(Ranked):
    name = "medquad"
    title = "Text → passage at scale (MedQuAD)"
    full = 400
    needs_data = "a folder with medquad.jsonl and questions.jsonl; other *.jsonl in it are searched along"
    headline = f"recall@5, {FUSED}"
    legs: ClassVar = {"dense": TEXT_PASSAGE, "BM25": BM25}
    fuses, beside = True, (PLAIN,)

    def documents(self) -> list[Path]:
        first = file_in(self.data, "medquad.jsonl")
        return [first, *sorted(set(first.parent.glob("*.jsonl")) - {first, first.with_name(QUESTIONS)})]

    def corpus(self) -> Corpus:
        return Corpus("medquad", documents=self.documents)

    def items(self, n: int, seed: int) -> Iterator[Item]:
        for entry in sample(entries(file_in(self.data, QUESTIONS)), n, seed):
            question, relevant = entry.text("question"), entry.maybe("relevant_ids", list)
            if not relevant:
                raise BadInput(f"{entry.place}, has no list 'relevant_ids'.")
            yield Item(
                id=entry.text("id"),
                truth={"question": question, "relevant": dict.fromkeys(map(str, relevant), 1.0)},
                request=partial(AskRequest, study=Study(()), question=question),
                groups={"section": str(entry.row.get("section") or "none")},
            )

    def place(self, content: Passage | Case, library: Library) -> str:
        assert isinstance(content, Passage)
        return library.document(content.document_id).name.partition("#")[2]

    @cached_property
    def plain(self) -> Bm25:
        index = Bm25()
        for path in self.documents():
            for entry in entries(path):
                index.add(entry.id, plain_words(" ".join(str(entry.row.get(key) or "") for key in FIELDS)))
        return index

    def rank(self, assistant: Assistant, request: AskRequest) -> dict[str, Answer]:
        scores = self.plain.scores(plain_words(request.question))
        first = sorted(scores, key=lambda one: (-scores[one], one))[:DEPTH]
        plain = Answer(status="answered" if first else "abstained", text="\n".join(first))
        return {**super().rank(assistant, request), PLAIN: plain}

    def score(self, item: Item, answers: Mapping[str, Answer]) -> Scores:
        scores = super().score(item, answers)
        for one in ("BM25", PLAIN):
            scores |= {f"{name}, fused − {one}": scores[f"{name}, {FUSED}"] - scores[f"{name}, {one}"] for name in TOLD}
        return scores | found_by(answers, item.truth["relevant"])

    @property
    def figures(self) -> Mapping[str, Figure]:
        kept = {name: figure for name, figure in super().figures.items() if not name.endswith(CHANCE)}
        differences = [f"{name}, fused − {one}" for name in TOLD for one in (PLAIN, "BM25")]
        shares = {f"of the relevant in the first {FIRST}, found by {who}": partial(share, who=who) for who in FINDERS}
        return {**kept, **{name: mean_of(name) for name in differences}, **shares}


FINDERS = {"both": (True, True), "dense alone": (True, False), "BM25 alone": (False, True), "neither": (False, False)}


def found_by(answers: Mapping[str, Answer], relevant: Mapping[str, Any]) -> Scores:
    """How many relevant places among the first of the fused order the legs have among their own first."""
    places = [dict.fromkeys(answers[one].text.splitlines()) for one in (FUSED, "dense", "BM25")]
    fused, *legs = (list(order)[:FIRST] for order in places)
    found = [tuple(place in leg for leg in legs) for place in fused if place in relevant]
    return {f"found by {who}": found.count(which) for who, which in FINDERS.items()}


def share(rows: Sequence[Scores], who: str) -> float:
    """The part of all finds that is this finder's; nan when nothing relevant was found."""
    total = sum(row[f"found by {one}"] for row in rows for one in FINDERS)
    return sum(row[f"found by {who}"] for row in rows) / total if total else float("nan")


def plain_words(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))
