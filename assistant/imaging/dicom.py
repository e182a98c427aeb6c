"""DICOM: from a file to pictures as displayed.

Invariant: of a header nothing reaches a picture but numbers and codes from the lists below. Free text, which may name
a patient or speak to the model, is read by `identity_of` alone, or not at all. Broken values count as absent ones.
"""

import io
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from assistant.errors import ConsultError, TooLarge, UnreadablePicture
from assistant.identity import Identity, Instance
from assistant.imaging import hanging
from assistant.imaging.header import code, codes, frame_header, integer, numbers
from assistant.imaging.pixels import Budget, as_displayed, blocks, key_indices, robust_window, square, to_grey
from assistant.study import Orientation, Picture, Pixels

if TYPE_CHECKING:
    from pydicom import Dataset

PROJECTION = {"CR", "DX", "RG", "RF", "XA", "PX", "IO", "MG"}  # of these, all but MG are hung for the reader
SLICES = {"CT", "MR", "PT", "NM"}
MODALITIES = PROJECTION | SLICES | {"US", "IVUS", "OP", "OPT", "SM", "GM", "ES", "XC"}
VIEWS = {
    **{name: name for name in ("PA", "AP", "CC", "MLO", "ML", "LM", "LLO", "RLO", "LPO", "RPO", "LAO", "RAO")},
    **dict.fromkeys(("LL", "RL", "LAT", "LATERAL"), "LATERAL"),
    **dict.fromkeys(("LLD", "RLD"), "DECUBITUS"),
}
DEFLATED = b"1.2.840.10008.1.2.1.99"
NO_PICTURE = {  # storage classes with pixel data that are not pictures to be looked at
    "1.2.840.10008.5.1.4.1.1.481.2": "a radiotherapy dose",
    "1.2.840.10008.5.1.4.1.1.66.4": "a segmentation",
}
NO_WINDOW = "names a window in which nothing can be seen: contrast was set from the pixels instead."
MAX_INFLATED = 1 << 29
MAX_FRAMES_PIXELS = 1 << 33  # all frames together, also those that are not read: more than any real cine


def parse(data: bytes) -> "Dataset":
    """The file's data set, pixel data not decoded yet. Raises `UnreadablePicture`, `TooLarge`."""
    from pydicom import dcmread

    _refuse_inflating(data)
    try:
        ds = dcmread(io.BytesIO(data), force=True)
        _settle_syntax(ds)
        if "NumberOfFrames" in ds and not numbers(ds, "NumberOfFrames", 1):
            del ds.NumberOfFrames
        sop_class = code(ds, "SOPClassUID") or ""
        found = len(ds)
    except Exception:  # hostile bytes; the library's text may quote them
        raise UnreadablePicture("is a damaged DICOM file: its header can't be read.") from None
    if not found:
        raise UnreadablePicture("is a DICOM file that ends before its header does: it is cut short.")
    _refuse_without_picture(ds, sop_class)
    return ds


def read(ds: "Dataset", budget: Budget) -> tuple[list[Picture], list[str]]:
    """The pictures of one file (at most 8 key frames) and what a reader has to be told.

    Raises `UnreadablePicture` and `TooLarge`, their text the rest of a sentence about the file.
    """
    rows, columns, n = _size(ds)
    indices = key_indices(n)
    budget.take(rows, columns, len(indices))
    warnings = []
    if n > len(indices):
        warnings.append(f"holds {n} frames: {n - len(indices)} are left out, {len(indices)} are read.")
    if code(ds, "BurnedInAnnotation") == "YES":
        warnings.append("has text burned into its picture, which may name the patient.")
    pictures = []
    for i in indices:
        header = frame_header(ds, i)
        pixels, windowed = _pixels(ds, header, i, (rows, columns, n))
        if not windowed and NO_WINDOW not in warnings:
            warnings.append(NO_WINDOW)
        pictures.append(_picture(pixels, header, f"frame {i + 1} of {n}" if n > 1 else ""))
    return pictures, warnings


def stacks(datasets: "list[Dataset | None]") -> list[list[int]]:
    """Which files belong together, as indices in reading order: the single-frame slices of one CT or MR series, sorted
    along the normal of their plane; every other file (None: not DICOM) by itself."""
    groups: dict[object, list[int]] = {}
    place: dict[int, float] = {}
    for i, ds in enumerate(datasets):
        key: object = i
        if ds is not None and code(ds, "Modality") in SLICES and integer(ds, "NumberOfFrames", 1) == 1:
            position, cosines = numbers(ds, "ImagePositionPatient", 3), numbers(ds, "ImageOrientationPatient", 6)
            series = code(ds, "SeriesInstanceUID")
            if position and cosines and series:
                normal = np.cross(cosines[:3], cosines[3:])
                place[i] = float(np.dot(normal, position))
                key = (series, tuple(round(c, 2) for c in cosines))  # a localiser's planes are not one stack
        groups.setdefault(key, []).append(i)
    return [sorted(group, key=lambda i: place.get(i, 0.0)) for group in groups.values()]


