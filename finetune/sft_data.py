"""Samples of supervised tuning from JSONL: every line is checked, and all that is wrong is told by file and line before
any model is loaded.

A line: `image` (a path below the file's folder, or a list), `task`, and what the task needs: ask `question` and
`answer`; report `report` (an object of the sections of its `template`) with `indication` and `prior_report`; diagnose
`answer` with `history`, `laboratory` and `candidates`; criteria `criterion`, `history` and as `answer` met,
contradicted or unknown. Where known: `prior` (pictures of an earlier study), `earlier` ([question, answer] pairs),
`patient`, `split` (train or val), `modality`, `view`, `standard_display` (the patient's right is on the picture's
left), `cites` (what a passage `says`, learnt where one of this `document`, and `section`, was retrieved), `seed` and
`family` of a synthetic study.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from assistant.checks import Situation
from assistant.errors import BadInput
from assistant.identity import patient_named
from assistant.imaging import read_study
from assistant.prompting import situation_of
from assistant.reports.template import BUILT_IN, built_in
from assistant.requests import Request
from assistant.study import Study
from assistant.tasks.diagnosis import SECTIONS as DIAGNOSIS_SECTIONS
from assistant.tasks.vqa import SECTIONS as ANSWER
from eval.leaks import Seeds, Seen, Trace, leaks, trace
from eval.metrics.criteria import STATES
from finetune.errors import Problem
from finetune.manifest import assign_splits
from finetune.manifest import rows as objects
from finetune.sft_config import Data
from retrieval.db import patient_hash
from retrieval.embed import Progress, no_progress

TaskName = Literal["ask", "report", "diagnose", "criteria"]
Split = Literal["train", "val"]
Report = Callable[[Problem], None]
TEMPLATES = sorted(path.stem for path in BUILT_IN.glob("*.yaml"))
NEEDED = {
    "ask": ("question", "answer"), "report": ("report",), "diagnose": ("answer",), "criteria": ("criterion", "answer"),
}  # fmt: skip
_SECTION = re.compile(r"^\s*\[([a-z ]+)\]", re.IGNORECASE | re.MULTILINE)
_NUMBER = re.compile(r"\[\s*\d+\s*\]")


def sections_of(task: TaskName, template: str = "chest") -> tuple[str, ...]:
    """What may stand in brackets before a sentence of the task's answer."""
    if task == "report":
        return built_in(template).parsed()
    return DIAGNOSIS_SECTIONS if task == "diagnose" else ANSWER


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Cite(_Strict):
    """`says` holds when a passage of the document with this title, and section unless that is "", was retrieved."""

    says: str
    document: str
    section: str = ""


class Line(_Strict):
    """A line as it stands in the file."""

    image: str | list[str]
    task: TaskName
    prior: str | list[str] = []
    question: str = ""
    answer: str | list[str] = ""
    report: dict[str, str] = {}
    criterion: str = ""
    history: str = ""
    indication: str = ""
    prior_report: str = ""
    template: str = "chest"
    laboratory: dict[str, str] = {}
    candidates: list[str] = []
    earlier: list[tuple[str, str]] = []
    cites: list[Cite] = []
    patient: str | int | None = None
    split: Split | None = None
    modality: str | None = None
    view: str | None = None
    standard_display: bool = False
    seed: int | None = None
    family: str | None = None
    id: str = ""
    source: str = ""

    @property
    def said(self) -> str:
        """The answer or report as text; sections as the model writes them."""
        if self.report:
            return "\n".join(f"[{name}] {text}" for name, text in self.report.items() if text.strip())
        return self.answer if isinstance(self.answer, str) else "\n".join(self.answer)

    @property
    def sections(self) -> tuple[str, ...]:
        return sections_of(self.task, self.template)

    @property
    def phantoms(self) -> tuple[Seeds, ...]:
        known = self.family is not None and self.seed is not None
        return (Seeds(str(self.family), int(self.seed or 0), int(self.seed or 0)),) if known else ()


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """A line whose pictures were read once. `trace` is what its patient and pictures are recognised by."""

    file: Path
    line: int
    told: Line
    split: Split
    trace: Trace
    digest: str  # of the line and its pictures' pixels
    situation: Situation  # of its request, for the checks of sentences
    patient: str | None = None  # as the source names them, not hashed: never told, never written


def read_rows(data: Data, salt: bytes, seed: int, report: Report, progress: Progress = no_progress) -> list[Row]:
    """All lines that can be used, with their splits; what is wrong goes to `report`. `salt` keys patients' hashes.
    Raises `BadInput` when a file can't be read."""
    told = [(file, *numbered) for file in data.manifests for numbered in _lines(file, frozenset(data.ignore), report)]
    rows = []
    for done, (file, number, line) in enumerate(told, 1):
        if row := _row(file, number, line, salt, report):
            rows.append(row)
        progress("reading pictures", done, len(told))
    placed = _placed(rows, data.validation, seed)
    _check_apart(placed, report)
    return placed


