"""The training ledger: what a model learnt from, written beside its weights, so that no exam asks about it.

`trained_on.json` holds phantoms by family and seeds, hashes of patients and of their pictures, and names of sources. No
patient can be read from it, but with the salt beside it a short patient number can be guessed and tested: weights that
learnt from patients keep their ledger in the house. Seeds have one home here: training, validation and exam never
share one.
"""

import base64
import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from eval.errors import Misconfigured
from eval.leaks import Hashes, Seeds, Seen, Trace
from retrieval.db import patient_hash

LEDGER = "trained_on.json"
TRAINING_SEEDS = range(1_000_000, 2_000_000)
VALIDATION_SEEDS = range(2_000_000, 3_000_000)  # thresholds and calibration
CORPUS_SEEDS = range(40_000_000, 50_000_000)  # cases beside the cards in an exam's library
EXAM_SEEDS = range(100_000_000, 1_000_000_000)

Use = Literal["training", "validation"]


@dataclass(frozen=True, slots=True, eq=False)
class TrainingLedger:
    """What a model learnt from, or had its thresholds set on. `patients` are hashes keyed by `salt` (hex); `pictures`
    (n, 4) are perceptual hashes of pictures that are no phantoms (`eval.leaks.picture_hash`)."""

    phantoms: tuple[tuple[Use, Seeds], ...] = ()
    sources: tuple[str, ...] = ()
    salt: str = ""
    patients: tuple[str, ...] = ()
    pictures: Hashes = field(default_factory=lambda: np.empty((0, 4), np.uint64))


def drawn(seeds: range, n: int, family: str = "train") -> Seeds:
    """The first `n` of these seeds. ValueError when there are fewer."""
    if not 0 < n <= len(seeds):
        raise ValueError(f"{n} seeds asked of {len(seeds)}")
    return Seeds(family, seeds.start, seeds.start + n - 1)


def hashed_patients(patients: Iterable[str]) -> tuple[str, tuple[str, ...]]:
    """A new salt (hex) and these patients' hashes, for a ledger."""
    salt = secrets.token_bytes(16)
    return salt.hex(), tuple(sorted({patient_hash(salt, patient) for patient in patients}))


def write_ledger(folder: Path, ledger: TrainingLedger) -> None:
    """Writes `trained_on.json` beside the weights in `folder`."""
    told = {
        "version": 1,
        "phantoms": [
            {"use": use, "family": seeds.family, "first": seeds.first, "last": seeds.last}
            for use, seeds in ledger.phantoms
        ],
        "sources": list(ledger.sources),
        "salt": ledger.salt,
        "patients": list(ledger.patients),
        "pictures": base64.b64encode(ledger.pictures.astype("<u8").tobytes()).decode(),  # 32 bytes each
    }
    (folder / LEDGER).write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def load_ledger(folder: Path) -> TrainingLedger | None:
    """The ledger of the model in `folder`; None when it has none. Raises `Misconfigured` when it can't be read."""
    path = folder / LEDGER
    if not path.is_file():
        return None
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        if told["version"] != 1:
            raise ValueError(f"version {told['version']} is not known")
        spans = [
            (row["use"], Seeds(str(row["family"]), int(row["first"]), int(row["last"]))) for row in told["phantoms"]
        ]
        words = np.frombuffer(base64.b64decode(told["pictures"], validate=True), "<u8").astype(np.uint64)
        bytes.fromhex(told["salt"])
        patients, sources = (tuple(map(str, told[key])) for key in ("patients", "sources"))
        return TrainingLedger(tuple(spans), sources, told["salt"], patients, words.reshape(-1, 4))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Misconfigured(f"{path} is not a readable training ledger ({error}); restore it.") from None


def read_ledger(folder: Path) -> Seen | None:
    """What the model in `folder` has seen; None when it has no ledger: nothing is known of it.

    Raises `Misconfigured` when the ledger can't be read.
    """
    ledger = load_ledger(folder)
    if ledger is None:
        return None
    traces = [Trace(seeds.name, phantoms=(seeds,)) for _, seeds in ledger.phantoms]
    traces += [Trace(f"patient {n}", patient=patient) for n, patient in enumerate(ledger.patients, 1)]
    traces += [Trace(f"picture {n}", hashes=row[None]) for n, row in enumerate(ledger.pictures, 1)]
    return Seen(f"the training data of {folder.name}", tuple(traces), ledger.salt)


def joined(before: TrainingLedger, now: TrainingLedger) -> TrainingLedger:
    """The ledger of a model that learnt from one after the other. ValueError when their patients' salts differ."""
    if before.salt and now.salt and before.salt != now.salt:
        raise ValueError("patients hashed with two salts stand in one ledger")
    return TrainingLedger(
        tuple(dict.fromkeys(before.phantoms + now.phantoms)),
        tuple(dict.fromkeys(before.sources + now.sources)),
        before.salt or now.salt,
        tuple(sorted({*before.patients, *now.patients})),
        np.unique(np.concatenate([before.pictures, now.pictures]), axis=0),
    )
