"""Thirty steps of each method on a tiny model: it learns, a killed run ends the same, and what is written answers."""

import json
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest

from assistant.engines.local import LocalEngine
from eval.ledger import read_ledger
from finetune.errors import BadInput, WrongData
from finetune.sft import run
from finetune.sft_data import read_rows
from finetune.sft_samples import Maker, Reader
from finetune.sft_training import pattern
from tests.finetune.sft_parts import FIRST_SEED, config_of, write_lines, write_model, write_samples

pytestmark = pytest.mark.filterwarnings("ignore")  # transformers', trl's and torch's own deprecations
LORA = {"rank": 4, "alpha": 16, "dropout": 0.0}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_samples(tmp_path_factory.mktemp("samples"))


def killed(what: str, done: int, total: int) -> None:
    if what == "training" and done == 15:
        raise KeyboardInterrupt


def losses(out: Path, name: str = "loss") -> list[float]:
    rows = [json.loads(line) for line in (out / "curves.jsonl").read_text().splitlines()]
    return [row[name] for row in rows if name in row]


def answered(engine: LocalEngine, manifest: Path, adapter: str | None = None) -> str:
    """What the engine says to the first sample."""
    from dataclasses import replace

    from finetune.sft_config import Data

    row = read_rows(Data(manifests=(manifest,)), b"salt", 0, lambda problem: None)[0]
    prompt = Maker(Reader.open(engine.info().model), {}, b"salt", 256).sample(row).prompt
    sampling = replace(prompt.sampling, max_tokens=12)
    asked = replace(prompt, sampling=sampling, adapter=adapter)
    return "".join(delta.text for delta in engine.generate(asked, threading.Event()))


def test_full_tuning_is_repeatable_and_a_killed_run_ends_the_same(tmp_path: Path, model: Path, manifest: Path) -> None:
    said: list[str] = []
    whole = run(config_of(tmp_path / "whole", model, manifest), say=said.append)
    broken = config_of(tmp_path / "broken", model, manifest)

    with pytest.raises(KeyboardInterrupt):
        run(broken, killed, said.append)
    with pytest.raises(BadInput, match=r"training\.lr was 0\.003, is 0\.1"):
        run(config_of(tmp_path / "broken", model, manifest, training={"lr": 0.1}), say=said.append)
    resumed = run(broken, say=said.append)
    assert "Goes on after step 10 of 30." in said
    assert any("steps, about" in line for line in said)
    assert whole is not None
    assert resumed is not None
    assert (whole / "model.safetensors").read_bytes() == (resumed / "model.safetensors").read_bytes()
    assert losses(tmp_path / "whole") == losses(tmp_path / "broken")
    assert len(losses(tmp_path / "whole")) == 30
    assert losses(tmp_path / "whole", "validation loss")[-1] < losses(tmp_path / "whole")[0]
    assert (tmp_path / "whole" / "curves.png").stat().st_size > 5000
    told = json.loads((whole / "consult.json").read_text())
    assert (told["domains"], told["picture"]) == (["chest_xray"], 56)
    assert "Not for clinical use" in (whole / "README.md").read_text()
    seen = read_ledger(whole)
    assert seen is not None
    assert {trace.phantoms[0].first for trace in seen.traces} == set(range(FIRST_SEED, FIRST_SEED + 5))
    assert answered(LocalEngine(str(whole)), manifest)
    written = (whole / "model.safetensors").read_bytes()
    shutil.rmtree(whole)  # killed after the last step, before anything was written
    assert run(config_of(tmp_path / "whole", model, manifest), say=said.append) == whole
    assert (whole / "model.safetensors").read_bytes() == written
    frozen, tuned = weights(model), weights(whole)
    moved = {name for name, value in tuned.items() if not value.equal(frozen[name])}
    assert moved
    assert not any("visual" in name for name in moved)


def weights(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return dict(load_file(folder / "model.safetensors"))


@pytest.mark.parametrize("method", ["lora", "qlora"])
def test_an_adapter_learns_and_answers_on_its_model(tmp_path: Path, model: Path, manifest: Path, method: str) -> None:
    out = tmp_path / method
    config, said = config_of(out, model, manifest, method=method, lora=LORA), list[str]()
    with pytest.raises(KeyboardInterrupt):
        run(config, killed, said.append)
    folder = run(config, say=said.append)
    assert "Goes on after step 10 of 30." in said
    assert folder == out / "adapter"
    assert losses(out, "validation loss")[-1] < losses(out)[0]
    engine = LocalEngine(str(model), "nf4" if method == "qlora" else "none", {"tuned": folder})
    assert answered(engine, manifest, "tuned") != answered(engine, manifest)
    assert "adapter_of" in json.loads((folder / "consult.json").read_text())
    targets = json.loads((folder / "adapter_config.json").read_text())["target_modules"]
    assert "language_model" in targets
    assert "visual" not in targets


def test_a_merged_adapter_is_a_whole_model(tmp_path: Path, model: Path, manifest: Path) -> None:
    told = {"method": "lora", "training": {"steps": 2, "evaluate_every": 2}}
    apart = run(config_of(tmp_path / "a", model, manifest, **told, lora=LORA), say=lambda line: None)
    folder = run(config_of(tmp_path / "m", model, manifest, **told, lora=LORA | {"merge": True}), say=lambda line: None)
    assert folder == tmp_path / "m" / "model"
    merged, adapted = LocalEngine(str(folder)), LocalEngine(str(model), adapters={"tuned": apart or Path()})
    assert answered(merged, manifest) == answered(adapted, manifest, "tuned")


def test_nothing_is_loaded_when_data_is_wrong(tmp_path: Path) -> None:
    manifest = write_lines(
        tmp_path / "rows.jsonl", [{"image": "gone.png", "task": "ask", "question": "?", "answer": "!"}]
    )
    with pytest.raises(WrongData, match=r"rows\.jsonl:1: its image is not there"):
        run(config_of(tmp_path / "out", tmp_path / "no-model", manifest))


def test_a_dry_run_shows_what_is_read_and_learnt(tmp_path: Path, model: Path, manifest: Path) -> None:
    said: list[str] = []
    assert run(config_of(tmp_path / "out", model, manifest), say=said.append, dry_run=True) is None
    text = "\n".join(said)
    assert text.count("<|image_pad|>") == 3
    assert "⟦[answer] " in text
    assert "Draft the report." in text
    assert not (tmp_path / "out" / "run.json").exists()


def test_a_pattern_is_of_these_modules_alone() -> None:
    import re

    found = pattern(["model.language_model.layers.0.mlp.up_proj", "model.language_model.layers.11.mlp.up_proj"])
    assert re.fullmatch(found, "model.language_model.layers.7.mlp.up_proj")
    assert not re.fullmatch(found, "model.visual.layers.7.mlp.up_proj")
    assert not re.fullmatch(found, "model.language_model.layers.7.mlp.up_proj.lora_A")
