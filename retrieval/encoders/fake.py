"""Encoders for tests: no weights, no wait, and near things are near.

A text is the sum of its hashed words, near a text it shares words with; a picture is its 8 × 8 grey thumbnail, near one
that looks like it. Between a text and a picture the cosine says nothing.
"""

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np

from retrieval.encoders.base import Scores, Vectors
from retrieval.store.words import words
from retrieval.types import Image


def _of_text(text: str, dim: int) -> Vectors:
    total = np.zeros(dim, np.float32)
    for word in words(text) or [""]:
        seed = int.from_bytes(blake2b(word.encode(), digest_size=8).digest(), "big")
        total += np.random.default_rng(seed).standard_normal(dim).astype(np.float32)
    return total / np.linalg.norm(total)


def _of_image(image: Image, dim: int) -> Vectors:
    grey = image.mean(axis=2) if image.ndim == 3 else image.astype(np.float64)
    rows, columns = (np.linspace(0, size, 9).astype(int)[:-1] for size in grey.shape)
    sums = np.add.reduceat(np.add.reduceat(grey, rows, axis=0), columns, axis=1)
    thumbnail = sums / np.add.reduceat(np.add.reduceat(np.ones_like(grey), rows, axis=0), columns, axis=1)
    projection = np.random.default_rng(8).standard_normal((65, dim))
    vector = np.append(thumbnail.ravel() - 127.5, 1.0) @ projection  # the 1 keeps flat grey from being zero
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def _stack(vectors: Sequence[Vectors], dim: int) -> Vectors:
    return np.stack(vectors) if vectors else np.empty((0, dim), np.float32)


class FakeTextEncoder:
    def __init__(self, dim: int = 32) -> None:
        self.dim = dim
        self.identity = f"fake-text-{dim:08x}"

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        return _stack([_of_text(text, self.dim) for text in texts], self.dim)

    def encode_passages(self, texts: Sequence[str]) -> Vectors:
        return self.encode_queries(texts)


class FakeImageTextEncoder:
    reads_text = True
    sees_places = False

    def __init__(self, dim: int = 32) -> None:
        self.dim = dim
        self.identity = f"fake-image-text-{dim:08x}"

    def encode_images(self, images: Sequence[Image]) -> Vectors:
        return _stack([_of_image(image, self.dim) for image in images], self.dim)

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        return _stack([_of_text(text, self.dim) for text in texts], self.dim)


class FakeReranker:
    """The share of the question's words that a passage holds."""

    identity = "fake-reranker-00000000"

    def score(self, question: str, passages: Sequence[str]) -> Scores:
        asked = set(words(question))
        shares = [len(asked & set(words(passage))) / max(len(asked), 1) for passage in passages]
        return np.asarray(shares, np.float32)
