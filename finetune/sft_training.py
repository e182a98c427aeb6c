"""The training itself: the model with what is to learn in it, and trl's trainer around it.

Same configuration, data and machine, same weights (on a CPU to the bit, on a GPU as far as its kernels allow). A run
that was killed goes on from its last whole checkpoint and ends with the weights of an undisturbed one.
"""

import json
import math
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from finetune.curves import Curves
from finetune.errors import Misconfigured
from finetune.sft_config import SftConfig, Tuning
from finetune.sft_data import Row
from finetune.sft_samples import Maker, Reader
from retrieval.embed import Progress

NAMES = {"loss": "loss", "eval_loss": "validation loss", "learning_rate": "learning rate"}
_PROJECTOR = re.compile(r"merger|projector|connector|aligner")


def load_model(config: Tuning, reader: Reader) -> Any:
    """The model to be tuned: four-bit for qlora; the parts that don't learn are frozen. Raises `Misconfigured`."""
    import torch
    from transformers import AutoModelForImageTextToText, BitsAndBytesConfig

    half = config.training.precision == "bf16"
    # Weights that learn stay float32 under autocast; those under an adapter only take part.
    options: dict[str, Any] = {"dtype": torch.bfloat16 if half and config.method != "full" else torch.float32}
    if config.method == "qlora":
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=options["dtype"],
        )  # fmt: skip
        options["device_map"] = {"": "cuda" if torch.cuda.is_available() else "cpu"}
    try:
        model = AutoModelForImageTextToText.from_pretrained(reader.source, **options)
    except Exception as error:  # whatever a damaged folder makes the libraries raise
        raise Misconfigured(f"The model {config.model} doesn't load ({type(error).__name__}: {error}).") from None
    model.config.use_cache = False
    for name, parameter in model.named_parameters():
        learns = config.method == "full" and part_of(model, name) in config.tune
        parameter.requires_grad_(learns and parameter.is_floating_point())
    return model


def part_of(model: Any, name: str) -> str:
    """Whether a parameter or module belongs to the language model, the projector or the vision tower."""
    if name.startswith((_language(model), "lm_head")):
        return "language"
    return "projector" if _PROJECTOR.search(name) else "vision"


def _language(model: Any) -> str:
    decoder = model.get_decoder()
    return next(f"{name}." for name, module in model.named_modules() if module is decoder and name)


def adapters(config: Tuning, model: Any) -> Any:
    """peft's configuration: an adapter on every linear layer of the tuned parts, None for full tuning."""
    if config.method == "full":
        return None
    import torch
    from peft import LoraConfig

    head = model.get_output_embeddings()
    names = [
        name
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and module is not head and part_of(model, name) in config.tune
    ]
    lora = config.lora
    return LoraConfig(
        r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=pattern(names), bias="none",
        task_type="CAUSAL_LM",
    )  # fmt: skip


def pattern(names: Iterable[str]) -> str:
    """A regular expression of exactly these names, short since numbers of layers are left open."""
    return "|".join(sorted({re.sub(r"\\\.\d+(?=\\\.|$)", r"\\.\\d+", re.escape(name)) for name in names}))


def trainer_of(
    config: SftConfig, model: Any, maker: Maker, rows: Sequence[Row], curves: Curves, progress: Progress
) -> Any:
    """trl's trainer. Pictures are read when their sample's turn comes."""
    from datasets import Dataset

    def dataset(split: str) -> Any:
        own = [row for row in rows if row.split == split]

        def read(batch: dict[str, list[int]]) -> dict[str, list[Any]]:
            examples = [maker.example(own[number]) for number in batch["row"]]
            return {key: [example[key] for example in examples] for key in ("prompt", "completion", "images")}

        return Dataset.from_dict({"row": list(range(len(own)))}).with_transform(read) if own else None

    processor = maker.reader.processor
    return tuner()(
        model=model,
        args=arguments(config, [row.split for row in rows]),
        train_dataset=dataset("train"),
        eval_dataset=dataset("val"),
        processing_class=processor,
        peft_config=adapters(config, model),
        callbacks=[watching(curves, progress, NAMES)],
    )


def tuner() -> Any:
    """The class, made here since trl takes seconds to import."""
    from trl import SFTTrainer

    class Tuner(SFTTrainer):
        """Takes up whole models as transformers saves them, under names that are not the module's own for many
        vision-language models: the stock trainer passes over those with a warning, and goes on from other weights."""

        def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
            if hasattr(self.model, "peft_config"):
                super()._load_from_checkpoint(resume_from_checkpoint, model)
            else:
                _take_up(self.model, resume_from_checkpoint)

        def _load_best_model(self) -> None:
            if hasattr(self.model, "peft_config"):
                super()._load_best_model()
            else:
                _take_up(self.model, self.state.best_model_checkpoint)

    return Tuner


