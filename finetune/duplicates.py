"""Near-duplicate pictures, found before training: what was seen twice teaches little and pushes its own copy away
("Less is more": fewer and different pictures train a contrastive encoder better, and faster).

One of a group is kept: the first in the order given, and everything dropped is near a picture that is kept, so that a
long chain of small steps is no one group. `protected` pictures (of the validation split) are never dropped but displace
others: a copy of one in training would flatter the validation. The search compares every picture with all that are
kept: its time grows with their square.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from eval.leaks import NEAR, Hashes


@dataclass(frozen=True, slots=True)
class Dropped:
    """Positions of a dropped picture and of the one kept for it; `value`: bits they differ in, or their cosine."""

    dropped: int
    kept: int
    by: Literal["hash", "embedding"]
    value: float


def near_hashes(hashes: Hashes, protected: NDArray[np.bool_], bits: int = NEAR) -> list[Dropped]:
    """Of (n, 4) perceptual hashes those at most `bits` of 256 from one that is kept, in the order given."""

    def distances(row: Any, kept: Any) -> NDArray[np.float64]:
        apart: NDArray[np.float64] = np.bitwise_count(kept ^ row).sum(axis=1, dtype=np.float64)
        return apart

    return [Dropped(n, kept, "hash", value) for n, kept, value in _greedy(hashes, protected, distances, bits)]


def near_vectors(vectors: NDArray[np.float32], protected: NDArray[np.bool_], cosine: float) -> list[Dropped]:
    """Of (n, dim) unit vectors those whose cosine with one that is kept is at least `cosine`, in the order given."""

    def distances(row: Any, kept: Any) -> NDArray[np.float64]:
        apart: NDArray[np.float64] = 1 - kept @ row
        return apart

    found = _greedy(vectors, protected, distances, 1 - cosine + 1e-6)
    return [Dropped(n, kept, "embedding", 1 - value) for n, kept, value in found]


def _greedy(
    rows: NDArray[Any], protected: NDArray[np.bool_], distances: Callable[[Any, Any], NDArray[np.float64]], limit: float
) -> list[tuple[int, int, float]]:
    """(position, position of the nearest that is kept, distance) of every row that is dropped, by position."""
    kept, places, count, found = np.empty_like(rows), np.empty(len(rows), np.intp), 0, []
    for n in [*np.flatnonzero(protected), *np.flatnonzero(~protected)]:
        if not protected[n] and count:
            apart = distances(rows[n], kept[:count])
            nearest = int(apart.argmin())
            if apart[nearest] <= limit:
                found.append((int(n), int(places[nearest]), float(apart[nearest])))
                continue
        kept[count], places[count] = rows[n], n
        count += 1
    return sorted(found)


def told(dropped: Sequence[Dropped], patients: Sequence[str | None], protected: NDArray[np.bool_], n: int) -> list[str]:
    """What was dropped, in lines for a person; `patients`: of every picture, None where not known; `n`: how many could
    have been dropped."""
    if not dropped:
        return [f"Near-duplicates: none among {n} training pictures."]
    by_hash = sum(one.by == "hash" for one in dropped)
    how = f"{by_hash} by perceptual hash, {len(dropped) - by_hash} by embedding"
    lines = [f"Near-duplicates: {len(dropped)} of {n} training pictures left out ({how})."]
    if other := sum(whose(one, patients) == "another" for one in dropped):
        lines.append(f"  {other} of them show another patient than the picture that was kept.")
    if unknown := sum(whose(one, patients) == "unknown" for one in dropped):
        lines.append(f"  Of {unknown} it isn't known whether they show the same patient.")
    if leaks := sum(bool(protected[one.kept]) for one in dropped):
        lines.append(f"  {leaks} of them are near a validation picture.")
    return lines


def whose(one: Dropped, patients: Sequence[str | None]) -> Literal["same", "another", "unknown"]:
    """Whether the dropped picture shows the same patient as the one kept."""
    dropped, kept = patients[one.dropped], patients[one.kept]
    if dropped is None or kept is None:
        return "unknown"
    return "same" if dropped == kept else "another"
