"""Pictures and their texts through open_clip: the model from scratch, from a hub or from a folder, whole or by low-rank
adapters, and written as a folder that `retrieval.encoders` and open_clip load unchanged."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import Linear, MultiheadAttention, Parameter

from finetune.encoder_config import Augment, Lora, Model
from finetune.errors import BadInput, Misconfigured
from finetune.grouping import alike, numbered
from finetune.manifest import Pair
from finetune.material import base_ledger
from finetune.pictures import read_training_picture
from retrieval.encoders.batch import batches, pillow
from retrieval.encoders.openclip import HUB, LOCAL, source_of

CONFIG = "open_clip_config.json"
SIGLIP_SCALE, SIGLIP_BIAS = float(np.log(10)), -10.0  # Zhai et al. 2023, section 3.2


@dataclass
class ImageTextExamples:
    """Pairs as a network takes them: (3, H, W) pictures, as the model preprocesses them after a small change where
    asked, and token numbers. `labels_too`: pairs with the same labels belong together."""

    pairs: Sequence[Pair]
    preprocess: Any
    tokenizer: Any
    augment: Augment
    labels_too: bool = False
    _keys: list[NDArray[np.intp]] = field(init=False)

    def __post_init__(self) -> None:
        keys: list[list[Any]] = [
            [pair.text for pair in self.pairs],
            [pair.picture for pair in self.pairs],
            [pair.group or number for number, pair in enumerate(self.pairs)],
        ]
        if self.labels_too:
            keys.append([frozenset(pair.labels) or number for number, pair in enumerate(self.pairs)])
        self._keys = [numbered(values) for values in keys]

    def __len__(self) -> int:
        return len(self.pairs)

    def load(self, number: int, vary: bool) -> tuple[Tensor, str]:
        pixels, _ = read_training_picture(self.pairs[number].picture)
        picture = pillow(pixels)
        return self.preprocess(self._varied(picture) if vary else picture), self.pairs[number].text

    def collate(self, loaded: list[tuple[Tensor, str]]) -> tuple[Tensor, Tensor]:
        return torch.stack([picture for picture, _ in loaded]), self.tokenizer([text for _, text in loaded])

    def together(self, numbers: Sequence[int]) -> NDArray[np.bool_]:
        return alike(self._keys, numbers)

    def _varied(self, picture: Any) -> Any:
        from torchvision import transforms

        how = self.augment
        move = transforms.RandomAffine(
            how.rotate,
            (how.shift, how.shift),
            (1 - how.zoom, 1 + how.zoom),
            interpolation=transforms.InterpolationMode.BILINEAR,
        )
        return transforms.ColorJitter(how.light, how.light)(move(picture))


class OpenClipLearner:
    """`folder`: where the configuration and tokenizer of a model from scratch are written. `siglip`: a bias is added
    where the model has none. Raises `Misconfigured` when there is no such model."""

    ways = ("image→text", "text→image")

    def __init__(self, model: Model, texts: Sequence[str], folder: Path, siglip: bool, seed: int) -> None:
        import open_clip

        scratch = model.name == "scratch"
        source = _architecture(model, texts, folder) if scratch else source_of(model.name)[0]
        torch.manual_seed(seed)
        try:
            logging.disable(logging.WARNING)  # it warns of weights that are to be drawn at random
            made, _, self.preprocess = open_clip.create_model_and_transforms(source, load_weights=not scratch)
            self.tokenizer = open_clip.get_tokenizer(source)
            self.config = _config(source)
        except Exception as error:
            told = " ".join(str(error).split())[:300]
            raise Misconfigured(f"model {model.name} can't be made ({type(error).__name__}: {told})") from error
        finally:
            logging.disable(logging.NOTSET)
        self.before = base_ledger(None if scratch or source.startswith(HUB) else Path(source.removeprefix(LOCAL)))
        if siglip and made.logit_bias is None:
            _add_bias(made, self.config, scratch)
        self._model, self._adapted = made, model.lora is not None
        self._first: dict[str, Tensor] | None = None
        self.network: Any = _adapted(made, model.lora) if model.lora else made

    @property
    def scale(self) -> Parameter:
        scale: Parameter = self._model.logit_scale
        return scale

    @property
    def bias(self) -> Parameter | None:
        bias: Parameter | None = self._model.logit_bias
        return bias

    def left(self, inputs: Tensor) -> Tensor:
        self._steady()
        vectors: Tensor = self._model.encode_image(inputs, normalize=True)
        return vectors

    def right(self, inputs: Tensor) -> Tensor:
        vectors: Tensor = self._model.encode_text(inputs, normalize=True)
        return vectors

    def _steady(self) -> None:
        """Puts adapted attention back to its first weights: peft adds the adapter to them for each pass and subtracts
        it afterwards, and what rounding leaves would add up, and be lost where a run is taken up again."""
        if self._first is None:
            names = ("base_layer.in_proj_weight", "out_proj.base_layer.weight")
            state = self.network.state_dict() if self._adapted else {}
            self._first = {name: value.clone() for name, value in state.items() if name.endswith(names)}
        if self._first:
            self.network.load_state_dict(self._first, strict=False)

    def reaching(self, texts: Sequence[str]) -> int:
        """How many of the texts fill all tokens that the model reads, so that what follows is cut."""
        pad = getattr(getattr(self.tokenizer, "tokenizer", None), "pad_token_id", None) or 0
        return sum(int((self.tokenizer(list(batch))[:, -1] != pad).sum()) for batch in batches(texts, 512))

    def checkpoint_gradients(self) -> None:
        self._model.set_grad_checkpointing()

    def save(self, folder: Path) -> None:
        """Configuration, tokenizer and weights, adapters merged: after it nothing is trained any more."""
        from safetensors.torch import save_file

        self._steady()
        model = self.network.merge_and_unload() if self._adapted else self._model
        (folder / CONFIG).write_text(json.dumps(self.config, indent=2) + "\n", encoding="utf-8")
        if hasattr(self.tokenizer, "tokenizer") and hasattr(self.tokenizer.tokenizer, "save_pretrained"):
            self.tokenizer.tokenizer.save_pretrained(folder)
        weights = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
        save_file(weights, folder / "open_clip_model.safetensors")


def _architecture(model: Model, texts: Sequence[str], folder: Path) -> str:
    """Writes the configuration of an untrained model, and a tokenizer learnt from `texts` where one is asked for."""
    from open_clip import get_model_config

    from finetune.pocket.tokenizer import text_tokenizer

    made = get_model_config(model.architecture) if isinstance(model.architecture, str) else model.architecture
    if not made or not {"embed_dim", "vision_cfg", "text_cfg"} <= set(made):
        raise Misconfigured(f"model.architecture: open_clip knows no {model.architecture!r}")
    config = json.loads(json.dumps(made))
    folder.mkdir(parents=True, exist_ok=True)
    if model.vocabulary:
        tokenizer = text_tokenizer(texts, model.vocabulary, config["text_cfg"].get("context_length", 77))
        tokenizer.save_pretrained(folder)
        # open_clip reads the tokenizer that lies in the folder, whatever its name; its last number is the text's end,
        # where "argmax" pools.
        config["text_cfg"] |= {"vocab_size": len(tokenizer), "hf_tokenizer_name": "learnt", "pool_type": "argmax"}
    told = {"model_cfg": config, "preprocess_cfg": model.preprocess or {}}
    (folder / CONFIG).write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
    return f"{LOCAL}{folder}"


def _config(source: str) -> dict[str, Any]:
    """A model's configuration as its files have it: open_clip changes its own copy while it builds."""
    from open_clip import factory

    if source.startswith(HUB):
        config: dict[str, Any] = factory._get_hf_config(source.removeprefix(HUB))
    else:
        config = json.loads((Path(source.removeprefix(LOCAL)) / CONFIG).read_text(encoding="utf-8"))
    return config


def _add_bias(model: Any, config: dict[str, Any], scratch: bool) -> None:
    model.logit_bias = Parameter(torch.tensor(SIGLIP_BIAS))
    config["model_cfg"]["init_logit_bias"] = SIGLIP_BIAS  # so that whoever loads the weights has a place for it
    if scratch:
        with torch.no_grad():
            model.logit_scale.fill_(SIGLIP_SCALE)


def _adapted(model: Any, lora: Lora) -> Any:
    """The model with adapters on its linear and attention layers; what scales the scores learns, too."""
    from peft import LoraConfig, get_peft_model

    kinds = (Linear, MultiheadAttention)
    inside = tuple(f"{name}." for name, module in model.named_modules() if isinstance(module, MultiheadAttention))
    names = [
        name for name, module in model.named_modules() if isinstance(module, kinds) and not name.startswith(inside)
    ]
    if not names:
        raise BadInput("model.lora: this model has no linear and no attention layer to adapt.")
    how = LoraConfig(r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=names)
    adapted = get_peft_model(model, how)
    for scalar in (model.logit_scale, model.logit_bias):
        if scalar is not None:
            scalar.requires_grad_(True)
    return adapted
