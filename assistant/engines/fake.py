"""An engine without a model: says what it is told to, and remembers what it was asked. Three characters are a token."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from itertools import count as counter

from assistant.engines.base import Delta, EngineInfo, Prompt
from assistant.errors import ConsultError, EngineDown, Misconfigured, NotFound, TooLarge

STEP = 3  # characters a token
LOGPROB = -0.25
INFO = EngineInfo(
    engine="fake", model="fake", model_hash="fake-1", context=4096, image_tokens=36,
    capabilities=frozenset({"logprobs", "score", "schema", "adapters"}),
)  # fmt: skip


def pieces(text: str) -> list[str]:
    return [text[at : at + STEP] for at in range(0, len(text), STEP)]


class FakeEngine:
    """`answers`: one a call, the last again and again; or a function of the prompt.

    `delay`: seconds before each piece. `fail_at`: the piece, counted from 0, in whose place `error` is raised.
    `adapters`: the names it has. `prompts`: what it was asked; `open`: generations under way; `peak`: the most at once.
    """

    def __init__(
        self, answers: Sequence[str] | Callable[[Prompt], str], *, info: EngineInfo = INFO, delay: float = 0.0,
        fail_at: int | None = None, error: ConsultError | None = None, adapters: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self._answers, self._info, self._delay = answers, info, delay
        self._fail_at, self._error, self._adapters = fail_at, error or EngineDown("The engine broke off."), adapters
        self._calls = counter()
        self.prompts: list[Prompt] = []
        self.open = self.peak = 0
        self.closed = False

    async def info(self) -> EngineInfo:
        return self._info

    async def stream(self, prompt: Prompt) -> AsyncGenerator[Delta, None]:
        cost = self._admit(prompt)
        answer, longest = self._answer(prompt), prompt.sampling.max_tokens
        for stop in prompt.sampling.stop:
            answer = answer.partition(stop)[0]
        whole, said = pieces(answer), list[str]()
        self.open += 1
        self.peak = max(self.peak, self.open)
        try:
            for n, piece in enumerate(whole[:longest]):
                await asyncio.sleep(self._delay)
                if n == self._fail_at:
                    raise self._error
                said.append(piece)
                yield Delta(piece, (LOGPROB,) if "logprobs" in self._info.capabilities else ())
            usage = {"prompt_tokens": cost, "completion_tokens": len(said)}
            yield Delta(usage=usage, cut=len(whole) > longest)
        finally:
            self.open -= 1

    async def score(self, prompt: Prompt, completions: Sequence[str]) -> list[float]:
        if "score" not in self._info.capabilities:
            raise Misconfigured("The fake engine was told that it can't score.")
        self._admit(prompt)
        return [LOGPROB * len(pieces(text)) for text in completions]

    async def count(self, texts: Sequence[str]) -> list[int]:
        return [len(pieces(text)) for text in texts]

    async def close(self) -> None:
        self.closed = True

    def _answer(self, prompt: Prompt) -> str:
        if callable(self._answers):
            return self._answers(prompt)
        return self._answers[min(next(self._calls), len(self._answers) - 1)]

    def _admit(self, prompt: Prompt) -> int:
        """Tokens of the prompt, or the error a real engine would raise."""
        self.prompts.append(prompt)
        if prompt.adapter is not None and prompt.adapter not in self._adapters:
            raise NotFound(f"The fake engine has no adapter {prompt.adapter!r}.")
        if prompt.schema is not None and "schema" not in self._info.capabilities:
            raise Misconfigured("The fake engine was told that it can't follow a schema.")
        parts = [part for message in prompt.messages for part in message.parts]
        cost = sum(len(pieces(part)) if isinstance(part, str) else self._info.image_tokens for part in parts)
        if cost >= self._info.context:
            raise TooLarge(f"The prompt needs {cost} tokens; the fake engine reads {self._info.context}.")
        return cost
