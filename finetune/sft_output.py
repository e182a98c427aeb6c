"""What supervised tuning leaves behind (`finetune.tuned`), and its card."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from eval.ledger import LEDGER
from finetune.curves import Curves
from finetune.sft_config import SftConfig
from finetune.sft_data import Row, unit_of
from finetune.sft_samples import Reader
from finetune.tuned import Learnt, ledger_of, told_losses, told_use, write_tuned

_CARD = """# {title}

**Not for clinical use.** Tuned by `consult train sft` from the files named below; no one has shown that it is safe to
decide anything by.

| | |
|---|---|
| from | {base} |
| method | {method}; tuned: {parts} |
| learnt from | {train} samples of {patients} ({tasks}) from {sources} |
| with evidence | {evidence} of all samples were shown what the retriever found, never of their own patient |
| training | {steps} steps of {batch} samples, learning rate {lr:g}, {precision}, seed {seed} |
| validation loss | {loss} |

{ledger} The licences of the model it was made from and of the data apply; neither is changed by tuning.

## Use

{use}
"""


def write_output(
    config: SftConfig, reader: Reader, trainer: Any, rows: Sequence[Row], facts: Mapping[str, Any], curves: Curves
) -> Path:
    """Writes the folder whole or not at all, and returns it."""
    learnt = [
        Learnt(row.split, row.told.source or row.file.name, row.trace.phantoms, row.patient, row.trace.hashes)
        for row in rows
    ]
    ledger = ledger_of(config, reader, learnt)
    return write_tuned(config, reader, trainer, ledger, _card(config, rows, facts, curves), {"data": facts["data"]})


def _card(config: SftConfig, rows: Sequence[Row], facts: Mapping[str, Any], curves: Curves) -> str:
    training = [row for row in rows if row.split == "train"]
    tasks = Counter(row.told.task for row in training)
    units = {unit_of(row) for row in training}
    return _CARD.format(
        title=config.out.name,
        base=config.model,
        method=config.method if config.method == "full" else f"{config.method}, rank {config.lora.rank}",
        parts=", ".join(config.tune),
        train=len(training),
        patients=f"{len(units)} patients or synthetic studies",
        tasks=", ".join(f"{count} {task}" for task, count in sorted(tasks.items())),
        sources=", ".join(sorted({file.name for file in config.data.manifests})),
        evidence=facts["with evidence"],
        steps=facts["steps"],
        batch=config.training.batch * config.training.accumulate,
        lr=config.training.lr,
        precision=config.training.precision,
        seed=config.training.seed,
        loss=told_losses(curves),
        ledger=f"`{LEDGER}` holds hashes of the patients and pictures: keep it in the house, beside the weights.",
        use=told_use(config),
    )
