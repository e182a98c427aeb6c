"""What only the server store promises: a clear error when there is no server, and no strangers' collections touched."""

import socket
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from qdrant_client import QdrantClient
from qdrant_client import models as m
from qdrant_client.http.exceptions import UnexpectedResponse

from retrieval.errors import Unavailable
from retrieval.store import open_store
from retrieval.store.options import ServerOptions
from retrieval.store.server import ABANDONED, ServerStore
from retrieval.types import Filter, Leg
from tests.retrieval.store.conftest import IMAGE, LAST_REAL_SERVER, MANIFEST, SERVER, case, uid, unit

pytestmark = [
    pytest.mark.filterwarnings("ignore:Payload indexes have no effect in the local Qdrant"),
    pytest.mark.filterwarnings("ignore:Local mode performs exact"),
]
LEG = Leg("image→case", IMAGE, unit(1), "case")
GREEN, YELLOW, GREY, RED = (m.CollectionStatus(name) for name in ("green", "yellow", "grey", "red"))


class Slow:
    """A server that says these things about its new collection, the last one for ever."""

    def __init__(self, *said: m.CollectionStatus) -> None:
        self.client = QdrantClient(":memory:")
        self.said, self.created, self.updates = list(said), dict[str, Any](), list[dict[str, Any]]()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.client, name)

    def create_collection(self, name: str, **how: Any) -> bool:
        self.created = how
        return self.client.create_collection(name, **how)

    def update_collection(self, name: str, **how: Any) -> bool:
        self.updates.append(how)
        return self.client.update_collection(name, **how)

    def get_collection(self, name: str) -> m.CollectionInfo:
        status = self.said.pop(0) if len(self.said) > 1 else self.said[0]
        return self.client.get_collection(name).model_copy(update={"status": status})


@pytest.fixture
def moved(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Collections the alias was moved to, in order."""
    moves: list[str] = []
    move = ServerStore._point_at
    monkeypatch.setattr(ServerStore, "_point_at", lambda store, name: (moves.append(name), move(store, name))[1])
    return moves


def test_the_alias_waits_until_the_server_has_indexed(moved: list[str]) -> None:
    server = Slow(GREEN, YELLOW, GREY, YELLOW, GREEN)
    store = ServerStore(server, poll_s=0)
    store.publish([case("a", unit(1))], MANIFEST)
    assert server.said == [GREEN]  # all of it was heard before anything moved
    assert len(moved) == 1
    assert any("optimizers_config" in update for update in server.updates)  # grey: waits to be asked
    server.close()


@pytest.mark.parametrize(("status", "match"), [(RED, "its log says why"), (YELLOW, "not indexed.*READY_S")])
def test_a_generation_that_is_never_indexed_is_not_served(status: m.CollectionStatus, match: str, moved: list) -> None:
    server = Slow(GREEN)
    store = ServerStore(server, ServerOptions(ready_s=0.05), poll_s=0.01)
    old = store.publish([case("old", unit(1))], MANIFEST)
    server.said = [status]
    with pytest.raises(Unavailable, match=match):
        store.publish([case("new", unit(1))], MANIFEST)
    server.said = [GREEN]
    assert len(moved) == 1
    assert store.generations() == [old]
    assert [hit.id for hit in store.search([LEG], Filter())] == [uid("old")]
    server.close()


def test_a_collection_is_made_as_the_options_say() -> None:
    server = Slow(GREEN)
    how = ServerOptions("mine", "int8", on_disk=True, shards=3, replicas=2, write_consistency=2, hnsw_m=32)
    name = ServerStore(server, how, poll_s=0).publish([case("a", unit(1))], MANIFEST)
    assert server.client.collection_exists(f"mine-{name}")
    made = server.created
    assert (made["shard_number"], made["replication_factor"], made["write_consistency_factor"]) == (3, 2, 2)
    assert made["on_disk_payload"]
    assert all(vector.on_disk for vector in made["vectors_config"].values())
    assert made["hnsw_config"].m == 32
    assert made["quantization_config"].scalar.always_ram
    server.close()


def test_batches_arrive_in_order_one_at_a_time() -> None:
    store = ServerStore(QdrantClient(":memory:"), ServerOptions(batch=2), poll_s=0)
    records = [case("a", unit(1)), case("b", unit(1)), case("a", unit(0, 1)), case("c", unit(1)), case("a", unit(-1))]
    store.publish(records, MANIFEST)
    scores = {hit.id: hit.scores["image→case"] for hit in store.search([LEG], Filter())}
    assert scores[uid("a")] == pytest.approx(-1)
    assert len(scores) == 3
    store.close()


@pytest.mark.parametrize(("code", "match"), [(401, "API_KEY"), (400, "HTTP 400.*log"), (507, "HTTP 507")])
def test_a_refusal_says_what_to_do_and_repeats_nothing(code: int, match: str, monkeypatch) -> None:
    client = QdrantClient(":memory:")

    def refuse(*_: object, **__: object) -> None:
        raise UnexpectedResponse(code, "no", b'{"status": {"error": "patient p1"}}', None)

    monkeypatch.setattr(client, "upsert", refuse)
    store = ServerStore(client, poll_s=0)
    with pytest.raises(Unavailable, match=match) as caught:
        store.publish([case("a", unit(1))], MANIFEST)
    assert "p1" not in str(caught.value)
    assert store.generations() == []
    store.close()


@pytest.mark.skipif(SERVER is None, reason="CONSULT_TEST_QDRANT_URL names no real server")
def test_the_real_server_is_the_one_that_is_told() -> None:
    """LAST_REAL_SERVER, which the suite prints, is changed by whoever ran it on another version."""
    client = QdrantClient(url=SERVER, check_compatibility=False)
    assert client.info().version == LAST_REAL_SERVER
    client.close()


@pytest.mark.filterwarnings("ignore:Api key is used with an insecure connection")
def test_a_server_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        store = open_store(tmp_path, f"http://127.0.0.1:{free.getsockname()[1]}", "secret-key")
    for call in (lambda: store.manifest, lambda: store.search([LEG], Filter()), lambda: store.publish([], MANIFEST)):
        with pytest.raises(Unavailable, match="CONSULT_RETRIEVAL__URL") as caught:
            call()
        assert "secret-key" not in str(caught.value)
    store.close()


def test_two_installations_share_a_server() -> None:
    client = QdrantClient(":memory:")
    here, there = (ServerStore(client, ServerOptions(collection=name), poll_s=0) for name in ("here", "there"))
    here.publish([case("a", unit(1))], MANIFEST)
    there.publish([case("b", unit(1))], MANIFEST)
    assert [hit.id for hit in here.search([LEG], Filter())] == [uid("a")]
    assert [hit.id for hit in there.search([LEG], Filter())] == [uid("b")]
    assert len(here.generations()) == 1
    client.close()


def test_an_old_unfinished_collection_is_swept_and_a_young_one_is_not() -> None:
    client = QdrantClient(":memory:")
    store = ServerStore(client, poll_s=0)
    now = datetime.now(UTC)
    old, young = (f"consult-{when:%Y%m%dT%H%M%S%f}-abcdef" for when in (now - 2 * ABANDONED, now))
    for name in (old, young):
        client.create_collection(name, vectors_config={})
    store.publish([case("a", unit(1))], MANIFEST)
    assert not client.collection_exists(old)
    assert client.collection_exists(young)
    assert len(store.generations()) == 1  # the unfinished one is not offered
    client.close()
