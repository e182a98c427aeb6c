"""Preference tuning on a tiny model: it is DPO where weights are 1, a killed run ends the same, the adapter answers."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from assistant.engines.local import LocalEngine
from eval.ledger import read_ledger
from finetune.curves import Curves
from finetune.dpo import run
from finetune.dpo_config import DpoConfig
from finetune.dpo_data import Sample, example, pictured, read_samples
from finetune.errors import BadInput
from finetune.sft_samples import Reader
from tests.finetune.dpo_parts import config_of, seeing, write_pairs
from tests.finetune.sft_parts import FIRST_SEED, write_model

pytestmark = pytest.mark.filterwarnings("ignore")  # transformers', trl's and torch's own deprecations


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return seeing(write_model(tmp_path_factory.mktemp("model")))


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pairs(tmp_path_factory.mktemp("pairs"))


def killed(what: str, done: int, total: int) -> None:
    if what == "training" and done == 15:
        raise KeyboardInterrupt


def curve(out: Path, name: str) -> list[float]:
    rows = [json.loads(line) for line in (out / "curves.jsonl").read_text().splitlines()]
    return [row[name] for row in rows if name in row]


def weights(folder: Path) -> bytes:
    return (folder / "adapter_model.safetensors").read_bytes()


def moved(trainer: Any) -> None:
    """A fresh adapter changes nothing: this one does."""
    import torch

    torch.manual_seed(1)
    for name, parameter in trainer.model.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(std=0.1)


def opened(config: DpoConfig, model: Path) -> tuple[Any, list[Sample], Reader, Any]:
    """Trainer, samples, reader and what the reference thinks."""
    from finetune.dpo_training import learn_reference, trainer_of
    from finetune.sft_training import load_model

    reader = Reader.open(str(model))
    samples = read_samples(config, reader)
    trainer, known = trainer_of(
        config, load_model(config, reader), reader, samples, Curves(config.out), lambda *_: None
    )
    learn_reference(trainer, reader, samples, known, config.out / "reference.jsonl", lambda *_: None)
    moved(trainer)
    return trainer, samples, reader, known


def taught(trainer: Any, examples: list[dict[str, Any]]) -> tuple[float, dict[str, Any]]:
    """Loss and gradients of one batch."""
    trainer.model.train()
    trainer.model.zero_grad()
    loss = trainer.compute_loss(trainer.model, trainer._prepare_inputs(trainer.data_collator(examples)))
    loss.backward()
    grads = {n: p.grad.clone() for n, p in trainer.model.named_parameters() if p.grad is not None}
    return float(loss.detach()), grads


def test_it_is_trls_dpo_where_weights_are_one_and_pictures_the_same(tmp_path: Path, model: Path) -> None:
    """Loss and gradients against trl's own trainer, whose reference is the adapter switched off at every step."""
    import torch
    from datasets import Dataset
    from trl import DPOConfig, DPOTrainer

    from finetune.sft_training import adapters, load_model

    pairs = write_pairs(tmp_path / "pairs", n=10, weights=(1.0,))
    config = config_of(tmp_path / "ours", model, pairs, sources=["hallucination"])
    trainer, samples, reader, _ = opened(config, model)
    plain = [example(reader, sample) for sample in samples]
    base = load_model(config, reader)
    args = DPOConfig(
        str(tmp_path / "trl"), beta=0.1, max_length=None, use_cpu=True, bf16=False, gradient_checkpointing=False,
        remove_unused_columns=False, report_to=[],
    )  # fmt: skip
    rows = Dataset.from_list([{key: one[key] for key in ("prompt", "chosen", "rejected", "images")} for one in plain])
    theirs = DPOTrainer(base, args=args, train_dataset=rows, processing_class=reader.processor,
                        peft_config=adapters(config, base))  # fmt: skip
    same = dict(trainer.model.named_parameters())
    for name, parameter in theirs.model.named_parameters():
        parameter.data.copy_(same[name].data)
    for batch in ([0], [0, 1, 2, 3]):
        ours, grads = taught(trainer, [trainer.train_dataset[n] for n in batch])
        expected, wanted = taught(theirs, [dict(plain[n]) for n in batch])
        assert ours == pytest.approx(expected, abs=1e-5)
        assert grads.keys() == wanted.keys()
        assert max(float((grads[name] - wanted[name]).abs().max()) for name in grads) < 1e-5
        assert max(float(grad.abs().max()) for grad in grads.values()) > 1e-3
        assert not torch.isnan(torch.tensor(ours))


