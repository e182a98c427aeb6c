"""Our passage encoders as a llama-index embedding model."""

import asyncio
from typing import Any, Self

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.bridge.pydantic import PrivateAttr

from retrieval.encoders import TextEncoder, load_text


class ConsultEmbedding(BaseEmbedding):
    """A passage encoder of ours as a llama-index embedding model: unit vectors, queries and passages told apart."""

    _encoder: TextEncoder = PrivateAttr()

    def __init__(self, encoder: TextEncoder, **options: Any) -> None:
        super().__init__(**{"model_name": encoder.identity, "embed_batch_size": 64, **options})
        self._encoder = encoder

    @classmethod
    def named(cls, name: str = "pocket", **options: Any) -> Self:
        """As in the settings: "pocket", a folder or a hub name. Raises `Misconfigured`."""
        return cls(load_text(name), **options)

    @classmethod
    def class_name(cls) -> str:
        return "ConsultEmbedding"

    def _get_query_embedding(self, query: str) -> list[float]:
        embedding: list[float] = self._encoder.encode_queries([query])[0].tolist()
        return embedding

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_text_embeddings([text])[0]

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        embeddings: list[list[float]] = self._encoder.encode_passages(texts).tolist()
        return embeddings

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return await asyncio.to_thread(self._get_query_embedding, query)

    async def _aget_text_embedding(self, text: str) -> list[float]:
        return await asyncio.to_thread(self._get_text_embedding, text)

    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return await asyncio.to_thread(self._get_text_embeddings, texts)
