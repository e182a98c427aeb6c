"""A prompt as chat messages and pictures, the same for training and for the in-process engine."""

from typing import Any

import numpy as np
from PIL import Image

from assistant.engines.base import Prompt
from assistant.engines.card import prepared
from assistant.study import Picture, Pixels


def chat(prompt: Prompt, side: int | None = None) -> tuple[list[dict[str, Any]], list[Image.Image]]:
    """Messages for a transformers chat template, and their pictures in order, squared to `side` pixels when given."""
    messages, images = [], []
    for message in prompt.messages:
        content: list[dict[str, str]] = []
        for part in message.parts:
            if isinstance(part, Picture):
                images.append(squared(part.pixels, side) if side else Image.fromarray(part.pixels).convert("RGB"))
                content.append({"type": "image"})
            else:
                content.append({"type": "text", "text": part})
        messages.append({"role": message.role, "content": content})
    return messages, images


def rendered(processor: Any, prompt: Prompt, side: int | None) -> tuple[str, list[Image.Image]]:
    """All the text up to where the answer begins, and the pictures, as a transformers model is shown them (`side`: see
    `prepared`). The text is whole: it is tokenized with `add_special_tokens=False`, since many a chat template opens
    with the token that a tokenizer would put before it once more."""
    conversation, pictures = chat(prepared(prompt, side))
    text = str(processor.apply_chat_template(conversation, tokenize=False, add_generation_prompt=True))
    bos = processor.tokenizer.bos_token
    if (
        bos
        and not text.startswith(bos)
        and processor.tokenizer("a")["input_ids"][0] == processor.tokenizer.bos_token_id
    ):
        text = bos + text
    return text, pictures


def squared(pixels: Pixels, side: int) -> Image.Image:
    """The picture scaled to fit a square of `side` pixels, centred on black, RGB."""
    image = Image.fromarray(np.ascontiguousarray(pixels)).convert("RGB")
    scale = side / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    if size != image.size:
        image = image.resize(size, Image.Resampling.BICUBIC)
    if size == (side, side):
        return image
    canvas = Image.new("RGB", (side, side))
    canvas.paste(image, ((side - size[0]) // 2, (side - size[1]) // 2))
    return canvas
