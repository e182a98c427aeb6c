"""Reading single values of a DICOM header, however broken: what can't be understood counts as absent.

Invariant: no function here raises on a value, and what a frame is shown with (`frame_header`) holds only listed
elements whose values make sense.
"""

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydicom import Dataset

SHOWN_WITH = (
    "Modality", "ViewPosition", "PatientOrientation", "ImageOrientationPatient", "PixelSpacing", "ImagerPixelSpacing",
    "PhotometricInterpretation", "BitsStored", "BitsAllocated", "PixelRepresentation", "PixelPaddingValue",
    "ModalityLUTSequence", "RescaleSlope", "RescaleIntercept", "VOILUTSequence", "WindowCenter", "WindowWidth",
    "VOILUTFunction",
)  # fmt: skip


def value(ds: "Dataset", keyword: str) -> Any:
    try:
        return ds.get(keyword)
    except Exception:  # converting a raw value of the wrong kind; the text would quote it
        return None


def values(ds: "Dataset", keyword: str) -> list[Any]:
    found = value(ds, keyword)
    if found is None or found == "":
        return []
    return list(found) if hasattr(found, "__iter__") and not isinstance(found, str | bytes) else [found]


def code(ds: "Dataset", keyword: str, upper: bool = True) -> str | None:
    """The first value as text without padding; None when empty."""
    found = value(ds, keyword)
    if not isinstance(found, str) and type(found).__name__ == "MultiValue":
        found = found[0] if len(found) else None
    text = "" if found is None else str(found).strip(" \0")
    return (text.upper() if upper else text) or None


def codes(ds: "Dataset", keyword: str) -> list[str]:
    return [str(v) for v in values(ds, keyword)]


def numbers(ds: "Dataset", keyword: str, n: int) -> tuple[float, ...] | None:
    """The first `n` values, all finite; None when there are fewer or any is no number."""
    try:
        found = tuple(float(v) for v in values(ds, keyword)[:n])
    except (TypeError, ValueError):
        return None
    return found if len(found) == n and all(map(math.isfinite, found)) else None


def integer(ds: "Dataset", keyword: str, default: int = 0) -> int:
    found = numbers(ds, keyword, 1)
    return int(found[0]) if found else default


def frame_header(ds: "Dataset", index: int) -> "Dataset":
    """What frame `index` is to be shown with: the file's own elements, overruled by those of its functional groups
    (shared, then the frame's own), broken ones left out."""
    from pydicom import Dataset

    header = Dataset()
    header.file_meta = ds.file_meta  # the byte order of tables
    for source in (ds, *_groups(ds, index)):
        for keyword in SHOWN_WITH:
            if value(source, keyword) is not None:
                header[keyword] = source[keyword]
    _repair(header)
    return header


def _groups(ds: "Dataset", index: int) -> "list[Dataset]":
    """The items of the functional group macros that hold for a frame."""
    found = []
    for keyword, i in (("SharedFunctionalGroupsSequence", 0), ("PerFrameFunctionalGroupsSequence", index)):
        try:
            found += [element.value[0] for element in ds[keyword].value[i] if element.VR == "SQ" and element.value]
        except (KeyError, IndexError, TypeError, ValueError, AttributeError):
            continue
    return found


def _repair(header: "Dataset") -> None:
    center, width = numbers(header, "WindowCenter", 1), numbers(header, "WindowWidth", 1)
    exact = code(header, "VOILUTFunction") in ("LINEAR_EXACT", "SIGMOID")
    _drop(header, "WindowCenter", "WindowWidth")
    if center and width and (width[0] > 1 or (exact and width[0] > 0)):
        header.WindowCenter, header.WindowWidth = center[0], width[0]
    if not exact:
        _drop(header, "VOILUTFunction")
    slope, intercept = numbers(header, "RescaleSlope", 1), numbers(header, "RescaleIntercept", 1)
    _drop(header, "RescaleSlope", "RescaleIntercept")
    if slope and slope[0] != 0:
        header.RescaleSlope, header.RescaleIntercept = slope[0], (intercept or (0.0,))[0]
    for keyword in ("ModalityLUTSequence", "VOILUTSequence"):
        found = value(header, keyword)
        if keyword in header and not (found and _is_table(found[0])):
            _drop(header, keyword)


def _is_table(item: "Dataset") -> bool:
    descriptor = numbers(item, "LUTDescriptor", 3)
    return bool(descriptor and descriptor[2] in (8, 10, 12, 14, 16) and value(item, "LUTData") is not None)


def _drop(header: "Dataset", *keywords: str) -> None:
    for keyword in keywords:
        if keyword in header:
            del header[keyword]
