"""Picture sets kept as `studies.jsonl` beside `images/`: one question a picture, made from what is known of it.

A line: `id`, `image` (a path in the folder), where known `patient`, `age`, `sex`, and what the question needs of
`labels`, `grade`, `view`, `extra`, `report`. Left, right, upper
and lower are said of the picture, never of the patient. Where lines name a `split`, those of val and test are asked.
"""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from assistant.study import STANDARD_RADIOGRAPH
from eval.benchmarks.common import age_band
from eval.benchmarks.folder import Entry, Look, entries, file_in, held_out
from eval.benchmarks.phantom_items import with_choices
from eval.benchmarks.questions import Asked, Kind, Questions


@dataclass(frozen=True, slots=True)
class Known:
    """What is asked of one picture, with its answer."""

    question: str
    answer: str
    choices: tuple[str, ...] = ()


HELD_OUT_ONLY = "a folder with studies.jsonl and images; of lines with a split, val and test are asked"


class PictureSet(Questions):
    needs_data = HELD_OUT_ONLY
    kind: ClassVar[Kind] = "choice"
    look: ClassVar[Look]

    @abstractmethod
    def of(self, entry: Entry) -> Known | None:
        """What is asked of the picture of this line; None: nothing, since the answer isn't known."""

    def asked(self, folder: Path) -> Iterator[Asked]:
        for entry in held_out(entries(file_in(folder, "studies.jsonl"))):
            if known := self.of(entry):
                yield Asked(
                    id=entry.text("id"),
                    question=with_choices(known.question, known.choices) if known.choices else known.question,
                    answer=known.answer,
                    pictures=(folder / entry.text("image"),),
                    kind=self.kind,
                    choices=known.choices,
                    look=self.look,
                    patient=str(entry.row.get("patient") or ""),
                    groups=groups_of(entry, known.answer if self.kind == "choice" else ""),
                )


def groups_of(entry: Entry, answer: str) -> dict[str, str]:
    age = entry.maybe("age", int)
    band = "" if age is None else age_band(age)
    return {"answer": answer, "sex": str(entry.row.get("sex") or ""), "age": band}


def one_of(labels: Sequence[str] | None, names: dict[str, str], none: str) -> str | None:
    """The name of the only label there is, `none` for an empty list; None when nothing or more is known."""
    if labels == []:
        return none
    return names.get(labels[0]) if labels and len(labels) == 1 else None


class Fundus(PictureSet):
    name = "fundus"
    title = "Fundus photographs: grade of diabetic retinopathy"
    look = Look("OP")
    grades = (
        "none",
        "mild non-proliferative",
        "moderate non-proliferative",
        "severe non-proliferative",
        "proliferative",
    )

    def of(self, entry: Entry) -> Known | None:
        grade = (entry.maybe("grade", dict) or {}).get("dr")
        if not isinstance(grade, int) or grade not in range(len(self.grades)):
            return None
        return Known("Which grade of diabetic retinopathy is seen?", self.grades[grade], self.grades)


class Blood(PictureSet):
    """Many cells at the edges aren't marked: a count that is off by a few is no error of the reader's."""

    name = "blood"
    title = "Blood smears: number of red cells"
    look = Look("SM")
    kind = "number"
    shown = ("off by", "accuracy", "answered")
    headline = "off by"
    cells = "red"

    def of(self, entry: Entry) -> Known | None:
        count = (entry.maybe("grade", dict) or {}).get(f"{self.cells}_blood_cells")
        return None if count is None else Known(f"How many {self.cells} blood cells are in this picture?", str(count))


class WhiteCells(Blood):
    """Nearly always one: read the error beside that of who always says so."""

    name = "blood-white"
    title = "Blood smears: number of white cells"
    cells = "white"


class BrainPlace(PictureSet):
    """Left or right where the tumour is on one side, else upper or lower: a slice's own orientation isn't known."""

    name = "brain-mri"
    title = "Brain MRI: which half of the picture the tumour is in"
    look = Look("MR")

    def of(self, entry: Entry) -> Known | None:
        place = str((entry.maybe("extra", dict) or {}).get("location")).split()
        for halves in (("left", "right"), ("upper", "lower")):
            if half := next((half for half in halves if half in place), None):
                choices = tuple(f"{one} half of the picture" for one in halves)
                return Known("Where is the tumour?", f"{half} half of the picture", choices)
        return None


class BrainTumour(PictureSet):
    name = "brain-tumour"
    title = "Brain MRI: kind of tumour"
    look = Look("MR")
    names: ClassVar = {"glioma": "glioma", "meningioma": "meningioma", "pituitary": "pituitary tumour"}

    def of(self, entry: Entry) -> Known | None:
        kind = one_of(entry.maybe("labels", list), self.names, "no tumour")
        return Known("Which kind of tumour is seen?", kind, (*self.names.values(), "no tumour")) if kind else None


class Ultrasound(PictureSet):
    name = "ultrasound"
    title = "Breast ultrasound: benign, malignant or normal"
    look = Look("US")
    names: ClassVar = {"benign breast lesion": "benign", "malignant breast lesion": "malignant"}

    def of(self, entry: Entry) -> Known | None:
        kind = one_of(entry.maybe("labels", list), self.names, "normal")
        choices = (*self.names.values(), "normal")
        return Known("What does this ultrasound of the breast show?", kind, choices) if kind else None


class Hannover(PictureSet):
    """All patients have COVID-19, so no finding can be asked; the projection can, and isn't told to the reader."""

    name = "cxr-hannover"
    title = "Chest radiographs over days: the projection"
    look = Look("DX", orientation=STANDARD_RADIOGRAPH)

    def of(self, entry: Entry) -> Known | None:
        view = entry.maybe("view", str)
        return Known("Which projection is this radiograph?", view, ("PA", "AP")) if view in ("PA", "AP") else None


class MedPix(PictureSet):
    """From the picture and the history alone: caption, title and findings may name the diagnosis."""

    name = "medpix"
    title = "MedPix: diagnosis of CT and MR teaching cases"
    look = Look()
    kind = "open"
    shown = ("token F1", "token recall", "exact match", "answered")
    headline = "token F1"

    def of(self, entry: Entry) -> Known | None:
        report = entry.maybe("report", dict) or {}
        history, diagnosis = report.get("history"), report.get("diagnosis")
        return Known(f"History: {history or 'none given.'} What is the diagnosis?", diagnosis) if diagnosis else None
