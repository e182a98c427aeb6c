"""`consult train encoder` end to end on generated pictures: whole, killed, adapted, refused."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from scipy.ndimage import gaussian_filter

from eval.ledger import read_ledger
from finetune.configs import load_config
from finetune.encoder import device_of, run_file, train_encoder
from finetune.encoder_config import EncoderConfig
from finetune.errors import WrongData
from retrieval.db import patient_hash
from retrieval.encoders import load_image_text, load_text
from retrieval.errors import BadInput, Misconfigured

RECIPES = Path(__file__).parents[2] / "finetune" / "recipes"
COLOURS = {"red": (200, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 200), "grey": (120, 120, 120)}
PLACES = {"upper": (slice(0, 16), slice(0, 32)), "lower": (slice(16, 32), slice(0, 32))}


def watch(phase: str, done: int, total: int) -> None:
    pass


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """64 pictures of a patch in one of four colours and two places, with texts that say so, of 32 patients."""
    folder, rng = tmp_path_factory.mktemp("pairs"), np.random.default_rng(0)
    lines = []
    for n in range(64):
        colour, place = list(COLOURS)[n % 4], list(PLACES)[n // 4 % 2]
        pixels = rng.integers(0, 90, (32, 32, 3)).astype(np.uint8)
        pixels[PLACES[place]] = COLOURS[colour] + rng.integers(-20, 20, (16, 32, 3))
        Image.fromarray(pixels).save(folder / f"{n}.png")
        text = f"A {colour} patch in the {place} half."
        lines.append({"image": f"{n}.png", "text": text, "patient": f"patient {n // 2}", "source": "drawn patches"})
    (folder / "studies.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def recipe(pairs: Path, out: Path, **changes: dict[str, Any]) -> dict[str, Any]:
    """The smoke recipe on these pairs. The pictures are noise with a patch: all alike to a perceptual hash."""
    told: dict[str, Any] = yaml.safe_load((RECIPES / "encoder-smoke.yaml").read_text())
    told["duplicates"] = {"bits": None}
    told |= {"out": str(out), "data": {"manifests": [str(pairs)], "validation": 0.3}}
    for part, values in changes.items():
        told[part] = {**told.get(part, {}), **values}
    return told


def trained(told: dict[str, Any]) -> tuple[Path, list[str]]:
    said: list[str] = []
    return train_encoder(EncoderConfig.model_validate(told), watch, said.append), said


def file_of(told: dict[str, Any], path: Path) -> Path:
    path.write_text(yaml.safe_dump(told))
    return path


def weights(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return load_file(folder / "open_clip_model.safetensors")


@pytest.fixture(scope="module")
def whole(pairs: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """The smoke recipe, undisturbed."""
    return trained(recipe(pairs, tmp_path_factory.mktemp("whole")))


def test_thirty_steps_learn_and_what_they_leave_can_be_used(whole: tuple[Path, list[str]]) -> None:
    folder, said = whole
    rows = [json.loads(line) for line in (folder.parent / "curves.jsonl").read_text().splitlines()]
    lost = [row["loss"] for row in rows if "loss" in row]
    assert len(lost) == 30
    assert np.mean(lost[-5:]) < np.mean(lost[:5])
    assert [row["step"] for row in rows if "image→text recall@1" in row] == [10, 20, 30]
    assert (folder.parent / "curves.png").read_bytes()[:4] == b"\x89PNG"
    assert any(line.startswith("30 steps of 16 pairs on cpu: about") for line in said)
    encoder = load_image_text(str(folder))
    assert encoder.encode_images([np.zeros((40, 20), np.uint8)]).shape == (1, 32)
    assert encoder.encode_texts(["A red patch."]).shape == (1, 32)
    card = (folder / "README.md").read_text()
    assert "Not for clinical use" in card
    assert said[0].rstrip(".") in card


def test_the_ledger_knows_patients_by_hash_and_pictures_by_look(whole: tuple[Path, list[str]]) -> None:
    told = json.loads((whole[0] / "trained_on.json").read_text())
    assert "patient 3" not in json.dumps(told)
    assert patient_hash(bytes.fromhex(told["salt"]), "patient 3") in told["patients"]
    assert (len(told["patients"]), told["sources"]) == (32, ["drawn patches"])
    seen = read_ledger(whole[0])
    assert seen is not None
    assert sum(len(trace.hashes) for trace in seen.traces) == 64


def test_a_run_killed_midway_gives_the_weights_of_an_undisturbed_one(
    pairs: Path, whole: tuple[Path, list[str]], tmp_path: Path
) -> None:
    """kill -9 after a checkpoint, then the same command."""
    config = file_of(recipe(pairs, tmp_path / "run"), tmp_path / "c.yaml")
    command = [sys.executable, "-c", _SLOWLY, str(config)]
    checkpoint = tmp_path / "run" / "training" / "checkpoint.pt"
    process = subprocess.Popen(command, cwd=RECIPES.parents[1], env={**os.environ, "OMP_NUM_THREADS": "1"})
    try:
        for _ in range(1200):
            if checkpoint.exists() or process.poll() is not None:
                break
            time.sleep(0.1)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert process.returncode == -signal.SIGKILL
    said: list[str] = []
    folder = run_file(config, watch, said.append)
    (going,) = [line for line in said if line.startswith("Going on after step")]
    assert "step 10" in going or "step 20" in going
    again, first = weights(folder), weights(whole[0])
    assert all(again[name].equal(first[name]) for name in first | again)
    assert (tmp_path / "run" / "curves.jsonl").read_text() == (whole[0].parent / "curves.jsonl").read_text()


# Each step takes long enough to be killed in the middle of the run.
_SLOWLY = """
import sys, time, torch
from pathlib import Path
from finetune.encoder import run_file
torch.set_num_threads(1)
run_file(Path(sys.argv[1]), lambda phase, done, total: time.sleep(0.3 if phase == "training" else 0), print)
"""


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Sums are the same whatever else the machine does."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_a_finished_run_says_so_and_a_changed_one_is_refused(
    pairs: Path, whole: tuple[Path, list[str]], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    shutil.copytree(whole[0].parent, out)
    folder, said = trained(recipe(pairs, out, data={"workers": 1}))  # who reads the pictures makes no difference
    assert "This run is finished." in said
    assert all(value.equal(weights(whole[0])[name]) for name, value in weights(folder).items())
    with pytest.raises(BadInput, match=r"training\.lr was 0\.001, is 0\.5"):
        trained(recipe(pairs, out, training={"lr": 0.5}))


@pytest.mark.parametrize(
    "loss",
    [
        {"name": "clip"},
        {"name": "siglip"},
        {"name": "multi-positive", "positives": "labels"},
        {"name": "dhn-nce"},
        {"name": "clip-uniform-align"},
    ],
)
def test_low_rank_adapters_are_merged_into_a_folder_like_any_other(
    pairs: Path, whole: tuple[Path, list[str]], tmp_path: Path, loss: dict[str, Any]
) -> None:
    told = recipe(pairs, tmp_path / "run", training={"steps": 4, "evaluate_every": 4, "lr": 0.01})
    told |= {"model": {"name": str(whole[0]), "lora": {"rank": 2, "alpha": 4}}, "loss": loss}
    folder, _ = trained(told)
    before, after = weights(whole[0]), weights(folder)
    assert set(after) - set(before) == ({"logit_bias"} if loss["name"] == "siglip" else set())
    moved = {name for name in before if not after[name].equal(before[name])}
    assert {name for name in moved if "weight" in name and "attn" not in name and "mlp" not in name} == set()
    assert any("attn.in_proj_weight" in name for name in moved)
    assert any("mlp.c_fc.weight" in name for name in moved)
    pixels = np.full((32, 32), 90, np.uint8)
    old, new = (load_image_text(str(path)).encode_images([pixels]) for path in (whole[0], folder))
    assert not np.allclose(old, new, atol=1e-4)


def test_everything_wrong_is_told_before_anything_is_trained(pairs: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(pairs, tmp_path / "pairs"))
    (folder / "0.png").unlink()
    (folder / "1.png").write_bytes(b"no picture")
    lines = [json.loads(line) for line in (folder / "studies.jsonl").read_text().splitlines()]
    lines[4]["text"], lines[8]["split"], lines[9]["split"] = "", "train", "val"
    (folder / "studies.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(WrongData) as caught:
        trained(recipe(folder, tmp_path / "run"))
    assert [problem.line for problem in caught.value.problems] == [1, 2, 5, 10]
    assert "patient 4" not in str(caught.value)
    assert not (tmp_path / "run" / "curves.jsonl").exists()


def test_copies_are_left_out_and_told(pairs: Path, tmp_path: Path) -> None:
    """A copy saved again under another patient, beside pictures that are no copies."""
    rng = np.random.default_rng(1)
    lines = []
    for n in range(24):
        smooth = gaussian_filter(rng.normal(128, 400, (64, 64)), 3).clip(0, 255).astype(np.uint8)
        Image.fromarray(smooth).save(tmp_path / f"{n}.png")
        split = "val" if n < 4 else "train"
        lines.append({"image": f"{n}.png", "text": f"Picture {n}", "patient": f"p{n}", "split": split})
    for name, of in (("copy.jpg", 10), ("leak.jpg", 2)):
        Image.open(tmp_path / f"{of}.png").save(tmp_path / name, quality=95)
        lines.append({"image": name, "text": name, "patient": f"other {of}", "split": "train"})
    (tmp_path / "studies.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    told = recipe(tmp_path, tmp_path / "run", training={"steps": 2}, duplicates={"bits": 16})
    _, said = trained(told)
    assert "Near-duplicates: 2 of 22 training pictures left out (2 by perceptual hash, 0 by embedding)." in said
    assert "  2 of them show another patient than the picture that was kept." in said
    assert "  1 of them are near a validation picture." in said
    listed = [json.loads(line) for line in (tmp_path / "run" / "training" / "dropped.jsonl").read_text().splitlines()]
    assert [(row["dropped"].rsplit(":")[-1], row["kept"].rsplit(":")[-1]) for row in listed] == [
        ("25", "11"),
        ("26", "3"),
    ]


def test_too_few_pairs_are_refused(pairs: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"training\.batch is 100, and there are only \d+ training pairs"):
        trained(recipe(pairs, tmp_path / "a", training={"batch": 100}))
    with pytest.raises(BadInput, match=r"Only 0 validation pairs: raise data\.validation"):
        trained(recipe(pairs, tmp_path / "b", data={"validation": 1e-9}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"training": {"stesp": 3}}, "training.stesp: unknown key"),
        ({"loss": {"name": "triplet"}}, "loss: input tag 'triplet'"),
        ({"training": {"lr": -1}}, "training.lr: input should be greater than 0"),
        ({"model": {"lora": {"rank": 2}}}, "lora adapts a trained model"),
        ({"model": {"name": "hf-hub:a/b"}}, "architecture belongs to the name scratch"),
        ({"kind": "text"}, "duplicates: belongs to pictures"),
    ],
)
def test_a_configuration_is_checked_once(pairs: Path, tmp_path: Path, change: dict[str, Any], message: str) -> None:
    told = recipe(pairs, tmp_path / "run")
    for key, value in change.items():
        told[key] = {**told[key], **value} if isinstance(value, dict) and key in told else value
    with pytest.raises(Misconfigured) as caught:
        load_config(file_of(told, tmp_path / "c.yaml"), EncoderConfig)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_recipes_are_valid() -> None:
    for path in RECIPES.glob("encoder*.yaml"):
        load_config(path, EncoderConfig)


def test_a_model_or_device_that_is_not_there_is_refused(pairs: Path, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="no image encoder"):
        trained({**recipe(pairs, tmp_path / "a"), "model": {"name": str(tmp_path)}})
    with pytest.raises(Misconfigured, match="open_clip knows no 'ViT-Z'"):
        trained(recipe(pairs, tmp_path / "b", model={"architecture": "ViT-Z"}))
    with pytest.raises(Misconfigured, match=r"training\.device"):
        device_of("toaster")


def questions(folder: Path) -> Path:
    subjects = ["effusion", "oedema", "nodule", "pneumothorax", "fracture", "mass", "cyst", "ulcer", "stone", "clot"]
    signs = ["blunted angles", "Kerley lines", "a round opacity", "a visceral line"]
    rows = [
        {
            "question": f"What shows {subject} with {sign}?",
            "passage": f"{subject} is recognised by {sign}.",
            "group": f"{subject} {sign}",
        }
        for subject in subjects
        for sign in signs
    ]
    path = folder / "questions.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_text_encoder_from_scratch_then_adapted(tmp_path: Path) -> None:
    architecture = {"model_type": "bert", "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    told = {
        "kind": "text",
        "out": str(tmp_path / "first"),
        "data": {"manifests": [str(questions(tmp_path))], "validation": 0.3},
        "model": {"architecture": {**architecture, "intermediate_size": 64}, "vocabulary": 400, "length": 32},
        "loss": {"name": "multi-positive"},
        "training": {"steps": 30, "batch": 16, "lr": 0.003, "evaluate_every": 15},
    }
    folder, _ = trained(told)
    rows = [json.loads(line) for line in (folder.parent / "curves.jsonl").read_text().splitlines()]
    best = max(row["question→passage recall@1"] for row in rows if "loss" not in row)
    assert best > 0.3  # of ten or so, where chance finds one
    told |= {"out": str(tmp_path / "second"), "model": {"name": str(folder), "lora": {"rank": 2}}}
    told["training"] = {"steps": 2, "batch": 8, "lr": 0.01}
    second, _ = trained(told)
    vectors = [load_text(str(path)).encode_queries(["What shows a cyst?"]) for path in (folder, second)]
    assert vectors[0].shape == vectors[1].shape == (1, 32)
    assert not np.allclose(*vectors, atol=1e-4)
