"""Training data from JSONL: every line is checked, and all that is wrong is told by file and line before anything is
trained.

`rows` reads any such file, `check_apart` finds a patient on both sides, `assign_splits` draws sides by patient; what a
line means is its reader's own (`read_pairs` here for picture and text, `read_questions` for question and passage).
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from eval.leaks import Seeds
from finetune.errors import BadInput, Problem
from retrieval.cases import find_manifest, label_names, report_text

Split = Literal["train", "val", "test"]
SPLITS: tuple[str, ...] = get_args(Split)
PAIR_KEYS = frozenset(
    ["id", "image", "file", "text", "report", "caption", "patient", "split", "group", "domain", "labels", "findings",
     "source", "date", "taken", "day", "order"]
)  # fmt: skip
# What `consult phantom` says of a synthetic study beside these.
PHANTOM_KEYS = frozenset(
    ["seed", "family", "view", "visit", "spacing_mm", "age", "sex", "ctr", "devices", "fault", "distractors",
     "questions"]
)  # fmt: skip
QUESTION_KEYS = frozenset(["id", "question", "passage", "group", "split", "source"])


@dataclass(frozen=True, slots=True)
class Pair:
    """A picture and a text that belong together. `split` None: not said. `group`: pairs that belong together although
    their texts differ. `phantom`: the seed of a synthetic study."""

    file: Path
    line: int
    picture: Path
    text: str
    patient: str | None = None
    split: Split | None = None
    group: str = ""
    labels: tuple[str, ...] = ()
    source: str = ""
    phantom: Seeds | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """A question and a passage that answers it. `group`: questions that any of the group's passages answers."""

    file: Path
    line: int
    question: str
    passage: str
    group: str = ""
    split: Split | None = None
    source: str = ""


def rows(
    path: Path, known: frozenset[str] | None, report: Callable[[Problem], None]
) -> Iterator[tuple[int, dict[str, Any], Callable[[str], None]]]:
    """(line number, object, a function that reports what is wrong with it) of every line that is a JSON object; keys
    outside `known` (None: any may stand there) are reported, and lines that are none. Raises `BadInput` when the file
    can't be read."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise BadInput(f"{path} is not there.") from None
    except (OSError, UnicodeDecodeError):
        raise BadInput(f"{path} can't be read as UTF-8 text.") from None
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue

        def wrong(what: str, number: int = number) -> None:
            report(Problem(path, number, what))

        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            wrong("is not a JSON object")
            continue
        for key in sorted(row.keys() - known) if known is not None else ():
            wrong(f"unknown key {key!r}")
        yield number, row, wrong


def check_apart(
    placed: Iterable[tuple[Path, int, str | None, str | None]], report: Callable[[Problem], None], who: str = "patient"
) -> None:
    """Reports each line whose patient (or other unit, `who`) an earlier line puts into another split. `placed`: file,
    line, the unit (None: not known), and its split (None: not said)."""
    first: dict[str, tuple[Path, int, str]] = {}
    for file, line, unit, split in placed:
        if not unit or split is None:
            continue
        was_file, was_line, was = first.setdefault(unit, (file, line, split))
        if was != split:
            report(Problem(file, line, f"its {who} is in {split} here and in {was} at {was_file}:{was_line}"))


def assign_splits(units: Sequence[str], named: Sequence[Split | None], share: float, seed: int) -> list[Split]:
    """The split of every row: the one it names, else the one its unit (patient) has elsewhere, else "val" for about
    this `share` of units and "train" for the rest, by a hash of seed and unit: the same on every machine, and a unit
    that is added moves no other."""
    known = {unit: split for unit, split in zip(units, named, strict=True) if split}
    return [split or known.get(unit) or _drawn(unit, share, seed) for unit, split in zip(units, named, strict=True)]


def _drawn(unit: str, share: float, seed: int) -> Split:
    digest = hashlib.sha256(f"{seed}:{unit}".encode()).digest()
    return "val" if int.from_bytes(digest[:8]) < share * 2**64 else "train"


def read_pairs(
    manifests: Sequence[Path], ignore: frozenset[str], labels: frozenset[str] | None, report: Callable[[Problem], None]
) -> list[Pair]:
    """Picture–text pairs of JSONL files, or of folders with a studies.jsonl as `consult cases add` takes them.

    A line: `image` (or `file`, a path below the manifest's folder), `text` (or `caption`, or `report`: text or an
    object of sections), and where known `patient`, `split` (train, val, test), `group`, `labels` (or `findings`),
    `source`. `ignore`: further keys that may stand there, `labels`: the only ones that may. Raises `BadInput`.
    """
    pairs = []
    for manifest in (find_manifest(path) for path in manifests):
        for number, row, wrong in rows(manifest, PAIR_KEYS | PHANTOM_KEYS | ignore, report):
            pair = _pair(manifest, number, row, wrong)
            for label in sorted(set(pair.labels) - labels) if labels is not None else ():
                wrong(f"unknown label {label!r}; known are {', '.join(sorted(labels or ()))}")
            pairs.append(pair)
    return pairs


def _pair(file: Path, line: int, row: dict[str, Any], wrong: Callable[[str], None]) -> Pair:
    named = row.get("image") or row.get("file")
    picture = file.parent / named if isinstance(named, str) else None
    if picture is None:
        wrong("names no image")
    elif not picture.is_file():
        wrong("its image is not there")
    found = row.get("labels") if row.get("labels") is not None else row.get("findings")
    patient = str(row.get("patient", "") if row.get("patient") is not None else "").strip()
    phantom = isinstance(row.get("family"), str) and isinstance(row.get("seed"), int)
    return Pair(
        file, line, picture or file, _text(row, wrong), patient or None, split_of(row, wrong),
        group=str(row.get("group") or ""), labels=label_names(found), source=str(row.get("source") or ""),
        phantom=Seeds(row["family"], row["seed"], row["seed"]) if phantom else None,
    )  # fmt: skip


def _text(row: dict[str, Any], wrong: Callable[[str], None]) -> str:
    given = [key for key in ("text", "caption", "report") if row.get(key) is not None]
    if not given:
        wrong("has no text, caption or report")
        return ""
    text = report_text(row[given[0]])
    if not text:
        wrong(f"its {given[0]} is empty")
    return text


def split_of(row: dict[str, Any], wrong: Callable[[str], None]) -> Split | None:
    """The split a line names, None where it names none."""
    split: Split | None = row.get("split")
    if split is not None and split not in SPLITS:
        wrong(f"unknown split {split!r}; known are {', '.join(SPLITS)}")
        return None
    return split


def read_questions(
    manifests: Sequence[Path], ignore: frozenset[str], report: Callable[[Problem], None]
) -> list[Question]:
    """Question–passage pairs of JSONL files: `question`, `passage`, and where known `group`, `split`, `source`. Raises
    `BadInput`."""
    read = []
    for manifest in manifests:
        for number, row, wrong in rows(manifest, QUESTION_KEYS | ignore, report):
            both = [row.get(key) for key in ("question", "passage")]
            for key, value in zip(("question", "passage"), both, strict=True):
                if not isinstance(value, str) or not value.strip():
                    wrong(f"its {key} is empty" if key in row else f"has no {key}")
            question, passage = (str(value or "").strip() for value in both)
            group, source = str(row.get("group") or ""), str(row.get("source") or "")
            read.append(Question(manifest, number, question, passage, group, split_of(row, wrong), source))
    return read
