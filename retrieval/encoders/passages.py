"""Encoders of passages and questions through transformers: the models of the sentence-transformers family, read from
their own files (pooling, length, prompts), without that library."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.encoders.base import Vectors
from retrieval.encoders.folder import identity, pocket, weights_in
from retrieval.errors import Misconfigured

BATCH = 32
SKIPPED = ["*.onnx*", "onnx/*", "openvino/*", "*.h5", "*.msgpack", "*.ot", "coreml/*"]  # other runtimes' weights
log = logging.getLogger(__name__)


class TransformersTextEncoder:
    """`name`: "pocket", a folder, or a hub name ("org/model"). Mean over the tokens, or the first token's vector when
    the model's 1_Pooling/config.json says so. Raises `Misconfigured` when it can't be loaded or pools otherwise."""

    def __init__(self, name: str = "pocket", device: str = "cpu") -> None:
        import torch
        from transformers import AutoModel, AutoTokenizer

        folder, called = _folder(name)
        self._first_token = _pools_first_token(folder)
        try:
            self._tokenizer = AutoTokenizer.from_pretrained(folder)
            self._model = AutoModel.from_pretrained(folder, dtype=torch.float32).to(device).eval()
        except Exception as error:
            raise Misconfigured(f"the text encoder {called} can't be loaded ({type(error).__name__}); "
                                "check CONSULT_ENCODERS__TEXT") from error  # fmt: skip
        self._torch = torch
        self._device = device
        self._prompts: dict[str, str] = _json(folder / "config_sentence_transformers.json").get("prompts", {})
        self._length = min(
            _json(folder / "sentence_bert_config.json").get("max_seq_length") or 512,
            self._tokenizer.model_max_length,
            getattr(self._model.config, "max_position_embeddings", 512),
        )
        self.identity = identity(called, weights_in(folder))
        self.dim = int(self._model.config.hidden_size)

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        return self._encode(texts, self._prompts.get("query", ""))

    def encode_passages(self, texts: Sequence[str]) -> Vectors:
        return self._encode(texts, self._prompts.get("passage", self._prompts.get("document", "")))

    def _encode(self, texts: Sequence[str], prompt: str) -> Vectors:
        """Texts of like length share a batch, which saves padding; rows come back in the order asked."""
        vectors = np.empty((len(texts), self.dim), np.float32)
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            vectors[rows] = self._embed([prompt + texts[i] for i in rows])
        return vectors

    def _embed(self, texts: list[str]) -> Vectors:
        inputs = self._tokenizer(texts, padding=True, truncation=True, max_length=self._length, return_tensors="pt")
        inputs = inputs.to(self._device)
        if (cut := int((inputs["attention_mask"].sum(1) == self._length).sum())) > 0:
            log.debug("%d of %d texts reach the encoder's length of %d tokens", cut, len(texts), self._length)
        with self._torch.inference_mode():
            states = self._model(**inputs).last_hidden_state.float()
            pooled = states[:, 0] if self._first_token else _mean(states, inputs["attention_mask"])
            unit: Vectors = self._torch.nn.functional.normalize(pooled, dim=1).cpu().numpy()
        return unit


def _mean(states: Any, mask: Any) -> Any:
    """(n, dim) of (n, tokens, dim), over the tokens that are not padding."""
    weight = mask.unsqueeze(-1).float()
    return (states * weight).sum(1) / weight.sum(1).clamp(min=1)


def _folder(name: str) -> tuple[Path, str]:
    """The model's files, and what we call it (no path of this machine)."""
    if name == "pocket":
        return pocket("text"), "pocket-text"
    folder = Path(name).expanduser()
    if folder.is_dir():
        if not weights_in(folder):
            raise Misconfigured(f"no weights in the text encoder's folder {name}")
        return folder, folder.resolve().name
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, ignore_patterns=SKIPPED)), name
    except Exception as error:
        raise Misconfigured(
            f"no text encoder {name}: neither a folder here nor, as far as can be seen, a model on the hub "
            f"({type(error).__name__})"
        ) from error


def _pools_first_token(folder: Path) -> bool:
    modules = {module.get("type", "").rsplit(".", 1)[-1] for module in _json(folder / "modules.json") or []}
    config = _json(folder / "1_Pooling" / "config.json")
    chosen = {key.removeprefix("pooling_mode_") for key, value in config.items() if value is True}
    chosen |= {config["pooling_mode"]} if isinstance(config.get("pooling_mode"), str) else set()
    chosen &= {"cls", "cls_token", "mean", "mean_tokens", "max", "max_tokens", "lasttoken", "weightedmean_tokens"}
    if modules - {"Transformer", "Pooling", "Normalize"} or chosen - {"cls", "cls_token", "mean", "mean_tokens"}:
        raise Misconfigured(f"the text encoder {folder.name} pools in a way that is not supported: mean or first token")
    return bool(chosen & {"cls", "cls_token"})


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
