"""A folder of nodes as a llama-index vector store."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.schema import BaseNode, MetadataMode
from llama_index.core.vector_stores.types import (
    BasePydanticVectorStore,
    MetadataFilters,
    VectorStoreQuery,
    VectorStoreQueryMode,
    VectorStoreQueryResult,
)
from llama_index.core.vector_stores.utils import metadata_dict_to_node, node_to_metadata_dict

from retrieval.errors import BadInput
from retrieval.llama.filters import REF, key_of, point_of, where_of
from retrieval.store.shelf import Found, Shelf, Term, Where


class ConsultVectorStore(BasePydanticVectorStore):
    """Nodes with their text, metadata and embeddings in `folder`, in Qdrant Edge. What was added or deleted is on the
    disk when the call returns; the same folder opens again with all of it. One process at a time; errors as of `Shelf`.

    Modes: "default" (cosine), "mmr", "text_search" and "sparse" (both BM25). Filters may be nested and take every
    operator but "text_match_insensitive"; on a list "==" and "in" look at each element, and ">" and its kind compare
    numbers. `persist` only gives back the space of what was deleted: where to is decided by `folder`.
    """

    stores_text: bool = True
    folder: str
    _shelf: Shelf = PrivateAttr()

    def __init__(self, folder: Path | str) -> None:
        super().__init__(folder=str(folder))
        self._shelf = Shelf(Path(folder), indexed=[key_of(REF)])

    @classmethod
    def class_name(cls) -> str:
        return "ConsultVectorStore"

    @property
    def client(self) -> Shelf:
        return self._shelf

    def close(self) -> None:
        self._shelf.close()

    def add(self, nodes: Sequence[BaseNode], **_: Any) -> list[str]:
        """Stores nodes, in place of those of the same id; returns their ids."""
        self._shelf.put(
            (point_of(node.node_id), node.get_embedding(), node.get_content(MetadataMode.NONE),
             {"meta": node_to_metadata_dict(node)})
            for node in nodes
        )  # fmt: skip
        return [node.node_id for node in nodes]

    def delete(self, ref_doc_id: str, **_: Any) -> None:
        """All nodes of a document."""
        self._shelf.remove(Where(must=(Term(key_of(REF), "==", ref_doc_id),)))

    def delete_nodes(self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None, **_: Any) -> None:
        if node_ids is None and not (filters and filters.filters):
            raise BadInput("Name the nodes to delete, by id or by filters; `clear` deletes all.")
        self._shelf.remove(where_of(filters, node_ids))

    def get_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None
    ) -> list[BaseNode]:  # fmt: skip
        """In no particular order; without their embeddings."""
        return [metadata_dict_to_node(payload["meta"]) for payload in self._shelf.all(where_of(filters, node_ids))]

    def clear(self) -> None:
        self._shelf.clear()

    def query(self, query: VectorStoreQuery, **options: Any) -> VectorStoreQueryResult:
        """Raises `BadInput` for a mode or filter that isn't supported."""
        where = where_of(query.filters, query.node_ids or None, query.doc_ids)  # [] is how llama-index says "any node"
        found = self._found(query, where, options)
        nodes = [metadata_dict_to_node(payload["meta"]) for payload, _ in found]
        return VectorStoreQueryResult(nodes, [score for _, score in found], [node.node_id for node in nodes])

    def _found(self, query: VectorStoreQuery, where: Where, options: dict[str, Any]) -> list[Found]:
        match query.mode:
            case VectorStoreQueryMode.TEXT_SEARCH | VectorStoreQueryMode.SPARSE:
                return self._shelf.worded(query.query_str or "", query.sparse_top_k or query.similarity_top_k, where)
            case VectorStoreQueryMode.DEFAULT | VectorStoreQueryMode.MMR if query.query_embedding is None:
                raise BadInput("The query has no embedding; ask through an index that has an embed_model.")
            case VectorStoreQueryMode.DEFAULT:
                return self._shelf.nearest(query.query_embedding, query.similarity_top_k, where)
            case VectorStoreQueryMode.MMR:
                given = (options.get("mmr_threshold"), query.mmr_threshold, 0.5)
                threshold = next(value for value in given if value is not None)  # 1: by nearness alone
                return self._shelf.nearest(query.query_embedding, query.similarity_top_k, where, 1 - threshold)
        raise BadInput(f"Mode {query.mode.value} is not supported; use default, mmr, text_search or sparse.")

    def persist(self, persist_path: str = "", fs: Any = None) -> None:
        self._shelf.tidy()

    async def async_add(self, nodes: Sequence[BaseNode], **options: Any) -> list[str]:
        return await asyncio.to_thread(self.add, nodes, **options)

    async def adelete(self, ref_doc_id: str, **options: Any) -> None:
        await asyncio.to_thread(self.delete, ref_doc_id, **options)

    async def adelete_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None, **options: Any
    ) -> None:  # fmt: skip
        await asyncio.to_thread(self.delete_nodes, node_ids, filters, **options)

    async def aget_nodes(
        self, node_ids: list[str] | None = None, filters: MetadataFilters | None = None
    ) -> list[BaseNode]:  # fmt: skip
        return await asyncio.to_thread(self.get_nodes, node_ids, filters)

    async def aclear(self) -> None:
        await asyncio.to_thread(self.clear)

    async def aquery(self, query: VectorStoreQuery, **options: Any) -> VectorStoreQueryResult:
        return await asyncio.to_thread(self.query, query, **options)
