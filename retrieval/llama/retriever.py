"""Our whole retrieval as a llama-index retriever."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from llama_index.core.base.base_retriever import BaseRetriever
from llama_index.core.schema import NodeRelationship, NodeWithScore, QueryBundle, RelatedNodeInfo, TextNode

from retrieval.cases import picture_digest, picture_reader
from retrieval.db import salt_of
from retrieval.encoders.bundle import Names, load
from retrieval.errors import BadInput
from retrieval.library import Library
from retrieval.retriever import Retriever
from retrieval.store import open_store
from retrieval.types import Case, Item, Query
from retrieval.weigh import Selection

POCKET = Names()
OF_A_PASSAGE = (
    "document", "document_id", "section", "page", "edition", "jurisdiction", "dated", "condensed_by", "start", "end",
)  # fmt: skip
SHOWN = ("document", "section", "page", "source", "edition", "jurisdiction", "dated")  # to a language model


class ConsultRetriever(BaseRetriever):
    """`retriever` as a llama-index retriever: at most `k` hits (None: as many as its selection allows), of `domains`
    and of what bears on any.

    A query's `custom_embedding_strs`, where given, are searched for in place of its `query_str`; its `embedding` is not
    used, since nobody says which encoder made it. The picture at `image_path` is looked at, is never its own "similar
    case", and where its file names the patient no case of that patient is one. Metadata of a node: `kind` ("passage" or
    "case"), `document`, `document_id`, `section`, `page`, `source`, `edition`, `jurisdiction`, `dated`, `condensed_by`,
    `domain`, `start` and `end` (characters into the document), `sha256` and `labels` of a case, `scores` (raw, by leg).
    Raises `BadInput` for a picture that can't be read, `EncoderMismatch` as `Retriever.retrieve` does.
    """

    def __init__(
        self, retriever: Retriever, *, k: int | None = None, domains: Sequence[str] = (), **options: Any
    ) -> None:
        super().__init__(**options)
        self.retriever, self.k, self.domains = retriever, k, tuple(domains)

    @classmethod
    def at(
        cls, home: Path | str, encoders: Names = POCKET, selection: Selection | None = None, *,
        url: str | None = None, api_key: str | None = None, **options: Any,
    ) -> Self:  # fmt: skip
        """Over an installation's home, with the encoders its settings name; `url`: its Qdrant server. `close` it when
        done. Raises `Misconfigured`."""
        loaded, store = load(encoders), open_store(Path(home), url, api_key)
        return cls(Retriever(store, Library(Path(home)), loaded, selection), **options)

    def close(self) -> None:
        self.retriever.store.close()
        self.retriever.library.close()

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        evidence = self.retriever.retrieve(self._query(query_bundle))
        return [NodeWithScore(node=_node(item), score=item.relevance) for item in evidence.items]

    async def _aretrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        return await asyncio.to_thread(self._retrieve, query_bundle)

    def _query(self, bundle: QueryBundle) -> Query:
        text = " ".join(bundle.custom_embedding_strs or [bundle.query_str])
        if bundle.image_path is None:
            return Query(text, domains=self.domains, k=self.k)
        path = Path(bundle.image_path)
        if not path.is_file():
            raise BadInput("The query's image_path is no file on this machine.")
        image, patient = picture_reader()(path, salt_of(self.retriever.library.home))
        return Query(
            text, embeddings=self.retriever.look([image]), domains=self.domains, patient=patient,
            sha256=(picture_digest(image),), k=self.k,
        )  # fmt: skip


def _node(item: Item) -> TextNode:
    content = item.content
    metadata: dict[str, Any] = {"scores": dict(item.scores), "source": content.source, "domain": content.domain}
    if isinstance(content, Case):
        metadata |= {"kind": "case", "sha256": content.sha256, "labels": list(content.labels)}
        return TextNode(id_=content.id, text=content.report, metadata=metadata, **_hidden(metadata))
    metadata |= {"kind": "passage", **{name: getattr(content, name) for name in OF_A_PASSAGE}}
    return TextNode(
        id_=content.id, text=content.text, metadata=metadata, **_hidden(metadata), start_char_idx=content.start,
        end_char_idx=content.end,
        relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=content.document_id)},
    )  # fmt: skip


def _hidden(metadata: dict[str, Any]) -> dict[str, list[str]]:
    """What no language model and no embedding model is given."""
    unsaid = [name for name, value in metadata.items() if name not in SHOWN or value in ("", None)]
    return {"excluded_llm_metadata_keys": unsaid, "excluded_embed_metadata_keys": list(metadata)}
