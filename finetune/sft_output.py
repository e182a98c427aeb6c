"""What a tuning run leaves behind: an adapter or a whole model, ready for the local engine, with the ledger that keeps
it from being asked about what it learnt, and a card that says what it is."""

import json
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from eval.ledger import LEDGER, TrainingLedger, Use, hashed_patients, read_ledger, write_ledger
from finetune.curves import Curves
from finetune.sft_config import SftConfig
from finetune.sft_data import Row, unit_of
from finetune.sft_samples import Reader
from retrieval.db import patient_hash

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
    from transformers import AutoConfig

    folder = target(config)
    draft = folder.with_name(f".{folder.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    model = trainer.accelerator.unwrap_model(trainer.model)
    if config.method != "full" and config.lora.merge:
        model = model.merge_and_unload()
    model.config.use_cache = True
    if config.whole:
        model.to(AutoConfig.from_pretrained(reader.source).dtype or model.dtype)  # as its weights were stored
    model.save_pretrained(draft)
    reader.processor.save_pretrained(draft)
    card = {
        "domains": config.domains if config.domains is not None else reader.card.domains,
        "demonstration": reader.card.demonstration,
        "picture": reader.card.picture,
        "image_tokens": reader.info.image_tokens,
        **({} if config.whole else {"adapter_of": reader.name}),
    }
    (draft / "consult.json").write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    ledger = ledger_of(config, reader, rows)
    write_ledger(draft, ledger)
    (draft / "README.md").write_text(_card(config, rows, facts, curves), encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    draft.rename(folder)
    return folder


def target(config: SftConfig) -> Path:
    return config.out / ("model" if config.whole else "adapter")


def ledger_of(config: SftConfig, reader: Reader, rows: Sequence[Row]) -> TrainingLedger:
    """All patients, phantoms and pictures of training and validation; of a whole model also what it was made from has
    seen, whose ledger's salt then keys all patients."""
    phantoms: list[tuple[Use, Any]] = [
        ("training" if row.split == "train" else "validation", seeds) for row in rows for seeds in row.trace.phantoms
    ]
    hashes = [row.trace.hashes for row in rows if not row.trace.phantoms]
    named = [row.patient for row in rows if row.patient and not row.trace.phantoms]
    salt, patients = hashed_patients(named)
    sources = {row.told.source or row.file.name for row in rows if not row.trace.phantoms}
    if config.whole:
        before = read_ledger(reader.source) if isinstance(reader.source, Path) else None
        for one in before.traces if before else ():
            phantoms += [("training", seeds) for seeds in one.phantoms]
            hashes.append(one.hashes)
        if before and before.salt:
            known = {one.patient for one in before.traces if one.patient}
            salt = before.salt
            patients = tuple(sorted(known | {patient_hash(bytes.fromhex(salt), who) for who in named}))
        sources.add(f"what {reader.name} learnt from{'' if before else ', which it does not declare'}")
    return TrainingLedger(
        tuple(dict.fromkeys(phantoms)),
        tuple(sorted(sources)),
        salt,
        patients,
        np.concatenate(hashes) if hashes else np.empty((0, 4), np.uint64),
    )


def _losses(curves: Curves) -> str:
    losses = [(row["validation loss"], row["step"]) for row in curves.rows() if "validation loss" in row]
    if not losses:
        return "not measured: no sample was held out"
    (first, at), (best, where) = losses[0], min(losses)
    return f"{first:.3f} after step {at}, best {best:.3f} after step {where}, which was kept"


def _use(config: SftConfig) -> str:
    name = config.out.name
    if config.whole:
        return f'```toml\n[engine]\nmodel = "{target(config)}"\n```'
    return (
        f'```toml\n[engine]\nmodel = "{config.model}"\nadapters = {{{name} = "{target(config)}"}}\n```\n\n'
        f"A request names it: `consult ask --adapter {name}`."
    )


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
        loss=_losses(curves),
        ledger=f"`{LEDGER}` holds hashes of the patients and pictures: keep it in the house, beside the weights.",
        use=_use(config),
    )
