"""Batches in, rows out, in the order asked; and a picture as the libraries of models read it."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
from PIL import Image as PillowImage

from retrieval.encoders.base import Vectors
from retrieval.types import Image

BATCH = 32
T = TypeVar("T")


def batches(items: Sequence[T], size: int = BATCH) -> Iterator[Sequence[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def joined(parts: list[Vectors], dim: int) -> Vectors:
    return np.concatenate(parts) if parts else np.empty((0, dim), np.float32)


def by_length(texts: Sequence[str], embed: Callable[[list[str]], Any], *shape: int) -> Vectors:
    """(n, *shape): what `embed` makes of each text. Texts of like length share a batch, which saves padding."""
    rows = np.empty((len(texts), *shape), np.float32)
    for batch in batches(sorted(range(len(texts)), key=lambda i: len(texts[i]))):
        rows[batch] = embed([texts[i] for i in batch])
    return rows


def pillow(image: Image) -> PillowImage.Image:
    """Mode L or RGB, without a copy where memory allows. Raises `TypeError` for what isn't 8-bit grey or RGB."""
    if image.dtype != np.uint8 or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] == 3)):
        raise TypeError("a picture is (H, W) or (H, W, 3) in 8 bits")
    return PillowImage.fromarray(np.ascontiguousarray(image))
