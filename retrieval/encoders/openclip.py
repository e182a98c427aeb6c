"""Contrastive encoders through open_clip: from the hub, from a folder, or the pocket one. Same input, same vectors."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from retrieval.encoders import projection
from retrieval.encoders.base import Vectors
from retrieval.encoders.batch import batches, joined, pillow
from retrieval.encoders.folder import identity, pocket, weights_in
from retrieval.encoders.patches import Patches, extent_of, finer
from retrieval.errors import Misconfigured
from retrieval.types import Image

HUB, LOCAL = "hf-hub:", "local-dir:"


class OpenClipEncoder:
    """`name`: "pocket", "hf-hub:org/model", or a folder with open_clip_config.json, weights and tokenizer (also as
    "local-dir:folder"). Raises `Misconfigured` when there is no such model or it can't be loaded."""

    reads_text = True

    def __init__(self, name: str = "pocket", device: str = "cpu") -> None:
        import open_clip
        import torch

        source, called = source_of(name)
        try:
            self._model, self._preprocess = open_clip.create_model_from_pretrained(source, device=device)
            self._tokenizer = open_clip.get_tokenizer(source)
        except Exception as error:
            raise Misconfigured(f"the image encoder {called} can't be loaded ({type(error).__name__}); "
                                "check CONSULT_ENCODERS__IMAGE_TEXT") from error  # fmt: skip
        self._model.eval()
        self._torch = torch
        self._device = device
        weights = _weights(source)
        self.identity = identity(called, [weights])
        self.dim = self._embed(self._tokenizer([""]), self._model.encode_text).shape[1]
        local = source.startswith(LOCAL)
        self._projection = projection.read(weights.parent, weights, self.dim, device) if local else None

    def encode_images(self, images: Sequence[Image]) -> Vectors:
        """(n, dim) of n pictures, (H, W) grey or (H, W, 3) RGB, 8 bits, as displayed."""
        return joined([self.forward(self.prepared(batch)) for batch in batches(images)], self.dim)

    def prepared(self, images: Sequence[Image]) -> Any:
        """One batch as the vision tower takes it. A grey picture is resized as one plane: a third of the work, and the
        model's own preprocessing makes three of it afterwards, to the same numbers."""
        return self._torch.stack([self._preprocess(pillow(image)) for image in images])

    def forward(self, batch: Any) -> Vectors:
        return self._embed(batch, self._model.encode_image)

    @property
    def sees_places(self) -> bool:
        """Of vision transformers and timm's models, but those whose own pooling mixes the cells."""
        visual = self._model.visual
        timm = hasattr(visual, "trunk") and not hasattr(visual.head, "pool")
        return timm or (hasattr(visual, "conv1") and getattr(visual, "attn_pool", 0) is None)

    @property
    def learnt_places(self) -> bool:
        """Whether its patches were taught where things are (`projection`)."""
        return self._projection is not None

    def encode_patches(self, images: Sequence[Image]) -> list[Patches]:
        """Of each picture its last feature maps, projected as was learnt (`projection`); where nothing was, each cell
        of the last one as if it were the whole picture."""
        height, width = self._model.visual.image_size
        mode = self._model.visual.preprocess_cfg["resize_mode"]
        with self._torch.inference_mode():
            cells = [finer(self.prepared(batch).to(self._device), self._cells) for batch in batches(images)]
        extents = (extent_of(mode, image.shape[1::-1], (width, height)) for image in images)
        return [
            Patches(own, extent) for own, extent in zip((one for part in cells for one in part), extents, strict=True)
        ]

    def maps(self, batch: Any, layers: int) -> list[Any]:
        """The tower's last `layers` feature maps of a prepared batch, (n, channels, rows, columns) each."""
        found: list[Any] = self._model.visual.forward_intermediates(
            batch, indices=layers, normalize_intermediates=True, intermediates_only=True
        )["image_intermediates"]
        return found

    def _cells(self, batch: Any) -> Any:
        """(n, rows, columns, dim) of a batch."""
        if self._projection is not None:
            return self._projection(self.maps(batch, self._projection.layers))
        visual = self._model.visual
        cells = self.maps(batch, 1)[0].permute(0, 2, 3, 1)
        if not hasattr(visual, "trunk"):
            return cells @ visual.proj
        n, rows, columns, width = cells.shape
        if hasattr(visual.trunk, "num_prefix_tokens"):  # a transformer: pooled over tokens that are all this one
            alone = cells.reshape(-1, 1, width).expand(-1, 1 + visual.trunk.num_prefix_tokens, -1)
        else:
            alone = cells.reshape(-1, width, 1, 1)
        return visual.head(visual.trunk.forward_head(alone)).reshape(n, rows, columns, -1)

    def encode_texts(self, texts: Sequence[str]) -> Vectors:
        """(n, dim); what exceeds the text tower's length is cut by the tokenizer."""
        ready = (self._tokenizer(list(batch)) for batch in batches(texts))
        return joined([self._embed(batch, self._model.encode_text) for batch in ready], self.dim)

    def _embed(self, batch: Any, encode: Any) -> Vectors:
        with self._torch.inference_mode():
            vectors: Vectors = encode(batch.to(self._device), normalize=True).float().cpu().numpy()
        return vectors


def source_of(name: str) -> tuple[str, str]:
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


def _weights(source: str) -> Path:
    """The file the model was loaded from; a hub model's is in the cache by now."""
    from open_clip import factory

    if source.startswith(HUB):
        return Path(factory.download_pretrained_from_hf(source.removeprefix(HUB)))
    return Path(factory._find_checkpoint_in_dir(Path(source.removeprefix(LOCAL))))
