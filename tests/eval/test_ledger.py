"""A ledger says what a model learnt from; those of the shipped models say what their training takes."""

import inspect
import itertools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from assistant.engines.card import pocket_folder, weights_hash
from eval import ledger as home
from eval.errors import LeakFound, Misconfigured
from eval.leaks import Leak, Seeds, Seen, Trace, check, leaks, trace
from eval.ledger import (
    CORPUS_SEEDS,
    EXAM_SEEDS,
    LEDGER,
    TRAINING_SEEDS,
    VALIDATION_SEEDS,
    TrainingLedger,
    drawn,
    hashed_patients,
    joined,
    load_ledger,
    read_ledger,
    write_ledger,
)  # fmt: skip
from retrieval.encoders.folder import POCKET, identity, weights_in

PICTURE = np.random.default_rng(0).integers(0, 256, (40, 40), dtype=np.uint8)


def test_what_is_written_is_seen(tmp_path: Path) -> None:
    salt, patients = hashed_patients(["P1", "P2", "P1"])
    taught = TrainingLedger(
        (("training", Seeds("train", 10, 19)),), ("a hospital",), salt, patients, trace("", [PICTURE]).hashes
    )
    write_ledger(tmp_path, taught)
    seen = read_ledger(tmp_path)
    assert seen is not None
    test = Seen(
        "exam",
        (
            Trace("a", patient="P2"),
            Trace("b", patient="P3"),
            Trace("c", phantoms=(Seeds("train", 19, 19),)),
            Trace("d", phantoms=(Seeds("train", 20, 20),)),
            trace("e", [PICTURE]),
        ),
    )
    found = leaks(test, seen)
    assert [(leak.test_id, leak.kind) for leak in found] == [
        ("a", "patient"),
        ("c", "phantom seed"),
        ("e", "near-duplicate picture"),
    ]
    assert found[1:] == [
        Leak("phantom seed", "c", "family train, seed 10 to 19"),
        Leak("near-duplicate picture", "e", "picture 1"),
    ]


def test_no_patient_stands_in_a_ledger_and_each_has_its_own_salt(tmp_path: Path) -> None:
    one, two = hashed_patients(["MUELLER"]), hashed_patients(["MUELLER"])
    assert one[0] != two[0]
    assert one[1] != two[1]
    write_ledger(tmp_path, TrainingLedger(salt=one[0], patients=one[1]))
    assert "MUELLER" not in (tmp_path / LEDGER).read_text()


def test_without_a_ledger_nothing_is_known(tmp_path: Path) -> None:
    assert read_ledger(tmp_path) is None


@pytest.mark.parametrize(
    "change",
    [{"version": 2}, {"phantoms": [{"family": "train"}]}, {"pictures": "AAAA"}, {"pictures": "?"}, {"salt": "xyz"}],
)
def test_a_damaged_ledger_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    write_ledger(tmp_path, TrainingLedger())
    path = tmp_path / LEDGER
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(Misconfigured, match="not a readable training ledger"):
        read_ledger(tmp_path)
    path.write_text("[]")
    with pytest.raises(Misconfigured, match="restore it"):
        read_ledger(tmp_path)


def test_training_validation_and_exam_share_no_seed() -> None:
    spans = [span for name, span in inspect.getmembers(home) if name.endswith("_SEEDS")]
    assert {TRAINING_SEEDS, VALIDATION_SEEDS, CORPUS_SEEDS, EXAM_SEEDS} == set(spans)
    for one, two in itertools.combinations(spans, 2):
        assert one.stop <= two.start or two.stop <= one.start


def test_seeds_are_drawn_from_the_first_on_and_never_beyond() -> None:
    assert drawn(TRAINING_SEEDS, 10_000) == Seeds("train", 1_000_000, 1_009_999)
    for n in (0, len(VALIDATION_SEEDS) + 1):
        with pytest.raises(ValueError, match=f"{n} seeds asked of"):
            drawn(VALIDATION_SEEDS, n)


POCKETS = [pocket_folder(), POCKET / "image_text"]


@pytest.mark.parametrize("folder", POCKETS, ids=["reader", "encoder"])
def test_the_shipped_models_say_what_they_learnt_from(folder: Path) -> None:
    seen = read_ledger(folder)
    assert seen is not None
    for seeds, leaking in (
        (drawn(TRAINING_SEEDS, 10_000), True),
        (drawn(EXAM_SEEDS, 10_000), False),
        (drawn(EXAM_SEEDS, 10_000, "exam"), False),
        (drawn(VALIDATION_SEEDS, 600), folder.name == "image_text"),
    ):
        test = Seen("exam", (Trace("a", phantoms=(seeds,)),))
        if leaking:
            with pytest.raises(LeakFound, match="by phantom seed"):
                check(test, training=[seen])
        else:
            check(test, training=[seen])


@pytest.mark.parametrize("folder", POCKETS, ids=["reader", "encoder"])
def test_a_ledger_leaves_a_models_identity_alone(folder: Path, tmp_path: Path) -> None:
    for path in weights_in(folder):
        shutil.copy(path, tmp_path)
    before = weights_hash(tmp_path), identity("pocket", weights_in(tmp_path))
    write_ledger(tmp_path, TrainingLedger(sources=("anything",)))
    assert (weights_hash(tmp_path), identity("pocket", weights_in(tmp_path))) == before


def test_a_model_made_from_another_has_learnt_from_both(tmp_path: Path) -> None:
    seeds, row = drawn(TRAINING_SEEDS, 3), np.arange(4, dtype=np.uint64)[None]
    before = TrainingLedger((("training", seeds),), ("a",), "00", ("p",), row)
    now = TrainingLedger((("training", seeds),), ("b",), "00", ("q", "p"), np.concatenate([row, row + 1]))
    write_ledger(tmp_path, joined(before, now))
    both = load_ledger(tmp_path)
    assert both is not None
    assert (both.phantoms, both.sources, both.patients) == (before.phantoms, ("a", "b"), ("p", "q"))
    assert both.pictures.tolist() == [[0, 1, 2, 3], [1, 2, 3, 4]]
    with pytest.raises(ValueError, match="two salts"):
        joined(before, TrainingLedger(salt="01"))
