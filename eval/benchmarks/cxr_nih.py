"""NIH ChestX-ray14 (Wang et al. 2017): is a finding there or not, on real radiographs. Labels were mined from reports
by rules and err either way. Where lines of `studies.jsonl` name a `split`, those of val and test are asked.

The folder holds `studies.jsonl` (`id`, `image`, `patient`, `labels`, `view`, `age`, `sex`), or, as published,
`Data_Entry_2017.csv` and `images/`; of the latter, where `test_list.txt` is there, what it names.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from assistant.requests import AskRequest
from assistant.study import STANDARD_RADIOGRAPH
from eval.benchmarks.closed import Closed, ClosedItem
from eval.benchmarks.common import age_band
from eval.benchmarks.folder import Entry, Look, entries, file_in, held_out, sample, study

TERMS = {
    "atelectasis": "atelectasis", "cardiomegaly": "an enlarged heart", "consolidation": "consolidation",
    "edema": "pulmonary oedema", "effusion": "a pleural effusion", "emphysema": "emphysema", "fibrosis": "fibrosis",
    "hernia": "a hernia", "infiltration": "an infiltrate", "mass": "a mass", "nodule": "a lung nodule",
    "pleural thickening": "pleural thickening", "pneumonia": "pneumonia", "pneumothorax": "a pneumothorax",
}  # fmt: skip
LABELS = {  # those that the labeller tells apart
    "atelectasis": "Atelectasis", "cardiomegaly": "Cardiomegaly", "consolidation": "Consolidation", "edema": "Edema",
    "effusion": "Pleural Effusion", "infiltration": "Lung Opacity", "mass": "Lung Lesion", "nodule": "Lung Lesion",
    "pleural thickening": "Pleural Other", "pneumonia": "Pneumonia", "pneumothorax": "Pneumothorax",
}  # fmt: skip


NEEDS = "a folder with studies.jsonl (of lines with a split, val and test are asked), or Data_Entry_2017.csv and images"


@dataclass(frozen=True, slots=True)
class Film:
    id: str
    picture: Path
    patient: str
    labels: frozenset[str]
    view: str
    groups: dict[str, str]


class CxrNih(Closed):
    """A film is asked about one finding: one it has, or one that another film has and it lacks; half of each."""

    name = "cxr-nih"
    title = "NIH chest radiographs: present or absent"
    full = 1_000_000
    needs_data = NEEDS

    def items(self, n: int, seed: int) -> Iterator[ClosedItem]:
        file = file_in(self.data, "studies.jsonl", "Data_Entry_2017.csv")
        films = sample(films_of(file), 1_000_000, seed)
        return islice(pairs(films), n)


def pairs(films: list[Film]) -> Iterator[ClosedItem]:
    """A film with a finding, then another patient's film without it; each is the other's "other picture"."""
    used: set[str] = set()
    for film in films:
        for finding in sorted(film.labels & TERMS.keys()):
            if film.id in used:
                break
            without = next((f for f in films if _lacks(f, film, finding) and f.id not in used), None)
            if without is not None:
                used |= {film.id, without.id}
                yield item_of(film, without, finding)
                yield item_of(without, film, finding)


def _lacks(other: Film, film: Film, finding: str) -> bool:
    """In the same view where there is one, since AP films are of the ill."""
    return finding not in other.labels and other.patient != film.patient and other.view == film.view


def item_of(film: Film, other: Film, finding: str) -> ClosedItem:
    question = f"Is there {TERMS[finding]}?"
    return ClosedItem(
        id=f"{film.id}-{finding}",
        truth={
            "answer": finding in film.labels,
            "finding": finding,
            "question": question,
            "label": LABELS.get(finding, finding),
        },
        request=partial(asked_of, film, question),
        other=partial(asked_of, other, question),
        groups={"finding": finding, **film.groups},
        cluster=film.patient,
    )


def asked_of(film: Film, question: str) -> AskRequest:
    return AskRequest(study=study((film.picture,), Look("DX", film.view, STANDARD_RADIOGRAPH)), question=question)


def films_of(file: Path) -> Iterator[Film]:
    listed = file.with_name("test_list.txt")
    named = set(listed.read_text().split()) if file.suffix == ".csv" and listed.is_file() else None
    for entry in held_out(entries(file)):
        film = _published(entry, file.parent) if file.suffix == ".csv" else _study(entry, file.parent)
        if named is None or film.id in named:
            yield film


def _published(entry: Entry, folder: Path) -> Film:
    name, labels = entry.text("Image Index"), entry.text("Finding Labels").lower().replace("_", " ").split("|")
    groups = {"sex": entry.text("Patient Gender"), "view": entry.text("View Position")}
    if years := re.match(r"\d+", str(entry.row.get("Patient Age") or "")):
        groups["age"] = age_band(int(years[0]))
    return Film(name, folder / "images" / Path(name).name, entry.text("Patient ID"),
                frozenset(labels) - {"no finding"}, groups["view"], groups)  # fmt: skip


def _study(entry: Entry, folder: Path) -> Film:
    groups = {key: entry.text(key) for key in ("sex", "view") if entry.row.get(key)}
    if (age := entry.maybe("age", int)) is not None:
        groups["age"] = age_band(age)
    labels = frozenset(map(str, entry.maybe("labels", list) or ()))
    return Film(entry.text("id"), folder / entry.text("image"), entry.text("patient"), labels,
                groups.get("view", ""), groups)  # fmt: skip
