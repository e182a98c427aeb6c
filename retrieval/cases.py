"""Case folders: a manifest (JSONL or CSV) that names pictures and their reports, read one line at a time.

A line: `image` (or `file`: a path below the manifest's folder), `report` (text, or an object of sections), and where
known `patient`, `domain`, `labels` (or `findings`), `source`, and when it was taken: `date` (or `taken`), an ISO date,
or `day` (or `order`), a number that counts within the patient. `patient` is the patient's number as the pictures of
later requests carry it, "number^^^issuer" where DICOM names who gave it out (Issuer of Patient ID): by it a patient's
own earlier studies are told from other patients' cases. A line without one takes what its DICOM file says. What can't
be read is told by its line number, never by file name or value, which may name a patient.
"""

import csv
import hashlib
import io
import json
import re
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PillowImage

from retrieval.errors import BadInput, ConsultError
from retrieval.types import Image

# (file, salt of the home) → the picture, and where the file says whose it is that patient's `patient_hash`
ReadPicture = Callable[[Path, bytes], tuple[Image, str | None]]
PICTURES = "consult.pictures"  # entry points: the readers of the rooms that are installed
MANIFESTS = ("studies.jsonl", "manifest.jsonl", "cases.jsonl", "manifest.csv", "cases.csv")
MAX_PIXELS = 64_000_000
LOOK_SIDE = 16  # bits of a row of what a picture looks like
COUNTED = ("day", "order")  # of 2019 here nobody means the year
TAKEN = ("date", "taken", *COUNTED)  # the first that says something counts


@dataclass(frozen=True, slots=True)
class CaseLine:
    """A line of a manifest. `patient` is what the manifest says: it is hashed before it is stored."""

    picture: Path
    report: str
    patient: str | None = None
    domain: str | None = None
    labels: tuple[str, ...] = ()
    source: str = ""
    taken: str = ""  # as `Case.taken`


class BadLine(BadInput):
    """What is wrong with a line, and the picture it names if it names one."""

    def __init__(self, why: str, picture: Path | None = None) -> None:
        super().__init__(why)
        self.picture = picture


def find_manifest(path: Path) -> Path:
    """The manifest itself, or the one in a folder. Raises `BadInput`."""
    if path.is_file():
        return path
    for name in MANIFESTS:
        if (path / name).is_file():
            return path / name
    raise BadInput(f"{path} is no manifest and no folder with one ({', '.join(MANIFESTS)}).")


def read_manifest(manifest: Path) -> Iterator[tuple[str, CaseLine | BadLine]]:
    """("line 3", what it says or what is wrong with it), in the file's order. Raises `BadInput` for the whole file."""
    try:
        text = manifest.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{manifest} can't be read as UTF-8 text.") from error
    for place, row in _csv_rows(text) if manifest.suffix == ".csv" else _json_rows(text):
        try:
            yield place, _line(row, manifest.parent)
        except BadLine as error:
            yield place, error


def _csv_rows(text: str) -> Iterator[tuple[str, Any]]:
    reader = csv.DictReader(io.StringIO(text, newline=""))
    for row in reader:
        if labels := row.get("labels"):
            row["labels"] = [label.strip() for label in labels.split(";") if label.strip()]
        yield f"line {reader.line_num}", row


def _json_rows(text: str) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                yield f"line {number}", json.loads(line)
            except ValueError:
                yield f"line {number}", None


def _line(row: Any, folder: Path) -> CaseLine:
    if not isinstance(row, dict):
        raise BadLine("is not a JSON object")
    picture = row.get("image") or row.get("file")
    if not isinstance(picture, str):
        raise BadLine("names no image")
    report = report_text(row.get("report"))
    if not report:
        raise BadLine("has no report", folder / picture)
    taken = next((taken_of(row[key], key in COUNTED) for key in TAKEN if row.get(key) not in (None, "")), "")
    if taken is None:
        raise BadLine("says when it was taken neither as an ISO date (2023-05-14) nor as a number", folder / picture)
    found = row.get("labels") if row.get("labels") is not None else row.get("findings")
    patient = row.get("patient")
    return CaseLine(
        picture=folder / picture,
        report=report,
        patient=str(patient) if patient not in (None, "") else None,
        domain=row.get("domain") or None,
        labels=label_names(found),
        source=str(row.get("source") or ""),
        taken=taken,
    )


