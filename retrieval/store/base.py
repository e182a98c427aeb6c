"""The seam to the search engine: one batch of legs in, hits with each leg's own raw score out."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from retrieval.types import Filter, Hit, Leg, Manifest, Record


class Store(Protocol):
    """Immutable generations of records, one of them current.

    `search` reads the current generation only. Scores are raw and per leg: a rank-fused score is the same for a
    perfect and an absurd hit, so nothing is fused here. A vector leg's score is the cosine, BM25's its own.
    """

    @property
    def manifest(self) -> Manifest | None:
        """Of the current generation; None when nothing has been published."""

    def search(self, legs: Sequence[Leg], where: Filter) -> list[Hit]:
        """All hits of all legs, each record once, with the score of every leg that returned it.

        Raises `EncoderMismatch` when a leg asks for a vector the generation doesn't have or of another size.
        """

    def publish(self, records: Iterable[Record], manifest: Manifest) -> str:
        """Builds a generation and makes it current in one atomic step; returns its name. On any failure the old
        one stays current and nothing of the new one remains."""

    def delete(self, generation: str) -> None:
        """Removes a generation that is not current; `Busy` when it is, `NotFound` when there is none."""

    def generations(self) -> list[str]:
        """Oldest first."""

    def close(self) -> None: ...
