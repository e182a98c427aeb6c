"""What every engine does to a prompt's parts before its model sees them, and what a model's folder says of itself.

The in-process engine and the served one prepare text and pictures here, so that both show the model the same thing.
"""

import hashlib
import json
import re
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import numpy as np

from assistant.engines.base import Prompt
from assistant.errors import Misconfigured
from assistant.imaging.pixels import resize
from assistant.study import Picture

MAX_SIDE = 1024  # pixels; larger pictures cost tokens by the thousand and no model here was trained on them
_MARKUP = re.compile(r"<(?=[|/a-zA-Z])")


@dataclass(frozen=True, slots=True)
class Card:
    """`consult.json` beside the weights. `picture`: the side in pixels of the square the model was trained on;
    None lets its own processor decide."""

    domains: tuple[str, ...] | None = None
    demonstration: bool = False
    picture: int | None = None


def pocket_folder() -> Path:
    """Where the model that ships lies; it may be missing in a checkout."""
    return Path(str(files("assistant"))) / "pocket"


def read_card(folder: Path) -> Card:
    """The folder's card; an empty one when it has none. Raises `Misconfigured` when it can't be read."""
    path = folder / "consult.json"
    if not path.is_file():
        return Card()
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        domains, picture = told.get("domains"), told.get("picture")
        return Card(
            domains=None if domains is None else tuple(map(str, domains)),
            demonstration=bool(told.get("demonstration", False)),
            picture=None if picture is None else int(picture),
        )
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise Misconfigured(f"{path} is not a readable model card ({error}); restore or remove it.") from None


def weights_hash(folder: Path) -> str | None:
    """Twelve hex digits that tell the folder's weights from all others; None when it holds none as safetensors."""
    digests = [_digest(path, path.stat().st_mtime_ns) for path in sorted(folder.glob("*.safetensors"))]
    return hashlib.sha256(b"".join(digests)).hexdigest()[:12] if digests else None


@lru_cache(maxsize=256)
def _digest(path: Path, changed_ns: int) -> bytes:
    """`changed_ns` is there for the cache: reading many gigabytes takes a while."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def prepared(prompt: Prompt, picture: int | None) -> Prompt:
    """The prompt as it is shown to the model: harmless text; pictures either padded with black to a square of
    `picture` pixels or at most `MAX_SIDE` on their longer side."""
    messages = tuple(
        replace(message, parts=tuple(_shown(part, picture) for part in message.parts)) for message in prompt.messages
    )
    return replace(prompt, messages=messages)


def _shown(part: str | Picture, picture: int | None) -> str | Picture:
    if isinstance(part, str):
        return harmless(part)
    if picture is None:
        return replace(part, pixels=resize(part.pixels, MAX_SIDE))
    from assistant.engines.chat import squared

    return replace(part, pixels=np.asarray(squared(part.pixels, picture)))


def harmless(text: str) -> str:
    """Text in which nothing reads as a token that opens a role or stands for a picture (`<|im_start|>`, `<image>`)."""
    return _MARKUP.sub("< ", text)


def token_bound(text: str) -> int:
    """Tokens of a text, on the safe side, where no tokenizer can be asked: half its UTF-8 bytes."""
    return (len(text.encode()) + 1) // 2
