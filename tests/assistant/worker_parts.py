"""Fake parts for the worker, and ways to see and to hurt it from inside."""

import os
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from assistant.engines.base import Delta, EngineInfo, Prompt
from assistant.errors import Misconfigured
from retrieval.encoders.base import Vectors


class Engine:
    """Speaks one word a tick, for ever when asked to, and does what the question says."""

    stopped_after = 0

    def info(self) -> EngineInfo:
        return EngineInfo("local", "parts", "0", 100, 1)

    def generate(self, prompt: Prompt, cancelled: threading.Event) -> Iterator[Delta]:
        question = prompt.messages[0].parts[0]
        if question == "die":
            os.kill(os.getpid(), 9)
        if question == "leave":
            os._exit(3)
        if question == "fail":
            raise ValueError("Mrs Miller's words")
        if question == "exhaust":
            raise MemoryError
        type(self).stopped_after = 0
        for n in range(10**6 if question == "for ever" else 5):
            if cancelled.is_set():
                break
            type(self).stopped_after = n + 1
            yield Delta(f"{n} ", (-0.5,))
            time.sleep(0.01)
        yield Delta(usage={"prompt_tokens": 1, "completion_tokens": n})

    def score(self, prompt: Prompt, completions: Sequence[str]) -> list[float]:
        return [-float(len(text)) for text in completions]

    def count(self, texts: Sequence[str]) -> list[int]:
        return [self.stopped_after if text == "stopped after" else len(text) for text in texts]


class Unreadable:
    def __reduce__(self) -> tuple[type, tuple[str]]:
        return int, ("no number",)


class Encoder:
    asked = 0
    dim = 2

    @property
    def identity(self) -> str:
        type(self).asked += 1
        return f"parts-{self.asked}"

    def encode_images(self, images: Sequence[Any]) -> Vectors:
        return np.asarray([[image.mean(), 1] for image in images], np.float32)

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        return np.asarray([[len(text), 0] for text in texts], np.float32)

    def slow(self) -> str:
        time.sleep(0.05)
        return "slow"

    def unreadable(self) -> "Unreadable":
        return Unreadable()

    encode_queries = encode_passages = encode_texts


class Parts:
    def __init__(self, settings: Any) -> None:
        print("a library that prints")
        self.missing = settings.encoders.text == "missing"

    def engine(self) -> Engine:
        return Engine()

    def image_text(self) -> Encoder:
        return Encoder()

    def text(self) -> Encoder:
        if self.missing:
            raise Misconfigured("The text encoder is not there.")
        return Encoder()
