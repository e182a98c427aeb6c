"""A small library with encoders whose vectors can be worked out by hand."""

import os
import re
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from retrieval.encoders.base import Vectors
from retrieval.encoders.bundle import Encoders
from retrieval.library import Library
from retrieval.store.memory import MemoryStore
from retrieval.types import Image

ROOT = Path(__file__).parents[2]
CHILD_ENV = {**os.environ, "PYTHONPATH": str(ROOT)}  # for children: tests may run in another folder
DIM = 256
SUBJECTS = ("effusion", "pneumothorax", "cardiomegaly", "retinopathy", "nodule")


def bag_of_words(texts: Sequence[str]) -> Vectors:
    """Texts that share long words are near; two that share none are orthogonal (or nearly: words may collide)."""
    vectors = np.full((len(texts), DIM), 1e-6, np.float32)
    for vector, text in zip(vectors, texts, strict=True):
        for word in re.findall(r"[a-z]{5,}", text.lower()):
            vector[zlib.crc32(word.rstrip("s").encode()) % DIM] += 1
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


class WordEncoder:
    """Both seams at once. A picture "shows" the subject whose number its first pixel holds."""

    dim = DIM
    reads_text = True

    def __init__(self, identity: str) -> None:
        self.identity = identity
        self.seen: list[str] = []  # what was encoded, to show what was not

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        self.seen += texts
        return bag_of_words(texts)

    encode_queries = encode_passages = encode_texts

    def encode_images(self, images: Sequence[Image]) -> Vectors:
        return self.encode_texts([SUBJECTS[int(image.flat[0])] for image in images])


def picture(subject: str, seed: int = 0) -> Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (16, 16), dtype=np.uint8)
    pixels[0, 0] = SUBJECTS.index(subject)
    return pixels


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def library(home: Path) -> Iterator[Library]:
    with Library(home) as library:
        yield library


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def encoders() -> Encoders:
    return Encoders(WordEncoder("seeing-1"), WordEncoder("reading-1"))