def _take_up(model: Any, folder: str) -> None:
    model.load_state_dict(type(model).from_pretrained(folder, dtype=model.dtype).state_dict())


def steps_of(config: Tuning, splits: Sequence[str]) -> int:
    """Optimizer steps of the whole run over samples of these splits."""
    training, count = config.training, splits.count("train")
    if training.steps is not None:
        return training.steps
    return math.ceil(math.ceil(count / (training.batch * training.accumulate)) * float(training.epochs or 1))


def arguments(config: Tuning, splits: Sequence[str]) -> Any:
    """trl's settings of a run over samples of these splits."""
    import torch
    from trl import SFTConfig

    training, steps = config.training, steps_of(config, splits)
    measured = "val" in splits
    every = min(training.evaluate_every, steps)
    return SFTConfig(
        output_dir=str(config.out / "checkpoints"),
        max_length=None,  # a cut could lose tokens of the picture
        completion_only_loss=True,
        max_steps=steps,
        per_device_train_batch_size=training.batch,
        per_device_eval_batch_size=training.batch,
        gradient_accumulation_steps=training.accumulate,
        learning_rate=training.lr,
        lr_scheduler_type="cosine",
        warmup_steps=round(training.warmup * steps),
        weight_decay=training.weight_decay,
        max_grad_norm=training.clip_gradient,
        optim="adamw_torch",
        bf16=training.precision == "bf16",
        gradient_checkpointing=training.gradient_checkpointing,
        gradient_checkpointing_kwargs={"use_reentrant": False} if training.gradient_checkpointing else None,
        use_cpu=not torch.cuda.is_available(),
        dataloader_num_workers=training.workers,
        dataloader_pin_memory=torch.cuda.is_available(),
        seed=training.seed,
        data_seed=training.seed,
        eval_strategy="steps" if measured else "no",
        eval_steps=every,
        save_strategy="steps",
        save_steps=every,
        save_total_limit=2,  # the last one, and the best
        load_best_model_at_end=measured,
        metric_for_best_model="eval_loss" if measured else None,
        greater_is_better=False if measured else None,
        logging_steps=max(1, steps // 1000),
        logging_nan_inf_filter=False,
        remove_unused_columns=False,
        report_to=[],
        disable_tqdm=True,
    )


def watching(curves: Curves, progress: Progress, names: Mapping[str, str]) -> Any:
    """A callback that shows progress and writes curves: `names`, what trl logs → what the curve is called."""
    from transformers import TrainerCallback

    class Watching(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            progress("training", state.global_step, state.max_steps)

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **_: Any) -> None:
            values = {names[key]: value for key, value in (logs or {}).items() if key in names}
            if values:
                curves.append(state.global_step, **values)

    return Watching()


def last_checkpoint(folder: Path) -> Path | None:
    """The newest that was written whole: the trainer's state is the last file of a checkpoint."""
    whole = []
    for path in folder.glob("checkpoint-*"):
        try:
            whole.append((int(json.loads((path / "trainer_state.json").read_text())["global_step"]), path))
        except (OSError, ValueError, KeyError):
            continue
    return max(whole)[1] if whole else None


def estimated(trainer: Any, steps: int) -> float:
    """Seconds that `steps` will take, by one sample batch forwards and backwards, the second time; changes nothing."""
    import torch

    arguments = trainer.args
    if arguments.gradient_checkpointing:
        trainer.model.gradient_checkpointing_enable(arguments.gradient_checkpointing_kwargs)
    count = min(arguments.per_device_train_batch_size, len(trainer.train_dataset))
    trainer.current_gradient_accumulation_steps, taken = arguments.gradient_accumulation_steps, 0.0
    with torch.random.fork_rng():
        for _ in range(2):
            started = time.perf_counter()
            batch = trainer.data_collator([trainer.train_dataset[n] for n in range(count)])
            trainer.training_step(trainer.model, batch).item()
            taken = time.perf_counter() - started
            trainer.model.zero_grad(set_to_none=True)
    for mode in trainer._metrics.values():  # trl's running means shall not know of it
        mode.clear()
    trainer._total_train_tokens = 0
    return taken * arguments.gradient_accumulation_steps * steps


def train(trainer: Any, curves: Curves, steps: int, say: Callable[[str], None]) -> None:
    """To the end, from the last checkpoint where there is one."""
    checkpoint = last_checkpoint(Path(trainer.args.output_dir))
    done = int(checkpoint.name.rpartition("-")[2]) if checkpoint else 0
    curves.rewind(done)
    if done:
        say(f"Goes on after step {done} of {steps}.")
    if done < steps:
        seconds = estimated(trainer, steps - done)
        say(f"{steps - done} steps, about {seconds / 60:.1f} min by one batch of the data, validation not counted.")
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
