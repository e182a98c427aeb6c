"""Pictures of cases: HOME/blobs, one PNG each, named by the sha256 of its shape and pixels.

A picture is on the disk, whole, before it has its name.
"""

import io
import os
import secrets
from pathlib import Path

from PIL import Image as PillowImage

from retrieval.db import plain_errors
from retrieval.errors import NotFound
from retrieval.types import Image


def put(home: Path, sha256: str, picture: Image) -> None:
    """Stores a picture that isn't there yet."""
    folder = home / "blobs"
    if (folder / sha256).exists():
        return
    buffer = io.BytesIO()
    # On radiographs of 512 x 512 a fifth of the usual level's time, for 18 % more bytes.
    PillowImage.fromarray(picture).save(buffer, format="PNG", compress_level=1)
    draft = folder / f".{sha256}-{secrets.token_hex(4)}"
    with plain_errors():
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with draft.open("wb") as file:
                file.write(buffer.getvalue())
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, folder / sha256)
        finally:
            draft.unlink(missing_ok=True)


def get(home: Path, sha256: str) -> bytes:
    """A picture as PNG. Raises `NotFound`."""
    try:
        return (home / "blobs" / Path(sha256).name).read_bytes()
    except OSError:
        raise NotFound("There is no such picture in the library.") from None


def delete(home: Path, sha256: str) -> None:
    with plain_errors():
        (home / "blobs" / Path(sha256).name).unlink(missing_ok=True)
