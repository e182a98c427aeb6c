"""The other half of `EdgeStore.publish`: builds one shard in a process of its own, from chunks on standard input.

Its own process because optimising holds the interpreter's lock, and because a full disk under a memory map ends the
process that wrote. Input is a header, chunks, and a closing None: without the None the sender died, and nothing is
built. Prints the number of records. `python -m retrieval.store.build FOLDER`
"""

import pickle
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from retrieval.store.rules import KEYWORDS, Chunk


def build(folder: Path, dims: dict[str, int], chunks: Iterator[Chunk]) -> int:
    """Writes a shard at `folder`, `dims` mapping vector name → dimension; returns the number of records."""
    import qdrant_edge as edge

    shard = edge.EdgeShard.create(str(folder), _config(edge, dims or {"unused": 1}))  # the engine wants one vector
    for key in KEYWORDS:
        shard.update(edge.UpdateOperation.create_field_index(key, edge.PayloadSchemaType.Keyword))
    shard.update(edge.UpdateOperation.create_field_index("text", edge.TextIndexParams(scoring=True)))
    for chunk in chunks:
        points = [edge.Point(*row) for row in chunk]  # type: ignore[arg-type]  # it takes arrays too
        shard.update(edge.UpdateOperation.upsert_points(points))
    shard.optimize()
    shard.flush()
    count: int = shard.count(edge.CountRequest(exact=True))
    shard.close()
    return count


def _config(edge: Any, dims: dict[str, int]) -> Any:
    """Quantised scan, rescored at search: exact, and faster than a graph up to some 200,000 records. No write-ahead
    log: a shard is finished or thrown away, and without one several processes may read it."""
    vectors = {name: edge.EdgeVectorParams(size=dim, distance=edge.Distance.Cosine) for name, dim in dims.items()}
    return edge.EdgeConfig(
        vectors=vectors,
        hnsw_config=edge.HnswIndexConfig(m=0, ef_construct=16, full_scan_threshold=10),
        quantization_config=edge.ScalarQuantizationConfig(edge.ScalarType.Int8, always_ram=True),
        optimizers=edge.EdgeOptimizersConfig(default_segment_number=1, indexing_threshold=1),
        wal_enabled=False,
    )


def _received(stream: IO[bytes]) -> Iterator[Chunk]:
    while (chunk := pickle.load(stream)) is not None:
        yield chunk


if __name__ == "__main__":
    print(build(Path(sys.argv[1]), pickle.load(sys.stdin.buffer), _received(sys.stdin.buffer)))
