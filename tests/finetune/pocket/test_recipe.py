"""The one command: it checks the data first, goes on after a kill, leaves sources out, and writes what loads."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eval.ledger import read_ledger
from finetune.errors import WrongData
from finetune.pocket import language
from finetune.pocket.recipe import Recipe, School
from finetune.pocket.stage import Stage
from retrieval.errors import BadInput
from tests.finetune.pocket.parts import row, rows, write_sources

pytestmark = pytest.mark.filterwarnings("ignore")


def test_all_that_is_wrong_is_told_by_file_and_line(tmp_path: Path) -> None:
    told = rows()
    told["fundus"][1]["image"] = "images/none.jpg"
    told["cxr_nih"][2]["patient"] = told["cxr_nih"][0]["patient"]
    told["blood"].append(row("blood", 3, split="exam", grade=None))
    folder = write_sources(tmp_path, told)
    (folder / "fundus" / "images" / "none.jpg").unlink()
    with pytest.raises(WrongData) as caught:
        School(Recipe(), tmp_path, folder).check()
    assert sorted((p.file.parent.name, p.line) for p in caught.value.problems) == [
        ("blood", 4), ("blood", 4), ("blood", 4), ("cxr_nih", 3), ("fundus", 2),
    ]  # fmt: skip
    School(Recipe(), tmp_path, folder, ("fundus", "cxr_nih", "blood")).check()


def test_an_exam_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds no exam"):
        School(Recipe(), tmp_path, None).check(tmp_path)


def test_a_folder_without_sources_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"cxr_nih/studies\.jsonl is not there"):
        School(Recipe(), tmp_path, tmp_path).check()


def test_an_unknown_source_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no source 'nih'; known are cxr_nih"):
        School(Recipe(), tmp_path, None, ("nih",)).check()


def test_a_killed_stage_goes_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    import torch

    def run(folder: Path, die_at: int | None = None) -> torch.Tensor:
        torch.manual_seed(0)
        model, rng, steps = torch.nn.Linear(3, 1), np.random.default_rng(0), 0

        def loss_of() -> torch.Tensor:
            nonlocal steps
            steps += 1
            if steps == die_at:
                raise KeyboardInterrupt
            return (model(torch.from_numpy(rng.random((4, 3), np.float32))) - 1).pow(2).mean()

        Stage(folder, {"model": model}, rng, 12, 0.1, save_every=0).run(loss_of)
        return model.weight.detach()

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "killed", die_at=6)
    assert torch.equal(run(tmp_path / "killed"), run(tmp_path / "whole"))


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> tuple[School, Path]:
    folder = tmp_path_factory.mktemp("pocket")
    sources = write_sources(folder / "data", {name: lines * 1 for name, lines in rows().items()})
    recipe = Recipe(
        phantoms=40, validation=16, vision=(2, 4, 1e-3), language=(2, 2, 1e-3), image_text=(2, 8, 1e-3),
        places=(2, 8, 1e-3), passages=(2, 8, 1e-3),
    )  # fmt: skip
    school = School(recipe, folder / "work", sources, ("cxr_nih", "fundus", "blood", "brain_mri"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(language, "ROUNDS", 2)
        school.ship(folder / "out")
    return school, folder / "out"


def test_what_ships_loads_and_answers(shipped: tuple[School, Path]) -> None:
    import open_clip
    from transformers import AutoModelForImageTextToText

    _, out = shipped
    images = out / "retrieval" / "pocket" / "image_text"
    model, _ = open_clip.create_model_from_pretrained(f"local-dir:{images}")
    assert model.visual.trunk is not None
    assert AutoModelForImageTextToText.from_pretrained(out / "assistant" / "pocket")
    assert set(json.loads((images / "domains.json").read_text())["domains"]) == {"chest_xray"}
    assert set(json.loads((images / "calibration.json").read_text())) == {"image→passage", "image→case"}


def test_its_card_names_the_sources_that_taught_and_no_other(shipped: tuple[School, Path]) -> None:
    _, out = shipped
    card = (out / "assistant" / "pocket" / "README.md").read_text()
    assert "not for clinical use" in card
    assert "Hannover" in card
    assert "IDRiD" not in card
    assert "--without fundus" in card
    assert "2 steps of 4" in card


def test_its_ledger_knows_what_was_seen(shipped: tuple[School, Path]) -> None:
    school, out = shipped
    for folder in (out / "assistant" / "pocket", out / "retrieval" / "pocket" / "image_text"):
        seen = read_ledger(folder)
        assert seen is not None
        assert any(seeds.first == 1_000_000 for trace in seen.traces for seeds in trace.phantoms)
        assert school.real is not None
        assert sum(bool(trace.hashes is not None and len(trace.hashes)) for trace in seen.traces) == len(
            school.real.rows
        )


def test_the_same_command_takes_finished_stages_from_the_work_folder(
    shipped: tuple[School, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    school, _ = shipped
    again = replace(school)
    again.reader()
    said = capsys.readouterr().out
    assert "vision: goes on at step 2 of 2" in said
    assert "language: goes on at step 2 of 2" in said


def test_scaled_recipes_keep_batches_and_rates() -> None:
    small = Recipe().scaled(0.001)
    assert small.vision == (6, *Recipe().vision[1:])
    assert small.phantoms == 64
