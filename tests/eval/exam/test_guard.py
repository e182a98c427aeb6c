"""An exam that asks about what was seen before ends before it says anything."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from assistant.assistant import Assistant
from assistant.requests import AskRequest
from assistant.settings import Settings
from assistant.study import Picture, Study
from eval.benchmarks.closed import ClosedItem
from eval.errors import LeakFound
from eval.exam.benchmark import Item
from eval.exam.guard import Guard, admit_training
from eval.leaks import Seeds, Seen, Trace, picture_hash
from eval.phantoms import make_phantom
from retrieval.cases import picture_reader
from retrieval.ingest import add_cases
from tests.assistant.parts import make_assistant

NOTHING = Seen("nothing")


def item(pixels: np.ndarray, *, cluster: str = "", phantoms: tuple[tuple[str, int], ...] = ()) -> Item:  # type: ignore[type-arg]
    request = AskRequest(study=Study((Picture(pixels, "DX", "PA"),)), question="Is there a nodule?")
    return Item(id="item-1", truth={}, request=lambda: request, cluster=cluster, phantoms=phantoms)


@pytest.fixture(scope="module")
def film() -> "np.ndarray":  # type: ignore[type-arg]
    return make_phantom(3, size=256).pixels


def test_a_picture_of_the_training_is_found_when_it_is_made(film: "np.ndarray") -> None:  # type: ignore[type-arg]
    training = Seen("training", (Trace("learnt-7", hashes=picture_hash(film)[None]),))
    brighter = np.clip(film * 1.05, 0, 255).astype(np.uint8)
    (guarded,) = Guard(NOTHING, [training]).admit([item(brighter)])
    with pytest.raises(LeakFound, match="item-1 – learnt-7"):
        guarded.request()
    (other,) = Guard(NOTHING, [training]).admit([item(make_phantom(4, size=256).pixels)])
    assert other.request().study.pictures


def test_a_phantom_of_the_training_is_found_before_it_is_drawn(film: "np.ndarray") -> None:  # type: ignore[type-arg]
    training = Seen("training", (Trace("train", phantoms=(Seeds("train", 0, 9),)),))
    with pytest.raises(LeakFound):
        Guard(NOTHING, [training]).admit([item(film, phantoms=(("train", 3),))])
    Guard(NOTHING, [training]).admit([item(film, phantoms=(("exam", 3),))])


def test_the_other_picture_is_checked_as_well(film: "np.ndarray") -> None:  # type: ignore[type-arg]
    training = Seen("training", (Trace("learnt-7", hashes=picture_hash(film)[None]),))
    good, bad = item(make_phantom(4, size=256).pixels), item(film)
    closed = ClosedItem(id="item-1", truth={}, request=good.request, other=bad.request)
    (guarded,) = Guard(NOTHING, [training]).admit([closed])
    assert isinstance(guarded, ClosedItem)
    assert guarded.request()
    with pytest.raises(LeakFound):
        guarded.other()


def with_case(home: Path, pixels: "np.ndarray", **line: str) -> Assistant:  # type: ignore[type-arg]
    assistant = make_assistant(home / "home", ["[answer] Yes."])
    home.joinpath("cases").mkdir()
    Image.fromarray(pixels).save(home / "cases/film.png")
    manifest = home / "cases/studies.jsonl"
    manifest.write_text(json.dumps({"file": "film.png", "report": "A nodule.", **line}) + "\n")
    retriever = assistant.retriever
    encoders = retriever.encoders
    add_cases(retriever.library, retriever.store, encoders, manifest, picture_reader())
    return assistant


@pytest.mark.parametrize("line", [{"patient": "ANN-1"}, {}])
def test_a_patient_or_picture_of_the_library_is_found(line: dict[str, str], film: "np.ndarray", tmp_path: Path) -> None:  # type: ignore[type-arg]
    assistant = with_case(tmp_path, film, **line)
    guard = Guard.over(assistant, Settings(home=tmp_path / "home"))
    if line:
        with pytest.raises(LeakFound) as told:
            guard.admit([item(make_phantom(9, size=256).pixels, cluster="ANN-1")])
        assert "ANN-1" not in str(told.value)
    (guarded,) = guard.admit([item(film)])
    with pytest.raises(LeakFound):
        guarded.request()


@pytest.mark.parametrize(
    ("in_library", "in_training", "leaks"),
    [
        ({"patient": "ANN-1"}, {"patient": "ANN-1"}, False),  # retrieval leaves a patient's own cases out
        ({}, {"patient": "ANN-1"}, True),  # a near-copy under no patient is not known to be hers
        ({"patient": "BEA-2"}, {"patient": "ANN-1"}, True),
    ],
)
def test_a_training_set_that_could_retrieve_its_own_patient_is_refused(
    in_library: dict[str, str],
    in_training: dict[str, str],
    leaks: bool,
    film: "np.ndarray",
    tmp_path: Path,  # type: ignore[type-arg]
) -> None:
    with_case(tmp_path, film, **in_library)
    folder = tmp_path / "training"
    folder.mkdir()
    Image.fromarray(np.clip(film * 1.02, 0, 255).astype(np.uint8)).save(folder / "a.png")
    (folder / "studies.jsonl").write_text(json.dumps({"file": "a.png", "report": "A nodule.", **in_training}) + "\n")
    if not leaks:
        assert admit_training(folder, tmp_path / "home") == 1
        return
    with pytest.raises(LeakFound, match="can retrieve their own patient") as told:
        admit_training(folder, tmp_path / "home")
    assert "ANN-1" not in str(told.value)


def test_the_bundled_models_declare_what_they_learnt_from(tmp_path: Path) -> None:
    guard = Guard.over(make_assistant(tmp_path / "home", [""]), Settings(home=tmp_path / "home"))
    assert guard.notes == ()
    with pytest.raises(LeakFound):
        guard.admit([item(np.zeros((64, 64), np.uint8), phantoms=(("train", 1_000_000),))])


def test_a_model_without_a_ledger_is_told_of(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", engine={"kind": "http", "model": "big"})  # type: ignore[arg-type]
    (note,) = Guard.over(make_assistant(tmp_path / "home", [""]), settings).notes
    assert "big" in note
