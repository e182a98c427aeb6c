"""Pictures of real sets, each asked one yes/no question: is it referable, are there platelets, is anything abnormal?

Every picture is asked, as often as it occurs; "other picture" is one of which the other answer is true.
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from assistant.requests import AskRequest
from eval.benchmarks.closed import AUROC, Closed, ClosedItem
from eval.benchmarks.cxr_nih import NEEDS, asked_of, films_of
from eval.benchmarks.folder import Entry, Look, entries, file_in, held_out, sample, study
from eval.benchmarks.picture_sets import HELD_OUT_ONLY, groups_of
from eval.exam.benchmark import Answer, Figure, Item, Scores, column
from eval.metrics.classify import auroc_within
from retrieval.errors import BadInput

WITHIN = "AUROC, yes against no, within each view"


@dataclass(frozen=True, slots=True)
class Pictured:
    """A picture with its answer. `like`: the other answer is looked for among pictures that are alike in this."""

    id: str
    answer: bool
    request: partial[AskRequest]
    patient: str
    like: str = ""
    groups: dict[str, str] = field(default_factory=dict)


class PictureYesNo(Closed):
    question: ClassVar[str]
    full = 1_000_000  # all there are
    needs_data = HELD_OUT_ONLY

    @abstractmethod
    def pictured(self, folder: Path) -> Iterator[Pictured]:
        """Those whose answer is known, in any order. Raises `BadInput`."""

    def items(self, n: int, seed: int) -> Iterator[Item]:
        if self.data is None or not self.data.is_dir():
            raise BadInput(f"{self.name} reads {self.needs_data}: add --data {self.name}=FOLDER.")
        every = sample(self.pictured(self.data), 1_000_000, seed)
        for place, one in enumerate(every[:n]):
            known: dict[str, Any] = {
                "id": one.id,
                "truth": {"answer": one.answer, "question": self.question, "like": one.like},
                "request": one.request,
                "groups": one.groups,
                "cluster": one.patient,
            }
            following = every[place + 1 :] + every[:place]
            other = next((another for another in following if opposed(one, another)), None)
            yield ClosedItem(**known, other=other.request) if other else Item(**known)


def opposed(one: Pictured, other: Pictured) -> bool:
    """Whether the other answer is true of another patient's picture that is alike."""
    return (other.answer, other.like) == (not one.answer, one.like) and other.patient != one.patient


class Marked(PictureYesNo):
    """A set in which `studies.jsonl` says the answer."""

    headline = AUROC
    look: ClassVar[Look]

    @abstractmethod
    def of(self, entry: Entry) -> bool | None:
        """None: not known."""

    def pictured(self, folder: Path) -> Iterator[Pictured]:
        for entry in held_out(entries(file_in(folder, "studies.jsonl"))):
            if (answer := self.of(entry)) is not None:
                path = folder / entry.text("image")
                patient = str(entry.row.get("patient") or path.name)
                asked = partial(_request, path, self.look, self.question)
                yield Pictured(entry.text("id"), answer, asked, patient, "", groups_of(entry, ""))


class FundusReferable(Marked):
    """Referable: moderate non-proliferative or worse (grade 2 of 4 and up)."""

    name = "fundus-referable"
    title = "Fundus photographs: referable diabetic retinopathy"
    question = "Is there referable diabetic retinopathy?"
    look = Look("OP")

    def of(self, entry: Entry) -> bool | None:
        grade = (entry.maybe("grade", dict) or {}).get("dr")
        return grade >= 2 if isinstance(grade, int) else None


class BloodPlatelets(Marked):
    name = "blood-platelets"
    title = "Blood smears: are there platelets"
    question = "Are there platelets in this picture?"
    look = Look("SM")
    headline = "balanced accuracy"

    def of(self, entry: Entry) -> bool | None:
        count = (entry.maybe("grade", dict) or {}).get("platelets")
        return count > 0 if isinstance(count, int) else None


class NihAny(PictureYesNo):
    """AP films are of the ill, so the view alone tells something: films are compared with those of their own view."""

    name = "cxr-nih-any"
    title = "NIH chest radiographs: any finding or none"
    question = "Is this radiograph abnormal?"
    needs_data = NEEDS
    headline = WITHIN
    ranked = Closed.ranked | {WITHIN}

    def pictured(self, folder: Path) -> Iterator[Pictured]:
        for film in films_of(file_in(folder, "studies.jsonl", "Data_Entry_2017.csv")):
            asked = partial(asked_of, film, self.question)
            yield Pictured(film.id, bool(film.labels), asked, film.patient, film.view, film.groups)

    def score(self, item: Item, answers: Mapping[str, Answer]) -> Scores:
        return super().score(item, answers) | {"view": item.truth["like"]}

    @property
    def figures(self) -> Mapping[str, Figure]:
        return {WITHIN: within, **super().figures}


def within(rows: Sequence[Scores]) -> float:
    truth, p, view = column(rows, "truth", "p", "view")
    return auroc_within(truth, p, view) if truth else float("nan")


def _request(path: Path, look: Look, question: str) -> AskRequest:
    return AskRequest(study=study((path,), look), question=question)
