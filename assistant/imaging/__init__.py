"""Files in, a study and its identity out.

Invariant: what a file is, its bytes say, not its name; a file that can't be read is an error that says what was found,
what is accepted and which file it was by its place in the request, never by its name.
"""

import logging
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from assistant.errors import BadInput, TooLarge, UnreadablePicture
from assistant.identity import Identity, merge, patient_key
from assistant.imaging import dicom, nifti, raster
from assistant.imaging.pixels import Budget, key_indices, resize, thumbnail, to_png
from assistant.imaging.sniff import sniff
from assistant.study import STANDARD_RADIOGRAPH, Picture, Pixels, Study

if TYPE_CHECKING:
    from pydicom import Dataset

__all__ = ["read_picture", "read_study", "resize", "thumbnail", "to_png"]

MAX_FILE_BYTES = 1 << 30
_reading = threading.Lock()  # one study at a time: bounds memory, and `warnings` is the process's, not the thread's


def read_study(
    files: Sequence[tuple[str, bytes]] | Sequence[Path], *, standard_display: bool = False, salt: bytes
) -> tuple[Study, Identity]:
    """Read one request's files: (name, content) pairs or paths, in the order in which they are to be shown.

    DICOM (single, multi-frame, or the slices of a series), NIfTI, PNG, JPEG, TIFF, BMP, GIF, WebP. `standard_display`
    is the sender's word that pictures of formats without orientation hang with the patient's right on their left.
    `salt` keys the hash that links a patient's studies.

    Raises `UnreadablePicture`, `TooLarge` and `PatientMismatch`.
    """
    if not files:
        raise BadInput("No picture was given.")
    given: list[tuple[str, bytes] | Path] = [*files]
    contents = [_content(i, len(given), file) for i, file in enumerate(given)]
    with _reading, _quiet():
        datasets = [_parse(i, len(contents), data) for i, data in enumerate(contents)]
        identity = merge([dicom.identity_of(ds) for ds in datasets if ds is not None])
        pictures, notes = _read_all(contents, datasets, standard_display)
    return Study(tuple(pictures), patient_key(identity, salt), tuple(notes)), identity


def _read_all(
    contents: list[bytes], datasets: "list[Dataset | None]", standard_display: bool
) -> tuple[list[Picture], list[str]]:
    budget = Budget()
    pictures: list[Picture] = []
    notes: list[str] = []
    for stack in dicom.stacks(datasets):
        chosen = key_indices(len(stack))
        if len(stack) > len(chosen):
            notes.append(
                f"A series of {len(stack)} slices: {len(chosen)} evenly spread ones are read, "
                f"{len(stack) - len(chosen)} are left out."
            )
        for place in chosen:
            i = stack[place]
            with _about(i, len(contents)):
                read, said = _read(contents[i], datasets[i], budget, standard_display)
            notes += [f"{_name(i, len(contents))} {text}" for text in said]
            if len(stack) > 1:
                read = [replace(picture, origin=f"slice {place + 1} of {len(stack)}") for picture in read]
            pictures += read
    return pictures, list(dict.fromkeys(notes))


def _read(data: bytes, ds: "Dataset | None", budget: Budget, standard_display: bool) -> tuple[list[Picture], list[str]]:
    if ds is not None:
        return dicom.read(ds, budget)
    if sniff(data) == "nifti":
        return nifti.read(data, budget)
    return raster.read(data, budget, STANDARD_RADIOGRAPH if standard_display else None)


def _parse(i: int, n: int, data: bytes) -> "Dataset | None":
    """A DICOM data set, or None for another format; what is no picture is refused here, before any is decoded."""
    with _about(i, n):
        return dicom.parse(data) if sniff(data) == "dicom" else None


def _content(i: int, n: int, file: tuple[str, bytes] | Path) -> bytes:
    if not isinstance(file, Path):
        return file[1]
    with _about(i, n):
        try:
            if file.is_dir():
                raise UnreadablePicture("is a folder. Name the picture files in it.")
            if file.stat().st_size > MAX_FILE_BYTES:
                raise TooLarge(f"is larger than {MAX_FILE_BYTES >> 20} MB.")
            return file.read_bytes()
        except OSError as error:
            raise UnreadablePicture(f"can't be opened: {(error.strerror or 'input error').lower()}.") from None


def _name(i: int, n: int) -> str:
    return f"File {i + 1} of {n}" if n > 1 else "The file"


@contextmanager
def _about(i: int, n: int) -> Iterator[None]:
    """Readers say what is wrong; which file it was is said here."""
    try:
        yield
    except BadInput as error:
        raise type(error)(f"{_name(i, n)} {error}") from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Libraries warn and log about odd files, and quote what they found: patient data. None of it gets out."""
    for name in ("pydicom", "nibabel", "nibabel.global", "PIL", "tifffile"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def read_picture(path: Path, salt: bytes) -> tuple[Pixels, str | None]:
    """The first picture of one file and its patient's key, for a library of cases. Raises as `read_study` does."""
    study, _ = read_study([path], salt=salt)
    return study.pictures[0].pixels, study.patient
