"""A model served elsewhere: vLLM, or any server that speaks OpenAI's chat protocol.

Nothing of a prompt is logged or put into an error; the words of the server are not repeated either, since a server may
quote the prompt in them. Leaving the stream closes the HTTP response, and that is what frees the server's slot.
"""

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from assistant.engines.base import Capability, Delta, EngineInfo, Message, Prompt
from assistant.engines.card import MAX_SIDE, Card, pocket_folder, read_card, token_bound, weights_hash
from assistant.engines.hot import take_up
from assistant.engines.wire import SHAPE_ERRORS, Piece, messages, read
from assistant.errors import ConsultError, EngineDown, EngineNonsense, Misconfigured, NotFound, TooLarge
from assistant.settings import EngineSettings
from assistant.study import Picture

RETRIES = 2  # of a connection, by the library, before the first piece; none after it
# What is assumed of a server that doesn't say. Both are on the careful side for models of the last years.
CONTEXT = 8192
IMAGE_TOKENS = 1536
TOKEN_CHARS, LEAST_CHARS = 64, 4096  # no model's answer is longer than this: a token's length, and at least
VLLM: frozenset[Capability] = frozenset({"logprobs", "schema", "adapters", "score"})
_TOO_LONG = re.compile(r"context.?length|context.?window|max\w*.model.len|longer than the max|too long|too many tokens")
_TOO_MANY_PICTURES = re.compile(r"at most \d+ image")


@dataclass(frozen=True, slots=True)
class _Server:
    info: EngineInfo
    adapters: frozenset[str]  # models listed beside it are none: they would answer under its name
    card: Card = field(default_factory=Card)
    listed: set[str] = field(default_factory=set)  # what it serves now; more is taken up when it is first asked for


