"""From stored numbers to displayed grey levels, and from pixels to PNG. Pure functions and the budget they live within.

Invariant: whatever leaves here is `uint8`, (H, W) grey or (H, W, 3) RGB, contiguous, as displayed.
"""

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from assistant.errors import TooLarge
from assistant.study import Picture, Pixels

MAX_PIXELS = 64_000_000  # of all pictures of one request together
KEY_PICTURES = 8  # of one series or multi-frame file


class Budget:
    """How many pixels may still be decoded. Asked before decoding, from what a header declares."""

    def __init__(self, pixels: int = MAX_PIXELS) -> None:
        self.whole = self.left = pixels

    def take(self, rows: int, columns: int, count: int = 1) -> None:
        """Raises `TooLarge` when `count` pictures of this size don't fit any more."""
        wanted = rows * columns * count
        if wanted > self.left:
            size = f"{columns} × {rows} pixels" + (f" in {count} pictures" if count > 1 else "")
            raise TooLarge(
                f"declares {size}; at most {self.whole // 1_000_000} million pixels are read of one request, "
                f"all pictures together. Export a smaller picture or send fewer."
            )
        self.left -= wanted


def key_indices(n: int, limit: int = KEY_PICTURES) -> list[int]:
    """At most `limit` of 0..n-1, evenly spread: the middles of equal stretches."""
    return list(range(n)) if n <= limit else [(2 * i + 1) * n // (2 * limit) for i in range(limit)]


def robust_window(values: NDArray[Any], low: float = 0.5, high: float = 99.5) -> tuple[float, float]:
    """The grey levels between which nearly all finite values lie (percentiles), for files that name no window."""
    sample = values.reshape(-1)
    sample = sample[:: max(1, sample.size // 1_000_000)].astype(np.float32)
    sample = sample[np.isfinite(sample)]
    if not sample.size:
        return 0.0, 0.0
    bottom, top = (float(v) for v in np.percentile(sample, (low, high)))
    return (bottom, top) if top > bottom else (float(sample.min()), float(sample.max()))


def to_grey(values: NDArray[Any], window: tuple[float, float]) -> Pixels:
    """`window` mapped to 0..255, clipped; NaN and a window without width become black."""
    low, high = window
    if not high > low:
        return np.zeros(values.shape, np.uint8)
    shown = np.empty(values.shape, np.uint8)
    for rows in blocks(len(values)):
        scaled = (values[rows].astype(np.float32) - np.float32(low)) * np.float32(255.0 / (high - low))
        shown[rows] = np.nan_to_num(np.clip(scaled, 0, 255), copy=False).round()
    return shown


def blocks(rows: int, step: int = 256) -> Iterator[slice]:
    """Stretches of rows: floating-point copies of a large picture are made of one at a time."""
    return (slice(start, start + step) for start in range(0, rows, step))


def as_displayed(pixels: NDArray[np.uint8]) -> Pixels:
    """Contiguous, and grey when its three channels say the same."""
    if pixels.ndim == 3 and bool((pixels == pixels[..., :1]).all()):
        pixels = pixels[..., 0]
    return np.ascontiguousarray(pixels)


def square(pixels: Pixels, spacing: tuple[float, float] | None) -> tuple[Pixels, tuple[float, float] | None]:
    """Pixels resampled to be as high as wide, so that shapes are true; spacing (row, column) in mm follows."""
    if spacing is None or max(spacing) < 1.02 * min(spacing) or max(spacing) > 20 * min(spacing):
        return pixels, spacing
    fine = min(spacing)
    height, width = (max(1, round(n * s / fine)) for n, s in zip(pixels.shape[:2], spacing, strict=True))
    if height * width > MAX_PIXELS // 4:
        return pixels, spacing
    return _resample(pixels, width, height), (fine, fine)


def resize(pixels: Pixels, longest: int) -> Pixels:
    """The picture with its longer side at most `longest` pixels; never enlarged."""
    height, width = pixels.shape[:2]
    scale = longest / max(height, width)
    if scale >= 1:
        return pixels
    return _resample(pixels, max(1, round(width * scale)), max(1, round(height * scale)))


def thumbnail(pixels: Pixels, size: int) -> bytes:
    """A PNG whose longer side is at most `size` pixels."""
    return _png(resize(pixels, size))


def to_png(picture: Picture) -> bytes:
    """The picture as a PNG without metadata; equal pixels give equal bytes."""
    return _png(picture.pixels)


def _png(pixels: Pixels) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(out, "PNG")
    return out.getvalue()


def _resample(pixels: Pixels, width: int, height: int) -> Pixels:
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(pixels))
    return np.array(image.resize((width, height), Image.Resampling.LANCZOS), dtype=np.uint8)
