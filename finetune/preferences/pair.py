"""A preference pair, one line of JSONL: what was asked, the answer to prefer, and the one to turn away from.

Pictures are PNG files named relative to the JSONL's folder, by the hash of their pixels, so that two names are two
pictures. A pair may have the same answer on both sides when the rejected side shows other pictures: what is turned away
from then is saying it of a damaged picture.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from finetune.checkpoints import write_whole
from finetune.errors import Problem
from finetune.manifest import check_apart, rows

Source = Literal["hallucination", "lesion", "rag_a", "rag_b", "rag_c", "edits", "whole_noise"]
VERSION: Literal[1] = 1


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TextPart(_Frozen):
    text: str


class ImagePart(_Frozen):
    """A path below the JSONL's folder."""

    image: str


class Message(_Frozen):
    role: Literal["system", "user", "assistant"]
    parts: list[TextPart | ImagePart]


class Pair(_Frozen):
    """`rejected_images`: what the rejected answer's prompt shows in place of the prompt's pictures; empty: the same.
    `weight`: clinical relevance, 1 on average. `patient`: an opaque unit, which splits go by. `why`: for a person."""

    id: str
    prompt: list[Message]
    chosen: str
    rejected: str
    rejected_images: list[str] = []
    source: Source
    weight: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    weighed_by: str = "none"
    seed: int
    patient: str = Field(min_length=1)
    split: Literal["train", "val"]
    finding: str = ""
    why: str
    schema_version: Literal[1] = VERSION

    @property
    def images(self) -> list[str]:
        """The prompt's pictures, in order."""
        return [part.image for message in self.prompt for part in message.parts if isinstance(part, ImagePart)]


def read_pairs(path: Path, report: Callable[[Problem], None]) -> list[Pair]:
    """The pairs of a file; every line that is wrong is reported instead. Raises `BadInput` when it can't be read."""
    pairs, placed, lines = [], [], dict[str, int]()
    for number, row, wrong in rows(path, None, report):
        pair = _pair(row, wrong)
        if pair is None:
            continue
        placed.append((path, number, pair.patient, pair.split))
        faults = list(faults_of(pair, path.parent))
        if (first := lines.setdefault(pair.id, number)) != number:
            faults.append(f"its id stands on line {first} already")
        for fault in faults:
            wrong(fault)
        if not faults:
            pairs.append(pair)
    check_apart(placed, report)
    return pairs


def _pair(row: dict[str, Any], wrong: Callable[[str], None]) -> Pair | None:
    try:
        return Pair.model_validate(row)
    except ValidationError as error:
        for one in error.errors(include_input=False, include_url=False):
            where = ".".join(map(str, one["loc"]))
            unknown = one["type"] == "extra_forbidden"
            wrong(f"unknown key {where!r}" if unknown else f"{where}: {one['msg'][:1].lower()}{one['msg'][1:]}")
        return None


def faults_of(pair: Pair, folder: Path) -> Iterator[str]:
    """What is wrong with a pair whose JSONL lies in `folder`."""
    for name in ("chosen", "rejected"):
        if not getattr(pair, name).strip():
            yield f"its {name} answer is empty"
    shown, instead = pair.images, pair.rejected_images
    if instead and len(instead) != len(shown):
        yield f"its rejected side shows {len(instead)} pictures, its prompt {len(shown)}"
    if pair.chosen.strip() == pair.rejected.strip() and instead in ([], shown):
        yield "its chosen and rejected answers are the same, about the same pictures"
    for name in dict.fromkeys([*shown, *instead]):
        place = PurePosixPath(name)
        if place.is_absolute() or ".." in place.parts:
            yield "its image lies outside the folder of the file"
        elif not (folder / name).is_file():
            yield "its image is not there"


def write_pairs(path: Path, pairs: Sequence[Pair]) -> None:
    """All of the file or nothing of it."""
    text = "".join(f"{pair.model_dump_json()}\n" for pair in pairs)
    write_whole(path, lambda draft: draft.write_text(text, encoding="utf-8"))
