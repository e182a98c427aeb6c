"""A Qdrant server: one collection a generation, the current one behind an alias that is moved in one step.

The manifest is the collection's metadata, written last: a collection without one is unfinished, is never searched, and
is removed by a publisher that finds it a day later. Collections are named `<alias>-<generation>`, so that several
installations may share a server under different aliases.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from retrieval.errors import Busy, NotFound, Unavailable
from retrieval.store import rules
from retrieval.types import Filter, Hit, Leg, Manifest, Record, Vector

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

ABANDONED = timedelta(days=1)
EF = 256  # with int8 and rescoring: recall .999 at 100,000 records


class ServerStore:
    """Every method raises `Unavailable` when the server can't be reached or refuses."""

    def __init__(self, client: "QdrantClient", alias: str = "consult") -> None:
        self._client = client
        self._alias = alias
        self._seen: tuple[str, Manifest] | None = None  # the last current collection; generations never change

    @classmethod
    def at(cls, url: str, api_key: str | None = None, alias: str = "consult") -> "ServerStore":
        from qdrant_client import QdrantClient

        return cls(QdrantClient(url=url, api_key=api_key, timeout=30, check_compatibility=False), alias)

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
                requests = [_request(leg, query, where) for leg, query in queries]
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
                count = self._fill(collection, records, manifest)
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

    def _fill(self, collection: str, records: Iterable[Record], manifest: Manifest) -> int:
        from qdrant_client import models as m

        dims = rules.sizes(manifest)
        int8 = m.ScalarQuantization(scalar=m.ScalarQuantizationConfig(type=m.ScalarType.INT8, always_ram=True))
        self._client.create_collection(
            collection,
            vectors_config={
                rules.engine_name(name): m.VectorParams(size=dim, distance=m.Distance.COSINE)
                for name, dim in dims.items()
            },
            quantization_config=int8,
        )
        for key in rules.KEYWORDS:
            self._client.create_payload_index(collection, key, m.PayloadSchemaType.KEYWORD)
        bm25 = m.TextIndexParams(type=m.TextIndexType.TEXT, scoring=True)
        self._client.create_payload_index(collection, "text", bm25)
        for chunk in rules.chunks(records, manifest):
            points = [
                m.PointStruct(id=key, vector={name: vector.tolist() for name, vector in named.items()}, payload=payload)
                for key, named, payload in chunk
            ]
            self._client.upsert(collection, points, wait=True)
        return self._client.count(collection, exact=True).count

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


def _request(leg: Leg, query: Vector | str, where: Filter) -> Any:
    from qdrant_client import models as m

    without_domain = m.IsEmptyCondition(is_empty=m.PayloadField(key="domain"))
    chosen = rules.condition(m, without_domain, leg.kind, where)
    if isinstance(query, str):
        return m.QueryRequest(query=m.TextQuery(text=query), using="text", filter=chosen, limit=leg.limit)
    rescored = m.QuantizationSearchParams(rescore=True, oversampling=2.0)
    return m.QueryRequest(
        query=query.tolist(),
        using=rules.engine_name(leg.using),
        filter=chosen,
        limit=leg.limit,
        params=m.SearchParams(hnsw_ef=EF, quantization=rescored),
    )


@contextmanager
def _reachable() -> Iterator[None]:
    from qdrant_client.http.exceptions import ApiException

    try:
        yield
    except ApiException as error:
        raise Unavailable("the Qdrant server can't be reached or refused; check CONSULT_RETRIEVAL__URL") from error
