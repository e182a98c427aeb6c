"""The OpenAI-compatible wire format, as far as Consult speaks it. Pure."""

import base64
import binascii
import re
import time
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from assistant.api.shapes import Result
from assistant.errors import BadInput
from assistant.events import Citation, EvidenceItem, Sentence
from assistant.requests import Turn

MODEL = "consult"
NO_SYSTEM = "The system message was not used: Consult brings its own."
UNASKED = "An assistant message without a user's message before it was not used."
_DATA_URL = re.compile(r"data:(?P<kind>[\w.+-]+/[\w.+-]+)?(?:;[\w.+-]+=[^;,]*)*;base64,", re.ASCII)


class Loose(BaseModel):
    """Clients send many knobs; those that change nothing here are let through, those that would are refused below."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class ImageUrl(Loose):
    url: str


class TextPart(Loose):
    type: Literal["text"]
    text: str


class ImagePart(Loose):
    type: Literal["image_url"]
    image_url: ImageUrl


class ChatMessage(Loose):
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[Annotated[TextPart | ImagePart, Field(discriminator="type")]] | None = None

    @property
    def text(self) -> str:
        if not isinstance(self.content, list):
            return self.content or ""
        return "\n".join(part.text for part in self.content if isinstance(part, TextPart))

    @property
    def images(self) -> list[str]:
        parts = self.content if isinstance(self.content, list) else []
        return [part.image_url.url for part in parts if isinstance(part, ImagePart)]


class ChatBody(Loose):
    model: str = MODEL
    messages: list[ChatMessage] = Field(min_length=1, max_length=200)
    stream: bool = False
    stream_options: dict[str, Any] | None = None
    seed: int = Field(default=0, ge=0, lt=2**31)
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    n: Literal[1] = 1
    tools: None = None
    functions: None = None
    response_format: dict[str, Any] | None = None

    @property
    def limit(self) -> int:
        return min(self.max_completion_tokens or self.max_tokens or 256, 4096)

    @property
    def wants_usage(self) -> bool:
        return bool((self.stream_options or {}).get("include_usage"))


def question_of(body: ChatBody) -> tuple[str, list[Turn], list[str]]:
    """What the user said since the last answer, the turns before it, and what has to be told about the rest."""
    if body.response_format and body.response_format.get("type") != "text":
        raise BadInput("`response_format` is not followed here: answers are cited sentences. Leave it out.")
    asked = [message for message in body.messages if message.role in ("user", "assistant")]
    if not asked or asked[-1].role != "user" or not asked[-1].text.strip():
        raise BadInput("The last message must be the user's, with a question as text.")
    turns: list[Turn] = []
    pending: list[str] = []
    warnings = [NO_SYSTEM] if len(asked) < len(body.messages) else []
    for message in asked[:-1]:
        if message.role == "user":
            pending.append(message.text)
        elif pending:
            turns.append(Turn("\n".join(pending), message.text))
            pending = []
        elif UNASKED not in warnings:
            warnings.append(UNASKED)
    return "\n".join([*pending, asked[-1].text]).strip(), turns, warnings


def pictures_of(body: ChatBody) -> list[tuple[str, bytes]]:
    """Files from the data URLs of all messages, in order, each once."""
    urls = dict.fromkeys(url for message in body.messages for url in message.images)
    if not urls:
        raise BadInput("Send at least one image as a data URL (`data:image/png;base64,…`).")
    return [(f"image-{number}", _bytes(url)) for number, url in enumerate(urls, 1)]


def _bytes(url: str) -> bytes:
    head = _DATA_URL.match(url[:200])
    if head is None:
        raise BadInput(
            "Images must be data URLs (`data:image/png;base64,…`). Consult fetches nothing from other addresses."
        )
    try:
        return base64.b64decode(url[head.end() :], validate=True)
    except (binascii.Error, ValueError):
        raise BadInput("An image's data URL is not valid base64.") from None


def spoken(sentence: Sentence) -> str:
    """The sentence with the numbers of its citations."""
    marks = "".join(f"[{c.number}]" for c in sentence.citations if f"[{c.number}]" not in sentence.text)
    return f"{sentence.text} {marks}" if marks else sentence.text


def references(citations: Iterable[Citation], evidence: Sequence[EvidenceItem]) -> str:
    """The reference list that closes an answer; "" when nothing was cited."""
    sources = {item.number: item.source for item in evidence}
    lines = {}
    for citation in citations:
        place = ", ".join(filter(None, (citation.title, citation.section)))
        source = sources.get(citation.number)
        lines[citation.number] = f"[{citation.number}] {place}" + (f" — {source}" if source else "")
    return "\n\nReferences:\n" + "\n".join(lines[number] for number in sorted(lines)) if lines else ""


def text_of(result: Result) -> str:
    """The whole answer as one text."""
    said = " ".join(map(spoken, result.sentences))
    return " ".join(filter(None, (said, result.reason))) + references(result.citations, result.evidence)


def extension(run: str, result: Result, warnings: Sequence[str]) -> dict[str, Any]:
    """The field `consult`: what the text can't carry."""
    kept = {"citations", "evidence", "findings", "dropped", "identity", "timings", "reason", "quality"}
    return {
        "run": run,
        **result.model_dump(mode="json", include=kept),
        "warnings": [*warnings, *result.warnings],
    }


def usage(question: str, answer: str) -> dict[str, Any]:
    """Engines don't tell the API how many tokens they used: a quarter of the characters, marked as an estimate."""
    prompt, completion = max(1, len(question) // 4), max(1, len(answer) // 4)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "estimated": True,
    }


def finish_of(result: Result) -> str:
    return "length" if result.cut else "stop"


def completion(run: str, text: str, finish: str, consult: dict[str, Any], used: dict[str, Any]) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish, "logprobs": None}
    head = {"id": f"chatcmpl-{run}", "object": "chat.completion", "created": int(time.time()), "model": MODEL}
    return {**head, "choices": [choice], "usage": used, "consult": consult}


def chunk(run: str, created: int, delta: dict[str, Any], finish: str | None = None, **extra: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
    head = {"id": f"chatcmpl-{run}", "object": "chat.completion.chunk", "created": created, "model": MODEL}
    return {**head, "choices": [choice], **extra}
