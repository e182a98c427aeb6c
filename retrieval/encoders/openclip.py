"""Contrastive encoders through open_clip: from the hub, from a folder, or the pocket one. Same input, same vectors."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as PillowImage

from retrieval.encoders.base import Vectors
from retrieval.encoders.folder import identity, pocket, weights_in
from retrieval.errors import Misconfigured
from retrieval.types import Image

HUB, LOCAL = "hf-hub:", "local-dir:"
BATCH = 32


class OpenClipEncoder:
    """`name`: "pocket", "hf-hub:org/model", or a folder with open_clip_config.json, weights and tokenizer (also as
    "local-dir:folder"). Raises `Misconfigured` when there is no such model or it can't be loaded."""

    def __init__(self, name: str = "pocket", device: str = "cpu") -> None:
        import open_clip
        import torch

        source, called = _source(name)
        try:
            self._model, self._preprocess = open_clip.create_model_from_pretrained(source, device=device)
            self._tokenizer = open_clip.get_tokenizer(source)
        except Exception as error:
            raise Misconfigured(f"the image encoder {called} can't be loaded ({type(error).__name__}); "
                                "check CONSULT_ENCODERS__IMAGE_TEXT") from error  # fmt: skip
        self._model.eval()
        self._torch = torch
        self._device = device
        self.identity = identity(called, _weights(source))
        self.dim = self._embed(self._tokenizer([""]), self._model.encode_text).shape[1]

    def encode_images(self, images: Sequence[Image]) -> Vectors:
        """(n, dim) of n pictures, (H, W) grey or (H, W, 3) RGB, 8 bits, as displayed."""
        batches = ([self._preprocess(_pillow(image)) for image in batch] for batch in _batches(images))
        return self._joined([self._embed(self._torch.stack(batch), self._model.encode_image) for batch in batches])

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        """(n, dim); what exceeds the text tower's length is cut by the tokenizer."""
        batches = (self._tokenizer(list(batch)) for batch in _batches(texts))
        return self._joined([self._embed(batch, self._model.encode_text) for batch in batches])

    def _embed(self, batch: Any, encode: Any) -> Vectors:
        with self._torch.inference_mode():
            vectors: Vectors = encode(batch.to(self._device), normalize=True).float().cpu().numpy()
        return vectors

    def _joined(self, parts: list[Vectors]) -> Vectors:
        return np.concatenate(parts) if parts else np.empty((0, self.dim), np.float32)


def _source(name: str) -> tuple[str, str]:
    """What open_clip calls the model, and what we call it (no path of this machine)."""
    if name == "pocket":
        return f"{LOCAL}{pocket('image_text')}", "pocket"
    if name.startswith(HUB):
        return name, name.removeprefix(HUB)
    folder = Path(name.removeprefix(LOCAL)).expanduser()
    if not (folder / "open_clip_config.json").is_file() or not weights_in(folder):
        raise Misconfigured(
            f"no image encoder at {name}: expected a folder with open_clip_config.json and weights, "
            'a hub name ("hf-hub:org/model"), or "pocket"'
        )
    return f"{LOCAL}{folder}", folder.resolve().name


def _weights(source: str) -> list[Path]:
    """The file the model was loaded from; a hub model's is in the cache by now."""
    from open_clip import factory

    if source.startswith(HUB):
        return [Path(factory.download_pretrained_from_hf(source.removeprefix(HUB)))]
    return [Path(factory._find_checkpoint_in_dir(Path(source.removeprefix(LOCAL))))]


def _pillow(image: Image) -> PillowImage.Image:
    if image.dtype != np.uint8 or image.ndim not in (2, 3):
        raise TypeError("a picture is (H, W) or (H, W, 3) in 8 bits")
    return PillowImage.fromarray(np.ascontiguousarray(image)).convert("RGB")


def _batches(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (items[start : start + BATCH] for start in range(0, len(items), BATCH))
