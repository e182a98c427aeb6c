"""Every kind of encoder: the fakes, and small random models of each architecture made on the spot."""

import json
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from retrieval.encoders import ImageTextEncoder, Reranker, TextEncoder, load_image_text, load_reranker, load_text

os.environ.setdefault("OMP_NUM_THREADS", "1")

SENTENCES = ["pleural effusion on the left", "no pneumothorax", "the heart is enlarged", "Kardiomegalie, Erguß"]
SPECIAL = ["<pad>", "<s>", "<unk>", "</s>"]  # CLIP configurations that say eos 2 mean "the highest"


def make_tokenizer(folder: Path, length: int) -> int:
    """A byte-level tokenizer trained on four sentences; returns its vocabulary's size."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(SENTENCES, trainer)
    ends = [("<s>", 1), ("</s>", 3)]
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=ends)
    names = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=length, **names).save_pretrained(folder)
    return tokenizer.get_vocab_size()


def make_open_clip(folder: Path) -> Path:
    import open_clip
    import torch
    from safetensors.torch import save_file

    vocabulary = make_tokenizer(folder, 16)
    config = {
        "embed_dim": 24,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 8},
        "text_cfg": {
            "context_length": 16,
            "vocab_size": vocabulary,
            "hf_tokenizer_name": "tokenizer.json",  # any name: from a folder, the tokenizer beside it is read
            "width": 32,
            "heads": 2,
            "layers": 1,
            "pool_type": "eos",
            "eos_id": 3,
        },
    }
    torch.manual_seed(0)
    model = open_clip.CLIP(**config)
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    preprocess = {"mean": [0.5] * 3, "std": [0.25] * 3, "resize_mode": "squash", "interpolation": "bicubic"}
    text = json.dumps({"model_cfg": config, "preprocess_cfg": preprocess})
    (folder / "open_clip_config.json").write_text(text)
    return folder


def make_bert(folder: Path, labels: int = 0, seed: int = 0, width: int = 24) -> Path:
    """An encoder, or with `labels` a classifier over it."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertModel

    vocabulary = make_tokenizer(folder, 32)
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
        pad_token_id=0,
        initializer_range=0.2,
        **({"num_labels": labels} if labels else {}),
    )
    (BertForSequenceClassification(config) if labels else BertModel(config)).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def open_clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_open_clip(tmp_path_factory.mktemp("image-encoder"))


@pytest.fixture(scope="session")
def bert_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bert(tmp_path_factory.mktemp("text-encoder"))


@pytest.fixture(scope="session")
def other_bert_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bert(tmp_path_factory.mktemp("passage-encoder"), seed=1)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a small model by its architecture, made once."""

    @cache
    def make(name: str) -> Path:
        from tests.retrieval.encoders import towers

        return towers.MAKERS[name](tmp_path_factory.mktemp(name))

    return make


@pytest.fixture(scope="session")
def reranker_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bert(tmp_path_factory.mktemp("reranker"), labels=1)


READING = ["fake", "open_clip", "pocket", "clip", "siglip", "siglip2", "dual"]


@pytest.fixture(scope="session")
def loaded(made: Callable[[str], Path], open_clip_folder: Path) -> Callable[[str], ImageTextEncoder]:
    """An encoder of pictures by its architecture, loaded once."""

    @cache
    def load(name: str) -> ImageTextEncoder:
        if name in ("fake", "pocket"):
            return load_image_text(name)
        return load_image_text(str(open_clip_folder if name == "open_clip" else made(name)))

    return load


@pytest.fixture(params=READING)
def image_text(request: pytest.FixtureRequest, loaded: Callable[[str], ImageTextEncoder]) -> ImageTextEncoder:
    return loaded(request.param)


@pytest.fixture(params=[*READING, "dinov2"])
def seeing(request: pytest.FixtureRequest, loaded: Callable[[str], ImageTextEncoder]) -> ImageTextEncoder:
    """Every encoder of pictures, with a text tower and without."""
    return loaded(request.param)


@pytest.fixture(scope="session", params=["fake", "transformers", "pair", "pocket"])
def text(request: pytest.FixtureRequest) -> TextEncoder:
    if request.param in ("fake", "pocket"):
        return load_text(request.param)
    folder = request.getfixturevalue("bert_folder")
    return load_text(
        f"{folder}+{request.getfixturevalue('other_bert_folder')}" if request.param == "pair" else str(folder)
    )


@pytest.fixture(scope="session", params=["fake", "transformers"])
def reranker(request: pytest.FixtureRequest) -> Reranker:
    return load_reranker("fake" if request.param == "fake" else str(request.getfixturevalue("reranker_folder")))
