"""Where a lesion lies: a mask, a box, or a heat map. The seam between whatever finds lesions and what damages them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from assistant.engines.base import Message, Prompt
from assistant.engines.card import prepared
from assistant.study import Picture
from finetune.preferences.noise import Mask

Box = tuple[int, int, int, int]  # x0, y0, x1, y1 in pixels of the picture, half open


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """One of the three is given. `heat` (h, w) of any size lies over the whole picture; `confidence`, 0..1, is the
    finder's own, None where it is no detector (a person's box, a phantom's truth)."""

    mask: Mask | None = None
    box: Box | None = None
    heat: NDArray[np.float32] | None = None
    confidence: float | None = None


def mask_of(region: Region, shape: Sequence[int]) -> Mask:
    """(H, W) of a picture of this shape; ValueError for a mask of another size.

    Of a heat map what lies more than one standard deviation above its mean: the published code takes what lies above
    the mean minus one, which is most of the picture.
    """
    height, width = shape[:2]
    if region.mask is not None:
        if region.mask.shape != (height, width):
            raise ValueError(f"a mask of {region.mask.shape} over a picture of {(height, width)}")
        return region.mask
    if region.heat is not None:
        from PIL import Image

        fit = Image.fromarray(region.heat.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR)
        heat = np.asarray(fit)
        return np.asarray(heat > heat.mean() + heat.std(), np.bool_)
    mask = np.zeros((height, width), np.bool_)
    if region.box is not None:
        x0, y0, x1, y1 = region.box
        mask[max(0, y0) : max(0, y1), max(0, x0) : max(0, x1)] = True
    return mask


def as_read(pixels: NDArray[np.uint8], side: int | None) -> NDArray[np.uint8]:
    """The picture as the model is shown it (`assistant.engines.card.prepared`)."""
    (shown,) = prepared(Prompt((Message("user", (Picture(pixels),)),)), side).messages[0].parts
    assert isinstance(shown, Picture)
    return shown.pixels


def mask_as_read(mask: Mask, side: int | None) -> Mask:
    """The mask moved as its picture is."""
    grey = as_read(mask.astype(np.uint8) * 255, side)
    return np.asarray((grey if grey.ndim == 2 else grey[..., 0]) > 127, np.bool_)