def taken_of(value: Any, counted: bool = False) -> str | None:
    """A date as "2023", "2023-05", "2023-05-14" or with a time "2023-05-14T08:30:00"; a number with so many leading
    zeros that text sorts as numbers do, which takes the complement of what is below zero. None for anything else.
    `counted`: 2023 and 20230514 are numbers, not dates."""
    text = str(value).strip() if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
    if re.fullmatch(r"(?:19|20)\d\d(?:-(?:0[1-9]|1[0-2]))?", text) and not (counted and text.isdigit()):
        return text
    if re.fullmatch(r"(?:19|20)\d{6}|\d{4}-\d\d-\d\d\D?.*", text) and not (counted and text.isdigit()):
        try:
            when = datetime.fromisoformat(text.replace("Z", "+00:00"))
        except ValueError:
            return None
        return when.date().isoformat() if len(text) <= 10 else when.replace(tzinfo=None).isoformat(timespec="seconds")
    if match := re.fullmatch(r"(-?)(\d{1,9})(?:\.(\d{1,6}))?", text):
        micros = int(match[2]) * 10**6 + int((match[3] or "").ljust(6, "0"))
        whole, part = divmod(10**15 - micros if match[1] and micros else micros, 10**6)
        return ("-" if match[1] and micros else "") + f"{whole:09d}" + (f".{part:06d}".rstrip("0") if part else "")
    return None


def report_text(report: Any) -> str:
    if isinstance(report, dict):
        parts = [(str(name), str(text).strip()) for name, text in report.items() if text]
        return "\n".join(f"{name.replace('_', ' ').capitalize()}: {text}" for name, text in parts if text)
    return report.strip() if isinstance(report, str) else ""


def label_names(found: Any) -> tuple[str, ...]:
    """Names, whether given as a list of names, of objects that carry one, or as an object of name → detail."""
    if not isinstance(found, list | dict):
        return ()
    names = (
        next((item[key] for key in ("name", "finding", "label", "kind") if key in item), None)
        if isinstance(item, dict)
        else item
        for item in (found if isinstance(found, list) else [name for name, detail in found.items() if detail])
    )
    return tuple(dict.fromkeys(str(name) for name in names if name))


def picture_reader() -> ReadPicture:
    """The installed reader of every format (entry point group `consult.pictures`), else Pillow's formats alone."""
    for point in entry_points(group=PICTURES):
        reader: ReadPicture = point.load()
        return reader
    return read_plain


def read_plain(path: Path, salt: bytes) -> tuple[Image, None]:
    """Pillow's formats, which name no patient. Raises `BadInput`."""
    return pixels_of(path), None


def read_picture_safely(read: ReadPicture, path: Path, salt: bytes) -> tuple[Image, str | None]:
    """A reader's picture and patient. Raises `BadInput` with a message that names no file."""
    if not path.is_file():
        raise BadInput("its picture is not there")
    try:
        picture, patient = read(path, salt)
        return np.ascontiguousarray(picture, dtype=np.uint8), patient
    except ConsultError as error:
        raise BadInput(f"its picture can't be read: {error}") from error


def pixels_of(data: bytes | Path) -> Image:
    """(H, W) grey or (H, W, 3) RGB, uint8, of a PNG, JPEG or other picture Pillow reads. Raises `BadInput`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", PillowImage.DecompressionBombWarning)
            with PillowImage.open(io.BytesIO(data) if isinstance(data, bytes) else data) as picture:
                if picture.width * picture.height > MAX_PIXELS:
                    raise BadInput(f"The picture has more than {MAX_PIXELS // 1_000_000} million pixels.")
                if picture.mode.startswith(("I", "F")):  # nobody says which of its values are to be seen
                    raise BadInput("The picture has more than 8 bits a channel; save it as an 8-bit PNG.")
                return np.asarray(picture.convert("L" if picture.mode in ("1", "L") else "RGB"))
    except (PillowImage.DecompressionBombWarning, PillowImage.DecompressionBombError) as error:
        raise BadInput(f"The picture has more than {MAX_PIXELS // 1_000_000} million pixels.") from error
    except (OSError, ValueError, SyntaxError) as error:
        raise BadInput("The picture can't be read; PNG and JPEG are.") from error


def picture_digest(picture: Image) -> str:
    """sha256 over shape and pixels: a picture's name, whatever file format it came in."""
    return hashlib.sha256(repr(picture.shape).encode() + np.ascontiguousarray(picture).tobytes()).hexdigest()


def look_of(picture: Image) -> str:
    """What a picture looks like: 64 hexadecimal digits, of which a copy saved again differs in few bits (the perceptual
    hash of the ImageHash library: signs of the 16 x 16 lowest cosines against their median; see `eval.leaks`)."""
    import imagehash

    return str(imagehash.phash(PillowImage.fromarray(picture), hash_size=LOOK_SIDE))
