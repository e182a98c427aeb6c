"""The seam to encoders: batch in, unit vectors out, and an identity that changes when the weights do."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from retrieval.types import Image

Vectors = NDArray[np.float32]  # (n, dim), rows of unit length
Scores = NDArray[np.float32]  # (n,)


class ImageTextEncoder(Protocol):
    """Contrastive encoder: pictures and short texts (77 tokens or so) in one space."""

    @property
    def identity(self) -> str:
        """Name and weights hash, e.g. "pocket-3f9a2c1b"."""

    @property
    def dim(self) -> int: ...

    @property
    def reads_text(self) -> bool:
        """False for a vision model alone: pictures find pictures, `encode_texts` raises `Misconfigured`."""

    def encode_images(self, images: Sequence[Image]) -> Vectors: ...

    def encode_texts(self, texts: Sequence[str]) -> Vectors: ...


class TextEncoder(Protocol):
    """Encoder for passages, longer than a contrastive text tower reads. Queries and passages may differ (prefixes)."""

    @property
    def identity(self) -> str: ...

    @property
    def dim(self) -> int: ...

    def encode_queries(self, texts: Sequence[str]) -> Vectors: ...

    def encode_passages(self, texts: Sequence[str]) -> Vectors: ...


class Reranker(Protocol):
    """Reads question and passage together: slower and finer than the cosine of two vectors."""

    @property
    def identity(self) -> str: ...

    def score(self, question: str, passages: Sequence[str]) -> Scores:
        """(n,) of n passages, higher is better. Raw: comparable within one question, not calibrated."""
