"""Official files of a data set, read as they are published. What can't be read is told by file and line or entry, and
never quoted: a line may hold what somebody wrote about a patient."""

import csv
import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

from assistant.imaging import read_study
from assistant.study import STANDARD_RADIOGRAPH, Orientation, Study
from retrieval.errors import BadInput

V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Entry:
    """One record, and where it stands: "test.json, entry 3"."""

    place: str
    row: dict[str, Any]

    @property
    def id(self) -> str:
        return str(self.row.get("id") or self.place)

    def text(self, key: str) -> str:
        """A word or number that must be there. Raises `BadInput`."""
        value = self.row.get(key)
        if not isinstance(value, str | int | float) or not str(value).strip():
            raise BadInput(f"{self.place}, has no {key!r}.")
        return str(value).strip()

    def maybe(self, key: str, kind: type[V]) -> V | None:
        """A value that may be missing or null, but is of this kind. Raises `BadInput`."""
        value = self.row.get(key)
        if value is None or isinstance(value, kind):
            return value
        raise BadInput(f"{self.place}, has a {key!r} that is no {kind.__name__}.")


@dataclass(frozen=True, slots=True)
class Look:
    """What a data set says of a picture and the file itself doesn't. `orientation` None: no side is asked or stated."""

    modality: str | None = None
    view: str | None = None
    orientation: Orientation | None = None


UNKNOWN = Look()
RADIOGRAPH = Look("DX", orientation=STANDARD_RADIOGRAPH)


def file_in(folder: Path | None, *names: str) -> Path:
    """The file of the first of these names that is there. Raises `BadInput`."""
    for name in names:
        if folder is not None and (folder / name).exists():
            return folder / name
    raise BadInput(f"{folder} holds no {' or '.join(names)}; name the folder as the data set unpacks.")


def entries(path: Path) -> Iterator[Entry]:
    """The records of a JSON Lines, JSON (a list of objects) or CSV file. Raises `BadInput`."""
    if path.suffix == ".json":
        yield from entries_of(loaded(path), path.name)
        return
    for place, row in (_table if path.suffix == ".csv" else _lines)(_text(path), path.name):
        yield _entry(place, row)


def entries_of(whole: Any, name: str) -> Iterator[Entry]:
    """The records of a list of objects. Raises `BadInput`."""
    if not isinstance(whole, list):
        raise BadInput(f"{name} is not a list of objects.")
    for number, row in enumerate(whole, 1):
        yield _entry(f"{name}, entry {number}", row)


def loaded(path: Path) -> Any:
    """A whole JSON file. Raises `BadInput`."""
    try:
        return json.loads(_text(path))
    except json.JSONDecodeError as error:
        raise BadInput(f"{path.name}, line {error.lineno}, is not JSON.") from None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} can't be read as UTF-8 text.") from error


def _entry(place: str, row: Any) -> Entry:
    if not isinstance(row, dict):
        raise BadInput(f"{place}, is not a JSON object.")
    return Entry(place, row)


def _lines(text: str, name: str) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                yield f"{name}, line {number}", json.loads(line)
            except json.JSONDecodeError:
                raise BadInput(f"{name}, line {number}, is not JSON.") from None


def _table(text: str, name: str) -> Iterator[tuple[str, Any]]:
    reader = csv.DictReader(text.splitlines())
    for row in reader:
        yield f"{name}, line {reader.line_num}", row


HELD_OUT = ("val", "validation", "test")


def held_out(lines: Iterable[Entry]) -> list[Entry]:
    """Of lines that name a `split`, those of validation and test: a model may have learnt from the rest. All of them
    where none names one."""
    every = list(lines)
    parted = any(line.row.get("split") for line in every)
    return [line for line in every if line.row.get("split") in HELD_OUT] if parted else every


class Named(Protocol):
    @property
    def id(self) -> str: ...


T = TypeVar("T", bound=Named)


def sample(things: Iterable[T], n: int, seed: int) -> list[T]:
    """`n` of these in an order drawn by `seed` from their ids alone: another file's order changes nothing."""
    return sorted(things, key=lambda thing: hashlib.sha256(f"{seed} {thing.id}".encode()).digest())[:n]


def study(paths: Sequence[Path], look: Look) -> Study:
    """Pictures from their files. Raises as `read_study` does, which names no file."""
    read, _ = read_study(paths, salt=b"")
    told = {key: value for key, value in (("modality", look.modality), ("view", look.view)) if value}
    pictures = (replace(p, orientation=look.orientation or p.orientation, **told) for p in read.pictures)  # type: ignore[arg-type]
    return Study(tuple(pictures))
