"""Bytes a record takes, measured: the constants of `retrieval/plan.py`. `python -m eval.bench.bytes` (some minutes)

Builds shards and databases of several sizes, dimensions and lengths of text and fits, by least squares, what each
record, number of a vector, character of text, word of a segment's list and segment takes on the disk (blocks, not
lengths: the engine's files have holes) and in memory (of a fresh process that has opened the shard and searched it).
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from eval.bench.scale import on_disk
from eval.bench.vectors import DOMAINS, Cloud, record_id, text
from retrieval.library import Library
from retrieval.rows import Document, File
from retrieval.store import rules
from retrieval.store.build import Layout, build
from retrieval.types import Case, Kind, Manifest, Passage, Record, VectorSpec

NAME = "encoder"
SHARDS = [(5_000, 64, 80), (20_000, 64, 80), (100_000, 64, 80), (20_000, 256, 80), (20_000, 512, 80), (20_000, 64, 20),
          (20_000, 64, 200)]  # records, numbers a vector, words a text  # fmt: skip
OPENED = """
import json, sys
from pathlib import Path
import qdrant_edge as edge
def held():
    return [1024 * int(l.split()[1]) for l in open("/proc/self/status") if l.startswith("RssAnon")][0]
before, shard = held(), edge.EdgeShard.load(sys.argv[1])
params = edge.SearchParams(quantization=edge.QuantizationSearchParams(rescore=True, oversampling=8.0))
for n in range(20):
    query = edge.Query.Nearest([float((n + i) % 7 - 3) for i in range(int(sys.argv[2]))], using="encoder")
    shard.query(edge.QueryRequest(limit=20, query=query, params=params))
    shard.query(edge.QueryRequest(limit=20, query=edge.TextQuery(sys.argv[3], f"w{n} w{n + 7}")))
print(held() - before)
"""


def records(kind: Kind, n: int, dim: int, words: int) -> list[Record]:
    draw, vectors = np.random.default_rng(n), Cloud(n, dim).draw(n, 1)
    rows = []
    for i, vector in enumerate(vectors):
        row = Record(record_id(i), kind, {NAME: vector}, text(draw, words), DOMAINS[i % len(DOMAINS)])
        rows.append(row if kind == "passage" else replace(row, patient=f"{i // 3:032x}", sha256=f"{i:064x}"))
    return rows


def shard(kind: Kind, n: int, dim: int, words: int, layout: Layout = Layout()) -> tuple[list[float], int, int]:  # noqa: B008 - frozen
    """([records, numbers, characters, different words, segments], bytes on disk, bytes in memory)."""
    rows = records(kind, n, dim, words)
    manifest = Manifest({"text": VectorSpec(NAME, dim)})
    with tempfile.TemporaryDirectory() as folder:
        build(Path(folder), {NAME: dim}, layout, iter(rules.chunks(rows, manifest)))
        where = Path(folder) / kind
        command = [sys.executable, "-c", OPENED, str(where), str(dim), rules.text_field(kind)]
        memory = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        characters = sum(len(row.text) for row in rows)
        parts = [rows[at : at + layout.part] for at in range(0, n, layout.part)]
        different = sum(len({word for row in part for word in row.text.split()}) for part in parts)
        return [n, n * dim, characters, different, len(parts)], on_disk(where), memory


def database(n: int, dim: int, words: int) -> tuple[int, int, int]:
    """(characters, bytes of texts, bytes of vectors) of a database with n passages of ten a document."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        characters = 0
        with Library(home) as library:
            draw = np.random.default_rng(n)
            for first in range(0, n, 10):
                key = record_id(first)
                parts = [text(draw, words) for _ in range(10)]
                document = Document(key, key, f"Guideline {first}", f"guides/{first}.md", "\n".join(parts))
                at, cut = 0, []
                for number, part in enumerate(parts):
                    cut.append(Passage(record_id(10**9 + first + number), key, document.title, "Section", part, at,
                                       at + len(part)))  # fmt: skip
                    at += len(part) + 1
                characters += len(document.text)
                library.put_file(File(key, f"/guides/{first}.md", document.name, key, "bench"), [(document, cut)])
        texts = (home / "consult.db").stat().st_size
        with Library(home) as library:
            vectors = np.zeros((n, dim), np.float32)
            for at in range(0, n, 64):
                block = ((f"{i:064x}", vectors[i]) for i in range(at, min(at + 64, n)))
                library.put_vectors("text-encoder-5e6f7a8b", "text", block)
        return characters, texts, (home / "consult.db").stat().st_size - texts


def case_rows(n: int, words: int) -> tuple[int, int]:
    """(characters, bytes) of a database with n cases."""
    with tempfile.TemporaryDirectory() as folder:
        home, draw, dot, characters = Path(folder), np.random.default_rng(n), np.zeros((1, 1), np.uint8), 0
        with Library(home) as library:
            for i in range(n):
                report = text(draw, words)
                characters += len(report)
                library.put_case(Case(record_id(i), f"{i:064x}", report, "chest_xray", f"{i:032x}"), dot)
        return characters, (home / "consult.db").stat().st_size


def fitted(names: Sequence[str], rows: Sequence[Sequence[float]], found: Sequence[float]) -> dict[str, float]:
    """Least squares of relative errors; `worst` is the largest of them."""
    weights = 1 / np.array(found)
    factors, *_ = np.linalg.lstsq(np.array(rows) * weights[:, None], np.ones(len(found)), rcond=None)
    worst = np.abs(np.array(rows) @ factors * weights - 1).max()
    return {**dict(zip(names, np.round(factors, 3).tolist(), strict=True)), "worst": round(float(worst), 3)}


def main() -> None:
    """Print the constants as JSON lines."""
    names = ("record", "number", "character", "word", "segment")
    built = [shard("passage", *size) for size in SHARDS]
    rows = [row for row, _, _ in built]
    print("passages, disk", json.dumps(fitted(names[:-1], [row[:-1] for row in rows], [disk for _, disk, _ in built])))
    print("passages, memory", json.dumps(fitted(names, rows, [memory for _, _, memory in built])))
    _, disk, memory = shard("case", *SHARDS[1])
    print("a case more than a passage", json.dumps({"disk": (disk - built[1][1]) / 20_000,
                                                    "memory": (memory - built[1][2]) / 20_000}))  # fmt: skip
    _, disk, memory = shard("passage", *SHARDS[1], Layout(scan_up_to=0))
    print("a graph, a vector", json.dumps({"disk": (disk - built[1][1]) / 20_000,
                                           "memory": (memory - built[1][2]) / 20_000}))  # fmt: skip
    stored = [database(n, dim, words) for n, dim, words in ((2_000, 64, 80), (6_000, 64, 80), (6_000, 64, 200))]
    texts = fitted(("passage", "character"), [[n, chars] for n, (chars, _, _) in
                                              zip((2_000, 6_000, 6_000), stored, strict=True)],
                   [texts for _, texts, _ in stored])  # fmt: skip
    print("database, texts", json.dumps(texts))
    few, many = case_rows(500, 80), case_rows(1_500, 80)
    grown = many[1] - few[1] - texts["character"] / 2 * (many[0] - few[0])  # a report is kept once
    print("database, a case besides its report", grown / 1_000)
    for dim in (64, 256, 512, 768, 1024):
        small, large = (database(n, dim, 10)[2] for n in (2_000, 6_000))
        print(f"database, a vector of {dim} numbers", (large - small) / 4_000)


if __name__ == "__main__":
    main()
