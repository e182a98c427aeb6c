"""Near-duplicates: one of a group is kept, always the same one, and what was dropped is said."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from eval.leaks import picture_hash
from finetune.duplicates import Dropped, near_hashes, near_vectors, told

NONE: NDArray[np.bool_] = np.zeros(0, bool)


def free(n: int, *protected: int) -> NDArray[np.bool_]:
    return np.isin(np.arange(n), protected)


def bits(*values: int) -> NDArray[np.uint64]:
    """(n, 4): hashes with so many low bits set."""
    return np.array([[(1 << value) - 1, 0, 0, 0] for value in values], np.uint64)


def test_the_first_is_kept_and_a_chain_is_no_group() -> None:
    found = near_hashes(bits(0, 10, 20, 30), free(4), bits=16)
    assert found == [Dropped(1, 0, "hash", 10), Dropped(3, 2, "hash", 10)]


def test_the_validation_displaces_training_and_is_never_dropped() -> None:
    assert near_hashes(bits(0, 3, 4), free(3, 1, 2), bits=16) == [Dropped(0, 1, "hash", 3)]


def test_a_copy_saved_again_is_found_and_another_picture_is_not() -> None:
    rng = np.random.default_rng(0)
    shapes = [gaussian_filter(rng.normal(128, 400, (96, 96)), 4).clip(0, 255) for _ in range(3)]
    pictures = [shape.astype(np.uint8) for shape in (*shapes, shapes[1] * 0.9)]
    found = near_hashes(np.stack([picture_hash(picture) for picture in pictures]), free(4))
    assert [(one.dropped, one.kept) for one in found] == [(3, 1)]


@given(st.lists(st.integers(0, 60), max_size=20), st.integers(0, 20), st.sets(st.integers(0, 19)))
def test_what_is_dropped_is_near_what_is_kept_and_what_is_kept_is_apart(
    values: list[int], limit: int, held: set[int]
) -> None:
    protected = free(len(values), *held)
    found = near_hashes(bits(*values).reshape(-1, 4), protected, limit)
    gone = {one.dropped for one in found}
    assert not gone & set(np.flatnonzero(protected))
    assert all(one.kept not in gone and abs(values[one.dropped] - values[one.kept]) <= limit for one in found)
    kept = [value for n, value in enumerate(values) if n not in gone and not protected[n]]
    assert all(abs(a - b) > limit for n, a in enumerate(kept) for b in kept[:n])


def test_embeddings_are_compared_by_cosine() -> None:
    angles = np.radians([0, 5, 60])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    (one,) = near_vectors(vectors, free(3), cosine=0.99)
    assert (one.dropped, one.kept, one.by) == (1, 0, "embedding")
    assert one.value == pytest.approx(np.cos(angles[1]))
    assert near_vectors(vectors, free(3), cosine=0.999) == []


def test_another_patient_is_never_dropped_in_silence() -> None:
    found = [Dropped(1, 0, "hash", 2), Dropped(2, 0, "hash", 0), Dropped(4, 3, "embedding", 0.99)]
    lines = told(found, ["a", "b", "a", None, "c"], free(5, 3), 4)
    assert lines == [
        "Near-duplicates: 3 of 4 training pictures left out (2 by perceptual hash, 1 by embedding).",
        "  1 of them show another patient than the picture that was kept.",
        "  Of 1 it isn't known whether they show the same patient.",
        "  1 of them are near a validation picture.",
    ]
    assert told([], [], NONE, 7) == ["Near-duplicates: none among 7 training pictures."]
