"""What a kind of encoder brings to a training run, and what its starting weights had learnt."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from eval.ledger import TrainingLedger, load_ledger
from finetune.contrastive import Examples, Learner
from finetune.encoder_config import Model


class Material(NamedTuple):
    """What a kind of encoder brings to a run. `told`: of its data, for the card. `digest`: of all that was read.
    `write_ledger`: writes what it learnt from into a folder."""

    learner: Learner
    train: Examples
    validation: Examples
    told: list[str]
    digest: str
    write_ledger: Callable[[Path], None]


def base_ledger(folder: Path | None) -> TrainingLedger:
    """What the model in this folder learnt from, as far as its ledger says; an empty one for None."""
    return (load_ledger(folder) if folder else None) or TrainingLedger()


def base_told(model: Model, before: TrainingLedger) -> str:
    """What is to be said of the model a run starts from; "" from scratch."""
    if model.name == "scratch":
        return ""
    known = bool(before.phantoms or before.sources or before.patients)
    what = "training data the ledger names, too" if known else "training data are not declared: the ledger lacks them"
    return f"Made from {Path(model.name).name}, whose {what}."
