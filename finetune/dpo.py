"""Preference tuning of a vision-language model: `consult train dpo`. The way of a run, top to bottom in `run`.

All pairs are read and checked before the weights are loaded. Killed at any moment, the same command goes on; with other
pairs or another configuration it refuses.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean

from eval.ledger import LEDGER
from finetune.configs import load_config
from finetune.curves import Curves
from finetune.dpo_config import DpoConfig
from finetune.dpo_data import Sample, example, read_samples
from finetune.runs import check_same, described, keep
from finetune.sft_samples import Reader
from retrieval.embed import Progress, no_progress

Say = Callable[[str], None]
SHOWN = 3
PANELS = {
    "loss": ("loss", "validation loss"),
    "margin": ("margin", "validation margin"),
    "chosen preferred": ("accuracy", "validation accuracy"),
}

_CARD = """# {title}

**Not for clinical use.** Tuned by `consult train dpo` from the files named below; no one has shown that it is safe to
decide anything by.

| | |
|---|---|
| from | {base} |
| method | {method}; tuned: {parts} |
| learnt from | {train} pairs of {patients} patients or synthetic studies ({sources}) from {files} |
| loss | {loss} |
| weights | {weights} |
| training | at most {steps} steps of {batch} pairs, learning rate {lr:g}, {precision}, seed {seed} |
| validation loss | {measured} |
| chosen preferred | {accuracy} |

A margin on held-out pairs is no proof: measure it with `consult eval` and let `consult adapters gate` compare.
`{ledger}` holds hashes of the patients and pictures: keep it in the house, beside the weights. The licences of the
model it was made from and of the data apply; neither is changed by tuning.

## Use

{use}
"""


def run_file(path: Path, progress: Progress, say: Say, dry_run: bool = False) -> Path | None:
    """Tunes as the YAML file says. Returns the folder of the adapter or model, None for a dry run."""
    return run(load_config(path, DpoConfig), progress, say, dry_run)


def run(config: DpoConfig, progress: Progress = no_progress, say: Say = print, dry_run: bool = False) -> Path | None:
    """Raises `WrongData` with all that is wrong, `BadInput` for a run begun otherwise, `Misconfigured`."""
    reader = Reader.open(config.model)
    samples = read_samples(config, reader, progress)
    begun = described(config, (f"{sample.digest} {sample.split}" for sample in samples))
    check_same(config.out, begun)
    if dry_run:
        for line in preview(reader, samples):
            say(line)
        return None
    keep(config.out, begun)
    return _train(config, reader, samples, str(begun["data"]), progress, say)


def _train(
    config: DpoConfig, reader: Reader, samples: Sequence[Sample], data: str, progress: Progress, say: Say
) -> Path:
    from finetune.dpo_training import REFERENCE, learn_reference, train_preferences, trainer_of
    from finetune.sft_training import load_model, steps_of
    from finetune.tuned import ledger_of, target, write_tuned

    if (folder := target(config)).is_dir():
        say(f"{folder} is there already: nothing to do.")
        return folder
    curves, steps = Curves(config.out), steps_of(config, [sample.split for sample in samples])
    model = load_model(config, reader)
    trainer, known = trainer_of(config, model, reader, samples, curves, progress)
    learn_reference(trainer, reader, samples, known, config.out / REFERENCE, progress)
    train_preferences(config, trainer, curves, steps, say)
    curves.draw(PANELS, config.out.name)
    ledger = ledger_of(config, reader, [sample.learnt for sample in samples])
    return write_tuned(config, reader, trainer, ledger, _card(config, samples, steps, curves), {"data": data})


def preview(reader: Reader, samples: Sequence[Sample]) -> list[str]:
    """A pair of each of the first sources as the model will read it, and counts."""
    first = {sample.pair.source: sample for sample in reversed(samples)}
    lines = []
    for sample in list(first.values())[:SHOWN]:
        pair, told = sample.pair, example(reader, sample)
        other = ", the rejected side with pictures of its own" if pair.rejected_images else ""
        lines += [
            f"=== {sample.file}:{sample.line} ({pair.source}, {pair.split}, weight {pair.weight:.2f}{other}) ===",
            told["prompt"] + f"⟦+{told['chosen']}⟧⟦−{told['rejected']}⟧",
            f"({pair.why})",
        ]
    return [*lines, f"=== {len(samples)} pairs: {_counts(samples)}; {_weights(samples)}. ⟦+chosen⟧⟦−rejected⟧ ==="]


def _counts(samples: Sequence[Sample]) -> str:
    counts = Counter((sample.split, sample.pair.source) for sample in samples)
    return ", ".join(f"{split} {source} {count}" for (split, source), count in sorted(counts.items()))


def _weights(samples: Sequence[Sample]) -> str:
    weights = [sample.pair.weight for sample in samples]
    by = ", ".join(sorted({sample.pair.weighed_by for sample in samples}))
    return f"weights {min(weights):.2f} to {max(weights):.2f}, mean {fmean(weights):.3f}, weighed by {by}"


def _card(config: DpoConfig, samples: Sequence[Sample], steps: int, curves: Curves) -> str:
    from finetune.tuned import told_losses, told_use

    training = [sample for sample in samples if sample.split == "train"]
    told, objective = config.training, config.objective
    rows = [row["validation accuracy"] for row in curves.rows() if "validation accuracy" in row]
    return _CARD.format(
        title=config.out.name,
        base=config.model,
        method=config.method if config.method == "full" else f"{config.method}, rank {config.lora.rank}",
        parts=", ".join(config.tune),
        train=len(training),
        patients=len({sample.pair.patient for sample in training}),
        sources=_counts(training),
        files=", ".join(sorted({file.name for file in config.pairs})),
        loss=f"β {objective.beta:g}{' per token' if objective.per_token else ''}, likelihood × {objective.sft:g}",
        weights=_weights(training) if objective.weighted else "not used: every pair counts 1",
        steps=steps,
        batch=told.batch * told.accumulate,
        lr=told.lr,
        precision=told.precision,
        seed=told.seed,
        measured=told_losses(curves),
        accuracy=f"first {rows[0]:.2f}, last {rows[-1]:.2f} of held-out pairs" if rows else "not measured",
        ledger=LEDGER,
        use=told_use(config),
    )
