"""Our preference trainer beside trl's own DPOTrainer: seconds of a training step on the same pairs, in turn, so that
both feel the same machine. trl asks its reference at every step, ours is asked once a pair and is timed apart. Run:

    python -m finetune.bench [--model pocket] [--batch 4] [--steps 8]
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import typer

QUESTIONS = ("Is there a pleural effusion?", "Is the heart enlarged?", "Draft a report of this radiograph.")


def write_pairs(folder: Path, n: int) -> Path:
    """Pairs of synthetic studies with answers of the length of a short report."""
    import json

    from PIL import Image

    from eval.ledger import TRAINING_SEEDS
    from eval.phantoms import make_phantom

    lines = []
    for number, seed in enumerate(TRAINING_SEEDS[:n]):
        phantom = make_phantom(seed, family="train", size=140)
        Image.fromarray(phantom.pixels).save(folder / f"{seed}.png")
        text = f"[lungs] {phantom.report.findings} [image]"
        wrong = text.replace(" no ", " a large ") + " A nodule is seen. [image]"
        lines.append({
            "id": str(seed), "chosen": text, "rejected": wrong, "patient": f"family train, seed {seed}",
            "prompt": [{"role": "user", "parts": [{"image": f"{seed}.png"}, {"text": QUESTIONS[number % 3]}]}],
            "source": "hallucination", "seed": 0, "split": "train", "why": "a bench",
        })  # fmt: skip
    path = folder / "pairs.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def ours(config: Any, reader: Any, samples: Any) -> tuple[Any, list[Any], float]:
    """The trainer, its examples, and the seconds its reference took."""
    from finetune.curves import Curves
    from finetune.dpo_training import REFERENCE, learn_reference, trainer_of
    from finetune.sft_training import load_model
    from retrieval.embed import no_progress

    model = load_model(config, reader)
    trainer, known = trainer_of(config, model, reader, samples, Curves(config.out), no_progress)
    started = time.perf_counter()
    learn_reference(trainer, reader, samples, known, config.out / REFERENCE, no_progress)
    taken = time.perf_counter() - started
    return trainer, [trainer.train_dataset[n] for n in range(len(samples))], taken


def theirs(config: Any, reader: Any, samples: Any) -> tuple[Any, list[Any]]:
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    from finetune.dpo_data import example
    from finetune.sft_training import adapters, load_model

    rows = [example(reader, sample) for sample in samples]
    rows = [{key: row[key] for key in ("prompt", "chosen", "rejected", "images")} for row in rows]
    told = DPOConfig(
        str(config.out / "trl"), beta=config.objective.beta, max_length=None, bf16=False, use_cpu=True, report_to=[],
        gradient_checkpointing=False, per_device_train_batch_size=config.training.batch,
    )  # fmt: skip
    model = load_model(config, reader)
    return DPOTrainer(model, args=told, train_dataset=Dataset.from_list(rows), processing_class=reader.processor,
                      peft_config=adapters(config, model)), rows  # fmt: skip


def stepper(trainer: Any, rows: list[Any], batch: int) -> Callable[[int], float]:
    """Seconds of a step, forwards and backwards, its batch made beforehand."""
    trainer.current_gradient_accumulation_steps = 1
    trainer.model.train()

    def step(number: int) -> float:
        chosen = [dict(rows[(number * batch + n) % len(rows)]) for n in range(batch)]
        inputs = trainer.data_collator(chosen)
        started = time.perf_counter()
        trainer.training_step(trainer.model, inputs)
        taken = time.perf_counter() - started
        trainer.model.zero_grad(set_to_none=True)
        return taken

    return step


def main(
    model: Annotated[str, typer.Option(help="Model to tune.")] = "pocket",
    batch: Annotated[int, typer.Option(min=1, help="Pairs a step.")] = 4,
    steps: Annotated[int, typer.Option(min=2, help="Steps of each, the first not counted.")] = 8,
) -> None:
    """Print the median step of both and their ratio."""
    from finetune.dpo_config import DpoConfig
    from finetune.dpo_data import read_samples
    from finetune.sft_samples import Reader

    with tempfile.TemporaryDirectory() as name:
        folder, reader = Path(name), Reader.open(model)
        config = DpoConfig.model_validate({
            "out": folder / "out", "model": model, "method": "lora", "pairs": [write_pairs(folder, batch * steps)],
            "training": {"steps": steps, "batch": batch, "accumulate": 1, "lr": 1e-4, "precision": "fp32",
                         "gradient_checkpointing": False, "patience": None},
        })  # fmt: skip
        samples = read_samples(config, reader)
        trainer, rows, reference = ours(config, reader, samples)
        own, trls = stepper(trainer, rows, batch), stepper(*theirs(config, reader, samples), batch)
        taken = [(own(number), trls(number)) for number in range(steps)][1:]
    mine, other = (median(times) for times in zip(*taken, strict=True))
    once = reference / len(samples) * batch
    print(f"{batch} pairs a step: ours {mine:.3f} s, trl {other:.3f} s: {other / mine:.2f} times as fast")
    print(f"with the reference's {once:.3f} s, asked once a pair, in one epoch {other / (mine + once):.2f} times, "
          f"in three {other / (mine + once / 3):.2f} times")  # fmt: skip


if __name__ == "__main__":
    typer.run(main)
