"""The whole way from pairs to a page, on a tiny model and exams that are written by hand."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from assistant.engines.card import weights_hash
from assistant.settings import load_settings
from finetune import improve
from finetune.errors import BadInput
from finetune.improve import ImproveConfig
from tests.finetune.dpo_parts import write_pairs
from tests.finetune.sft_parts import write_model
from tests.finetune.test_gate import _known, exam, rows

__all__ = ["_known"]
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model"))


class Steps:
    """Stands in for the builder and the exam; remembers what was done, and is killed once where told."""

    def __init__(self, model: Path, home: Path, better: bool = True) -> None:
        self.done: list[str] = []
        self.killed_in, self.better, self.model, self.home = "", better, model, home

    async def build(self, plan: Any, voices: Any, home: Path, out: Path, progress: Any) -> None:
        self._step("pairs")
        shutil.copytree(write_pairs(out.parent / "made").parent, out, dirs_exist_ok=True)

    def exam(self, config: ImproveConfig, adapter: str | None, progress: Any, say: Any) -> Path:
        self._step(f"exam of {adapter}")
        who = {"model": str(self.model), "adapter": adapter,
               "adapter_hash": weights_hash(self.home / "adapters" / adapter) if adapter else None}  # fmt: skip
        wrong = range(0 if self.better else 40) if adapter else range(16)
        return exam(config.out / f"exam-{adapter or 'base'}", rows(40, wrong), **who)

    def _step(self, name: str) -> None:
        if name == self.killed_in:
            self.killed_in = ""
            raise KeyboardInterrupt
        self.done.append(name)


@asynccontextmanager
async def nobody(*told: Any) -> AsyncIterator[None]:
    yield None


@pytest.fixture
def steps(model: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch) -> Steps:
    made = Steps(model, own_home)
    monkeypatch.setenv("CONSULT_ENGINE__MODEL", str(model))
    for name, stand_in in (("build", made.build), ("voices", nobody), ("_exam", made.exam)):
        monkeypatch.setattr(improve, name, stand_in)
    return made


def config_of(out: Path, **told: Any) -> ImproveConfig:
    training = {"steps": 4, "batch": 2, "accumulate": 1, "lr": 0.003, "precision": "fp32",
                "gradient_checkpointing": False, "evaluate_every": 2}  # fmt: skip
    return ImproveConfig.model_validate({"out": out, "name": "first", "least": 4, "training": training, **told})


def test_the_way_ends_with_a_page_and_promotes_nothing(tmp_path: Path, steps: Steps) -> None:
    steps.killed_in = "exam of first"
    with pytest.raises(KeyboardInterrupt):
        improve.run(config_of(tmp_path / "out"), load_settings(), say=lambda line: None)
    said: list[str] = []
    path = improve.run(config_of(tmp_path / "out"), load_settings(), say=said.append)
    assert steps.done == ["pairs", "exam of None", "exam of None", "exam of first"]  # pairs and training only once
    assert any("is there already" in line for line in said)
    text = path.read_text()
    assert "# first: may be promoted" in text
    assert "consult adapters promote first" in text
    assert "preferred:\n  > [answer] Yes, there is an effusion. [image]" in text
    settings = load_settings()
    assert list(settings.engine.adapters) == ["first"]
    assert settings.engine.adapter is None  # a person promotes
    with pytest.raises(BadInput, match=r"seed was 0, is 1"):
        improve.run(config_of(tmp_path / "out", seed=1), settings)


def test_a_worse_adapter_is_not_proposed(tmp_path: Path, steps: Steps) -> None:
    steps.better = False
    text = improve.run(config_of(tmp_path / "out"), load_settings(), say=lambda line: None).read_text()
    assert "may not be promoted" in text
    assert "There is nothing to agree to: It is worse than the model as it is in few, accuracy" in text
    assert "consult adapters promote" not in text


def test_too_few_pairs_train_nothing(tmp_path: Path, steps: Steps) -> None:
    with pytest.raises(BadInput, match="6 pairs are fewer than `least` 20: nothing was trained"):
        improve.run(config_of(tmp_path / "out", least=20), load_settings(), say=lambda line: None)
    assert not (tmp_path / "out" / "first").exists()
