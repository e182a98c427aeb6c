"""Pictures of results: right size, same bytes for the same numbers, and what they show follows the numbers."""

from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from eval.exam import plots

TRUTH = [True, True, True, False, False, False]
P = [0.9, 0.8, 0.4, 0.6, 0.2, 0.1]
RIGHT = [True, True, False, False, True, True]
GREY = np.full((64, 48), 90, np.uint8)
NAMED: list[plots.Named] = [("first", 0.8, 0.7, 0.9), ("second", 0.4, None, None), ("third", float("nan"), None, None)]

DRAWN: dict[str, Callable[[Path], Path]] = {
    "roc": lambda path: plots.roc(TRUTH, P, 0.9, path),
    "reliability": lambda path: plots.reliability(P, RIGHT, path),
    "risk_coverage": lambda path: plots.risk_coverage(P, RIGHT, path),
    "forest": lambda path: plots.forest(NAMED, path, "Headline figures (n = 6)", 0.5),
    "differences": lambda path: plots.forest([("a", -0.1, -0.2, 0.0)], path, "Difference (n = 6)", 0),
    "bars": lambda path: plots.bars_by_group({"sex": {"F": (0.5, 0.4, 0.6)}}, path, "By sex (n = 6)"),
    "severity": lambda path: plots.severity_curves({"blur": [0.9, 0.8], "noise": [0.9, float("nan")]}, path, "n = 6"),
    "panel": lambda path: plots.panel([plots.Tile(GREY, "one", [(4, 5, 20, 30)], np.eye(6))], path, "n = 1", "note"),
}


@pytest.fixture
def saved(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures as they are when they are saved."""
    figures: list[Figure] = []
    real = Figure.savefig

    def save(figure: Figure, *args: object, **kwargs: object) -> None:
        figures.append(figure)
        real(figure, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Figure, "savefig", save)
    return figures


@pytest.mark.parametrize("name", DRAWN)
def test_a_picture_is_wide_enough_the_same_each_time_and_keeps_its_words_on_the_page(
    name: str, tmp_path: Path, saved: list[Figure]
) -> None:
    one, two = (DRAWN[name](tmp_path / folder / "a.png").read_bytes() for folder in ("one", "two"))
    assert one == two
    with Image.open(tmp_path / "one" / "a.png") as picture:
        assert picture.width == 1200
        assert not picture.info.keys() & {"Software", "Creation Time"}
    box = saved[0].get_tightbbox()
    width, height = saved[0].get_size_inches()
    assert (box.x0 >= 0, box.y0 >= 0, box.x1 <= width, box.y1 <= height) == (True,) * 4


def test_a_persons_own_settings_change_nothing(tmp_path: Path) -> None:
    before = DRAWN["roc"](tmp_path / "a.png").read_bytes()
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red"}):
        assert DRAWN["roc"](tmp_path / "b.png").read_bytes() == before
        assert matplotlib.rcParams["font.size"] == 30


def test_roc_marks_the_operating_point(tmp_path: Path, saved: list[Figure]) -> None:
    plots.roc(TRUTH, P, 0.9, tmp_path / "a.png")
    (axes,) = saved[0].axes
    curve, point, _ = axes.lines
    # All three positives are found at p >= 0.4, and one of three negatives with them.
    assert [list(point.get_xdata()), list(point.get_ydata())] == [[pytest.approx(1 / 3)], [1.0]]
    assert curve.get_label() == "AUROC 0.89"  # 8 of 9 pairs are in order
    assert "n = 6, 3 positive" in axes.get_title(loc="left")


def test_reliability_shows_every_answer_once(tmp_path: Path, saved: list[Figure]) -> None:
    plots.reliability([0.55, 0.56, 0.95], [True, False, True], tmp_path / "a.png")
    upper, lower = saved[0].axes
    assert [bar.get_height() for bar in lower.patches] == [2, 1]
    assert lower.get_xlim() == (0.5, 1.0)
    measured = next(line for line in upper.lines if line.get_label() == "measured")
    assert list(measured.get_ydata()) == [0.5, 1.0]


def test_wilson_agrees_with_a_hand_computed_case() -> None:
    # 8 of 10: (0.8 + 1.92073/10 ± 1.95996·√(0.016 + 0.0096036)) / 1.384146
    assert plots._wilson(0.8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)


def test_risk_coverage_ends_where_all_are_answered(tmp_path: Path, saved: list[Figure]) -> None:
    plots.risk_coverage([0.9, 0.8, 0.7], [True, False, True], tmp_path / "a.png")
    random, measured, best = saved[0].axes[0].lines
    assert list(measured.get_ydata()) == pytest.approx([0, 1 / 2, 1 / 3])
    assert list(best.get_ydata()) == pytest.approx([0, 0, 1 / 3])
    assert random.get_ydata()[0] == pytest.approx(1 / 3)


def test_forest_writes_the_numbers_it_draws(tmp_path: Path, saved: list[Figure]) -> None:
    plots.forest(NAMED, tmp_path / "a.png", "n = 6")
    plots.forest([("worse", -0.11, -0.18, -0.05)], tmp_path / "b.png", "n = 6", 0)
    values, differences = (figure.axes[0] for figure in saved)
    assert [text.get_text() for text in values.texts] == ["0.80 [0.70, 0.90]", "0.40", "–"]
    assert [text.get_text() for text in differences.texts] == ["no difference", "−0.11 [−0.18, −0.05]"]
    assert values.get_xlim() == (0, 1)
    assert differences.get_xlim()[0] == -differences.get_xlim()[1]


def test_groups_stand_under_their_headings(tmp_path: Path, saved: list[Figure]) -> None:
    plots.bars_by_group({"sex": {"F": (0.5, 0.4, 0.6), "M": (0.7, None, None)}}, tmp_path / "a.png", "n = 6")
    (axes,) = saved[0].axes
    ticks = axes.get_yticklabels()
    assert [(t.get_text(), t.get_fontweight()) for t in ticks] == [("sex", "bold"), ("F", "normal"), ("M", "normal")]
    assert [bar.get_width() for bar in axes.patches] == [0.5, 0.7]


def test_severity_curves_are_compared_with_their_mean(tmp_path: Path, saved: list[Figure]) -> None:
    plots.severity_curves({"blur": [0.9, 0.5], "noise": [0.7, float("nan")]}, tmp_path / "a.png", "n = 6")
    mean, blur = saved[0].axes[0].lines
    assert list(mean.get_ydata()) == pytest.approx([0.8, 0.5])
    assert list(blur.get_ydata()) == [0.9, 0.5]


def test_heat_lies_over_the_place_it_belongs_to(tmp_path: Path) -> None:
    heat = np.zeros((2, 2))
    heat[0, 1] = 1
    with Image.open(plots.panel([plots.Tile(GREY, heat=heat)], tmp_path / "a.png")) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    rows, columns = np.argwhere(pixels[..., 0] - pixels[..., 2] > 60).mean(axis=0)
    assert rows < pixels.shape[0] / 2
    assert columns > pixels.shape[1] / 2
