"""Every recipe of preferences is valid, and explains or repeats keys that there are."""

from pathlib import Path

import pytest

from finetune.configs import load_config
from finetune.dpo_config import DpoConfig
from finetune.improve import ImproveConfig

RECIPES = Path(__file__).parents[2] / "finetune" / "recipes"
PREFERENCES = sorted(path for name in ("mmedpo", "rag_pt", "edits") for path in RECIPES.glob(f"{name}*.yaml"))


@pytest.mark.parametrize("path", PREFERENCES, ids=lambda path: path.stem)
def test_a_recipe_of_preferences(path: Path) -> None:
    config = load_config(path, DpoConfig)
    assert (config.method == "qlora") == path.stem.endswith("7b")
    assert config.sources


def test_there_is_one_for_the_bundled_model_and_one_for_seven_billion() -> None:
    names = {path.stem for path in PREFERENCES}
    assert names == {f"{name}{size}" for name in ("mmedpo", "rag_pt", "edits", "mmedpo_rag_pt") for size in ("", "-7b")}


@pytest.mark.parametrize(("file", "model"), [("mmedpo", DpoConfig), ("improve", ImproveConfig)])
def test_every_key_is_explained(file: str, model: type[DpoConfig] | type[ImproveConfig]) -> None:
    text = (RECIPES / f"{file}.yaml").read_text(encoding="utf-8")
    missing = [name for name in model.model_fields if f"\n{name}:" not in text and name not in ("domains",)]
    assert not missing
    load_config(RECIPES / f"{file}.yaml", model)
