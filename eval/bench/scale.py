"""What growth costs the embedded store: time and memory to build, disk, query time and recall, by kind of index.

    python -m eval.bench.scale --records 200000 --index graph

Publishes through `EdgeStore`, as an ingestion does, clustered vectors of 512 numbers (`eval/bench/vectors.py`). The
figures it gave stand in `retrieval.store.build.index_kind`, which decides by them.
"""

import resource
import tempfile
import time
from contextlib import closing
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from eval.bench.search import K, recall
from eval.bench.vectors import DOMAINS, IMAGE, Cloud, Matrix, cases, medians, nearest
from retrieval.store.build import Layout
from retrieval.store.edge import EdgeStore
from retrieval.types import Filter, Leg, Manifest, Vector, VectorSpec


class Index(StrEnum):
    SCAN = "scan"
    GRAPH = "graph"


def resident() -> dict[str, int]:
    """MB of this process: its own, and mapped files that may be let go."""
    rows = (line.split() for line in Path("/proc/self/status").read_text().splitlines())
    return {row[0].rstrip(":"): int(row[1]) // 1024 for row in rows if row and row[0] in ("RssAnon:", "RssFile:")}


def on_disk(folder: Path) -> int:
    """Bytes of blocks taken: the engine's files have holes."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


def measure(index: Index, vectors: Matrix, queries: Matrix, folder: Path) -> dict[str, float]:
    layout = Layout(scan_up_to=len(vectors) if index is Index.SCAN else 0)
    manifest = Manifest({"image": VectorSpec(IMAGE, vectors.shape[1])})
    whole, inside = Filter(), Filter(domains=DOMAINS[:1])
    with closing(EdgeStore(folder, layout)) as store:
        start = time.perf_counter()
        store.publish(cases(vectors), manifest)
        built = time.perf_counter() - start

        def ask(query: Vector, where: Filter) -> list[str]:
            return [hit.id for hit in store.search([Leg("image→case", IMAGE, query, "case", K)], where)]

        before, start = resident(), time.perf_counter()
        store.search([], whole)
        opened = time.perf_counter() - start
        arms = {"whole": lambda query: ask(query, whole), "one domain": lambda query: ask(query, inside)}
        took = medians(arms, list(queries))
        after = resident()
        exact = [nearest(vectors, query, K) for query in queries]
        third = [[len(DOMAINS) * n for n in nearest(vectors[:: len(DOMAINS)], query, K)] for query in queries]
        return {
            "build s": built,
            "builder peak MB": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024,
            "disk MB": on_disk(folder) / 1e6,
            "open s": opened,
            "memory MB": after["RssAnon"] - before["RssAnon"],
            "mapped MB": after["RssFile"] - before["RssFile"],
            "query ms": took["whole"],
            "recall": recall([ask(query, whole) for query in queries], exact),
            "query in a third ms": took["one domain"],
            "recall in a third": recall([ask(query, inside) for query in queries], third),
        }


def main(
    records: Annotated[int, typer.Option(min=1000)] = 200_000,
    index: Index = Index.SCAN,
    dim: Annotated[int, typer.Option(min=8)] = 512,
    queries: Annotated[int, typer.Option(min=10)] = 100,
) -> None:
    """Print what an index of this kind costs."""
    cloud = Cloud(records, dim)
    vectors, asked = cloud.draw(records, 1), cloud.draw(queries, 2)
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(index, vectors, asked, Path(folder))
    print(f"{records} × {dim}, {index}")
    for name, figure in figures.items():
        print(f"  {name}: {figure:.3f}" if "recall" in name else f"  {name}: {figure:.1f}", flush=True)


if __name__ == "__main__":
    typer.run(main)
