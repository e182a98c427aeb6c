"""One leg over 100,000 vectors: our store against the bare engine and against an exact product. `make bench`.

All arms answer the same queries in one process, in turns of 20 (numpy's by themselves). "bare int8" is a shard of its
own, built from the same vectors with the engine's usual 8-bit quantisation and nothing else in it; "bare" is our own
shard, asked without our store.
"""

import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table
from threadpoolctl import threadpool_limits

from eval.bench.vectors import IMAGE, TEXT, Cloud, Matrix, cases, medians, nearest, passages, record_id, text
from retrieval.store.edge import EF, OVERSAMPLING, EdgeStore
from retrieval.types import Filter, Leg, Manifest, Record, Vector, VectorSpec

K = 10


def bare(shard: Any, oversampling: float, query: list[float]) -> list[Any]:
    """One query as the engine is asked by hand."""
    import qdrant_edge as edge

    quantised = edge.QuantizationSearchParams(rescore=True, oversampling=oversampling)
    params = edge.SearchParams(hnsw_ef=EF, quantization=quantised)
    found: list[Any] = shard.query(
        edge.QueryRequest(limit=K, query=edge.Query.Nearest(query, using=IMAGE), params=params)
    )
    return found


@contextmanager
def int8_shard(vectors: Matrix) -> Iterator[Any]:
    import qdrant_edge as edge

    with tempfile.TemporaryDirectory() as folder:
        config = edge.EdgeConfig(
            vectors={IMAGE: edge.EdgeVectorParams(size=vectors.shape[1], distance=edge.Distance.Cosine)},
            hnsw_config=edge.HnswIndexConfig(m=0, ef_construct=16, full_scan_threshold=10),
            quantization_config=edge.ScalarQuantizationConfig(edge.ScalarType.Int8, always_ram=True),
            optimizers=edge.EdgeOptimizersConfig(default_segment_number=1, indexing_threshold=1),
            wal_enabled=False,
        )
        shard = edge.EdgeShard.create(folder, config)
        for at in range(0, len(vectors), 1000):
            block = vectors[at : at + 1000].tolist()
            points = [edge.Point(record_id(at + n), {IMAGE: vector}, {}) for n, vector in enumerate(block)]
            shard.update(edge.UpdateOperation.upsert_points(points))
        shard.optimize()
        shard.flush()
        try:
            yield shard
        finally:
            shard.close()


def recall(answers: list[list[str]], exact: list[list[int]]) -> float:
    """The share of the exact answers that was found."""
    return float(np.mean([len({*got} & {record_id(n) for n in want}) / len(want)
                          for got, want in zip(answers, exact, strict=True)]))  # fmt: skip


def one_leg(store: EdgeStore, vectors: Matrix, queries: Matrix) -> tuple[dict[str, float], dict[str, float]]:
    """Median milliseconds and recall@10 of each arm."""
    mine = Filter(not_patient=f"{0:032x}", not_sha256=(f"{0:064x}",))

    def ours(query: Vector, where: Filter = Filter()) -> list[str]:  # noqa: B008 - frozen
        return [hit.id for hit in store.search([Leg("image→case", IMAGE, query, "case", K)], where)]

    def single(query: Vector) -> None:
        with threadpool_limits(1):
            nearest(vectors, query, K)

    def several(query: Vector) -> None:
        nearest(vectors, query, K)

    ours(queries[0])  # opens the shards
    own = store._shards["case"]
    with int8_shard(vectors) as int8:
        arms = {
            "ours": ours,
            "ours, a patient and a picture left out": lambda query: ours(query, mine),
            "bare, the same shard": lambda query: bare(own, OVERSAMPLING, query.tolist()),
            "bare int8": lambda query: bare(int8, 2, query.tolist()),
        }
        exactly = {
            "numpy, exact, one thread": single,
            "numpy, exact, all threads": several,
        }  # by itself: its idle threads spin
        took = medians(arms, list(queries)) | medians(exactly, list(queries))
        exact = [nearest(vectors, query, K) for query in queries]
        found = {
            "ours": recall([ours(query) for query in queries], exact),
            "bare int8": recall([[str(p.id) for p in bare(int8, 2, query.tolist())] for query in queries], exact),
        }
    return took, found


def batches(store: EdgeStore, images: Matrix, texts: Matrix) -> dict[str, float]:
    """Median milliseconds of what one question asks of the store."""
    draw = np.random.default_rng(5)
    asked = [
        (
            Leg("image→case", IMAGE, image, "case"),
            Leg("image→passage", IMAGE, image, "passage"),
            Leg("text→passage", TEXT, read, "passage"),
            Leg("bm25", "bm25", text(draw, 6), "passage"),
        )
        for image, read in zip(images, texts, strict=True)
    ]
    mine = Filter(not_patient=f"{0:032x}", not_sha256=(f"{0:064x}",))
    inside = Filter(("chest_xray",), mine.not_patient, mine.not_sha256)
    arms = {
        "four legs": lambda legs: store.search(legs, mine),
        "four legs in one domain": lambda legs: store.search(legs, inside),
        "image→case": lambda legs: store.search(legs[:1], mine),
        "image→passage": lambda legs: store.search(legs[1:2], mine),
        "text→passage": lambda legs: store.search(legs[2:3], mine),
        "bm25": lambda legs: store.search(legs[3:], mine),
    }
    return medians(arms, asked)


def main(
    records: Annotated[int, typer.Option(min=1000, help="cases")] = 100_000,
    texts: Annotated[int, typer.Option(min=1000, help="passages beside them")] = 20_000,
    dim: Annotated[int, typer.Option(min=8)] = 512,
    queries: Annotated[int, typer.Option(min=10)] = 200,
) -> None:
    """Print what one leg costs in our store, the bare engine and numpy, and what a whole question costs."""
    console = Console()
    seen, read = Cloud(records, dim), Cloud(records, dim, seed=1)
    images, reports = seen.draw(records, 2), read.draw(records, 3)
    manifest = Manifest({"image": VectorSpec(IMAGE, dim), "text": VectorSpec(TEXT, dim)})

    def library() -> Iterator[Record]:
        yield from cases(images, reports)
        yield from passages(seen.draw(texts, 4), read.draw(texts, 5), records)

    with tempfile.TemporaryDirectory() as home, closing(EdgeStore(Path(home))) as store:
        store.publish(library(), manifest)
        took, found = one_leg(store, images, asked := seen.draw(queries, 6))
        whole = batches(store, asked, read.draw(queries, 7))
    table = Table(f"{records} × {dim}, top {K}", "median ms", "recall@10", "ours is to it as")
    for name, ms in took.items():
        table.add_row(name, f"{ms:.2f}", f"{found[name]:.3f}" if name in found else "", f"{took['ours'] / ms:.2f}")
    console.print(table)
    for name, ms in whole.items():
        console.print(f"{name}: {ms:.2f} ms over {records} cases and {texts} passages, top 20")
    console.print(f"ours / bare int8: {took['ours'] / took['bare int8']:.2f} (at most 1.5)")
    for threads in ("one thread", "all threads"):
        faster = took[f"numpy, exact, {threads}"] / took["ours"]
        console.print(f"numpy with {threads} / ours: {faster:.1f} (at least 5)")
    console.print(f"recall@10: {found['ours']:.3f} (at least .99)")


if __name__ == "__main__":
    typer.run(main)
