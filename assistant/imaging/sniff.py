"""What a file is, by its first bytes.

Invariant: pure, and it never trusts a name; for what isn't read it says what it looks like.
"""

import gzip
import io
import zlib
from typing import Literal

from assistant.errors import UnreadablePicture
from assistant.imaging import nifti

ACCEPTED = "Accepted are DICOM, NIfTI, PNG, JPEG, TIFF, BMP, GIF and WebP pictures."

RASTER = (
    b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"GIF87a", b"GIF89a", b"BM",
    b"\0\0\0\x0cjP  \r\n", b"\xff\x4f\xff\x51",
)  # fmt: skip

OTHERS = (
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive (or an Office document)"),
    (b"PK\x05\x06", "an empty ZIP archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\xfd7zXZ\0", "an XZ archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"NRRD", "an NRRD volume"),
    (b"\xd0\xcf\x11\xe0", "an old Office document"),
    (b"MZ", "a Windows program"),
    (b"\x7fELF", "a program"),
    (b"SQLite format 3", "a database"),
    (b"\x89HDF", "an HDF5 file"),
)


def sniff(data: bytes) -> str:
    """ "dicom", "nifti" or "raster". Raises `UnreadablePicture`, its text the rest of a sentence about the file."""
    if not data:
        raise UnreadablePicture(f"is empty (0 bytes). {ACCEPTED}")
    if data[128:132] == b"DICM" or _bare_dicom(data):
        return "dicom"
    head = _unzipped(data) if data[:2] == b"\x1f\x8b" else data[:1024]
    if nifti.looks_like(head):
        return "nifti"
    if data.startswith(RASTER) or (data[:4] == b"RIFF" and data[8:12] == b"WEBP"):
        return "raster"
    raise UnreadablePicture(f"is {_what(data)}, not a picture. {ACCEPTED}")


def _bare_dicom(data: bytes) -> bool:
    """A data set without preamble: it begins with a low element of group 2 or 8, and a value length that fits."""
    if len(data) < 16:
        return False
    orders: tuple[Literal["little", "big"], ...] = ("little", "big")
    for order in orders:
        group, element = (int.from_bytes(data[i : i + 2], order) for i in (0, 2))
        explicit = data[4:6].isalpha() and data[4:6].isupper()
        length = int.from_bytes(data[6:8] if explicit else data[4:8], order)
        if group in (2, 8) and element <= 0x20 and length < min(len(data), 1024):
            return True
    return False


def _unzipped(data: bytes) -> bytes:
    try:
        with gzip.open(io.BytesIO(data)) as stream:
            return stream.read(1024)
    except (EOFError, OSError, zlib.error):
        return b""


def _what(data: bytes) -> str:
    for magic, name in OTHERS:
        if data.startswith(magic):
            return name
    if data[4:8] == b"ftyp":
        return "an HEIC or AVIF photo (save it as JPEG)" if data[8:12] in (b"heic", b"heix", b"mif1", b"avif") else (
            "a film"
        )  # fmt: skip
    head = data[:2048]
    if head.lstrip()[:1] == b"<":
        return "a web page or XML document"
    try:
        text = head.decode("utf-8", errors="strict" if len(data) <= 2048 else "ignore")
    except UnicodeDecodeError:
        return "of an unknown format"
    return "a text file" if text.isprintable() or all(c.isprintable() or c.isspace() for c in text) else (
        "of an unknown format"
    )  # fmt: skip
