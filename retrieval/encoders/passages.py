"""Encoders of passages and questions through transformers: the models of the sentence-transformers family, read from
their own files (pooling, length, prompts), without that library. What those files ask for and this doesn't do is
refused, never skipped."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retrieval.encoders.base import Vectors
from retrieval.encoders.batch import by_length
from retrieval.encoders.folder import identity, located, pocket, weights_in
from retrieval.encoders.transformer import OURS, loading, longest, model_of, refuse_missing
from retrieval.errors import Misconfigured

FIRST = {"cls", "cls_token"}
MEAN = {"mean", "mean_tokens", "mean_sqrt_len_tokens"}  # one direction, whatever the divisor
MODE = "pooling_mode_"
log = logging.getLogger(__name__)


class TransformersTextEncoder:
    """`name`: "pocket", a folder, a hub name ("org/model"), or two joined by "+", the questions' encoder and the
    passages' ("ncbi/MedCPT-Query-Encoder+ncbi/MedCPT-Article-Encoder").

    A text's vector is the mean over its tokens, or the first token's when 1_Pooling/config.json says so; in a pair
    without that file the first token's, as dual encoders are trained. All are scaled to unit length: a model trained
    for the inner product of longer and shorter vectors loses what their length said. Raises `Misconfigured` when it
    can't be loaded, pools otherwise, or the two of a pair differ in dimension."""

    def __init__(self, name: str = "pocket", device: str = "cpu") -> None:
        folders = _folders(name)
        towers = [_Tower(folder, called, device, paired=len(folders) == 2) for folder, called in folders]
        self._queries, self._passages = towers[0], towers[-1]
        if self._queries.dim != self._passages.dim:
            raise Misconfigured(f"the text encoders of {name} don't belong together: vectors of {self._queries.dim} "
                                f"and of {self._passages.dim} numbers")  # fmt: skip
        weights = [path for folder, _ in folders for path in weights_in(folder)]
        self.identity = identity("+".join(called for _, called in folders), weights)
        self.dim = self._passages.dim

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        """(n, dim), with the model's prompt for questions where it has one."""
        return self._queries.encode(texts, "query")

    def encode_passages(self, texts: Sequence[str]) -> Vectors:
        """(n, dim), with the model's prompt for documents where it has one; what exceeds its length is cut."""
        return self._passages.encode(texts, "document", "passage", "corpus")


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a model's files say of its use."""

    first_token: bool  # else the mean
    length: int | None  # tokens
    lower: bool
    prompts: Mapping[str, str]
    default_prompt: str

    def prompt(self, *names: str) -> str:
        return next((self.prompts[name] for name in names if name in self.prompts), self.default_prompt)


class _Tower:
    """One transformer with its pooling."""

    def __init__(self, folder: Path, called: str, device: str, paired: bool) -> None:
        import torch
        from transformers import AutoModel, AutoTokenizer

        self._torch, self._device = torch, device
        what = f"the text encoder {called}"
        with loading(what, "CONSULT_ENCODERS__TEXT"):
            self._recipe = recipe_of(folder, what, paired)
            self._tokenizer = AutoTokenizer.from_pretrained(folder, **OURS)
            self._model, missing = model_of(AutoModel, folder, device)
            refuse_missing(what, [key for key in missing if "pooler." not in key])  # which isn't used
            most = longest(self._tokenizer, self._model, self._model.config)
            self._length = min(self._recipe.length or 512, most)
            self.dim = int(self._embed([""]).shape[1])

    def encode(self, texts: Sequence[str], *prompts: str) -> Vectors:
        prompt = self._recipe.prompt(*prompts)
        return by_length(texts, lambda batch: self._embed([prompt + text for text in batch]), self.dim)

    def _embed(self, texts: list[str]) -> Vectors:
        texts = [text.lower() for text in texts] if self._recipe.lower else texts
        inputs = self._tokenizer(texts, padding=True, truncation=True, max_length=self._length, return_tensors="pt")
        inputs = inputs.to(self._device)
        if (cut := int((inputs["attention_mask"].sum(1) == self._length).sum())) > 0:
            log.debug("%d of %d texts reach the encoder's length of %d tokens", cut, len(texts), self._length)
        with self._torch.inference_mode():
            states = self._model(**inputs).last_hidden_state.float()
            pooled = states[:, 0] if self._recipe.first_token else mean_pooled(states, inputs["attention_mask"])
            unit: Vectors = self._torch.nn.functional.normalize(pooled, dim=1).cpu().numpy()
        return unit


def mean_pooled(states: Any, mask: Any) -> Any:
    """(n, dim) of (n, tokens, dim), over the tokens that are not padding."""
    weight = mask.unsqueeze(-1).float()
    return (states * weight).sum(1) / weight.sum(1).clamp(min=1)


def _folders(name: str) -> list[tuple[Path, str]]:
    """The files of each tower, and what we call it (no path of this machine)."""
    if name == "pocket":
        return [(pocket("text"), "pocket-text")]
    one = [name] if "+" not in name or Path(name).expanduser().is_dir() else name.split("+", 1)
    return [located(part.strip(), "text encoder") for part in one]


def recipe_of(folder: Path, what: str, paired: bool) -> Recipe:
    modules = {str(module.get("type")).rsplit(".", 1)[-1] for module in _json(folder / "modules.json") or []}
    if others := sorted(modules - {"Transformer", "Pooling", "Normalize"}):
        raise Misconfigured(f"{what} ends in a layer that is not supported ({', '.join(others)}); name another")
    uses, text = _json(folder / "config_sentence_transformers.json"), _json(folder / "sentence_bert_config.json")
    pooling, prompts = _json(folder / "1_Pooling" / "config.json"), uses.get("prompts") or {}
    if any(prompts.values()) and pooling.get("include_prompt") is False:
        raise Misconfigured(f"{what} leaves its prompt out of the pooling, which is not supported; name another")
    return Recipe(
        first_token=_pools_first_token(pooling, what, paired),
        length=text.get("max_seq_length"),
        lower=bool(text.get("do_lower_case")),
        prompts=prompts,
        default_prompt=prompts.get(uses.get("default_prompt_name") or "", ""),
    )


def _pools_first_token(pooling: Mapping[str, Any], what: str, otherwise: bool) -> bool:
    """`otherwise` when the files don't say."""
    named = pooling.get("pooling_mode") or []
    chosen = {named} if isinstance(named, str) else set(named)
    chosen |= {key.removeprefix(MODE) for key, on in pooling.items() if key.startswith(MODE) and on is True}
    if len(chosen) > 1 or chosen - FIRST - MEAN:
        raise Misconfigured(f"{what} pools in a way that is not supported ({', '.join(sorted(chosen))}); "
                            "mean or first token are")  # fmt: skip
    return bool(chosen & FIRST) if chosen else otherwise


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