def _lines(file: Path, ignore: frozenset[str], report: Report) -> Iterator[tuple[int, Line]]:
    for number, row, wrong in objects(file, None, report):
        try:
            line = Line.model_validate({key: value for key, value in row.items() if key not in ignore})
        except ValidationError as error:
            for one in error.errors(include_input=False):
                wrong(_plain(one))
            continue
        wrongs = list(wrong_with(line))
        for what in wrongs:
            wrong(what)
        if not wrongs:
            yield number, line


def _plain(wrong: Any) -> str:
    where = ".".join(map(str, wrong["loc"]))
    if wrong["type"] == "extra_forbidden":
        return f"unknown key {where!r}"
    if wrong["loc"] == ("task",) and wrong["type"] == "literal_error":
        return f"unknown task; known are {', '.join(get_args(TaskName))}"
    return f"{where}: {wrong['msg'][:1].lower()}{wrong['msg'][1:]}"


def wrong_with(line: Line) -> Iterator[str]:
    """What of a line can be told wrong without its pictures."""
    if not listed(line.image):
        yield "names no image"
    for name in NEEDED[line.task]:
        value = line.said if name in ("answer", "report") else getattr(line, name)
        if not value.strip():
            yield f"its {name} is empty"
    if line.template not in TEMPLATES:
        yield f"unknown template {line.template!r}; known are {', '.join(TEMPLATES)}"
        return
    strange = {name.lower() for name in _SECTION.findall(line.said)} - {*line.sections, "image"}
    for name in sorted(strange):
        yield f"unknown section {name!r}; {line.task} has {', '.join(line.sections)}"
    if line.task == "criteria" and line.said.strip() and line.said.strip() not in STATES:
        yield f"unknown label; a criterion is {', '.join(STATES)}"
    if _NUMBER.search(line.said):
        yield "its answer cites by number, but evidence is numbered when it is retrieved; say it under cites"


def listed(paths: str | list[str]) -> list[str]:
    return [paths] if isinstance(paths, str) else paths


def study_of(file: Path, line: Line, salt: bytes) -> tuple[Study, Study | None]:
    """The study and the prior, read from their files as a request's are. Raises `BadInput`."""
    prior = _study(file, listed(line.prior), line, salt)[0] if line.prior else None
    return _study(file, listed(line.image), line, salt)[0], prior


def _study(file: Path, names: Sequence[str], line: Line, salt: bytes) -> tuple[Study, str | None]:
    """The study and what the source calls its patient."""
    paths = [file.parent / name for name in names]
    if any(not path.is_file() for path in paths):
        raise BadInput("its image is not there")
    study, identity = read_study(paths, standard_display=line.standard_display, salt=salt)
    pictures = (
        replace(picture, modality=line.modality or picture.modality, view=line.view or picture.view)
        for picture in study.pictures
    )
    who = str(line.patient) if line.patient not in (None, "") else patient_named(identity)
    return replace(study, pictures=tuple(pictures), patient=patient_hash(salt, who) if who else None), who


def _row(file: Path, number: int, line: Line, salt: bytes, report: Report) -> Row | None:
    try:
        study, who = _study(file, listed(line.image), line, salt)
        prior = _study(file, listed(line.prior), line, salt)[0] if line.prior else None
    except BadInput as error:
        report(Problem(file, number, str(error)))
        return None
    if prior and prior.patient != study.patient:
        report(Problem(file, number, "its prior shows another patient"))
    pictures = study.pictures + (prior.pictures if prior else ())
    seen = trace(f"{file.name}:{number}", [picture.pixels for picture in pictures], study.patient, line.phantoms)
    content = json.dumps([line.model_dump(), *(picture.sha256 for picture in pictures)], sort_keys=True)
    digest = hashlib.sha256(content.encode()).hexdigest()
    situation = situation_of(Request(study=study, prior=prior))
    return Row(file, number, line, line.split or "train", seen, digest, situation, who)


def _placed(rows: Sequence[Row], share: float, seed: int) -> list[Row]:
    """Each row with its split (`manifest.assign_splits`)."""
    # By what the source calls the patient: the hash's salt is this machine's own.
    units = [row.patient or unit_of(row) for row in rows]
    splits = assign_splits(units, [row.told.split for row in rows], share, seed)
    return [replace(row, split="val" if split == "val" else "train") for row, split in zip(rows, splits, strict=True)]


def unit_of(row: Row) -> str:
    """Whose sample it is: a patient, else the picture itself; of synthetic studies the phantom."""
    if row.trace.phantoms:
        return row.trace.phantoms[0].name
    return row.trace.patient or row.trace.sha256[0]


def _check_apart(rows: Sequence[Row], report: Report) -> None:
    """Reports validation rows whose patient, phantom or nearly the same picture is among the training rows."""
    by_id: dict[str, Row] = {row.trace.id: row for row in rows}
    sides = {split: Seen(split, tuple(_traces(rows, split))) for split in get_args(Split)}
    for leak in leaks(sides["val"], sides["train"]):
        mine, other = by_id[leak.test_id], by_id[leak.other_id]
        what = f"its {leak.kind} is in val here and in train at {other.file}:{other.line}"
        report(Problem(mine.file, mine.line, what))


def _traces(rows: Iterable[Row], split: Split) -> Iterator[Trace]:
    return (row.trace for row in rows if row.split == split)
