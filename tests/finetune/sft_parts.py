"""A tiny vision-language model and a few synthetic samples to tune it on."""

import json
from pathlib import Path
from typing import Any

from PIL import Image

from assistant.engines.card import pocket_folder
from eval.phantom_cli import truth
from eval.phantoms import make_phantom
from finetune.sft_config import SftConfig
from finetune.sft_phantoms import samples

SIDE = 56  # pixels; four image tokens
FIRST_SEED = 1_900_000


def write_samples(folder: Path, n: int = 5) -> Path:
    """Samples of `n` phantoms, the last of them for validation; returns the JSONL file."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for seed in range(FIRST_SEED, FIRST_SEED + n):
        phantom = make_phantom(seed, family="train", size=64)
        Image.fromarray(phantom.pixels).save(folder / f"{seed}.png")
        split = "val" if seed == FIRST_SEED + n - 1 else "train"
        rows += [{**sample, "split": split} for sample in samples(truth(phantom, f"{seed}.png"))]
    return write_lines(folder / "samples.jsonl", rows)


def write_lines(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_model(folder: Path) -> Path:
    """A Qwen2-VL with random weights, some hundred thousand of them, and the bundled model's words. No layer is
    narrower than a block of 64, or four-bit layers on a CPU with bfloat16 can't be read."""
    import torch
    from transformers import AutoConfig, AutoProcessor, GenerationConfig, Qwen2VLForConditionalGeneration

    torch.manual_seed(0)
    config = AutoConfig.from_pretrained(pocket_folder())
    text = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2}
    for key, value in {**text, "num_key_value_heads": 2, "layer_types": ["full_attention"] * 2}.items():
        setattr(config.text_config, key, value)
    config.text_config.rope_parameters["mrope_section"] = [4, 6, 6]
    for key, value in {"embed_dim": 64, "hidden_size": 64, "depth": 1, "num_heads": 2}.items():
        setattr(config.vision_config, key, value)
    config.dtype = torch.float32
    model = Qwen2VLForConditionalGeneration(config)
    model.generation_config = GenerationConfig.from_pretrained(pocket_folder())
    model.save_pretrained(folder)
    processor = AutoProcessor.from_pretrained(pocket_folder())
    processor.image_processor.size = {"shortest_edge": SIDE**2, "longest_edge": SIDE**2}
    processor.save_pretrained(folder)
    card = {"domains": ["chest_xray"], "demonstration": True, "picture": SIDE}
    (folder / "consult.json").write_text(json.dumps(card), encoding="utf-8")
    return folder


def config_of(out: Path, model: Path | str, manifest: Path, **told: Any) -> SftConfig:
    training = {
        "steps": 30, "batch": 2, "accumulate": 1, "lr": 0.003, "precision": "fp32", "gradient_checkpointing": False,
        "evaluate_every": 10,
    }  # fmt: skip
    common = {"out": out, "model": str(model), "data": {"manifests": [manifest]}, "method": "full"}
    return SftConfig.model_validate({**common, **told, "training": {**training, **told.get("training", {})}})
