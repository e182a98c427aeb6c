"""A few synthetic preference pairs of every kind the trainer must tell apart."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from eval.phantoms import make_phantom
from finetune.dpo_config import DpoConfig
from tests.finetune.sft_parts import FIRST_SEED, write_lines

ANSWERS = (
    ("Yes, there is an effusion.", "No, there is no effusion."),
    ("The heart is large.", "It is of normal size."),
)


def write_pairs(folder: Path, n: int = 6, weights: tuple[float, ...] = (1.25, 0.75)) -> Path:
    """Pairs of `n` phantoms, of which the last two are for validation. Every second one shows noise on its rejected
    side, with the same answer on both. Returns the JSONL file."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(n):
        seed = FIRST_SEED + number
        pixels = make_phantom(seed, family="train", size=64).pixels
        Image.fromarray(pixels).save(folder / f"{seed}.png")
        noise = np.random.default_rng(seed).integers(0, 256, pixels.shape, np.uint8)
        Image.fromarray(noise).save(folder / f"{seed}-noise.png")
        rows.append(
            line_of(number, f"family train, seed {seed}", f"{seed}.png", weights, "val" if number >= n - 2 else "train")
        )
    return write_lines(folder / "pairs.jsonl", rows)


def line_of(number: int, patient: str, image: str, weights: tuple[float, ...], split: str) -> dict[str, Any]:
    chosen, rejected = ANSWERS[number % len(ANSWERS)]
    damaged = number % 2 == 1
    return {
        "id": f"pair-{number}",
        "prompt": [
            {"role": "system", "parts": [{"text": "You read radiographs."}]},
            {"role": "user", "parts": [{"image": image}, {"text": f"What is seen? {'Say more. ' * number}"}]},
        ],
        "chosen": f"[answer] {chosen} [image]",
        "rejected": f"[answer] {chosen if damaged else rejected} [image]",
        "rejected_images": [image.replace(".png", "-noise.png")] if damaged else [],
        "source": "whole_noise" if damaged else "hallucination",
        "weight": weights[number % len(weights)],
        "weighed_by": "fake",
        "seed": 0,
        "patient": patient,
        "split": split,
        "finding": "effusion",
        "why": "a test",
        "schema_version": 1,
    }  # fmt: skip


def seeing(model: Path) -> Path:
    """The tiny model with pictures that count: those of random weights hardly change a word."""
    from safetensors.torch import load_file, save_file

    file = model / "model.safetensors"
    weights = load_file(file)
    last = [name for name in weights if "visual.merger.mlp.2" in name]
    assert last
    save_file({name: value * (30 if name in last else 1) for name, value in weights.items()}, file, {"format": "pt"})
    return model


def config_of(out: Path, model: Path | str, pairs: Path, **told: Any) -> DpoConfig:
    training = {
        "steps": 30, "batch": 2, "accumulate": 1, "lr": 0.003, "precision": "fp32", "gradient_checkpointing": False,
        "evaluate_every": 10, "patience": None,
    }  # fmt: skip
    common = {"out": out, "model": str(model), "pairs": [pairs], "method": "lora"}
    if told.get("method", "lora") != "full":
        common["lora"] = {"rank": 4, "alpha": 16, "dropout": 0.0}
    return DpoConfig.model_validate({**common, **told, "training": {**training, **told.get("training", {})}})


def changed_line(path: Path, number: int, **values: Any) -> None:
    """Puts other values into a line, counted from 1."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    rows[number - 1] |= values
    write_lines(path, rows)
