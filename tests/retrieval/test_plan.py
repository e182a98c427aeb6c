"""A plan shows its arithmetic, and comes true: what is built is as large as was said, to 15 %."""

import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import retrieval
from retrieval.library import Library
from retrieval.plan import Line, Load, cached_vector, database, embedded, index_on_disk, server, to_json, to_text
from retrieval.rows import Document, File
from retrieval.store import ServerOptions
from retrieval.store.edge import EdgeStore
from retrieval.types import Case, Manifest, Passage, Record, VectorSpec
from tests.retrieval.store.conftest import uid

SPECS = {"image": VectorSpec("seeing", 96), "image_text": VectorSpec("seeing", 96), "text": VectorSpec("reading", 160)}
sizes = st.integers(0, 10**7)


def texts_of(count: int) -> list[str]:
    """Words of the bundled cards, as often as they occur there, in no order: repeated sentences would be packed."""
    cards = sorted((Path(retrieval.__file__).parent / "knowledge").glob("*.md"))
    words, draw = " ".join(card.read_text(encoding="utf-8") for card in cards).split(), np.random.default_rng(0)
    return [" ".join(words[i] for i in draw.integers(0, len(words), draw.integers(40, 160))) for _ in range(count)]


def taken(folder: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


def test_an_index_is_as_large_as_was_planned(tmp_path: Path) -> None:
    passages, cases = 6000, 2000
    said, draw = texts_of(passages + cases), np.random.default_rng(0)

    def records() -> Iterator[Record]:
        for i, text in enumerate(said):
            vectors = {name: draw.standard_normal(dim).astype(np.float32) for name, dim in
                       (("seeing", 96), ("reading", 160))}  # fmt: skip
            if i < passages:
                yield Record(uid(str(i)), "passage", vectors, text, "chest_xray")
            else:
                yield Record(uid(str(i)), "case", vectors, text, "chest_xray", f"{i // 2:032x}", f"{i:064x}")

    store = EdgeStore(tmp_path)
    name = store.publish(records(), Manifest(SPECS))
    store.close()
    lengths = [len(text) for text in said]
    load = Load(passages, cases, SPECS, round(np.mean(lengths[:passages])), round(np.mean(lengths[passages:])))
    planned = sum(line.bytes for line in index_on_disk(load))
    assert planned == pytest.approx(taken(tmp_path / "index" / name), rel=0.15)


def test_a_database_is_as_large_as_was_planned(tmp_path: Path) -> None:
    texts = texts_of(3200)
    dot = np.zeros((1, 1), np.uint8)
    with Library(tmp_path) as library:
        for n in range(300):
            key = uid(str(n))
            parts = texts[10 * n : 10 * n + 10]
            starts = np.cumsum([0, *(len(part) + 1 for part in parts)])
            document = Document(key, key, f"Guideline {n}", f"{n}.md", "\n".join(parts))
            cut = [Passage(uid(f"{n}/{i}"), key, document.title, "Section", part, int(at), int(at) + len(part))
                   for i, (part, at) in enumerate(zip(parts, starts, strict=False))]  # fmt: skip
            library.put_file(File(key, f"/{n}.md", f"{n}.md", key, "test"), [(document, cut)])
        for n in range(200):
            library.put_case(Case(uid(f"c{n}"), f"{n:064x}", texts[3000 + n], "fundus", f"{n:032x}"), dot)
        for role, dim, count in (("image", 96, 200), ("image_text", 96, 3000), ("text", 160, 3200)):
            vector = np.zeros(dim, np.float32)
            library.put_vectors("an-encoder-5e6f7a8b", role, ((f"{role}{i:060x}", vector) for i in range(count)))
    mean = round(np.mean([len(text) for text in texts]))
    lines = database(Load(3000, 200, SPECS, mean, mean))
    planned = sum(line.bytes for line in lines if line.what != "pictures")
    assert planned == pytest.approx((tmp_path / "consult.db").stat().st_size, rel=0.15)


@given(sizes, sizes, st.booleans(), st.integers(1, 4))
def test_every_line_is_the_product_it_shows(passages: int, cases: int, on_disk: bool, replicas: int) -> None:
    load = Load(passages, cases, SPECS)
    here, there = embedded(load), server(load, ServerOptions(on_disk=on_disk, replicas=replicas), 32)
    for plan in (here, there.plan):
        assert plan.disk_bytes == sum(line.bytes for line in plan.disk)
        assert plan.memory_bytes == sum(line.bytes for line in plan.memory)
        for line in (*plan.disk, *plan.memory):
            numbers = [float(factor.split()[0].replace(",", "")) for factor in line.arithmetic.split(" × ")]
            assert line.bytes == pytest.approx(math.prod(numbers), abs=1)
    assert there.nodes >= replicas
    assert there.memory_per_node <= 0.8 * 32e9
    assert there.shards * replicas >= there.nodes


@given(sizes, sizes, st.integers(1, 10**6))
def test_more_takes_more(passages: int, cases: int, more: int) -> None:
    less, much = Load(passages, cases, SPECS), Load(passages + more, cases, SPECS)
    assert embedded(less).disk_bytes < embedded(much).disk_bytes
    options = ServerOptions()
    assert server(less, options, 32).plan.memory_bytes < server(much, options, 32).plan.memory_bytes


@given(st.integers(1, 8192))
def test_a_cached_vector_takes_at_least_its_numbers(dim: int) -> None:
    assert 4 * dim < cached_vector(dim) < 2.3 * 4 * dim + 800


def test_what_the_settings_say_shows() -> None:
    load = Load(10**6, 10**5, SPECS)
    memory = {how: server(load, ServerOptions(quantization=how), 32).plan.memory_bytes
              for how in ("none", "binary", "turbo")}  # fmt: skip
    assert memory["none"] < memory["binary"] < memory["turbo"]
    whole, apart = (server(load, ServerOptions(on_disk=on_disk), 32).plan for on_disk in (False, True))
    vectors = Line("", ((load.records, ""), (256, ""), (4, ""), (3, "")))
    assert whole.memory_bytes - apart.memory_bytes == vectors.bytes
    assert whole.disk_bytes == apart.disk_bytes


def test_a_large_index_is_planned_with_its_graph() -> None:
    assert not any(line.what == "graph" for line in embedded(Load(250_000, 250_000, SPECS)).disk)
    (graph,) = (line for line in embedded(Load(250_001, 250_000, SPECS)).disk if line.what == "graph")
    assert graph.factors[0] == (250_001, "records")


def test_it_is_told_to_people_and_programs() -> None:
    load = Load(1000, 0, SPECS)
    here, there = embedded(load), server(load, ServerOptions(), 16)
    told = json.loads(json.dumps(to_json(load, here, there)))
    assert told["assumed"]["dims"] == {"image": 96, "image_text": 96, "text": 160}
    assert told["embedded"]["disk_bytes"] == sum(line["bytes"] for line in told["embedded"]["disk"])
    assert told["server"]["nodes"] == 1
    text = to_text(load, here, there)
    assert "1,000 records × 256 numbers × 4 bytes × 3 generations" in text
    assert "Nodes: 1" in text
