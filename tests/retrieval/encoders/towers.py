"""Small random models of the architectures that transformers reads, made on the spot."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.retrieval.encoders.conftest import SENTENCES, make_tokenizer

LENGTH = 40
VISION = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
          "patch_size": 8, "image_size": 32}  # fmt: skip
TEXT = {"hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
        "max_position_embeddings": LENGTH, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 3}  # fmt: skip
SIZE = {"height": 32, "width": 32}


def save(model: Any, processor: Any, folder: Path) -> Path:
    import torch

    generator = torch.Generator().manual_seed(0)
    for weight in model.parameters():  # some start at zero, and zero tells nothing from nothing
        weight.data = torch.randn(weight.shape, generator=generator) * 0.2
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def clip(folder: Path) -> Path:
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

    text = TEXT | {"vocab_size": make_tokenizer(folder, LENGTH)}
    config = CLIPConfig(text_config=text, vision_config=VISION, projection_dim=24)
    processor = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=SIZE)
    return save(CLIPModel(config), processor, folder)


def siglip(folder: Path) -> Path:
    """With SigLIP's own sentencepiece tokenizer, which lower-cases and drops punctuation."""
    import sentencepiece
    from transformers import SiglipConfig, SiglipImageProcessor, SiglipModel, SiglipTokenizer

    spiece = folder / "spiece.model"
    with spiece.open("wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(SENTENCES), model_writer=file, vocab_size=48, hard_vocab_limit=False,
            pad_id=0, eos_id=1, unk_id=2, bos_id=-1, minloglevel=2,
        )  # fmt: skip
    tokenizer = SiglipTokenizer(str(spiece), model_max_length=LENGTH, model_input_names=["input_ids"])
    tokenizer.save_pretrained(folder)
    config = SiglipConfig(text_config=TEXT | {"vocab_size": len(tokenizer)}, vision_config=VISION)
    return save(SiglipModel(config), SiglipImageProcessor(size=SIZE), folder)


def siglip2(folder: Path) -> Path:
    """The one that keeps a picture's proportions; its tokenizer, as published, names no length."""
    from transformers import Siglip2Config, Siglip2ImageProcessor, Siglip2Model

    text = TEXT | {"vocab_size": make_tokenizer(folder, int(1e30))}
    vision = {key: value for key, value in VISION.items() if key != "image_size"} | {"num_patches": 16}
    config = Siglip2Config(text_config=text, vision_config=vision)
    return save(Siglip2Model(config), Siglip2ImageProcessor(patch_size=8, max_num_patches=16), folder)


def dual(folder: Path) -> Path:
    """A vision transformer and a BERT, joined: the shape of BiomedCLIP and its kin."""
    from transformers import (
        BertConfig,
        VisionTextDualEncoderConfig,
        VisionTextDualEncoderModel,
        ViTConfig,
        ViTImageProcessor,
    )

    text = BertConfig(**TEXT | {"vocab_size": make_tokenizer(folder, LENGTH)})
    config = VisionTextDualEncoderConfig.from_vision_text_configs(ViTConfig(**VISION), text, projection_dim=24)
    return save(VisionTextDualEncoderModel(config), ViTImageProcessor(size=SIZE), folder)


def dinov2(folder: Path) -> Path:
    """A vision model alone, as RAD-DINO is."""
    from transformers import BitImageProcessor, Dinov2Config, Dinov2Model

    config = Dinov2Config(**VISION, mlp_ratio=1)
    processor = BitImageProcessor(size={"shortest_edge": 36}, crop_size=SIZE)
    return save(Dinov2Model(config), processor, folder)


MAKERS: dict[str, Callable[[Path], Path]] = {f.__name__: f for f in (clip, siglip, siglip2, dual, dinov2)}
