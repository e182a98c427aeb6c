"""Made-up embeddings and words that are as hard to search as real ones, and how long a search of them takes.

Vectors lie around centres (one a hundred records), inside a narrow cone, with a spectrum that falls as k^-1/2: so do
the embeddings of contrastive encoders (Ethayarajh 2019; Liang et al. 2022, "Mind the gap"), and evenly spread ones
flatter coarse quantisation. Words follow Zipf's law. Same seed, same numbers.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from retrieval.types import Record, Vector

DOMAINS = ("chest_xray", "fundus", "blood")
IMAGE, TEXT = "image-encoder", "text-encoder"
Matrix = NDArray[np.float32]
T = TypeVar("T")


class Cloud:
    """Where records and queries are drawn from: (n, dim) float32 of unit length."""

    def __init__(self, records: int, dim: int, seed: int = 0) -> None:
        draw = np.random.default_rng(seed)
        self._scale = (np.arange(1, dim + 1) ** -0.5).astype(np.float32)
        self._mean = 2 * draw.standard_normal(dim, dtype=np.float32) * self._scale
        self._centres = draw.standard_normal((max(records // 100, 1), dim), dtype=np.float32) * self._scale

    def draw(self, n: int, seed: int) -> Matrix:
        draw = np.random.default_rng(seed)
        vectors = draw.standard_normal((n, len(self._mean)), dtype=np.float32)
        vectors *= 0.5 * self._scale
        vectors += self._mean
        for at in range(0, n, 10_000):  # a block at a time: a million are two gigabytes
            block = vectors[at : at + 10_000]
            block += self._centres[draw.integers(0, len(self._centres), len(block))]
            block /= np.linalg.norm(block, axis=1, keepdims=True)
        return vectors


def text(draw: np.random.Generator, words: int) -> str:
    return " ".join(f"w{rank}" for rank in draw.zipf(1.3, words) % 50_000)


def record_id(number: int) -> str:
    return str(UUID(int=number + 1))


def cases(images: Matrix, texts: Matrix | None = None) -> Iterator[Record]:
    """One picture each, five of a patient, in three domains."""
    for n, image in enumerate(images):
        vectors: dict[str, Vector] = {IMAGE: image} if texts is None else {IMAGE: image, TEXT: texts[n]}
        yield Record(
            record_id(n), "case", vectors, "", DOMAINS[n % len(DOMAINS)], patient=f"{n // 5:032x}", sha256=f"{n:064x}"
        )


def passages(images: Matrix, texts: Matrix, first: int, words: int = 80) -> Iterator[Record]:
    draw = np.random.default_rng(first)
    for n, (image, read) in enumerate(zip(images, texts, strict=True)):
        yield Record(
            record_id(first + n), "passage", {IMAGE: image, TEXT: read}, text(draw, words), DOMAINS[n % len(DOMAINS)]
        )


def nearest(vectors: Matrix, query: Vector, k: int) -> list[int]:
    """The exact answer, best first: one product over everything, and the best of it."""
    scores = vectors @ query
    best = np.argpartition(-scores, k)[:k]
    return [int(n) for n in best[np.argsort(-scores[best])]]


def medians(arms: Mapping[str, Callable[[T], object]], queries: Sequence[T], block: int = 20) -> dict[str, float]:
    """Median milliseconds of each arm. Arms take turns by blocks of queries; the first of a block is not counted, since
    it pays for the caches and threads that the arm before has filled."""
    took: dict[str, list[float]] = {name: [] for name in arms}
    for at in range(0, len(queries), block):
        for name, ask in arms.items():
            ask(queries[at])
            for query in queries[at : at + block]:
                start = time.perf_counter()
                ask(query)
                took[name].append(1000 * (time.perf_counter() - start))
    return {name: statistics.median(milliseconds) for name, milliseconds in took.items()}
