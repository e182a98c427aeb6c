"""Questions and the passages that answer them, through one transformers encoder that reads both: from scratch, from a
hub or from a folder, and written as a folder that `retrieval.encoders` loads unchanged."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import Module, Parameter
from torch.nn.functional import normalize

from eval.ledger import TrainingLedger, joined, write_ledger
from finetune.encoder_config import EncoderConfig, Model, SigLip
from finetune.errors import Misconfigured, Problem, WrongData
from finetune.grouping import alike, numbered, spread
from finetune.image_text import SIGLIP_BIAS, SIGLIP_SCALE
from finetune.manifest import Question, Split, assign_splits, check_apart, read_questions
from finetune.material import Material, base_ledger, base_told
from retrieval.encoders.folder import located, pocket
from retrieval.encoders.passages import Recipe, mean_pooled, recipe_of
from retrieval.encoders.transformer import OURS, loading, longest, model_of, refuse_missing

SCALE = float(np.log(20))  # a temperature of 0.05
RECIPE_FILES = (
    "modules.json", "1_Pooling/config.json", "config_sentence_transformers.json", "sentence_bert_config.json",
)  # fmt: skip


def text_material(config: EncoderConfig, work: Path) -> Material:
    """Raises `WrongData` with all that is wrong, by file and line."""
    problems: list[Problem] = []
    rows = read_questions(config.data.manifests, frozenset(config.data.ignore), problems.append)
    units = [row.group or row.passage for row in rows]
    placed = [(row.file, row.line, unit, row.split) for row, unit in zip(rows, units, strict=True)]
    check_apart(placed, problems.append, "group" if any(row.group for row in rows) else "passage")
    if problems:
        raise WrongData(problems)
    splits = assign_splits(units, [row.split for row in rows], config.data.validation, config.training.seed)
    train, held = (_of(rows, splits, split) for split in ("train", "val"))
    shown = spread(held, config.training.validation_pairs)
    told = [f"Training: {len(train)} pairs. Validation: {len(held)} pairs, {len(shown)} of them for the recall."]
    if left_out := len(rows) - len(train) - len(held):
        told.append(f"Left out, split test: {left_out} pairs.")
    siglip = isinstance(config.loss, SigLip)
    learner = TextLearner(config.model, train, work / "architecture", siglip, config.training.seed)
    told += [line] if (line := base_told(config.model, learner.before)) else []
    ledger = joined(learner.before, TrainingLedger(sources=tuple(sorted({row.source for row in train + held} - {""}))))
    return Material(
        learner, TextExamples(train, learner), TextExamples(shown, learner), told, _digest(rows, splits),
        lambda folder: write_ledger(folder, ledger),
    )  # fmt: skip


def _of(rows: Sequence[Question], splits: Sequence[Split], wanted: str) -> list[Question]:
    return [row for row, split in zip(rows, splits, strict=True) if split == wanted]


def _digest(rows: Sequence[Question], splits: Sequence[Split]) -> str:
    told = [(row.question, row.passage, row.group, split) for row, split in zip(rows, splits, strict=True)]
    return hashlib.sha256(json.dumps(told, ensure_ascii=False).encode()).hexdigest()


class _Scaled(Module):
    """An encoder with what scales its scores, which is thrown away with the training."""

    def __init__(self, model: Module, siglip: bool) -> None:
        super().__init__()
        self.model = model
        self.logit_scale = Parameter(torch.tensor(SIGLIP_SCALE if siglip else SCALE))
        self.logit_bias = Parameter(torch.tensor(SIGLIP_BIAS)) if siglip else None


class TextLearner:
    """One encoder for both sides, pooled, prompted and cut as its files say; from scratch the mean over its tokens."""

    ways = ("question→passage", "passage→question")

    def __init__(self, model: Model, train: Sequence[Question], folder: Path, siglip: bool, seed: int) -> None:
        from transformers import AutoModel, AutoTokenizer

        torch.manual_seed(seed)
        what = f"the text encoder {model.name}"
        if model.name == "scratch":
            self._folder, self.recipe = folder, Recipe(False, None, False, {}, "")
            encoder = _untrained(model, train, folder)
        else:
            self._folder = pocket("text") if model.name == "pocket" else located(model.name, "text encoder")[0]
            self.recipe = recipe_of(self._folder, what, False)
            with loading(what, "model.name"):
                encoder, missing = model_of(AutoModel, self._folder, "cpu")
                refuse_missing(what, [key for key in missing if "pooler." not in key])
        self.before = base_ledger(self._folder if model.name != "scratch" else None)
        self.tokenizer = AutoTokenizer.from_pretrained(self._folder, **OURS)
        self.length = min(model.length, self.recipe.length or 512, longest(self.tokenizer, encoder, encoder.config))
        for name, parameter in encoder.named_parameters():
            if name.startswith("pooler."):
                parameter.requires_grad_(False)  # nothing reads it
        self._adapted = model.lora is not None
        if model.lora:
            from peft import LoraConfig, get_peft_model

            lora = model.lora
            how = LoraConfig(
                r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules="all-linear",
                exclude_modules=r".*pooler.*",
            )  # fmt: skip
            encoder = get_peft_model(encoder, how)
        self.network: Any = _Scaled(encoder, siglip)

    @property
    def scale(self) -> Parameter:
        scale: Parameter = self.network.logit_scale
        return scale

    @property
    def bias(self) -> Parameter | None:
        bias: Parameter | None = self.network.logit_bias
        return bias

    def left(self, inputs: dict[str, Tensor]) -> Tensor:
        states = self.network.model(**inputs).last_hidden_state
        return normalize(
            states[:, 0] if self.recipe.first_token else mean_pooled(states, inputs["attention_mask"]), dim=1
        )

    right = left

    def checkpoint_gradients(self) -> None:
        self.network.model.gradient_checkpointing_enable({"use_reentrant": False})

    def save(self, folder: Path) -> None:
        """Weights with adapters merged, tokenizer, and what says how to use them: after it nothing is trained."""
        model = self.network.model.merge_and_unload() if self._adapted else self.network.model
        for name in RECIPE_FILES:
            if (self._folder / name).is_file():
                (folder / name).parent.mkdir(exist_ok=True)
                shutil.copyfile(self._folder / name, folder / name)
        self.tokenizer.save_pretrained(folder)
        model.save_pretrained(folder)


def _untrained(model: Model, train: Sequence[Question], folder: Path) -> Any:
    from transformers import AutoConfig, AutoModel

    from finetune.pocket.tokenizer import text_tokenizer

    texts = [text for row in train for text in (row.question, row.passage)]
    tokenizer = text_tokenizer(texts, model.vocabulary or 0, model.length)
    told = {"vocab_size": len(tokenizer), "pad_token_id": 0, "max_position_embeddings": model.length}
    architecture = model.architecture if isinstance(model.architecture, dict) else {}
    try:
        encoder = AutoModel.from_config(AutoConfig.for_model(**{**told, **architecture}))
    except (TypeError, ValueError) as error:
        raise Misconfigured(f"model.architecture: {' '.join(str(error).split())[:300]}") from None
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save_pretrained(folder)
    encoder.config.save_pretrained(folder)
    return encoder


class TextExamples:
    """Pairs of questions and passages as token numbers. Those that share question, passage or group belong together."""

    def __init__(self, rows: Sequence[Question], learner: TextLearner) -> None:
        self._rows, self._tokenizer, self._length = rows, learner.tokenizer, learner.length
        self._prompts = learner.recipe.prompt("query"), learner.recipe.prompt("document", "passage", "corpus")
        self._lower = learner.recipe.lower
        groups = [row.group or number for number, row in enumerate(rows)]
        self._keys = [
            numbered([row.question for row in rows]),
            numbered([row.passage for row in rows]),
            numbered(groups),
        ]

    def __len__(self) -> int:
        return len(self._rows)

    def load(self, number: int, vary: bool) -> tuple[str, str]:
        return self._rows[number].question, self._rows[number].passage

    def collate(self, loaded: list[tuple[str, str]]) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        questions, passages = zip(*loaded, strict=True)
        return self._tokens(self._prompts[0], questions), self._tokens(self._prompts[1], passages)

    def _tokens(self, prompt: str, texts: Sequence[str]) -> dict[str, Tensor]:
        ready = [(prompt + text).lower() if self._lower else prompt + text for text in texts]
        return dict(self._tokenizer(ready, padding=True, truncation=True, max_length=self._length, return_tensors="pt"))

    def together(self, numbers: Sequence[int]) -> NDArray[np.bool_]:
        return alike(self._keys, numbers)
