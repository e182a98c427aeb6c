"""The seam to vision-language models."""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from assistant.study import Picture

Capability = Literal["logprobs", "schema", "adapters", "score"]


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What the rest must know of a model.

    `context`: tokens of prompt and answer together. `image_tokens`: tokens one picture costs. `domains`: the kinds of
    image the model can read, None when it isn't limited (a pocket model is). `demonstration`: not for clinical use.
    """

    engine: str  # "local", "http", "fake"
    model: str
    model_hash: str  # of the weights, or what the server says of itself
    context: int
    image_tokens: int
    capabilities: frozenset[Capability] = frozenset()
    domains: tuple[str, ...] | None = None
    demonstration: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """`parts` in order: text, or a picture where it stands in the text."""

    role: Literal["system", "user", "assistant"]
    parts: tuple[str | Picture, ...]


@dataclass(frozen=True, slots=True)
class Sampling:
    max_tokens: int = 256
    temperature: float = 0.0  # 0: greedy
    seed: int = 0
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Prompt:
    messages: tuple[Message, ...]
    sampling: Sampling = field(default_factory=Sampling)
    schema: dict[str, Any] | None = None  # JSON schema the answer must follow; needs the capability "schema"
    adapter: str | None = None


@dataclass(frozen=True, slots=True)
class Delta:
    """A piece of the answer. `logprobs`: one natural logarithm a token of this piece, when the engine can.
    The last delta carries `usage` (prompt_tokens, completion_tokens) and `cut`: the answer ended at the token limit,
    not by itself."""

    text: str = ""
    logprobs: tuple[float, ...] = ()
    usage: dict[str, int] | None = None
    cut: bool = False


class Engine(Protocol):
    async def info(self) -> EngineInfo:
        """Cached after the first call. Raises `EngineDown` or `Misconfigured`."""

    def stream(self, prompt: Prompt) -> AsyncGenerator[Delta, None]:
        """Closing the generator (`aclose`, cancellation) stops the generation and frees the engine's slot.
        Raises `EngineDown` (unreachable, too slow, broke off), `EngineNonsense` (not its protocol),
        `TooLarge` (longer than the context), `NotFound` (no such adapter), `Misconfigured` (no schemas here)."""

    async def score(self, prompt: Prompt, completions: Sequence[str]) -> list[float]:
        """Sum of the natural log-probabilities of each completion's tokens after the prompt."""

    async def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text; an upper bound where the tokenizer can't be asked."""

    async def close(self) -> None: ...
