"""`consult eval` as its user types it; the bundled models sit nothing here, a fake assistant does."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from assistant.assistant import Assistant
from assistant.errors import BadInput
from assistant.settings import Settings
from eval.errors import LeakFound
from eval.exam import registry
from eval.exam.benchmark import Answer, Item, Row, Said
from eval.exam.cli import app
from eval.exam.registry import find, installed
from eval.exam.results import Results, Sheet
from eval.metrics.judge import ERROR_TYPES
from tests.assistant.parts import make_assistant
from tests.eval.fakes import FAKES, Small, says, sees

OWN = """
from collections.abc import Iterator
from tests.eval.fakes import Small


class Mine(Small):
    name = "mine"
"""


@pytest.fixture
def exam(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """Every exam is sat by `exam["fake"]` over the small set."""
    chosen: dict[str, Any] = {"fake": FAKES["perfect"]}

    def opened(settings: Settings) -> Assistant:
        return make_assistant(tmp_path / "home", lambda prompt: chosen["fake"](prompt))

    monkeypatch.setattr(Assistant, "open", opened)
    monkeypatch.setattr(registry, "_installed", lambda name: Small)
    monkeypatch.chdir(tmp_path)
    return chosen


def eval_(*arguments: str) -> Any:
    """Errors of the tree come out as exceptions here; `assistant.cli.main` prints them."""
    result = CliRunner().invoke(app, list(arguments))
    if isinstance(result.exception, BadInput):
        raise result.exception
    return result


def test_an_exam_writes_results_table_and_plots(exam: dict[str, Any], tmp_path: Path) -> None:
    result = eval_("small", "--out", "a", "--knowledge", "none")
    assert result.exit_code == 0, result.output
    assert "balanced accuracy" in result.stdout
    told = json.loads((tmp_path / "a/results.json").read_text())
    assert told["benchmarks"]["small"]["figures"]["accuracy"]["value"] == 1.0
    assert "| accuracy | 1.00" in (tmp_path / "a/table.md").read_text()
    assert (tmp_path / "a/plots/headlines.png").is_file()


def test_the_same_exam_again_asks_nothing_and_says_the_same(exam: dict[str, Any], tmp_path: Path) -> None:
    eval_("small", "--out", "a", "--knowledge", "none")
    before = (tmp_path / "a/results.json").read_bytes()
    exam["fake"] = FAKES["always abstains"]  # would be seen if anything were asked
    eval_("small", "--out", "a", "--knowledge", "none")
    assert (tmp_path / "a/results.json").read_bytes() == before


def test_a_folder_of_another_exam_is_refused_until_fresh(exam: dict[str, Any], tmp_path: Path) -> None:
    eval_("small", "--out", "a", "--knowledge", "none")
    with pytest.raises(BadInput, match="differs in: seed"):
        eval_("small", "--out", "a", "--knowledge", "none", "--seed", "1")
    (tmp_path / "a/library/mine").mkdir()
    assert eval_("small", "--out", "a", "--knowledge", "none", "--seed", "1", "--fresh").exit_code == 0
    assert (tmp_path / "a/library/mine").is_dir()


def test_benchmarks_of_one_exam_may_be_sat_one_after_the_other(exam: dict[str, Any], tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert eval_(name, "--out", "a", "--knowledge", "none").exit_code == 0
    assert list(json.loads((tmp_path / "a/results.json").read_text())["benchmarks"]) == ["one", "two"]


def test_nothing_to_ask_is_an_error_and_writes_nothing(
    exam: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Small, "items", lambda self, n, seed: iter(()))
    with pytest.raises(BadInput, match="finds no item"):
        eval_("small", "--out", "a", "--knowledge", "none")
    monkeypatch.setattr(Small, "quick", 0)
    with pytest.raises(BadInput, match="not part of --quick"):
        eval_("small", "--quick", "--out", "a", "--knowledge", "none")
    assert not (tmp_path / "a").exists()


class Leaking(Small):
    def items(self, n: int, seed: int) -> Iterator[Item]:
        for item in super().items(n, seed):
            yield replace(item, phantoms=(("train", 1_000_000),)) if item.id == "item-3" else item


def test_an_exam_on_what_the_model_learnt_from_ends_before_anything_is_asked(
    exam: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "_installed", lambda name: Leaking)
    with pytest.raises(LeakFound, match="item-3"):
        eval_("small", "--out", "a", "--knowledge", "none")
    assert not (tmp_path / "a/results.json").exists()
    assert not list(tmp_path.glob("a/journal/*"))


def test_two_exams_are_compared(exam: dict[str, Any], tmp_path: Path) -> None:
    exam["fake"] = FAKES["always yes"]
    eval_("small", "--out", "a", "--knowledge", "none")
    exam["fake"] = lambda prompt: says(sees(prompt))
    eval_("small", "--out", "b", "--knowledge", "none")
    result = eval_("compare", "a", "b", "--out", "c")
    assert result.exit_code == 0, result.output
    assert "| accuracy | +0.500 |" in (tmp_path / "c/compare.md").read_text()
    assert (tmp_path / "c/compare.png").is_file()


def test_a_second_model_judges_the_drafts(exam: dict[str, Any], tmp_path: Path) -> None:
    draft = Answer(
        status="answered", text="", sentences=(Said(section="findings", text="No effusion.", support="image"),)
    )
    rows = [Row(id=str(n), truth={"report": "A left effusion."}, answers={"asked": draft}) for n in range(2)]
    sheet = Sheet(title="", headline="", figures={}, items=rows)
    Results(candidate={}, seed=0, benchmarks={"report": sheet}).save(tmp_path)
    exam["fake"] = lambda prompt: json.dumps({kind: {"significant": 1, "insignificant": 0} for kind in ERROR_TYPES})
    assert eval_("judge", str(tmp_path)).exit_code == 0
    told = json.loads((tmp_path / "judge.json").read_text())
    assert (told["judged"], told["unjudged"], told["significant_errors_a_report"]) == (2, 0, 6)
    Results(candidate={}, seed=0).save(tmp_path)
    with pytest.raises(BadInput, match="holds no reports"):
        eval_("judge", str(tmp_path))


@pytest.mark.parametrize(
    ("arguments", "says_"),
    [
        ([], "Name a benchmark"),
        (["small", "--data", "other=."], "other"),
        (["small", "--data", "small"], "without ="),
        (["small", "--data", "small=nowhere"], "is not a folder"),
    ],
)
def test_what_is_asked_wrongly_is_told(arguments: list[str], says_: str, exam: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match=says_):
        eval_("run", *arguments)


def test_a_file_of_ones_own_is_a_benchmark(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(OWN)
    assert find(str(tmp_path / "mine.py")).name == "mine"
    (tmp_path / "empty.py").write_text("x = 1\n")
    with pytest.raises(BadInput, match="defines 0 benchmarks"):
        find(str(tmp_path / "empty.py"))
    (tmp_path / "broken.py").write_text("def\n")
    with pytest.raises(BadInput, match="can't be loaded"):
        find(str(tmp_path / "broken.py"))
    with pytest.raises(BadInput, match="not a Python file"):
        find(str(tmp_path / "absent.py"))


def test_every_benchmark_names_the_file_it_is_scored_by() -> None:
    for name, made in installed().items():
        assert made(None).source.suffix == ".py", name
    assert find("robustness:vqa-closed").source == find("vqa-closed").source


def test_an_unknown_benchmark_is_told() -> None:
    with pytest.raises(BadInput, match="no benchmark 'vqa-opened'"):
        find("vqa-opened")