def test_weights_and_rejected_pictures_reach_the_loss(tmp_path: Path, model: Path, pairs: Path) -> None:
    trainer, samples, _, known = opened(config_of(tmp_path / "out", model, pairs), model)
    rows = [trainer.train_dataset[n] for n in range(4)]

    def loss(examples: list[dict[str, Any]], **changes: Any) -> float:
        return taught(trainer, [{**one, **changes} for one in examples])[0]

    one = loss(rows, weight=1.0)
    assert loss(rows, weight=0.0) == 0
    assert loss(rows, weight=2.0) == pytest.approx(2 * one, abs=1e-6)
    alone = [loss([row]) for row in rows]
    assert loss(rows) == pytest.approx(sum(alone) / 4, abs=1e-5)  # weights 1.25 and .75 among them, at batch 1 and 4
    assert alone[0] == pytest.approx(1.25 * loss(rows[:1], weight=1.0), abs=1e-6)
    damaged = next(n for n, sample in enumerate(samples) if sample.pair.rejected_images)
    chosen, rejected = known[samples[damaged].digest]
    assert abs(chosen - rejected) > 1e-3  # the same words about other pixels
    undamaged = {**rows[damaged], "rejected_images": rows[damaged]["images"]}
    assert loss([undamaged]) != pytest.approx(alone[damaged], abs=1e-6)


def test_an_adapter_learns_and_a_killed_run_ends_the_same(tmp_path: Path, model: Path, pairs: Path) -> None:
    said: list[str] = []
    whole = run(config_of(tmp_path / "whole", model, pairs), say=said.append)
    broken = config_of(tmp_path / "broken", model, pairs)
    with pytest.raises(KeyboardInterrupt):
        run(broken, killed, said.append)
    with pytest.raises(BadInput, match=r"objective\.beta was 0\.1, is 0\.5"):
        run(config_of(tmp_path / "broken", model, pairs, objective={"beta": 0.5}), say=said.append)
    resumed = run(broken, say=said.append)
    assert "Goes on after step 10 of 30." in said
    assert whole == tmp_path / "whole" / "adapter"
    assert resumed is not None
    assert weights(whole) == weights(resumed)
    for name in ("loss", "margin", "accuracy", "validation loss", "validation margin", "validation accuracy"):
        assert curve(tmp_path / "whole", name) == curve(tmp_path / "broken", name)
    assert len(curve(tmp_path / "whole", "margin")) == 30
    assert curve(tmp_path / "whole", "loss")[-1] < curve(tmp_path / "whole", "loss")[0]
    assert curve(tmp_path / "whole", "margin")[-1] > 0.05
    assert (tmp_path / "whole" / "curves.png").stat().st_size > 5000
    told = json.loads((whole / "consult.json").read_text())
    assert told["adapter_of"] == str(model)
    assert len(told["data"]) == 64
    assert "Not for clinical use" in (whole / "README.md").read_text()
    seen = read_ledger(whole)
    assert seen is not None
    assert {trace.phantoms[0].first for trace in seen.traces} == set(range(FIRST_SEED, FIRST_SEED + 6))
    assert not any(len(trace.hashes) for trace in seen.traces)  # phantoms are known by their seeds alone


def test_the_engine_chooses_the_adapter_by_request(tmp_path: Path, model: Path, pairs: Path) -> None:
    config = config_of(tmp_path / "out", model, pairs)
    folder = run(config, say=lambda line: None)
    assert folder is not None
    engine, reader = LocalEngine(str(model), adapters={"tuned": folder}), Reader.open(str(model))
    preferred = {}
    for adapter in (None, "tuned", None):
        won = 0.0
        for sample in read_samples(config, reader)[::2]:
            prompt = replace(pictured(sample), adapter=adapter)
            chosen, rejected = engine.score(prompt, [sample.pair.chosen, sample.pair.rejected])
            won += chosen - rejected
        preferred.setdefault(adapter, won)
        assert preferred[adapter] == pytest.approx(won)
    assert preferred["tuned"] > preferred[None] + 1


def test_it_stops_early_and_keeps_the_best(tmp_path: Path, model: Path, pairs: Path) -> None:
    """A learning rate that spoils everything: the validation loss rises, and what is written is the best."""
    said: list[str] = []
    spoilt = {"training": {"lr": 3.0, "evaluate_every": 2, "patience": 2, "steps": 40}}
    config = config_of(tmp_path / "out", model, pairs, **spoilt)
    folder = run(config, say=said.append)
    assert folder is not None
    stopped = next(line for line in said if line.startswith("Stopped after step"))
    measured = curve(tmp_path / "out", "validation loss")
    assert len(measured) < 20
    assert min(measured) not in measured[-2:]
    best, written = measured.index(min(measured)), weights(folder)
    shutil.rmtree(folder)  # killed when it had stopped, before anything was written
    said.clear()
    assert run(config, say=said.append) == folder
    assert weights(folder) == written
    assert curve(tmp_path / "out", "validation loss")[best] == min(measured)
    assert stopped not in said


@pytest.mark.parametrize("method", ["qlora", "full"])
def test_other_methods_learn_too(tmp_path: Path, model: Path, pairs: Path, method: str) -> None:
    objective = {"per_token": True, "beta": 1.0, "sft": 0.2}
    told = {"steps": 8, "batch": 2, "accumulate": 2, "evaluate_every": 4}
    folder = run(
        config_of(tmp_path / "out", model, pairs, method=method, objective=objective, training=told),
        say=lambda line: None,
    )
    assert folder == tmp_path / "out" / ("model" if method == "full" else "adapter")
    measured = curve(tmp_path / "out", "loss")
    assert measured[-1] < measured[0]
