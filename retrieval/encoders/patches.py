"""A picture cell by cell in the space of pictures and texts: what an encoder may be able to give beside one vector.

Coordinates are those of the picture as displayed, whatever an encoder resizes, crops or pads: a grid of cells covers a
rectangle of the picture, its `extent`, and all else follows from that.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, Literal, Protocol, TypeGuard

import numpy as np
from numpy.typing import NDArray

from retrieval.types import Image

Rectangle = tuple[float, float, float, float]  # x0, y0, x1, y1 in pixels of the picture
Resizing = Literal["squash", "shortest", "longest"]  # as open_clip calls them: stretch, crop the rest, pad the rest
FINE = 10  # cells a side, at least: a coarser grid is shifted and looked at again


@dataclass(frozen=True, slots=True, eq=False)
class Patches:
    """`vectors` (rows, columns, dim), each of unit length; `extent`: what they cover, more than the picture where it
    was padded, less where it was cropped."""

    vectors: NDArray[np.float32]
    extent: Rectangle


class PatchEncoder(Protocol):
    """An `ImageTextEncoder` that also tells where: its cells lie in the same space as its texts."""

    @property
    def identity(self) -> str: ...

    @property
    def sees_places(self) -> bool: ...

    def encode_patches(self, images: Sequence[Image]) -> list[Patches]: ...

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]: ...


def sees_places(encoder: Any) -> TypeGuard[PatchEncoder]:
    """Whether this encoder is one: most are not asked to be."""
    return bool(getattr(encoder, "sees_places", False))


def extent_of(resizing: Resizing, picture: tuple[int, int], seen: tuple[int, int]) -> Rectangle:
    """The rectangle of a picture (width, height) that an encoder sees as `seen` (width, height), resized about the
    middle."""
    across, down = picture[0] / seen[0], picture[1] / seen[1]  # the picture's pixels in one that is seen
    if resizing != "squash":
        across = down = max(across, down) if resizing == "longest" else min(across, down)
    width, height = across * seen[0], down * seen[1]
    left, top = (picture[0] - width) / 2, (picture[1] - height) / 2
    return left, top, left + width, top + height


def finer(batch: Any, cells_of: Callable[[Any], Any]) -> NDArray[np.float32]:
    """(n, rows, columns, dim) unit vectors of a batch (n, 3, H, W), on a grid of at least `FINE` cells a side.

    `cells_of` gives (n, rows, columns, dim) of a batch. Where that is coarse, the pictures are shifted by parts of a
    cell, their edges repeated, and what is seen of each shift is put between the others (shift and stitch: Long et al.
    2015): every cell is looked at in the scale the encoder was trained for.
    """
    import torch

    first = cells_of(batch)
    n, rows, columns, dim = first.shape
    times = ceil(FINE / min(rows, columns))
    if times == 1:
        return _unit(first)
    height, width = batch.shape[2] / rows, batch.shape[3] / columns
    steps = [(2 * i + 1 - times) / (2 * times) for i in range(times)]  # of a cell: finer cells' middles from its middle
    edge = ceil(max(height, width) / 2)
    wide = torch.nn.functional.pad(batch, (edge,) * 4, mode="replicate")
    out = np.empty((n, rows, times, columns, times, dim), np.float32)
    for i, j in np.ndindex(times, times):
        top, left = edge + round(steps[i] * height), edge + round(steps[j] * width)
        out[:, :, i, :, j] = _unit(cells_of(wide[:, :, top : top + batch.shape[2], left : left + batch.shape[3]]))
    return out.reshape(n, rows * times, columns * times, dim)


def _unit(cells: Any) -> NDArray[np.float32]:
    from torch.nn.functional import normalize

    unit: NDArray[np.float32] = normalize(cells.float(), dim=-1).cpu().numpy()
    return unit
