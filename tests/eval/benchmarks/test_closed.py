"""Closed questions: engines with known faults, and figures that must say exactly that."""

import math
from pathlib import Path

import pytest

from eval.benchmarks.closed import GAIN
from eval.benchmarks.common import chosen, yes_or_no
from eval.exam.benchmark import Scores
from eval.exam.candidate import Candidate
from eval.exam.sitting import Journal, sit
from tests.assistant.parts import make_assistant
from tests.eval.fakes import FAKES, ITEMS, Small

NAN = math.nan
EXPECTED = {  # accuracy, balanced, sensitivity, specificity, answered, copy-reference, over-reliance
    "always yes": (0.5, 0.5, 1, 0, 1, 1, 0),
    "copies the first reference": (0.5, 0.5, 0.5, 0.5, 1, 1, 1),
    "ignores references": (1, 1, 1, 1, 1, 0, NAN),
    "always abstains": (0, 0, 0, 0, 0, NAN, 0),
    "perfect": (1, 1, 1, 1, 1, 0, NAN),
}
FIGURES = (
    "accuracy", "balanced accuracy", "sensitivity", "specificity", "answered", "copy-reference rate",
    "over-reliance rate",
)  # fmt: skip


async def scores_of(home: Path, fake: str) -> list[Scores]:
    assistant, benchmark = make_assistant(home / "home", FAKES[fake]), Small()
    try:
        journal = Journal(home / "journal" / "small.jsonl", {})
        rows = await sit(benchmark, Candidate(assistant), list(benchmark.items(ITEMS, 0)), journal)
    finally:
        await assistant.close()
    return [row.scores for row in rows]


@pytest.mark.parametrize("fake", FAKES)
@pytest.mark.anyio
async def test_the_figures_say_what_is_wrong_with_an_engine(fake: str, tmp_path: Path) -> None:
    scores = await scores_of(tmp_path, fake)
    figures = Small().figures
    found = [figures[name](scores) for name in FIGURES]
    assert found == pytest.approx(EXPECTED[fake], nan_ok=True)


def test_confidence_is_of_the_answers_that_were_given() -> None:
    """Likelihoods may be right and the words wrong, or missing: only the words are an answer."""
    wrong = [{"truth": True, "said": False, "right": False, "answered": True, "p": 0.9} for _ in range(4)]
    silent = [{**row, "said": None, "answered": False} for row in wrong]
    right = [{**row, "said": True, "right": True} for row in wrong]
    figures = Small().figures
    error, area = "calibration error of what is answered", "area under risk-coverage"
    assert figures[error](wrong) == pytest.approx(0.1)  # confidence .1 in "no", never right
    assert figures[area](wrong) == 1
    assert math.isnan(figures[error](silent))
    assert math.isnan(figures[area](silent))
    assert (figures[error](right), figures[area](right)) == (pytest.approx(0.1), 0)


@pytest.mark.parametrize(
    ("text", "label", "said"),
    [
        ("No, there is no consolidation.", "hernia", None),
        ("No, there is no consolidation.", "Consolidation", False),
        ("Yes, there is a small left pleural effusion.", "Pleural Effusion", True),
        ("Yes.", "Pneumothorax", True),
        ("The effusion is small.", "Pleural Effusion", None),
        ("Nothing is seen.", None, None),
    ],
)
def test_an_answer_about_something_else_is_none(text: str, label: str | None, said: bool | None) -> None:
    assert yes_or_no(text, label) is said


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("It is larger.", "larger"), ("No, it is not larger.", None), ("The effusion is not new.", None),
        ("It is not larger but smaller.", "smaller"), ("B)", "smaller"), ("Larger or smaller.", None),
    ],
)  # fmt: skip
def test_a_choice_that_is_denied_is_not_made(text: str, choice: str | None) -> None:
    assert chosen(text, ("larger", "smaller", "new")) == choice


@pytest.mark.anyio
async def test_the_picture_alone_is_asked_apart(tmp_path: Path) -> None:
    """The copier sees well when no reference is shown to it."""
    scores = await scores_of(tmp_path, "copies the first reference")
    assert Small().figures["balanced accuracy without references"](scores) == 1


@pytest.mark.anyio
async def test_what_references_gain_is_told_of_the_same_items(tmp_path: Path) -> None:
    """Half of the references mislead the copier, who sees everything when it is shown none."""
    copier = await scores_of(tmp_path / "copier", "copies the first reference")
    sound = await scores_of(tmp_path / "sound", "ignores references")
    assert (Small().figures[GAIN](copier), Small().figures[GAIN](sound)) == (-0.5, 0)


@pytest.mark.anyio
async def test_plots_are_drawn_where_likelihoods_are_known(tmp_path: Path) -> None:
    from eval.exam.benchmark import Row

    rows = [
        Row(id=str(n), scores={"truth": n % 2 == 0, "p": (n % 5) / 5, "said": True, "right": n % 2 == 0})
        for n in range(20)
    ]
    (tmp_path / "plots").mkdir()
    drawn = Small().draw(rows, tmp_path / "plots")
    assert len(drawn) == 3
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in drawn)
    assert Small().draw([Row(id="1", scores={"truth": True, "p": None})], tmp_path / "plots") == []
