"""Encoders of pictures through transformers: CLIP, SigLIP, ALIGN and their kin, and vision models without a text tower.

Preprocessing, lower-casing and special tokens are the model's own processor's; only padding is decided here.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from retrieval.encoders.base import Vectors
from retrieval.encoders.batch import batches, joined, pillow
from retrieval.encoders.folder import identity, located, weights_in
from retrieval.encoders.patches import Patches, Resizing, extent_of, finer
from retrieval.encoders.transformer import OURS, loading, longest, model_of, refuse_missing
from retrieval.errors import Misconfigured
from retrieval.types import Image

PLACED = ("clip", "siglip")  # whose patches we know how to project
PADDED = ("siglip", "siglip2")  # read their last position, padding or not: trained on texts padded to full length


class TransformersImageTextEncoder:
    """`name`: a folder or a hub name ("org/model"). A model with `get_image_features` and `get_text_features`; or one
    that reads pictures alone (DINOv2, RAD-DINO, ViT), whose pooled output or first token is the vector. Raises
    `Misconfigured` when it can't be loaded or gives no one vector a picture."""

    def __init__(self, name: str, device: str = "cpu") -> None:
        import torch
        from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

        folder, called = located(name, "image encoder")
        what = f"the image encoder {called}"
        self._torch, self._device, self._called = torch, device, called
        with loading(what, "CONSULT_ENCODERS__IMAGE_TEXT"):
            self._model, missing = model_of(AutoModel, folder, device)
            self.reads_text = hasattr(self._model, "get_text_features")
            if not self._sees():
                raise Misconfigured(f"{what} is a {self._model.config.model_type}: not an image encoder")
            self._pools = self.reads_text or not any(key.startswith("pooler.") for key in missing)
            refuse_missing(what, [key for key in missing if self._pools or not key.startswith("pooler.")])
            self._processor = AutoImageProcessor.from_pretrained(folder, **OURS)
            if self.reads_text:
                self._tokenizer = AutoTokenizer.from_pretrained(folder, **OURS)
                self._padding, self._length = self._padding_of()
            self.dim = self._checked_dim(what)
        self.identity = identity(called, weights_in(folder))

    def encode_images(self, images: Sequence[Image]) -> Vectors:
        """(n, dim) of n pictures, (H, W) grey or (H, W, 3) RGB, 8 bits, as displayed."""
        return joined([self.forward(self.prepared(batch)) for batch in batches(images)], self.dim)

    def prepared(self, images: Sequence[Image]) -> Any:
        """One batch as the model takes it; not every processor knows what to do with grey."""
        return self._processor(images=[pillow(image).convert("RGB") for image in images], return_tensors="pt")

    def forward(self, batch: Any) -> Vectors:
        return self._embed(self._model.get_image_features if self.reads_text else self._model, batch)

    @property
    def sees_places(self) -> bool:
        """Of CLIP and SigLIP, where the processor resizes in a way we can follow."""
        return self._model.config.model_type in PLACED and self._resizing is not None

    def encode_patches(self, images: Sequence[Image]) -> list[Patches]:
        """Of each picture its patches, each projected as if it were the whole picture."""
        cells, seen = [], (0, 0)
        for batch in batches(images):
            pixels = self.prepared(batch)["pixel_values"].to(self._device)
            seen = (pixels.shape[3], pixels.shape[2])
            with self._torch.inference_mode():
                cells += list(finer(pixels, self._cells))
        assert self._resizing is not None or not images
        return [
            Patches(own, extent_of(self._resizing or "squash", image.shape[1::-1], seen))
            for own, image in zip(cells, images, strict=True)
        ]

    def _cells(self, pixels: Any) -> Any:
        """(n, rows, columns, dim) of a batch."""
        tower = self._model.vision_model
        tokens = tower(pixel_values=pixels).last_hidden_state
        side = self._model.config.vision_config.patch_size
        rows, columns = pixels.shape[2] // side, pixels.shape[3] // side
        if self._model.config.model_type == "clip":
            cells = self._model.visual_projection(tower.post_layernorm(tokens[:, 1:]))
        else:  # pooled by attention: over one token that is all of it
            cells = tower.head(tokens.flatten(0, 1).unsqueeze(1))
        return cells.reshape(len(pixels), rows, columns, -1)

    @property
    def _resizing(self) -> Resizing | None:
        size, cropped = self._processor.size, getattr(self._processor, "do_center_crop", False)
        if "shortest_edge" in size and cropped:
            return "shortest"
        return "squash" if "height" in size and not cropped else None

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        """(n, dim); what exceeds the text tower's length is cut. Raises `Misconfigured` without a text tower."""
        if not self.reads_text:
            raise Misconfigured(f"The image encoder {self._called} reads no texts; name another for passages.")
        return joined([self._read(batch) for batch in batches(texts)], self.dim)

    def _sees(self) -> bool:
        both = self.reads_text and hasattr(self._model, "get_image_features")
        return both or (not self.reads_text and self._model.main_input_name == "pixel_values")

    def _read(self, texts: Sequence[str]) -> Vectors:
        inputs = self._tokenizer(
            list(texts), padding=self._padding, truncation=True, max_length=self._length, return_tensors="pt"
        )
        return self._embed(self._model.get_text_features, inputs)

    def _embed(self, encode: Any, inputs: Any) -> Vectors:
        with self._torch.inference_mode():
            output = encode(**inputs.to(self._device))
            pooled = output.pooler_output if self._pools else None
            pooled = output.last_hidden_state[:, 0] if pooled is None else pooled.flatten(1)
            unit: Vectors = self._torch.nn.functional.normalize(pooled.float(), dim=1).cpu().numpy()
        return unit

    def _padding_of(self) -> tuple[str, int]:
        config = self._model.config
        padded = config.model_type in PADDED
        return "max_length" if padded else "longest", longest(self._tokenizer, self._model, config.get_text_config())

    def _checked_dim(self, what: str) -> int:
        """From one grey picture and one empty text: both towers must meet in one space."""
        shapes = {self.forward(self.prepared([np.full((32, 32), 128, np.uint8)])).shape}
        if self.reads_text:
            shapes.add(self._read([""]).shape)
        if len(shapes) > 1 or next(iter(shapes))[0] != 1:
            raise Misconfigured(f"{what} puts pictures and texts in different spaces: not a contrastive encoder")
        return int(next(iter(shapes))[1])
