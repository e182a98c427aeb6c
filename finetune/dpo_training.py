"""Preference tuning: the trainer of supervised tuning with another batch and another loss.

A batch holds every pair twice, its chosen answers first and then its rejected ones, each side with its own pictures.
The reference is the model as it was before it learnt anything (an adapter that is switched off): what it thinks of each
answer is computed once, before the first step, and kept.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from finetune.curves import Curves
from finetune.dpo_config import DpoConfig, Objective
from finetune.dpo_data import Sample, example
from finetune.losses import likelihood, preference, preference_margins
from finetune.sft_samples import Reader
from finetune.sft_training import adapters, arguments, last_checkpoint, train, tuner, watching
from retrieval.embed import Progress

REFERENCE = "reference.jsonl"
UNKNOWN = (math.nan, math.nan)
NAMES = {
    "loss": "loss", "eval_loss": "validation loss", "learning_rate": "learning rate", "margin": "margin",
    "eval_margin": "validation margin", "accuracy": "accuracy", "eval_accuracy": "validation accuracy",
}  # fmt: skip
Known = dict[str, tuple[float, float]]  # by a sample's digest: log π₀ of its chosen and of its rejected answer


def collator(processor: Any) -> Callable[[Sequence[Mapping[str, Any]]], Any]:
    """From examples to a batch: trl's own of supervised tuning, over both sides; `weight` (B,), `reference` (2, B)."""
    import torch
    from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

    if processor.tokenizer.pad_token is None:
        processor.tokenizer.pad_token = processor.tokenizer.eos_token
    inner = DataCollatorForVisionLanguageModeling(processor, completion_only_loss=True)

    def collate(examples: Sequence[Mapping[str, Any]]) -> Any:
        sides = (("chosen", "images"), ("rejected", "rejected_images"))
        both = [
            {"prompt": one["prompt"], "completion": one[answer], "images": one[pictures]}
            for answer, pictures in sides
            for one in examples
        ]
        batch = inner(both)
        batch["weight"] = torch.tensor([one["weight"] for one in examples], dtype=torch.float32)
        batch["reference"] = torch.tensor([one["reference"] for one in examples], dtype=torch.float32).T
        return batch

    return collate


def trainer_of(
    config: DpoConfig, model: Any, reader: Reader, samples: Sequence[Sample], curves: Curves, progress: Progress
) -> tuple[Any, Known]:
    """The trainer, and what its reference thinks, which `learn_reference` fills before the first step."""
    from datasets import Dataset
    from transformers import EarlyStoppingCallback
    from trl.trainer.utils import disable_dropout_in_model

    disable_dropout_in_model(model)  # of the model, not of the adapters: it is the reference, too
    known: Known = {}

    def dataset(split: str) -> Any:
        own = [sample for sample in samples if sample.split == split]

        def read(batch: dict[str, list[int]]) -> dict[str, list[Any]]:
            examples = [
                {**example(reader, own[n]), "reference": known.get(own[n].digest, UNKNOWN)} for n in batch["row"]
            ]
            return {key: [one[key] for one in examples] for key in examples[0]}

        return Dataset.from_dict({"row": list(range(len(own)))}).with_transform(read) if own else None

    told = arguments(config, [sample.split for sample in samples])
    told.restore_callback_states_from_checkpoint = True  # how often the validation loss was not the best
    callbacks = [watching(curves, progress, NAMES)]
    if config.training.patience is not None:
        callbacks.append(EarlyStoppingCallback(config.training.patience))
    trainer = preference_tuner()(
        objective=config.objective,
        model=model,
        args=told,
        train_dataset=dataset("train"),
        eval_dataset=dataset("val"),
        processing_class=reader.processor,
        data_collator=collator(reader.processor),
        peft_config=adapters(config, model),
        callbacks=callbacks,
    )
    return trainer, known


