"""NIfTI volumes: a handful of slices that show what the volume holds, hung as a radiologist hangs them.

Invariant: the patient's right is on the picture's left wherever the plane shows it; when the header doesn't say how the
volume lies in the patient, `orientation` is None. Only the first volume of a series is ever decompressed.
"""

import gzip
import io
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assistant.errors import ConsultError, TooLarge, UnreadablePicture
from assistant.imaging.pixels import Budget, as_displayed, key_indices, robust_window, square, to_grey
from assistant.study import Orientation, Picture, Pixels

KEY_SLICES = 7
MAX_BYTES = 1 << 29  # of one volume as stored
HEADER = 1024  # more than either version's header

# By the axis (right, anterior, superior) that is cut: what the plane is called and how its picture hangs.
PLANES = (
    ("SAGITTAL", Orientation(right="P", down="F")),
    ("CORONAL", Orientation(right="L", down="F")),
    ("AXIAL", Orientation(right="L", down="P")),
)


def looks_like(head: bytes) -> bool:
    """Whether these first bytes (348 or more) are a NIfTI header of either version and byte order."""
    size = {int.from_bytes(head[:4], "little"), int.from_bytes(head[:4], "big")}
    return (348 in size and head[344:348] in (b"n+1\0", b"ni1\0")) or (
        540 in size and head[4:8] in (b"n+2\0", b"ni2\0")
    )


def read(data: bytes, budget: Budget) -> tuple[list[Picture], list[str]]:
    """Seven slices (axial, or in the plane of acquisition when axial ones would be coarse) of a .nii or .nii.gz.

    Raises `UnreadablePicture` and `TooLarge`, their text the rest of a sentence about the file.
    """
    try:
        return _read(data, budget)
    except ConsultError:
        raise
    except Exception:  # hostile headers; the library's text may quote them
        raise UnreadablePicture("is a damaged NIfTI volume: its header and its data don't fit together.") from None


def _read(data: bytes, budget: Budget) -> tuple[list[Picture], list[str]]:
    from nibabel.affines import voxel_sizes
    from nibabel.orientations import apply_orientation, io_orientation

    header = _header(data)
    volume, warnings = _volume(data, header)
    affine = header.get_best_affine()
    lies = io_orientation(affine)
    canonical = apply_orientation(volume, lies)  # a view
    zooms = voxel_sizes(affine)[np.argsort(lies[:, 0])]
    oriented = int(header["qform_code"]) > 0 or int(header["sform_code"]) > 0
    if not oriented:
        warnings.append("doesn't say how its volume lies in the patient: sides are not known.")
    axis = int(np.argmax(zooms)) if zooms.max() > 2 * zooms.min() else 2
    plane, orientation = PLANES[axis]
    slices = np.moveaxis(canonical, axis, 0)
    spacing = (float(zooms[1 if axis == 2 else 2]), float(zooms[1 if axis == 0 else 0]))
    budget.take(slices.shape[2], slices.shape[1], min(KEY_SLICES, len(slices)))

    steps = tuple(slice(None, None, max(1, n // 128)) for n in slices.shape[1:])
    coarse = _scaled(slices[:, *steps], header)
    window = robust_window(coarse)
    pictures = []
    for i in _with_content(coarse, window):
        pixels, mm = square(_hang(_shown(slices[i], header, window)), spacing)
        origin = f"{plane.lower()} slice {i + 1} of {len(slices)}"
        pictures.append(Picture(pixels, None, plane, orientation if oriented else None, mm, origin))
    return pictures, warnings


def _header(data: bytes) -> Any:
    import nibabel

    head = data[:HEADER]
    if head[:2] == b"\x1f\x8b":
        head = _inflate(data, HEADER)
    if head[344:348] == b"ni1\0" or head[4:8] == b"ni2\0":
        raise UnreadablePicture("is a NIfTI header whose picture lies in a second file. Save it as one .nii file.")
    kind = nibabel.Nifti2Header if 540 in (int.from_bytes(head[:4], o) for o in ("little", "big")) else None
    return (kind or nibabel.Nifti1Header).from_fileobj(io.BytesIO(head), check=False)


def _volume(data: bytes, header: Any) -> tuple[NDArray[Any], list[str]]:
    """The first volume as stored, (x, y, z), sized by the header before anything is inflated."""
    shape = [int(n) for n in header.get_data_shape()]
    if len(shape) < 2 or min(shape) < 1:
        raise UnreadablePicture("is a NIfTI file without a picture in it.")
    shape3, dtype, offset = (*shape[:3], 1)[:3], header.get_data_dtype(), int(header.get_data_offset())
    count = shape3[0] * shape3[1] * shape3[2]
    if count * dtype.itemsize + offset > MAX_BYTES:
        size = " × ".join(map(str, shape3))
        raise TooLarge(f"declares a volume of {size} voxels; at most {MAX_BYTES >> 20} MB are read of one volume.")
    end = offset + count * dtype.itemsize
    stored = _inflate(data, end) if data[:2] == b"\x1f\x8b" else data[:end]
    if len(stored) < end or offset < 0:
        raise UnreadablePicture("is a NIfTI volume that is cut short: its data end before its last slice.")
    values = np.frombuffer(stored, dtype, count, offset)
    if dtype.kind == "c":
        values = np.abs(values)
    later = int(np.prod(shape[3:])) - 1 if len(shape) > 3 else 0
    return values.reshape(shape3, order="F"), [f"holds {later + 1} volumes: the first is read."] if later else []


def _inflate(data: bytes, size: int) -> bytes:
    """At most `size` bytes of a gzip stream; what is there of one that breaks off."""
    out = bytearray()
    try:
        with gzip.open(io.BytesIO(data)) as stream:
            while len(out) < size and (piece := stream.read(min(1 << 20, size - len(out)))):
                out += piece
    except (EOFError, OSError, zlib.error):
        pass
    return bytes(out)


def _with_content(coarse: NDArray[np.float32], window: tuple[float, float]) -> list[int]:
    """Evenly spread among the slices on which something stands out from the background."""
    threshold = window[0] + 0.2 * (window[1] - window[0])
    share = (coarse > threshold).mean(axis=tuple(range(1, coarse.ndim)))
    filled = np.flatnonzero(share >= max(0.15 * share.max(initial=0), 1e-9))
    if not filled.size:
        return key_indices(len(coarse), KEY_SLICES)
    first, last = int(filled[0]), int(filled[-1])
    return [first + i for i in key_indices(last - first + 1, KEY_SLICES)]


def _scaled(values: NDArray[Any], header: Any) -> NDArray[np.float32]:
    """In the units of the header; a colour volume as its brightness."""
    if values.dtype.names:
        return np.mean([values[name] for name in ("R", "G", "B")], axis=0, dtype=np.float32)
    slope, inter = header.get_slope_inter()
    scaled = values.astype(np.float32)
    return scaled if slope is None else scaled * np.float32(slope) + np.float32(inter or 0)


def _shown(values: NDArray[Any], header: Any, window: tuple[float, float]) -> Pixels:
    if values.dtype.names:
        return np.stack([values[name] for name in ("R", "G", "B")], axis=-1)
    return to_grey(_scaled(values, header), window)


def _hang(plane: NDArray[np.uint8]) -> Pixels:
    """(first, second) axis of a right-anterior-superior volume → rows and columns. Both axes grow against the way the
    picture is read: anterior or superior goes up, right (or anterior, in a sagittal plane) goes to the left."""
    return as_displayed(np.swapaxes(plane, 0, 1)[::-1, ::-1])