def identity_of(ds: "Dataset") -> Identity:
    """Whose file it is, in its own words; what is empty or broken is None."""
    instance = Instance(
        *(code(ds, k) for k in ("StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID", "SOPInstanceUID"))
    )
    keywords = ("PatientID", "IssuerOfPatientID", "PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber")
    patient_id, issuer, name, birth_date, sex, accession = (code(ds, keyword, upper=False) for keyword in keywords)
    return Identity(patient_id, issuer, name, birth_date, sex, accession, (instance,))


def _picture(pixels: Pixels, header: "Dataset", origin: str) -> Picture:
    modality = code(header, "Modality")
    modality = modality if modality in MODALITIES else None
    view = VIEWS.get(code(header, "ViewPosition") or "")
    spacing = numbers(header, "PixelSpacing", 2) or numbers(header, "ImagerPixelSpacing", 2)
    mm = (spacing[0], spacing[1]) if spacing and min(spacing) > 0 else None
    orientation: Orientation | None = None
    if cosines := numbers(header, "ImageOrientationPatient", 6):
        orientation = hanging.from_cosines(cosines)
        view = view or (hanging.plane(orientation) if orientation and modality in SLICES else None)
    elif letters := codes(header, "PatientOrientation"):
        orientation = hanging.from_letters(letters)
    if orientation and modality in (PROJECTION | SLICES) - {"MG"} and view != "LATERAL":
        pixels, orientation, swapped = hanging.hang(pixels, orientation)
        mm = mm[::-1] if mm and swapped else mm
    pixels, mm = square(pixels, mm)
    return Picture(pixels, modality, view, orientation, mm, origin)


def _size(ds: "Dataset") -> tuple[int, int, int]:
    """Rows, columns and frames, checked against each other and against the data that are there."""
    rows, columns, n = integer(ds, "Rows"), integer(ds, "Columns"), integer(ds, "NumberOfFrames", 1)
    if not rows or not columns or n < 1:
        raise UnreadablePicture("is a DICOM file whose header doesn't say how large its picture is.")
    if rows * columns * n > MAX_FRAMES_PIXELS:
        raise TooLarge(f"declares {n} frames of {columns} × {rows} pixels. Export the frames that matter.")
    if integer(ds, "TotalPixelMatrixColumns") > columns:
        raise UnreadablePicture("is a whole slide cut into tiles. Export the field of interest as PNG or TIFF.")
    return rows, columns, n


def _pixels(ds: "Dataset", header: "Dataset", index: int, size: tuple[int, int, int]) -> tuple[Pixels, bool]:
    """One frame as displayed, before it is hung, and whether the file's own window could be used."""
    from pydicom.pixels import apply_color_lut, pixel_array

    syntax = ds.file_meta.TransferSyntaxUID
    try:
        _refuse_short(ds)
        _refuse_mismatch(ds, index, size)
        stored = pixel_array(ds, index=index)
        stored = stored.astype(stored.dtype.newbyteorder("="), copy=False)
        if header.get("PhotometricInterpretation") == "PALETTE COLOR":
            stored = apply_color_lut(stored, ds)
        if stored.ndim == 3:  # pydicom has made RGB of whatever it was
            return as_displayed(_eight_bits(stored)), True
        return _grey(stored, header)
    except ConsultError:
        raise
    except Exception:  # a decoder on hostile bytes may raise anything; its text may quote the header
        how = syntax.name if syntax.name != str(syntax) else "an unknown transfer syntax"
        raise UnreadablePicture(
            f"holds pixel data that can't be decoded ({how}): they are damaged, cut short or of a kind not known here."
        ) from None


def _eight_bits(rgb: NDArray[Any]) -> NDArray[np.uint8]:
    if rgb.dtype == np.uint8:
        return rgb
    return to_grey(rgb, (0.0, float(np.iinfo(rgb.dtype).max) if rgb.dtype.kind in "ui" else 1.0))


def _grey(stored: NDArray[Any], header: "Dataset") -> tuple[Pixels, bool]:
    """Modality LUT, then the file's window or VOI table, else percentiles; MONOCHROME1 inverted; padding black."""
    from pydicom.pixels import apply_modality_lut

    values = apply_modality_lut(stored, header)
    padding = numbers(header, "PixelPaddingValue", 1)
    inside = stored != padding[0] if padding else None
    seen = values if inside is None else values[inside]
    shown, usable = _windowed(values, header), True
    if shown is not None and _hides(shown if inside is None else shown[inside], seen):
        shown, usable = None, False
    if shown is None:
        shown = to_grey(values, robust_window(seen))
    if header.get("PhotometricInterpretation") == "MONOCHROME1":
        shown = 255 - shown
    if inside is not None:
        shown = np.where(inside, shown, np.uint8(0))
    return as_displayed(shown), usable


def _hides(shown: Pixels, seen: NDArray[Any]) -> bool:
    """Whether a window makes one grey of pixels that differ."""
    return bool(seen.size and np.ptp(shown) < 4 and np.ptp(seen) > 0)


