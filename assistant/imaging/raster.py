"""PNG, JPEG, TIFF and their kind: pixels as displayed, nothing of the metadata kept.

Invariant: the size is checked from the header, of every frame that is read, before a pixel is decoded.
"""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assistant.errors import ConsultError, TooLarge, UnreadablePicture
from assistant.imaging.pixels import Budget, as_displayed, key_indices, robust_window, to_grey
from assistant.study import Orientation, Picture, Pixels

FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP", "JPEG2000")
DEEP = ("I", "F", "I;16", "I;16L", "I;16B", "I;16N")  # more than 8 bits of grey


def read(data: bytes, budget: Budget, orientation: Orientation | None = None) -> tuple[list[Picture], list[str]]:
    """The pictures of one file (frames or pages: at most 8, evenly spread) and what a reader has to be told.

    Raises `UnreadablePicture` and `TooLarge`, their text the rest of a sentence about the file.
    """
    from PIL import Image

    try:
        frames, n = _frames(data, budget)
    except ConsultError:
        raise
    except Image.DecompressionBombError:
        raise TooLarge("declares more pixels than can be read. Export a smaller picture.") from None
    except Exception:  # a decoder on hostile bytes may raise anything; its text may quote the file
        frames, n = _tiff_frames(data, budget) if data[:2] in (b"II", b"MM") else ([], 0)
    if not frames:
        raise UnreadablePicture("is damaged or cut short: it begins like a picture but can't be decoded to its end.")
    pictures = [
        Picture(pixels, orientation=orientation, origin=f"frame {i + 1} of {n}" if n > 1 else "")
        for i, pixels in frames
    ]
    left_out = n - len(frames)
    return pictures, [f"holds {n} frames: {left_out} are left out, {len(frames)} are read."] if left_out else []


def _frames(data: bytes, budget: Budget) -> tuple[list[tuple[int, Pixels]], int]:
    from PIL import Image

    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        if getattr(image, "tag_v2", {}).get(284) == 2:  # channel by channel: Pillow misreads 16 bits of it
            return _tiff_frames(data, budget)
        n = 1 if image.format == "MPO" else getattr(image, "n_frames", 1)  # a phone's second picture is a depth map
        film = n > 1 and image.format in ("GIF", "WEBP")
        if film:  # to show one frame, all before it are decoded
            budget.take(image.height, image.width, n)
        frames = []
        for i in key_indices(n):
            if n > 1:
                image.seek(i)
            if not film:
                budget.take(image.height, image.width)
            frames.append((i, _displayed(image)))
    return frames, n


def _displayed(image: Any) -> Pixels:
    from PIL import Image, ImageOps

    image.load()
    image = ImageOps.exif_transpose(image)
    if image.mode in DEEP:
        values = np.asarray(image)
        return as_displayed(to_grey(values, robust_window(values)))
    if image.mode in ("1", "L"):
        return as_displayed(np.array(image.convert("L")))
    if image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
    return as_displayed(np.array(image.convert("RGB")))


def _tiff_frames(data: bytes, budget: Budget) -> tuple[list[tuple[int, Pixels]], int]:
    """What Pillow doesn't read of TIFF: signed, packed and floating samples, newer compressions."""
    import tifffile

    try:
        with tifffile.TiffFile(io.BytesIO(data)) as tiff:
            n = len(tiff.pages)
            frames = []
            for i in key_indices(n):
                page = tiff.pages[i].aspage()
                budget.take(page.imagelength * page.imagedepth, page.imagewidth)
                frames.append((i, _page(page.asarray(), page)))
        return frames, n
    except ConsultError:
        raise
    except Exception:
        return [], 0


def _page(values: NDArray[Any], page: Any) -> Pixels:
    """One TIFF page: grey, or the first three of its channels."""
    if page.photometric.name not in ("MINISBLACK", "MINISWHITE", "RGB", "YCBCR"):
        raise UnreadablePicture(f"is a TIFF of a kind that isn't read ({page.photometric.name}). Export it as PNG.")
    if values.ndim == 3 and page.planarconfig == 2:  # channel by channel
        values = np.moveaxis(values, 0, -1)
    if values.ndim == 3:
        values = values[..., :3] if values.shape[-1] >= 3 else values[..., 0]
    if values.dtype != np.uint8:
        values = to_grey(values, robust_window(values))
    return as_displayed(255 - values if page.photometric.name == "MINISWHITE" else values)
