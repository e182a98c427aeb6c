"""OpenAI's chat protocol: how a prompt is written in it, and what a chunk of an answer says."""

import base64
from dataclasses import dataclass
from typing import Any

from assistant.engines.base import Message, Prompt
from assistant.engines.card import Card, prepared
from assistant.imaging.pixels import to_png
from assistant.study import Picture

SHAPE_ERRORS = (ValueError, AttributeError, TypeError, KeyError, IndexError)  # reading what isn't the protocol


@dataclass(slots=True)
class Piece:
    """What one chunk of the stream says. `cut`: the answer ended at the token limit. `alive`: it shows that the model
    is working. `size`: characters, those of its thinking included."""

    text: str = ""
    logprobs: tuple[float, ...] = ()
    finished: bool = False
    cut: bool = False
    alive: bool = False
    size: int = 0
    usage: dict[str, int] | None = None


def read(chunk: Any) -> Piece:
    """Raises one of `SHAPE_ERRORS` for a chunk that isn't one."""
    usage = chunk.usage and {
        "prompt_tokens": int(chunk.usage.prompt_tokens), "completion_tokens": int(chunk.usage.completion_tokens),
    }  # fmt: skip
    if not chunk.choices:
        return Piece(usage=usage or None)
    choice = chunk.choices[0]
    text = choice.delta.content or ""
    if not isinstance(text, str):
        raise TypeError("content")
    logprobs = tuple(float(token.logprob) for token in (choice.logprobs and choice.logprobs.content) or ())
    if choice.finish_reason == "stop" and not text:
        logprobs = ()  # of the token that ends the answer, which is no part of it
    thinking = getattr(choice.delta, "reasoning", None) or getattr(choice.delta, "reasoning_content", None) or ""
    finished = choice.finish_reason is not None
    return Piece(
        text, logprobs, finished, cut=choice.finish_reason == "length",
        alive=bool(text or logprobs or thinking or finished), size=len(text) + len(thinking), usage=usage or None,
    )  # fmt: skip


def messages(prompt: Prompt, card: Card) -> list[dict[str, Any]]:
    return [_message(message) for message in prepared(prompt, card.picture).messages]


def _message(message: Message) -> dict[str, Any]:
    if all(isinstance(part, str) for part in message.parts):  # a plain string: what every server takes for every role
        return {"role": message.role, "content": "".join(map(str, message.parts))}
    return {"role": message.role, "content": [_part(part) for part in message.parts]}


def _part(part: str | Picture) -> dict[str, Any]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    url = "data:image/png;base64," + base64.b64encode(to_png(part)).decode()
    return {"type": "image_url", "image_url": {"url": url}}
