"""Comparison: engines whose figures are known, asked with and without the prior study."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from eval.benchmarks import comparison
from eval.benchmarks.comparison import Comparison, states_change, written
from eval.exam.benchmark import Item
from tests.eval.benchmarks.asking import abstains, figures_of, perfect, rows_of, showing, small_films

N = 8
MADE_UP = ("change stated without a prior", "change written without a prior, before checks")


@pytest.fixture(scope="module")
def items() -> Iterator[list[Item]]:
    with small_films(comparison):
        yield list(Comparison().items(N, 0))


def share_of(items: list[Item], change: str) -> float:
    return sum(item.truth["change"] == change for item in items) / len(items)


def test_a_course_is_stated_or_said_not_to_be_known() -> None:
    assert states_change("It is larger.")
    assert not states_change("Without a prior study it cannot be told whether it is larger.")
    assert not states_change("There is an effusion.")
    assert list(written("[answer] It is new. [image]\n[guideline] New ones are treated. [1]")) == ["It is new."]


def test_both_studies_are_of_one_person_and_the_choices_are_in_the_question(items: list[Item]) -> None:
    request = items[0].request()
    assert request.prior is not None
    assert request.prior.pictures[0].sha256 != request.study.pictures[0].sha256
    assert "new, larger, smaller, resolved or unchanged." in request.question  # type: ignore[attr-defined]
    assert len({item.id for item in items}) == N
    assert len({item.truth["change"] for item in items}) >= 4


@pytest.mark.anyio
async def test_a_perfect_reader_is_right_and_makes_nothing_up(items: list[Item], tmp_path: Path) -> None:
    says = perfect(
        ((item.request(), f"[answer] {item.truth['change'].capitalize()}. [image]") for item in items),
        otherwise="[answer] Without a prior study this cannot be told. [image]",
    )
    figures = figures_of(Comparison(), await rows_of(Comparison(), items, says, tmp_path))
    assert [figures.pop(name) for name in MADE_UP] == [0, 0]
    known = {name: value for name, value in figures.items() if value == value}
    assert known == pytest.approx(dict.fromkeys(known, 1.0))


@pytest.mark.anyio
async def test_who_always_says_larger_makes_it_up_where_no_check_sees_it(items: list[Item], tmp_path: Path) -> None:
    rows = await rows_of(Comparison(), items, lambda prompt: "[answer] Change: larger. [image]", tmp_path)
    figures = figures_of(Comparison(), rows)
    assert figures["accuracy"] == pytest.approx(share_of(items, "larger"))
    assert [figures[name] for name in MADE_UP] == [1, 1]


@pytest.mark.anyio
async def test_what_the_checks_withhold_was_still_written(items: list[Item], tmp_path: Path) -> None:
    rows = await rows_of(Comparison(), items, lambda prompt: "[answer] It is unchanged. [image]", tmp_path)
    figures = figures_of(Comparison(), rows)
    assert figures["accuracy"] == pytest.approx(share_of(items, "unchanged"))
    assert [figures[name] for name in MADE_UP] == [0, 1]


@pytest.mark.anyio
async def test_who_copies_the_first_reference_is_right_where_it_is(items: list[Item], tmp_path: Path) -> None:
    asked = showing(items, "The effusion is smaller.")
    rows = await rows_of(Comparison(), asked, lambda prompt: "[answer] It is smaller. [1]", tmp_path)
    figures = figures_of(Comparison(), rows)
    assert figures["accuracy"] == pytest.approx(share_of(items, "smaller"))
    assert [figures[name] for name in MADE_UP] == [0, 1]


@pytest.mark.anyio
async def test_who_abstains_has_nothing_right_and_makes_nothing_up(items: list[Item], tmp_path: Path) -> None:
    figures = figures_of(Comparison(), await rows_of(Comparison(), items, abstains, tmp_path))
    known = {name: value for name, value in figures.items() if value == value}
    assert known == pytest.approx(dict.fromkeys(known, 0.0))
