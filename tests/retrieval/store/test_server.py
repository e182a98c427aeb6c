"""What only the server store promises: a clear error when there is no server, and no strangers' collections touched."""

import socket
from datetime import UTC, datetime
from pathlib import Path

import pytest
from qdrant_client import QdrantClient

from retrieval.errors import Unavailable
from retrieval.store import open_store
from retrieval.store.server import ABANDONED, ServerStore
from retrieval.types import Filter, Leg
from tests.retrieval.store.conftest import IMAGE, MANIFEST, case, uid, unit

pytestmark = [
    pytest.mark.filterwarnings("ignore:Payload indexes have no effect in the local Qdrant"),
    pytest.mark.filterwarnings("ignore:Local mode performs exact"),
]
LEG = Leg("image→case", IMAGE, unit(1), "case")


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
    here, there = ServerStore(client, "here"), ServerStore(client, "there")
    here.publish([case("a", unit(1))], MANIFEST)
    there.publish([case("b", unit(1))], MANIFEST)
    assert [hit.id for hit in here.search([LEG], Filter())] == [uid("a")]
    assert [hit.id for hit in there.search([LEG], Filter())] == [uid("b")]
    assert len(here.generations()) == 1
    client.close()


def test_an_old_unfinished_collection_is_swept_and_a_young_one_is_not() -> None:
    client = QdrantClient(":memory:")
    store = ServerStore(client)
    now = datetime.now(UTC)
    old, young = (f"consult-{when:%Y%m%dT%H%M%S%f}-abcdef" for when in (now - 2 * ABANDONED, now))
    for name in (old, young):
        client.create_collection(name, vectors_config={})
    store.publish([case("a", unit(1))], MANIFEST)
    assert not client.collection_exists(old)
    assert client.collection_exists(young)
    assert len(store.generations()) == 1  # the unfinished one is not offered
    client.close()