def preference_tuner() -> Any:
    """The class, made here since trl takes seconds to import."""

    class PreferenceTuner(tuner()):  # type: ignore[misc]
        def __init__(self, *, objective: Objective, **told: Any) -> None:
            super().__init__(**told)
            self.objective = objective
            self.model_accepts_loss_kwargs = False  # a mean over pairs: accumulated batches are averaged

        def answers(self, model: Any, inputs: Mapping[str, Any]) -> tuple[Any, Any]:
            """Log-probabilities of whole answers, and their tokens, both (2, B)."""
            shown = {key: value for key, value in inputs.items() if key not in ("weight", "reference")}
            each = model(**shown, use_cache=False, fused_lm_head=True).log_probs  # 0 where nothing is learnt
            tokens = (inputs["labels"][:, 1:] != -100).sum(1)
            return each.float().sum(1).view(2, -1), tokens.view(2, -1)

        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            told = self.objective
            answers, tokens = self.answers(model, inputs)
            margins = preference_margins(answers, inputs["reference"], told.beta, tokens if told.per_token else None)
            loss = preference(margins, inputs["weight"] if told.weighted else inputs["weight"].new_ones(len(margins)))
            if told.sft:
                loss = loss + told.sft * likelihood(answers[0], tokens[0])
            kept = self._metrics["train" if self.model.training else "eval"]
            kept["margin"] += margins.detach().tolist()
            kept["accuracy"] += (margins > 0).float().tolist()
            return (loss, None) if return_outputs else loss

    return PreferenceTuner


def learn_reference(
    trainer: Any, reader: Reader, samples: Sequence[Sample], known: Known, path: Path, progress: Progress
) -> None:
    """Fills `known` from `path`, and from the model what isn't there; to be called before anything is learnt."""
    known.update(_kept(path))
    missing = [sample for sample in samples if sample.digest not in known]
    size = trainer.args.per_device_train_batch_size
    with path.open("a", encoding="utf-8") as file:
        for start in range(0, len(missing), size):
            batch = missing[start : start + size]
            told = [{**example(reader, one), "reference": UNKNOWN} for one in batch]
            for one, pair in zip(batch, _unlearnt(trainer, trainer.data_collator(told)), strict=True):
                known[one.digest] = pair
                file.write(json.dumps([one.digest, *pair]) + "\n")
            file.flush()
            progress("reference", start + len(batch), len(missing))


def _kept(path: Path) -> Known:
    found: Known = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            digest, chosen, rejected = json.loads(line)
            found[digest] = (float(chosen), float(rejected))
        except (ValueError, TypeError):  # the last line of a run that was killed
            continue
    return found


def _unlearnt(trainer: Any, batch: Any) -> list[tuple[float, float]]:
    """log π₀ of the batch's chosen and rejected answers."""
    from contextlib import nullcontext

    import torch

    model = trainer.model
    model.train()  # four-bit weights that are evaluated on a CPU are packed, and pass no gradient on from then on
    off = model.disable_adapter() if hasattr(model, "disable_adapter") else nullcontext()
    with torch.no_grad(), off, trainer.compute_loss_context_manager(), trainer.accelerator.autocast():
        answers, _ = trainer.answers(model, trainer._prepare_inputs(batch))
    return [(float(chosen), float(rejected)) for chosen, rejected in answers.T.tolist()]


def train_preferences(config: DpoConfig, trainer: Any, curves: Curves, steps: int, say: Callable[[str], None]) -> None:
    """To the end, or to where the validation loss has not been the best for `patience` times."""
    if at := _stopped(trainer, config.training.patience):
        trainer.args.max_steps = steps = at  # killed after it had stopped: only the best weights are to be taken up
    train(trainer, curves, steps, say)
    if trainer.state.global_step < steps:
        say(f"Stopped after step {trainer.state.global_step}: the validation loss rises.")


def _stopped(trainer: Any, patience: int | None) -> int | None:
    """The step after which an earlier run stopped early."""
    checkpoint = last_checkpoint(Path(trainer.args.output_dir))
    if checkpoint is None or patience is None:
        return None
    state = json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
    told = state["stateful_callbacks"].get("EarlyStoppingCallback", {}).get("attributes", {})
    return int(state["global_step"]) if told.get("early_stopping_patience_counter", 0) >= patience else None
