"""The worker's parts as everybody else sees them: an `Engine` and two encoders whose work is done in the worker."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from assistant.engines.base import Delta, EngineInfo, Prompt
from retrieval.encoders.base import Scores, Vectors
from retrieval.encoders.bundle import IMAGE_TEXT, TEXT, named
from retrieval.encoders.patches import Patches
from retrieval.types import Image

if TYPE_CHECKING:
    from assistant.worker import Worker


class RemoteEngine:
    """The in-process engine, as everybody else sees an engine."""

    def __init__(self, worker: "Worker") -> None:
        self._worker = worker
        self._info: EngineInfo | None = None

    async def info(self) -> EngineInfo:
        if self._info is None:
            self._info = await self._call("engine.info")
        assert self._info is not None
        return self._info

    async def stream(self, prompt: Prompt) -> AsyncGenerator[Delta, None]:
        loop = asyncio.get_running_loop()
        arrived: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()

        def sink(kind: str, payload: Any) -> None:
            with suppress(RuntimeError):  # the loop ended; nobody listens any more
                loop.call_soon_threadsafe(arrived.put_nowait, (kind, payload))

        asking = asyncio.ensure_future(asyncio.to_thread(self._worker.ask, "engine.generate", (prompt,), sink))
        try:
            cancel = await asyncio.shield(asking)
        except asyncio.CancelledError:  # the question may be on its way all the same: take it back when it is out
            asking.add_done_callback(lambda asked: asked.exception() or asked.result()())
            raise
        try:
            while True:
                kind, payload = await arrived.get()
                if kind == "error":
                    raise payload
                if kind == "done":
                    return
                yield payload
        finally:
            cancel()

    async def score(self, prompt: Prompt, completions: Sequence[str]) -> list[float]:
        return list(await self._call("engine.score", prompt, list(completions)))

    async def count(self, texts: Sequence[str]) -> list[int]:
        return list(await self._call("engine.count", list(texts)))

    async def close(self) -> None:
        """The worker itself is closed by whoever started it."""

    async def _call(self, method: str, *arguments: Any) -> Any:
        return await asyncio.wrap_future(await asyncio.to_thread(self._worker.submit, method, *arguments))


class _RemoteEncoder:
    """What an encoder is, is asked once and kept."""

    role = ""

    def __init__(self, worker: "Worker", domain: str | None = None) -> None:
        self._worker = worker
        self.part = named(self.role, domain)
        self._kept: dict[str, Any] = {}

    @property
    def identity(self) -> str:
        return str(self._once("identity"))

    @property
    def dim(self) -> int:
        return int(self._once("dim"))

    def _once(self, name: str) -> Any:
        if name not in self._kept:
            self._kept[name] = self._worker.call(f"{self.part}.{name}")
        return self._kept[name]

    def _encode(self, method: str, batch: Sequence[Any]) -> Vectors:
        if not batch:
            return np.empty((0, self.dim), np.float32)
        vectors: Vectors = self._worker.call(f"{self.part}.{method}", list(batch))
        return vectors


class RemoteImageText(_RemoteEncoder):
    role = IMAGE_TEXT

    @property
    def reads_text(self) -> bool:
        return bool(self._once("reads_text"))

    @property
    def sees_places(self) -> bool:
        return bool(self._once("sees_places"))

    def encode_images(self, images: Sequence[Image]) -> Vectors:
        return self._encode("encode_images", images)

    def encode_patches(self, images: Sequence[Image]) -> list[Patches]:
        return list(self._worker.call(f"{self.part}.encode_patches", list(images)))

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        return self._encode("encode_texts", texts)


class RemoteText(_RemoteEncoder):
    role = TEXT

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        return self._encode("encode_queries", texts)

    def encode_passages(self, texts: Sequence[str]) -> Vectors:
        return self._encode("encode_passages", texts)


class RemoteReranker:
    def __init__(self, worker: "Worker") -> None:
        self._worker = worker
        self._identity = ""

    @property
    def identity(self) -> str:
        self._identity = self._identity or str(self._worker.call("reranker.identity"))
        return self._identity

    def score(self, question: str, passages: Sequence[str]) -> Scores:
        scores: Scores = self._worker.call("reranker.score", question, list(passages))
        return scores
