"""Text → passage at scale: questions on diseases over thousands of public answers (MedQuAD, Ben Abacha and
Demner-Fushman 2019). A place is a document; what isn't listed as relevant may answer a question all the same.

The folder holds `medquad.jsonl` (documents: `id`, `title`, `section`, `text`) and `questions.jsonl` (`id`, `question`,
`relevant_ids`).
"""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import ClassVar

from assistant.requests import AskRequest
from assistant.study import Study
from eval.benchmarks.folder import entries, file_in, sample
from eval.benchmarks.ranked import CHANCE, Ranked
from eval.exam.benchmark import Corpus, Figure, Item
from retrieval.errors import BadInput
from retrieval.legs import BM25, TEXT_PASSAGE
from retrieval.library import Library
from retrieval.types import Case, Passage


class MedQuad(Ranked):
    name = "medquad"
    title = "Text → passage at scale (MedQuAD)"
    full = 400
    needs_data = "a folder with medquad.jsonl and questions.jsonl"
    legs: ClassVar = {"dense": TEXT_PASSAGE, "BM25": BM25}
    fuses = True

    def corpus(self) -> Corpus:
        return Corpus("medquad", documents=lambda: [file_in(self.data, "medquad.jsonl")])

    def items(self, n: int, seed: int) -> Iterator[Item]:
        for entry in sample(entries(file_in(self.data, "questions.jsonl")), n, seed):
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

    @property
    def figures(self) -> Mapping[str, Figure]:
        return {name: figure for name, figure in super().figures.items() if not name.endswith(CHANCE)}
