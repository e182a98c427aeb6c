"""Files made on the spot, small and valid, each to be broken in one way by a test."""

import io
import struct
import zlib
from typing import Any

import numpy as np
from nibabel import Nifti1Image
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from assistant.errors import ConsultError
from assistant.imaging import read_study

DX = "1.2.840.10008.5.1.4.1.1.1.1"
CT = "1.2.840.10008.5.1.4.1.1.2"


def gradient(height: int = 96, width: int = 80, dtype: Any = np.uint16, top: int = 4000) -> NDArray[Any]:
    """Distinct in each corner, so that a flip shows: darkest at the upper left, brightest at the lower right."""
    y, x = np.mgrid[:height, :width]
    return ((2 * y / height + x / width) / 3 * top).astype(dtype)


def dataset(pixels: NDArray[Any] | None = None, **header: Any) -> FileDataset:
    pixels = gradient() if pixels is None else pixels
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = DX
    meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["instance"])
    ds = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    ds.SOPClassUID, ds.SOPInstanceUID = DX, meta.MediaStorageSOPInstanceUID
    ds.StudyInstanceUID, ds.SeriesInstanceUID = (generate_uid(entropy_srcs=[k]) for k in ("study", "series"))
    ds.Modality, ds.PatientID, ds.PatientName = "DX", "P1", "Doe^Jane"
    frames = pixels.ndim == 3 and pixels.shape[-1] != 3
    ds.Rows, ds.Columns = pixels.shape[1:3] if frames else pixels.shape[:2]
    if frames:
        ds.NumberOfFrames = len(pixels)
    colour = pixels.ndim == 3 and not frames
    ds.SamplesPerPixel = 3 if colour else 1
    ds.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    if colour:
        ds.PlanarConfiguration = 0
    ds.BitsAllocated = ds.BitsStored = pixels.dtype.itemsize * 8
    ds.HighBit, ds.PixelRepresentation = ds.BitsStored - 1, int(pixels.dtype.kind == "i")
    ds.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
    for keyword, value in header.items():
        if value is None:
            delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    return ds


def saved(ds: Dataset) -> bytes:
    out = io.BytesIO()
    ds.save_as(out, enforce_file_format=True)
    return out.getvalue()


def dicom(pixels: NDArray[Any] | None = None, **header: Any) -> bytes:
    return saved(dataset(pixels, **header))


def item(**values: Any) -> Dataset:
    ds = Dataset()
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return ds


def raster(pixels: NDArray[Any], kind: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, kind, **options)
    return out.getvalue()


def nifti(volume: NDArray[Any], affine: NDArray[Any] | None = None) -> bytes:
    return bytes(Nifti1Image(volume, np.eye(4) if affine is None else affine).to_bytes())


def complaint(data: bytes) -> str:
    """What is said against this file; empty when it can be read. Anything but a `ConsultError` comes through."""
    try:
        study, _ = read_study([("x", data)], salt=b"")
    except ConsultError as error:
        return str(error)
    assert all(p.pixels.dtype == np.uint8 for p in study.pictures)
    return ""


def huge_png(width: int = 30_000, height: int = 30_000) -> bytes:
    """A valid PNG of black pixels whose compressed data are a few kilobytes long."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    packer = zlib.compressobj(9)
    row = b"\0" * (width // 8 + 1)
    body = b"".join([*(packer.compress(row * 100) for _ in range(height // 100)), packer.flush()])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
