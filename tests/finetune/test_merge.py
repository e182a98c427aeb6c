"""Merging against the sum of the weights, and the merged model against the adapter on its model."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from assistant.engines.base import Message, Prompt
from assistant.engines.local import LocalEngine
from assistant.study import Picture
from eval.leaks import Seeds
from eval.ledger import TrainingLedger, load_ledger, write_ledger
from finetune.errors import BadInput
from finetune.merge import Merge, run
from tests.assistant.engines.contract import BRIGHT
from tests.assistant.engines.tiny import tiny_model

pytestmark = pytest.mark.filterwarnings("ignore")
ASKED = Prompt((Message("user", (Picture(BRIGHT.pixels), "Is it?")),))
SAID = ["No.", "There is."]


def adapter_of(model: Path, folder: Path, seed: int, salt: str = "") -> Path:
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForImageTextToText

    torch.manual_seed(seed)
    base = AutoModelForImageTextToText.from_pretrained(model, dtype=torch.float32)
    targets = r".*language_model.*(q_proj|v_proj)"
    get_peft_model(base, LoraConfig(r=4, target_modules=targets, init_lora_weights=False)).save_pretrained(folder)
    (folder / "consult.json").write_text(json.dumps({"adapter_of": str(model), "data": f"{seed}"}))
    patients = (f"patient-{seed}",) if salt else ()
    write_ledger(folder, TrainingLedger((("training", Seeds("train", seed, seed)),), (), salt, patients))
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """In float32, or the stored precision would hide what merging does."""
    from transformers import AutoModelForImageTextToText

    folder = tiny_model(tmp_path_factory.mktemp("tiny"))
    AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def two(model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("adapters")
    return adapter_of(model, folder / "one", 1), adapter_of(model, folder / "two", 2)


def test_a_merged_model_says_what_the_adapter_said(model: Path, two: tuple[Path, Path], tmp_path: Path) -> None:
    folder = run(Merge((two[0],), tmp_path / "merged"))
    adapted, merged = LocalEngine(str(model), adapters={"one": two[0]}), LocalEngine(str(folder))
    expected = adapted.score(replace(ASKED, adapter="one"), SAID)
    assert merged.score(ASKED, SAID) == pytest.approx(expected, abs=1e-3)
    assert merged.score(ASKED, SAID) != pytest.approx(adapted.score(ASKED, SAID), abs=0.1)
    assert merged.info().domains == adapted.info().domains
    assert "adapter_of" not in json.loads((folder / "consult.json").read_text())
    assert "Not for clinical use" in (folder / "README.md").read_text()
    with pytest.raises(BadInput, match="is there already"):
        run(Merge((two[0],), tmp_path / "merged"))


@pytest.mark.parametrize("how", ["cat", "svd"])
def test_two_adapters_in_one_are_the_weighted_sum_of_their_changes(
    two: tuple[Path, Path], tmp_path: Path, how: str
) -> None:
    folder = run(Merge(two, tmp_path / "sum", (0.5, 2.0), how, whole=False))  # type: ignore[arg-type]
    (one, first), (other, second), (both, third) = (changes(path) for path in (*two, folder))
    assert one == other == both
    for a, b, c in zip(first, second, third, strict=True):
        wanted = 0.5 * a + 2 * b
        off = (c - wanted).norm() / wanted.norm()
        assert off < (1e-4 if how == "cat" else 0.9)  # of rank 8, which rank 4 can only approach
    assert json.loads((folder / "consult.json").read_text())["adapter_of"]
    seen = load_ledger(folder)
    assert seen is not None
    assert {seeds.first for _, seeds in seen.phantoms} == {1, 2}


def changes(folder: Path) -> tuple[list[str], list[torch.Tensor]]:
    """What an adapter adds to each weight it changes: scale·BA."""
    from safetensors.torch import load_file

    told = json.loads((folder / "adapter_config.json").read_text())
    weights = load_file(folder / "adapter_model.safetensors")
    names = sorted(name for name in weights if "lora_A" in name)
    found = []
    for name in names:
        a, b = weights[name], weights[name.replace("lora_A", "lora_B")]
        found.append(told["lora_alpha"] / told["r"] * b @ a)
    return names, found


def test_what_cant_be_merged_is_refused_in_one_line(model: Path, two: tuple[Path, Path], tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is no adapter"):
        run(Merge((model,), tmp_path / "out"))
    with pytest.raises(BadInput, match="2 adapters were named and 1 weights"):
        run(Merge(two, tmp_path / "out", (1.0,)))
    with pytest.raises(BadInput, match="--density belongs to"):
        run(Merge(two, tmp_path / "out", how="ties"))
    salted = [adapter_of(model, tmp_path / name, 3, salt) for name, salt in (("a", "aa"), ("b", "bb"))]
    with pytest.raises(BadInput, match="different salts"):
        run(Merge(tuple(salted), tmp_path / "out", whole=False))
    (tmp_path / "a" / "consult.json").write_text("{}")
    with pytest.raises(BadInput, match="don't say whose they are; name the model with --model"):
        run(Merge((tmp_path / "a",), tmp_path / "out"))
    assert not (tmp_path / "out").exists()
