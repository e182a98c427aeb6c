"""The other half of `EdgeStore.publish`: builds its shards in a process of its own, from chunks on standard input.

Its own process because optimising holds the interpreter's lock, and because a full disk under a memory map ends the
process that wrote. Input is a header, chunks, and a closing None: without the None the sender died, and nothing is
built. Prints the number of records. `python -m retrieval.store.build FOLDER`
"""

import pickle
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

from retrieval.store.rules import KEYWORDS, Chunk, text_field

GRAPH_M, GRAPH_EF = 16, 100  # links of a node; candidates when one is placed


@dataclass(frozen=True)
class Layout:
    """How many records of a kind go where. Other numbers change speed and, beyond `scan_up_to`, a graph's misses."""

    scan_up_to: int = 250_000  # see `index_kind`
    part: int = 25_000  # to a segment while vectors are scanned: a core scans one


def build(folder: Path, dims: dict[str, int], layout: Layout, chunks: Iterator[Chunk]) -> int:
    """Writes a shard for each kind there is below `folder`, `dims` mapping vector name → dimension; returns how many
    records they hold. Kinds are apart because every leg asks for one, and a filter by it costs more than the search."""
    dims = dims or {"unused": 1}  # the engine wants one vector
    shards: dict[str, _Shard] = {}
    for chunk in chunks:
        for kind in sorted({payload["kind"] for _, _, payload in chunk}):
            if kind not in shards:
                shards[kind] = _Shard(folder / kind, kind, dims, layout)
            shards[kind].add([row for row in chunk if row[2]["kind"] == kind])
    return sum(shard.finish() for shard in shards.values())


def index_kind(records: int, scan_up_to: int = Layout.scan_up_to) -> Literal["scan", "graph"]:
    """How the vectors of so many records are searched: all are looked at, or a graph of neighbours is followed.

    512 numbers, scan against graph on two busy cores (`python -m eval.bench.scale`): 200,000 records, built in 37 and
    120 s, 4.8 and 1.4 ms a query, the builder's peak 1.8 and 4.5 GB; 500,000, 90 and 314 s, 13.7 and 2.2 ms, 4.4 and
    13.8 GB. Recall@10 of a scan is 1.000; of a graph 1.000, in one third of the records .947 and .951.
    """
    return "scan" if records <= scan_up_to else "graph"


class _Shard:
    """One kind's records, being written."""

    def __init__(self, folder: Path, kind: str, dims: dict[str, int], layout: Layout) -> None:
        import qdrant_edge as edge

        self._edge, self._folder, self._dims, self._layout = edge, folder, dims, layout
        self._fresh = 0  # records since the last segment was closed
        folder.mkdir(parents=True)
        self._shard = edge.EdgeShard.create(str(folder), self._config("scan"))
        for key in KEYWORDS[kind]:
            self._shard.update(edge.UpdateOperation.create_field_index(key, edge.PayloadSchemaType.Keyword))
        self._shard.update(
            edge.UpdateOperation.create_field_index(text_field(kind), edge.TextIndexParams(scoring=True))
        )

    def add(self, rows: Chunk) -> None:
        points = [
            self._edge.Point(key, {name: vector.tolist() for name, vector in vectors.items()}, payload)
            for key, vectors, payload in rows
        ]
        if points:
            self._shard.update(self._edge.UpdateOperation.upsert_points(points))
        self._fresh += len(points)
        if self._fresh >= self._layout.part:
            self._shard.optimize()  # quantises them; what comes next goes to another segment
            self._fresh = 0

    def finish(self) -> int:
        """Chooses the kind of index, now that the number of records is known; returns that."""
        count: int = self._shard.count(self._edge.CountRequest(exact=True))
        if (kind := index_kind(count, self._layout.scan_up_to)) == "graph":
            self._shard.flush()
            self._shard.close()
            self._shard = self._edge.EdgeShard.load(str(self._folder), self._config(kind))
        self._shard.optimize()
        self._shard.flush()
        self._shard.close()
        return count

    def _config(self, index: Literal["scan", "graph"]) -> Any:
        """Four bits a number are searched and the best rescored with the whole vectors. No write-ahead log: a shard is
        finished or thrown away, and without one several processes may read it."""
        edge = self._edge
        cosine, m = edge.Distance.Cosine, GRAPH_M if index == "graph" else 0
        vectors = {}
        for name, dim in self._dims.items():
            scanned_kb = self._layout.scan_up_to * dim * 4 // 1024 + 1  # what a filter leaves, up to the same number
            links = edge.HnswIndexConfig(m=m, ef_construct=GRAPH_EF, full_scan_threshold=scanned_kb)
            vectors[name] = edge.EdgeVectorParams(size=dim, distance=cosine, hnsw_config=links)
        segments = 1 if index == "graph" else self._layout.scan_up_to // self._layout.part + 2
        return edge.EdgeConfig(
            vectors=vectors,
            quantization_config=edge.TurboQuantQuantizationConfig(always_ram=True, bits=edge.TurboQuantBitSize.Bits4),
            optimizers=edge.EdgeOptimizersConfig(default_segment_number=segments, indexing_threshold=1),
            wal_enabled=False,
        )


def _received(stream: IO[bytes]) -> Iterator[Chunk]:
    while (chunk := pickle.load(stream)) is not None:
        yield chunk


if __name__ == "__main__":
    names, numbers = pickle.load(sys.stdin.buffer)
    print(build(Path(sys.argv[1]), names, numbers, _received(sys.stdin.buffer)))
