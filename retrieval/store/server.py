"""A Qdrant server or cluster: one collection a generation, the current one behind an alias that is moved in one step,
when the server has indexed the new one: nobody searches a generation that is half optimised.

The manifest is the collection's metadata, written last: a collection without one is unfinished, is never searched, and
is removed by a publisher that finds it a day later. Collections are named `<alias>-<generation>`, so that several
installations may share a server under different aliases.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from retrieval.errors import Busy, NotFound, Unavailable
from retrieval.store import rules
from retrieval.store.options import Quantization, ServerOptions
from retrieval.types import Filter, Hit, Leg, Manifest, Record, Vector

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

ABANDONED = timedelta(days=1)
OVERSAMPLING = 8.0  # candidates a hit for rescoring, as in the embedded store
POLL_S = 0.5
DEFAULT = ServerOptions()
KEPT = "The previous generation stays in use"


class ServerStore:
    """Every method raises `Unavailable` when the server can't be reached or refuses."""

    def __init__(self, client: "QdrantClient", options: ServerOptions = DEFAULT, poll_s: float = POLL_S) -> None:
        self._client, self._options, self._poll_s = client, options, poll_s
        self._alias = options.collection
        self._seen: tuple[str, Manifest] | None = None  # the last current collection; generations never change

    @classmethod
    def at(cls, url: str, api_key: str | None = None, options: ServerOptions = DEFAULT) -> "ServerStore":
        from qdrant_client import QdrantClient

        timeout = options.timeout_s
        return cls(QdrantClient(url=url, api_key=api_key, timeout=timeout, check_compatibility=False), options)

    @property
    def manifest(self) -> Manifest | None:
        with _reachable():
            current = self._current()
            return current[1] if current else None

    def search(self, legs: Sequence[Leg], where: Filter) -> list[Hit]:
        with _reachable():
            while current := self._current():
                collection, manifest = current
                queries = rules.asked(legs, manifest)
                if not queries:
                    return []
                requests = [_request(leg, query, where, self._options.hnsw_ef) for leg, query in queries]
                try:
                    answers = self._client.query_batch_points(collection, requests)
                except Exception:
                    if self._target() == collection:
                        raise
                    continue  # replaced and removed between the two calls
                found = [[(str(point.id), point.score) for point in answer.points] for answer in answers]
                return rules.gathered(zip((leg for leg, _ in queries), found, strict=True))
            return []

    def publish(self, records: Iterable[Record], manifest: Manifest) -> str:
        with _reachable():
            self._sweep()
            generation = rules.new_generation()
            collection = f"{self._alias}-{generation}"
            try:
                self._create(collection, manifest)
                count = self._fill(collection, records, manifest)
                self._wait_until_indexed(collection)
                metadata = {"manifest": rules.manifest_to_json(rules.stamped(manifest, count))}
                self._client.update_collection(collection, metadata=metadata)
                self._point_at(collection)
            except BaseException:
                with suppress(Exception):  # the first error is the one to tell
                    if self._target() != collection:  # moved after all, and only the answer was lost
                        self._client.delete_collection(collection)
                raise
            return generation

    def delete(self, generation: str) -> None:
        with _reachable():
            if generation not in self.generations():
                raise NotFound("the index has no such generation")
            collection = f"{self._alias}-{generation}"
            if collection == self._target():
                raise Busy("this generation of the index is in use; publish another one first")
            self._client.delete_collection(collection)

    def generations(self) -> list[str]:
        with _reachable():
            return sorted(self._generation(name) for name in self._collections() if self._manifest(name))

    def close(self) -> None:
        self._client.close()

    # reading

    def _target(self) -> str | None:
        aliases = self._client.get_aliases().aliases
        return next((alias.collection_name for alias in aliases if alias.alias_name == self._alias), None)

    def _current(self) -> tuple[str, Manifest] | None:
        collection = self._target()
        if collection is None:
            return None
        if self._seen is None or self._seen[0] != collection:
            manifest = self._manifest(collection)
            if manifest is None:
                return None
            self._seen = (collection, manifest)
        return self._seen

    def _manifest(self, collection: str) -> Manifest | None:
        metadata = self._client.get_collection(collection).config.metadata or {}
        return rules.manifest_from_json(metadata["manifest"]) if "manifest" in metadata else None

    def _collections(self) -> list[str]:
        names = [item.name for item in self._client.get_collections().collections]
        return [name for name in names if name.startswith(f"{self._alias}-")]

    def _generation(self, collection: str) -> str:
        return collection.removeprefix(f"{self._alias}-")

    # publishing

    def _create(self, collection: str, manifest: Manifest) -> None:
        from qdrant_client import models as m

        how = self._options
        self._client.create_collection(
            collection,
            vectors_config={
                rules.engine_name(name): m.VectorParams(size=dim, distance=m.Distance.COSINE, on_disk=how.on_disk)
                for name, dim in rules.sizes(manifest).items()
            },
            hnsw_config=m.HnswConfigDiff(m=how.hnsw_m),
            quantization_config=_quantization(how.quantization),
            shard_number=how.shards,
            replication_factor=how.replicas,
            write_consistency_factor=how.write_consistency,
            on_disk_payload=how.on_disk,
        )
        for key in ("kind", *dict.fromkeys(key for keys in rules.KEYWORDS.values() for key in keys)):
            self._client.create_payload_index(collection, key, m.PayloadSchemaType.KEYWORD)
        bm25 = m.TextIndexParams(type=m.TextIndexType.TEXT, scoring=True)
        for kind in rules.KINDS:
            self._client.create_payload_index(collection, rules.text_field(kind), bm25)

    def _fill(self, collection: str, records: Iterable[Record], manifest: Manifest) -> int:
        """While the server stores a batch the next one is prepared. Never two under way: the last of a repeated record
        must win."""
        from qdrant_client import models as m

        under_way: Future[Any] | None = None
        with ThreadPoolExecutor(1) as sender:
            for chunk in rules.chunks(records, manifest, self._options.batch):
                points = [
                    m.PointStruct(id=key, vector={name: vector.tolist() for name, vector in named.items()},
                                  payload=payload)
                    for key, named, payload in chunk
                ]  # fmt: skip
                if under_way:
                    under_way.result()
                under_way = sender.submit(self._client.upsert, collection, points, wait=True)
            if under_way:
                under_way.result()
        return self._client.count(collection, exact=True).count

    def _wait_until_indexed(self, collection: str) -> None:
        """Until the server calls the collection green twice in a row: the first may come before it began to index."""
        from qdrant_client import models as m

        until, greens = time.monotonic() + self._options.ready_s, 0
        while greens < 2:
            info = self._client.get_collection(collection)
            if info.status == m.CollectionStatus.RED or info.optimizer_status != m.OptimizersStatusOneOf.OK:
                raise Unavailable("the Qdrant server failed to index the new generation; its log says why. " + KEPT)
            if info.status == m.CollectionStatus.GREY:  # a restarted server waits to be asked
                self._client.update_collection(collection, optimizers_config=m.OptimizersConfigDiff())
            greens = greens + 1 if info.status == m.CollectionStatus.GREEN else 0
            if greens < 2 and time.monotonic() > until:
                raise Unavailable(
                    f"the Qdrant server had not indexed the new generation after {self._options.ready_s:.0f} s; give it"
                    f" more memory or time (CONSULT_RETRIEVAL__SERVER__READY_S). {KEPT}"
                )
            if greens < 2:
                time.sleep(self._poll_s)

    def _point_at(self, collection: str) -> None:
        from qdrant_client import models as m

        create = m.CreateAlias(collection_name=collection, alias_name=self._alias)
        moves: list[Any] = [m.CreateAliasOperation(create_alias=create)]
        if self._target() is not None:
            moves.insert(0, m.DeleteAliasOperation(delete_alias=m.DeleteAlias(alias_name=self._alias)))
        self._client.update_collection_aliases(moves)

    def _sweep(self) -> None:
        limit = f"{datetime.now(UTC) - ABANDONED:%Y%m%dT%H%M%S%f}"
        for name in self._collections():
            if self._generation(name) < limit and self._manifest(name) is None:
                self._client.delete_collection(name)


