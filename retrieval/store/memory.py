"""The store for tests and small scripts: exact, in memory, gone with the process. Same rules as the real engines."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import Busy, NotFound
from retrieval.store import rules
from retrieval.store.bm25 import Bm25
from retrieval.types import Filter, Hit, Leg, Manifest, Record, Vector


class _Generation:
    def __init__(self, records: Iterable[Record], manifest: Manifest) -> None:
        rows = {row[0]: row for chunk in rules.chunks(records, manifest) for row in chunk}
        self.manifest = rules.stamped(manifest, len(rows))
        self.payloads = {record_id: payload for record_id, _, payload in rows.values()}
        self.ids: dict[str, list[str]] = defaultdict(list)
        vectors: dict[str, list[Vector]] = defaultdict(list)
        self.bm25: dict[str, Bm25] = {kind: Bm25() for kind in rules.KINDS}
        for record_id, named, payload in rows.values():
            self.bm25[payload["kind"]].add(record_id, payload[rules.text_field(payload["kind"])])
            for name, vector in named.items():
                self.ids[name].append(record_id)
                vectors[name].append(vector / np.linalg.norm(vector))
        self.vectors: dict[str, NDArray[np.float32]] = {name: np.stack(stack) for name, stack in vectors.items()}

    def scored(self, leg: Leg, query: Vector | str, where: Filter) -> list[tuple[str, float]]:
        if isinstance(query, str):
            scores = self.bm25[leg.kind].scores(query)
        elif (name := rules.engine_name(leg.using)) in self.vectors:
            cosines = self.vectors[name] @ (query / np.linalg.norm(query))
            scores = dict(zip(self.ids[name], cosines.tolist(), strict=True))
        else:
            scores = {}
        fitting = [(key, score) for key, score in scores.items() if _fits(self.payloads[key], leg, where)]
        return sorted(fitting, key=lambda pair: -pair[1])[: leg.limit]


def _fits(payload: dict[str, str], leg: Leg, where: Filter) -> bool:
    return (
        payload["kind"] == leg.kind
        and (not where.domains or payload["domain"] in (rules.ANY_DOMAIN, *where.domains))
        and not any(payload.get(key) in values for key, values in rules.excluded(leg.kind, where).items())
    )


class MemoryStore:
    def __init__(self) -> None:
        self._generations: dict[str, _Generation] = {}
        self._current: str | None = None

    @property
    def manifest(self) -> Manifest | None:
        return self._generations[self._current].manifest if self._current else None

    def search(self, legs: Sequence[Leg], where: Filter) -> list[Hit]:
        if self._current is None:
            return []
        current = self._generations[self._current]
        queries = rules.asked(legs, current.manifest)
        return rules.gathered((leg, current.scored(leg, query, where)) for leg, query in queries)

    def publish(self, records: Iterable[Record], manifest: Manifest) -> str:
        name = rules.new_generation()
        self._generations[name] = _Generation(records, manifest)
        self._current = name
        return name

    def delete(self, generation: str) -> None:
        if generation == self._current:
            raise Busy("this generation of the index is in use; publish another one first")
        if self._generations.pop(generation, None) is None:
            raise NotFound("the index has no such generation")

    def generations(self) -> list[str]:
        return sorted(self._generations)

    def close(self) -> None:
        """Nothing to let go of: what was published stays until the object goes."""
