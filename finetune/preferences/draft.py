"""What a source hands over: a pair before its pictures are files and its weight is known."""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from assistant.engines.base import Prompt
from assistant.study import Picture, Pixels
from finetune.preferences.material import Case
from finetune.preferences.pair import ImagePart, Message, Pair, Source, TextPart

Speak = Callable[[Prompt], Awaitable[str | None]]  # an engine's whole answer; None when it was cut off


@dataclass(frozen=True, slots=True, eq=False)
class Draft:
    """`instead`: pictures of the rejected side, as many as the prompt's; (): the same. `kind`: what was changed, which
    pairs are balanced by beside the finding. `confidence`, 0..1: of the detector that found the damaged region."""

    source: Source
    kind: str
    prompt: Prompt
    chosen: str
    rejected: str
    why: str
    instead: tuple[Picture, ...] = ()
    confidence: float | None = None


class Maker(Protocol):
    """One source of pairs."""

    @property
    def sources(self) -> tuple[Source, ...]: ...

    async def drafts(self, case: Case, rng: np.random.Generator) -> list[Draft]:
        """What this case gives, nothing where it has no room for such a pair. Raises what its engine raises."""


class Album:
    """Pictures as PNG in `folder`/images, each once, named by the hash of its pixels and written before its name is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "images").mkdir(parents=True, exist_ok=True)

    def keep(self, pixels: Pixels) -> str:
        digest = hashlib.sha256(repr(pixels.shape).encode() + np.ascontiguousarray(pixels).tobytes()).hexdigest()[:32]
        name = f"images/{digest}.png"
        if not (self.folder / name).is_file():
            draft = self.folder / f"{name}.draft"
            Image.fromarray(pixels).save(draft, format="PNG")
            draft.replace(self.folder / name)
        return name

    def pair(self, draft: Draft, *, patient: str, split: str, finding: str, seed: int) -> Pair:
        """The pair; its id is the hash of all that a model would read of it."""
        prompt = [
            Message(
                role=message.role,
                parts=[
                    TextPart(text=part) if isinstance(part, str) else ImagePart(image=self.keep(part.pixels))
                    for part in message.parts
                ],
            )
            for message in draft.prompt.messages
        ]
        instead = [self.keep(picture.pixels) for picture in draft.instead]
        read = repr(([message.model_dump() for message in prompt], draft.chosen, draft.rejected, instead))
        return Pair.model_validate({
            "id": f"{draft.source}-{hashlib.sha256(read.encode()).hexdigest()[:16]}", "prompt": prompt,
            "chosen": draft.chosen, "rejected": draft.rejected, "rejected_images": instead, "source": draft.source,
            "seed": seed, "patient": patient, "split": split, "finding": finding, "why": draft.why,
        })  # fmt: skip