def _windowed(values: NDArray[Any], header: "Dataset") -> Pixels | None:
    """The file's VOI table or first window; None when it has none."""
    from pydicom.pixels import apply_voi, apply_windowing

    if "VOILUTSequence" in header:
        table = apply_voi(values, header)
        return to_grey(table, (0.0, float(2 ** int(header.VOILUTSequence[0].LUTDescriptor[2]) - 1)))
    if "WindowWidth" not in header:
        return None
    # What the window makes of the darkest and the brightest value there could be is what black and white are.
    ends = apply_windowing(np.array([-1e30, 1e30]), header)
    window = float(ends[0]), float(ends[1])
    stretches = (apply_windowing(values[rows].astype(np.float64), header) for rows in blocks(len(values)))
    return np.concatenate([to_grey(stretch, window) for stretch in stretches])


def _refuse_without_picture(ds: "Dataset", sop_class: str) -> None:
    from pydicom.uid import UID

    name = UID(sop_class).name
    known = name if sop_class and name != sop_class else ""  # a registered name, never the file's own words
    if sop_class in NO_PICTURE:
        raise UnreadablePicture(f"is a DICOM file, but {NO_PICTURE[sop_class]}, not a picture.")
    if "DirectoryRecordSequence" in ds:
        raise UnreadablePicture("is a DICOM directory (DICOMDIR). Give the picture files it lists.")
    if any(keyword in ds for keyword in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        return
    if "Image Storage" in known:
        raise UnreadablePicture("is a DICOM file without pixel data: it is cut short, or its picture was taken out.")
    raise UnreadablePicture(f"is a DICOM file without a picture ({known or 'of an unknown kind, or cut short'}).")


def _refuse_short(ds: "Dataset") -> None:
    from pydicom.pixels.utils import get_expected_length

    native = not ds.file_meta.TransferSyntaxUID.is_encapsulated and "PixelData" in ds
    if native and len(ds.PixelData) < get_expected_length(ds):
        raise UnreadablePicture("is a DICOM file that is cut short: its pixel data end before its picture does.")


def _refuse_mismatch(ds: "Dataset", index: int, size: tuple[int, int, int]) -> None:
    """Compressed data must be of the size the header declares: that size is what the budget was asked for."""
    from pydicom.encaps import get_frame

    if not ds.file_meta.TransferSyntaxUID.is_encapsulated:
        return
    rows, columns, n = size
    frame = get_frame(ds.PixelData, index, number_of_frames=n)
    actual = _codestream_size(frame)
    samples = max(1, integer(ds, "SamplesPerPixel", 1)) * max(1, integer(ds, "BitsAllocated", 8) // 8)
    if (actual and actual != (rows, columns)) or len(frame) > 2 * rows * columns * samples + 65536:
        raise UnreadablePicture("is a DICOM file whose pixel data are of another size than its header says.")


def _codestream_size(frame: bytes) -> tuple[int, int] | None:
    """Rows and columns in the first header of a JPEG, JPEG-LS or JPEG 2000 stream; None for others."""
    start = frame.find(b"\xff\x4f\xff\x51", 0, 4096)
    if start >= 0:
        x, y, x0, y0 = (int.from_bytes(frame[start + i : start + i + 4], "big") for i in (8, 12, 16, 20))
        return y - y0, x - x0
    at = 2
    while frame[:2] == b"\xff\xd8" and at + 9 <= len(frame) and frame[at] == 0xFF:
        marker = frame[at + 1]
        if (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)) or marker == 0xF7:
            return int.from_bytes(frame[at + 5 : at + 7], "big"), int.from_bytes(frame[at + 7 : at + 9], "big")
        at += 1 if marker == 0xFF else 2 + int.from_bytes(frame[at + 2 : at + 4], "big")
    return None


def _refuse_inflating(data: bytes) -> None:
    """A deflated file is inflated whole by the parser: find out first how much that would be."""
    from pydicom.filereader import read_dataset

    if data[128:132] != b"DICM" or DEFLATED not in data[:4096]:
        return
    stream = io.BytesIO(data)
    stream.seek(132)
    try:
        read_dataset(stream, False, True, stop_when=lambda tag, vr, length: tag >> 16 != 2)
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        inflated = len(inflater.decompress(data[stream.tell() :], MAX_INFLATED))
    except Exception:
        raise UnreadablePicture("is a damaged DICOM file: its compressed data set can't be read.") from None
    if inflated >= MAX_INFLATED:
        raise TooLarge(f"inflates to more than {MAX_INFLATED >> 20} MB. Export it without deflate compression.")


def _settle_syntax(ds: "Dataset") -> None:
    """One transfer syntax. A file that names none is as the parser found it, which can only be uncompressed."""
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

    if not hasattr(ds, "file_meta"):
        ds.file_meta = FileMetaDataset()
    if named := code(ds.file_meta, "TransferSyntaxUID"):
        ds.file_meta.TransferSyntaxUID = UID(named)
        return
    implicit, little = ds.original_encoding
    explicit = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
    ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else explicit
