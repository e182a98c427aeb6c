"""What every tuning leaves behind: an adapter or a whole model, ready for the local engine, with the ledger that keeps
it from being asked about what it learnt, and a card that says what it is."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from eval.leaks import Hashes, Seeds
from eval.ledger import TrainingLedger, Use, hashed_patients, read_ledger, write_ledger
from finetune.curves import Curves
from finetune.sft_config import Tuning
from finetune.sft_samples import Reader
from retrieval.db import patient_hash


class Learnt(NamedTuple):
    """What a sample is recognised by: a phantom by its seeds alone, else its patient, when known, and its pictures."""

    split: str
    source: str
    phantoms: tuple[Seeds, ...]
    patient: str | None
    hashes: Hashes


def target(config: Tuning) -> Path:
    return config.out / ("model" if config.whole else "adapter")


def write_folder(folder: Path, write: Callable[[Path], None]) -> Path:
    """The folder whole or not at all: `write` fills a draft beside it."""
    draft = folder.with_name(f".{folder.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    write(draft)
    shutil.rmtree(folder, ignore_errors=True)
    draft.rename(folder)
    return folder


def write_tuned(
    config: Tuning, reader: Reader, trainer: Any, ledger: TrainingLedger, card: str, facts: Mapping[str, Any]
) -> Path:
    """Writes the result of a run and returns its folder. `facts` go into its `consult.json`."""
    from transformers import AutoConfig

    model = trainer.accelerator.unwrap_model(trainer.model)
    if config.method != "full" and config.lora.merge:
        model = model.merge_and_unload()
    model.config.use_cache = True
    if config.whole:
        model.to(AutoConfig.from_pretrained(reader.source).dtype or model.dtype)  # as its weights were stored

    def write(draft: Path) -> None:
        model.save_pretrained(draft)
        reader.processor.save_pretrained(draft)
        told = consult_json(reader, config.domains, None if config.whole else reader.name) | dict(facts)
        (draft / "consult.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")
        write_ledger(draft, ledger)
        (draft / "README.md").write_text(card, encoding="utf-8")

    return write_folder(target(config), write)


def consult_json(reader: Reader, domains: Sequence[str] | None, adapter_of: str | None) -> dict[str, Any]:
    """What the engine's card says of a model that was tuned from the reader's, or of an adapter of it."""
    return {
        "domains": domains if domains is not None else reader.card.domains,
        "demonstration": reader.card.demonstration,
        "picture": reader.card.picture,
        "image_tokens": reader.info.image_tokens,
        **({} if adapter_of is None else {"adapter_of": adapter_of}),
    }


def ledger_of(config: Tuning, reader: Reader, learnt: Sequence[Learnt]) -> TrainingLedger:
    """All patients, phantoms and pictures of training and validation; of a whole model also what it was made from has
    seen. Patients are keyed by the salt of the model's own ledger where it has one, so that the two can be joined."""
    phantoms: list[tuple[Use, Any]] = [
        ("training" if one.split == "train" else "validation", seeds) for one in learnt for seeds in one.phantoms
    ]
    real = [one for one in learnt if not one.phantoms]
    hashes = [one.hashes for one in real]
    named = [one.patient for one in real if one.patient]
    sources = {one.source for one in real}
    before = read_ledger(reader.source) if isinstance(reader.source, Path) else None
    if before and before.salt:
        salt = before.salt
        patients = tuple(sorted({patient_hash(bytes.fromhex(salt), who) for who in named}))
    else:
        salt, patients = hashed_patients(named)
    if config.whole:
        for trace in before.traces if before else ():
            phantoms += [("training", seeds) for seeds in trace.phantoms]
            hashes.append(trace.hashes)
        known = {trace.patient for trace in before.traces if trace.patient} if before else set()
        patients = tuple(sorted({*patients, *known}))
        sources.add(f"what {reader.name} learnt from{'' if before else ', which it does not declare'}")
    return TrainingLedger(
        tuple(dict.fromkeys(phantoms)),
        tuple(sorted(sources)),
        salt,
        patients,
        np.concatenate(hashes) if hashes else np.empty((0, 4), np.uint64),
    )


def told_losses(curves: Curves) -> str:
    """The validation loss, first and best, for a card."""
    losses = [(row["validation loss"], row["step"]) for row in curves.rows() if "validation loss" in row]
    if not losses:
        return "not measured: no sample was held out"
    (first, at), (best, where) = losses[0], min(losses)
    return f"{first:.3f} after step {at}, best {best:.3f} after step {where}, which was kept"


def told_use(config: Tuning) -> str:
    """How the result is served, for a card."""
    name = config.out.name
    if config.whole:
        return f'```toml\n[engine]\nmodel = "{target(config)}"\n```'
    return (
        f'```toml\n[engine]\nmodel = "{config.model}"\nadapters = {{{name} = "{target(config)}"}}\n```\n\n'
        f"A request names it: `consult ask --adapter {name}`."
    )
