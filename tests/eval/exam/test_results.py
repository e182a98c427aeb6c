"""Figures with intervals, subgroups, tables, and two results compared item by item."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from assistant.errors import BadInput
from eval.benchmarks.closed import AUROC
from eval.exam import compare as comparing
from eval.exam.benchmark import Row
from eval.exam.results import Results, measure
from eval.exam.tables import differences, markdown, write
from tests.eval.fakes import Small

WHO = {"model": "m", "engine": "fake", "model_hash": "0123456789abcdef", "adapter": None, "knowledge": "bundled",
       "demonstration": True}  # fmt: skip


def row(number: int, right: bool, *, patient: str = "", error: str | None = None, group: str = "F") -> Row:
    truth = number % 2 == 0
    scores = {
        "truth": truth, "said": truth if right else not truth, "right": right, "answered": True, "cited": False,
        "right_without": right, "right_damaged": False, "p": None,
    }  # fmt: skip
    return Row(
        id=f"item-{number}", patient=patient, truth={"answer": truth}, groups={"sex": group},
        scores={} if error else scores, error=error,
    )  # fmt: skip


def rows(n: int, wrong: Sequence[int]) -> list[Row]:
    return [row(number, number not in wrong) for number in range(n)]


def results(items: list[Row]) -> Results:
    return Results(candidate=WHO, seed=0, benchmarks={"small": measure(Small(), items, seed=0)})


def test_a_figure_has_an_interval_and_the_same_seed_gives_the_same() -> None:
    sheet = measure(Small(), rows(40, [0, 1, 2, 3]), seed=0)
    accuracy = sheet.figures["accuracy"]
    assert accuracy.value == 0.9
    assert accuracy.low is not None
    assert accuracy.high is not None
    assert 0.75 < accuracy.low < 0.9 < accuracy.high <= 1
    assert measure(Small(), rows(40, [0, 1, 2, 3]), seed=0) == sheet


def test_patients_are_drawn_whole() -> None:
    """Ten items of one patient are one unit: with a single patient there is no interval."""
    one = [row(n, n % 3 > 0, patient="p") for n in range(10)]
    assert measure(Small(), one, seed=0).figures["accuracy"].low is None
    few = [row(n, n % 3 > 0, patient=f"p{n % 9}") for n in range(45)]
    assert measure(Small(), few, seed=0).figures["accuracy"].low is None  # nine patients tell no interval
    assert measure(Small(), one, seed=0).figures["accuracy"].units == 1


def test_failed_items_are_counted_and_not_scored() -> None:
    sheet = measure(Small(), [*rows(10, []), row(10, True, error="unreadable-picture")], seed=0)
    assert "Could not be asked: unreadable-picture" in markdown(Results(candidate=WHO, seed=0, benchmarks={"s": sheet}))
    assert (sheet.failed, sheet.figures["accuracy"].value, len(sheet.items)) == (1, 1.0, 11)


def test_small_subgroups_are_not_shown() -> None:
    items = [row(n, True) for n in range(12)] + [row(n, False, group="M") for n in range(12, 16)]
    assert list(measure(Small(), items, seed=0).groups["sex"]) == ["F"]


def test_what_cannot_be_measured_is_said_and_not_a_number() -> None:
    text = markdown(results(rows(20, [1])))
    assert "| accuracy | 0.95 [" in text
    assert f"{AUROC}; " in text.partition("Not measurable here:")[2]
    assert "| small | 20 (20) | balanced accuracy |" in text
    assert "not for clinical use" in text
    assert "nan" not in text


def test_results_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    whole = results(rows(20, [1]))
    write(whole, tmp_path)
    assert Results.load(tmp_path) == whole
    assert json.loads((tmp_path / "results.json").read_text())["benchmarks"]["small"]["items"][0]["id"] == "item-0"
    assert (tmp_path / "plots/headlines.png").is_file()


@pytest.mark.parametrize(("content", "says"), [(None, "holds no results.json"), ("{}", "not a results.json")])
def test_no_or_other_results_are_told(content: str | None, says: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "results.json").write_text(content)
    with pytest.raises(BadInput, match=says):
        Results.load(tmp_path)


@pytest.fixture
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparing, "find", lambda name, **_: Small())


@pytest.mark.usefixtures("_known")
def test_two_results_are_compared_item_by_item(tmp_path: Path) -> None:
    write(results(rows(40, range(20))), tmp_path / "a")
    write(results(rows(40, range(4))), tmp_path / "b")
    comparison = comparing.compare(tmp_path / "a", tmp_path / "b")
    assert "40 items of 40 patients in both." in differences(comparison)
    assert "| accuracy | +0.400 |" in differences(comparison)
    assert "nan" not in differences(comparison)
    found = comparison.sheets["small"].figures
    assert found["accuracy"].value == pytest.approx(0.4)
    assert found["accuracy"].low > 0
    assert found["accuracy"].p < 0.01
    assert AUROC not in found
    back = comparing.compare(tmp_path / "b", tmp_path / "a").sheets["small"].figures
    assert back["accuracy"].value == pytest.approx(-0.4)


@pytest.mark.usefixtures("_known")
def test_a_bolder_model_is_not_taken_for_another_order(tmp_path: Path) -> None:
    """Swapping raw probabilities of two models would mix their scales: A is timid, B bold, both order alike but for
    what B orders better."""
    rng = np.random.default_rng(0)
    for name, scale, noise in (("a", 0.01, 1.6), ("b", 1.0, 0.8)):
        items = rows(150, [])
        for number, item in enumerate(items):
            item.scores["p"] = 0.5 + 0.4 * scale * float(np.tanh((number % 2 == 0) - 0.5 + noise * rng.normal()))
        write(results(items), tmp_path / name)
    found = comparing.compare(tmp_path / "a", tmp_path / "b").sheets["small"].figures[AUROC]
    assert found.low > 0
    assert found.p < 0.05


@pytest.mark.usefixtures("_known")
def test_results_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    write(results(rows(10, [])), tmp_path / "a")
    changed = rows(10, [])
    changed[0].truth = {"answer": False}
    write(results(changed), tmp_path / "b")
    with pytest.raises(BadInput, match="disagree about the truth"):
        comparing.compare(tmp_path / "a", tmp_path / "b")
    other = results([row(n, True) for n in range(100, 110)])
    write(other, tmp_path / "c")
    with pytest.raises(BadInput, match="share no item"):
        comparing.compare(tmp_path / "a", tmp_path / "c")
    write(Results(candidate=WHO, seed=0, benchmarks={"else": other.benchmarks["small"]}), tmp_path / "d")
    with pytest.raises(BadInput, match="share no benchmark"):
        comparing.compare(tmp_path / "a", tmp_path / "d")