def _quantization(name: Quantization) -> Any:
    """Quantised vectors are always kept in memory: they are what every search reads."""
    from qdrant_client import models as m

    match name:
        case "turbo":
            bits = m.TurboQuantBitSize.BITS4
            return m.TurboQuantization(turbo=m.TurboQuantQuantizationConfig(bits=bits, always_ram=True))
        case "int8":
            int8 = m.ScalarQuantizationConfig(type=m.ScalarType.INT8, always_ram=True)
            return m.ScalarQuantization(scalar=int8)
        case "binary":
            return m.BinaryQuantization(binary=m.BinaryQuantizationConfig(always_ram=True))
        case "none":
            return None


def _request(leg: Leg, query: Vector | str, where: Filter, ef: int) -> Any:
    from qdrant_client import models as m

    must = [rules.holds(m, "kind", leg.kind), *rules.inside(m, where)]
    chosen = m.Filter(must=must, must_not=rules.outside(m, leg.kind, where))
    if isinstance(query, str):
        text = m.TextQuery(text=query)
        return m.QueryRequest(query=text, using=rules.text_field(leg.kind), filter=chosen, limit=leg.limit)
    rescored = m.QuantizationSearchParams(rescore=True, oversampling=OVERSAMPLING)
    return m.QueryRequest(
        query=query.tolist(),
        using=rules.engine_name(leg.using),
        filter=chosen,
        limit=leg.limit,
        params=m.SearchParams(hnsw_ef=ef, quantization=rescored),
    )


@contextmanager
def _reachable() -> Iterator[None]:
    from qdrant_client.http.exceptions import ApiException, UnexpectedResponse

    try:
        yield
    except UnexpectedResponse as error:
        why = "check CONSULT_RETRIEVAL__API_KEY" if error.status_code in (401, 403) else "its log says why"
        raise Unavailable(f"the Qdrant server refused (HTTP {error.status_code}); {why}") from error
    except ApiException as error:
        raise Unavailable("the Qdrant server can't be reached; check CONSULT_RETRIEVAL__URL") from error