class HttpEngine:
    def __init__(self, settings: EngineSettings) -> None:
        from openai import AsyncOpenAI, Timeout

        # Below this level the library logs whole requests, that is patients.
        logging.getLogger("openai").setLevel(logging.INFO)
        self._settings = settings
        self._base = settings.url.rstrip("/")
        self._root = self._base.removesuffix("/v1")
        self._host = urlsplit(self._base).netloc
        if not self._host or urlsplit(self._base).scheme not in ("http", "https"):
            raise Misconfigured("[engine] url must be a full address like http://127.0.0.1:8000/v1.")
        self._client = AsyncOpenAI(
            base_url=self._base, api_key=settings.api_key.get_secret_value(), max_retries=RETRIES,
            timeout=Timeout(None, connect=min(10.0, settings.first_token_s)),
        )  # fmt: skip
        self._server: _Server | None = None
        self._taking_up = asyncio.Lock()

    async def info(self) -> EngineInfo:
        return (await self._known()).info

    async def stream(self, prompt: Prompt) -> AsyncGenerator[Delta, None]:
        server = await self._known()
        request = await self._request(server, prompt)
        clock = asyncio.get_running_loop().time
        deadline = clock() + self._settings.first_token_s
        with self._translated(prompt.adapter):
            async with asyncio.timeout_at(deadline):
                stream = await self._client.chat.completions.create(**request)
        said = finished = cut = False
        heard, bound = 0, max(LEAST_CHARS, TOKEN_CHARS * prompt.sampling.max_tokens)
        usage: dict[str, int] = {}
        async with stream:
            while True:
                with self._translated(prompt.adapter, began=said):
                    async with asyncio.timeout_at(deadline):
                        chunk = await anext(stream, None)
                    piece = Piece() if chunk is None else read(chunk)
                if chunk is None:
                    break
                if piece.alive:
                    deadline = clock() + self._settings.between_s
                heard += piece.size or 1
                if heard > bound:
                    raise self._nonsense("went on far beyond the tokens it was asked for")
                finished, said, usage = finished or piece.finished, said or bool(piece.text), piece.usage or usage
                cut = cut or piece.cut
                if piece.text or piece.logprobs:
                    yield Delta(piece.text, piece.logprobs)
        if not finished or not said:
            what = "ended its answer without saying that it is complete" if said else "sent an answer without text"
            raise self._nonsense(what)
        yield Delta(usage=usage, cut=cut)

    async def score(self, prompt: Prompt, completions: Sequence[str]) -> list[float]:
        """Reads the completions' log-probabilities as part of a prompt, which only vLLM offers."""
        server = await self._known()
        if "score" not in server.info.capabilities:
            raise Misconfigured(f"The server at {self._host} can't score given answers; vLLM and the local engine can.")
        request = await self._request(server, prompt)
        for name in ("stream", "stream_options", "logprobs"):
            del request[name]
        request["max_tokens"] = 1
        with self._translated(prompt.adapter):
            bare = await self._timed(self._client.chat.completions.create(**request))
            start = int(bare.usage.prompt_tokens)
        return list(await asyncio.gather(*(self._score(request, start, text, prompt.adapter) for text in completions)))

    async def count(self, texts: Sequence[str]) -> list[int]:
        server = await self._known()
        if "score" not in server.info.capabilities:  # not vLLM
            return [token_bound(text) for text in texts]
        bodies = ({"prompt": text, "add_special_tokens": False} for text in texts)
        return list(await asyncio.gather(*(self._tokens(server.info.model, body) for body in bodies)))

    async def close(self) -> None:
        await self._client.close()

    # What the server is

    async def _known(self) -> _Server:
        if self._server is None:
            self._server = await self._ask()
        return self._server

    async def _ask(self) -> _Server:
        with self._translated():
            listed = await self._timed(self._client.get("/models", cast_to=object))
            models = {str(entry["id"]): dict(entry) for entry in listed["data"]}
        name = self._settings.model or next(iter(models), "")
        if name not in models:
            there = ", ".join(sorted(models)) or "none"
            raise Misconfigured(f"The server at {self._host} has no model {name!r} ([engine] model); it has: {there}.")
        told = models[name]
        adapters = frozenset(self._settings.adapters) | {
            n for n, entry in models.items() if entry.get("parent") == name
        }
        context = told.get("max_model_len")
        version = await self._version() if isinstance(context, int) else None
        if version is None:
            context = context if isinstance(context, int) else CONTEXT
            info = EngineInfo("http", name, f"{name}@{self._host}", context, IMAGE_TOKENS)
            return _Server(info, adapters, listed=set(models))
        root = str(told.get("root") or "")
        card = _card(name, root)
        weights = await asyncio.to_thread(weights_hash, Path(root)) if root and Path(root).is_dir() else None
        info = EngineInfo(
            engine="http", model=name, model_hash=f"{weights or name}@vllm-{version}", context=int(context or CONTEXT),
            image_tokens=await self._image_tokens(name, card), capabilities=VLLM, domains=card.domains,
            demonstration=card.demonstration,
        )  # fmt: skip
        return _Server(info, adapters, card, set(models))

    async def _version(self) -> str | None:
        """vLLM's, or None when this is another server."""
        from openai import APIError

        try:
            told: Any = await self._timed(self._client.get(f"{self._root}/version", cast_to=object))
            return str(told["version"])
        except (APIError, TimeoutError, *SHAPE_ERRORS):
            return None

    async def _image_tokens(self, model: str, card: Card) -> int:
        """The cost of the largest picture that is ever sent, measured; the assumed one for a model without pictures."""
        side = card.picture or MAX_SIDE
        black = Picture(np.zeros((side, side), np.uint8))
        try:
            with_it, without = [
                await self._tokens(model, {"messages": messages(Prompt((Message("user", parts),)), card)})
                for parts in ((black, "."), (".",))
            ]
        except ConsultError:
            return IMAGE_TOKENS
        return with_it - without

    async def _tokens(self, model: str, body: Mapping[str, Any]) -> int:
        with self._translated():
            url = f"{self._root}/tokenize"
            told: Any = await self._timed(self._client.post(url, cast_to=object, body={"model": model, **body}))
            return int(told["count"])

    # One request

    async def _request(self, server: _Server, prompt: Prompt) -> dict[str, Any]:
        capabilities, sampling = server.info.capabilities, prompt.sampling
        if prompt.adapter is not None:
            await self._have(server, prompt.adapter)
        if prompt.schema is not None and "schema" not in capabilities:
            raise Misconfigured(f"The server at {self._host} isn't known to keep an answer to a schema; vLLM does.")
        request: dict[str, Any] = {
            "model": prompt.adapter or server.info.model,
            "messages": await asyncio.to_thread(messages, prompt, server.card),
            "max_tokens": sampling.max_tokens, "temperature": sampling.temperature, "seed": sampling.seed,
            "stream": True, "stream_options": {"include_usage": True},
        }  # fmt: skip
        if sampling.stop:
            request["stop"] = list(sampling.stop)
        if "logprobs" in capabilities:
            request["logprobs"] = True
        if prompt.schema is not None:
            schema = {"name": "answer", "schema": prompt.schema, "strict": True}
            request["response_format"] = {"type": "json_schema", "json_schema": schema}
        return request

    async def _have(self, server: _Server, adapter: str) -> None:
        """Raises `NotFound` for one that is not this model's; vLLM takes up one of the settings' while it runs."""
        if adapter not in server.adapters:
            raise self._no_adapter(adapter)
        async with self._taking_up:
            if adapter not in server.listed and server.info.capabilities == VLLM:
                with self._translated(adapter):
                    await self._timed(take_up(self._client, self._host, adapter, self._settings.adapters[adapter]))
                server.listed.add(adapter)

    async def _score(self, request: dict[str, Any], start: int, completion: str, adapter: str | None) -> float:
        if not completion:
            return 0.0
        continued = [*request["messages"], {"role": "assistant", "content": completion}]
        extra = {"prompt_logprobs": 0, "add_generation_prompt": False, "continue_final_message": True}
        with self._translated(adapter):
            asked = self._client.chat.completions.create(**{**request, "messages": continued, "extra_body": extra})
            told = (await self._timed(asked)).prompt_logprobs[start:]
            return sum(float(next(iter(token.values()))["logprob"]) for token in told)

    async def _timed(self, call: Any) -> Any:
        async with asyncio.timeout(self._settings.first_token_s):
            return await call

    # What went wrong

    def _nonsense(self, what: str) -> EngineNonsense:
        return EngineNonsense(
            f"The server at {self._host} {what}. Check that [engine] url names an OpenAI-compatible API, and its log."
        )

    def _down(self, message: str) -> EngineDown:
        self._server = None  # what comes up again may be another model: it is asked anew
        return EngineDown(message)

    def _no_adapter(self, name: str) -> NotFound:
        return NotFound(f"The server at {self._host} has no adapter {name!r} of this model.")

    @contextmanager
    def _translated(self, adapter: str | None = None, began: bool = False) -> Iterator[None]:
        """Turns whatever the client raises into one error of the tree. `began`: part of an answer has come."""
        import openai

        when = "in the middle of an answer" if began else "yet"
        try:
            yield
        except (TimeoutError, openai.APITimeoutError):
            limit = "between_s" if began else "first_token_s"
            raise self._down(
                f"The server at {self._host} sent nothing {when} within [engine] {limit}; it may be overloaded."
            ) from None
        except openai.APIConnectionError:
            what = "broke off in the middle of an answer" if began else "can't be reached"
            raise self._down(
                f"The engine's server at {self._host} {what}. Start it, or mend [engine] url (`consult doctor` checks)."
            ) from None
        except openai.APIStatusError as error:
            raise self._refused(error.status_code, str(error), adapter) from None
        except openai.APIError as error:  # an error event in the stream
            raise self._refused(500, str(error), adapter) from None
        except SHAPE_ERRORS:
            raise self._nonsense("answered, but not in the protocol of a chat API") from None

    def _refused(self, status: int, words: str, adapter: str | None) -> ConsultError:
        words = words.lower()
        if status == 413 or _TOO_LONG.search(words):
            return TooLarge("The request is longer than the model's context; ask less at once, with fewer pictures.")
        if _TOO_MANY_PICTURES.search(words):
            return TooLarge(f"The server at {self._host} takes fewer pictures in one request; send fewer.")
        if status == 404 and adapter is not None:
            return self._no_adapter(adapter)
        if status in (401, 403):
            return Misconfigured(f"The server at {self._host} refused [engine] api_key.")
        if status >= 500 or status in (408, 409, 429):
            return self._down(f"The server at {self._host} failed or is overloaded (HTTP {status}); see its log.")
        return self._nonsense(f"refused the request (HTTP {status})")


def _card(name: str, root: str) -> Card:
    """The model's card when its folder is on this machine, or when it is the pocket model under its own name."""
    if root and (Path(root) / "consult.json").is_file():
        return read_card(Path(root))
    if "pocket" in (name, Path(root).name):
        return read_card(pocket_folder())
    return Card()
