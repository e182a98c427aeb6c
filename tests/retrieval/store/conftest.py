"""The stores under contract, and records to fill them with."""

import importlib.metadata
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import NAMESPACE_URL, uuid4, uuid5

import numpy as np
import pytest

from retrieval.store.base import Store
from retrieval.store.build import Layout
from retrieval.store.edge import EdgeStore
from retrieval.store.memory import MemoryStore
from retrieval.store.options import ServerOptions
from retrieval.store.server import ServerStore
from retrieval.types import Fitted, Manifest, Record, Vector, VectorSpec

IMAGE, TEXT = "hub/image-encoder-1a2b3c4d", "text-encoder-5e6f7a8b"
MANIFEST = Manifest(
    vectors={"image": VectorSpec(IMAGE, 8), "image_text": VectorSpec(IMAGE, 8), "text": VectorSpec(TEXT, 4)},
    domains=("chest_xray", "fundus"),
    fitted=Fitted({"bm25": (0.5, -2.0)}, gamma=0.4, ks=(1, 2)),
)
SERVER = os.environ.get("CONSULT_TEST_QDRANT_URL")
LAST_REAL_SERVER: str | None = None  # the version this suite last passed on; a run with a URL fails until it says so


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    client = importlib.metadata.version("qdrant-client")
    real = SERVER and "the real server at CONSULT_TEST_QDRANT_URL"
    terminalreporter.write_line(
        f"server store ran on: :memory: of qdrant-client {client}; {real or 'no real server'}"
        f" (last real server: {LAST_REAL_SERVER or 'none yet'})"
    )


def uid(name: str) -> str:
    return str(uuid5(NAMESPACE_URL, name))


def unit(*numbers: float, dim: int = 8) -> Vector:
    vector = np.zeros(dim, np.float32)
    vector[: len(numbers)] = numbers
    return vector / np.linalg.norm(vector)


def case(name: str, vector: Vector, **fields: str) -> Record:
    return Record(uid(name), "case", {IMAGE: vector}, **{"text": "", **fields})


def passage(name: str, text: str, **fields: object) -> Record:
    return Record(uid(name), "passage", fields.pop("vectors", {}), text, **fields)


def _local() -> ServerStore:
    from qdrant_client import QdrantClient

    return ServerStore(QdrantClient(":memory:"), poll_s=0)


def _real() -> ServerStore:
    assert SERVER is not None
    return ServerStore.at(SERVER, options=ServerOptions(collection=f"consult-test-{uuid4().hex}"))


KINDS: dict[str, Callable[[Path], Store]] = {
    "memory": lambda home: MemoryStore(),
    "edge": lambda home: EdgeStore(home, Layout(part=1000)),  # small parts, so that a test has several
    "edge-graph": lambda home: EdgeStore(home, Layout(scan_up_to=0)),
    "local-client": lambda home: _local(),
}
if SERVER:
    KINDS["server"] = lambda home: _real()


@pytest.fixture(params=KINDS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    store = KINDS[request.param](tmp_path)
    yield store
    if request.param == "server":
        store._point_at = None  # nothing may publish from here on
        for name in store._collections():
            store._client.delete_collection(name)
    store.close()
