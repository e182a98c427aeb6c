"""Two passages, one question: only who reads the passage gets both right."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.engines.base import Prompt
from eval.benchmarks import reading
from eval.benchmarks.reading import PROTOCOLS, Reading, TwoPassages, holds
from eval.phantoms.protocols import Protocol, in_common, two_readings
from tests.eval.benchmarks.asking import figures_of, rows_of, small_films, text_of

N = len(PROTOCOLS)
FIGURES = ("both passages right", "right, one by one", "the same said of both", "cites the passage")


@pytest.fixture(scope="module")
def items() -> Iterator[list[TwoPassages]]:
    with small_films(reading):
        yield list(Reading().items(N, 0))


@given(st.integers(0, 50), st.integers(0, 10_000))
def test_two_passages_differ_in_one_value_that_stands_in_each_once(number: int, seed: int) -> None:
    """And the other fact that stands beside it gives the answer to neither."""
    read = two_readings(PROTOCOLS, number, np.random.default_rng(seed))
    one, other = read.passages
    assert read.values[0] != read.values[1]
    assert re.sub(rf"\b{read.values[0]}\b", read.values[1], one) == other
    assert holds(read.values[0], one)
    assert holds(read.values[1], other)
    assert not holds(read.values[1], one)
    assert not holds(read.values[0], other)
    assert not any(holds(value, read.question) for value in read.values)


def test_a_training_family_is_told_what_it_shares_with_the_exam() -> None:
    own = Protocol("days", "T", "S", ("See {value}.",), ("When?",), ("3", "left", "Belanterol"))
    assert in_common([own], PROTOCOLS) == {"belanterol"}
    assert in_common([Protocol("d", "T", "S", PROTOCOLS[0].passages, ("When?",), ("3",))], PROTOCOLS)


@pytest.mark.parametrize(
    ("text", "said"),
    [("After 4 days.", True), ("After 14 days.", False), ("4.", True), ("4.5 mm", False), ("Day 4, then.", True)],
)
def test_a_number_is_said_by_itself(text: str, said: bool) -> None:
    assert holds("4", text) is said


def reads(prompt: Prompt) -> str:
    """Repeats the passage, and cites it."""
    (told,) = re.findall(r"^\[1\] [^:]*: (.*)", text_of(prompt), re.MULTILINE)
    return f"[guideline] {told.replace('. ', ', ')} [1]"


def guesses(prompt: Prompt) -> str:
    return "[answer] It is 4, 6, 9, left, belanterol, ultrasound or matron. [image]"


@pytest.mark.anyio
async def test_who_reads_gets_both_and_who_does_not_gets_none(items: list[TwoPassages], tmp_path: Path) -> None:
    figures = figures_of(Reading(), await rows_of(Reading(), items, reads, tmp_path / "reads"))
    assert [figures[name] for name in FIGURES] == [1, 1, 0, 1]
    figures = figures_of(Reading(), await rows_of(Reading(), items, guesses, tmp_path / "guesses"))
    assert figures["both passages right"] == 0
    assert (figures["the same said of both"], figures["cites the passage"]) == (1, 0)
