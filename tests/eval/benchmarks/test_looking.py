"""Two pictures, one question: only who looks gets both right."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from assistant.engines.base import Prompt
from eval.benchmarks import looking
from eval.benchmarks.looking import ONE, OTHER, Looking, TwoPictures
from eval.ledger import EXAM_SEEDS
from eval.phantoms import EXAM_FAMILIES
from tests.eval.benchmarks.asking import figures_of, perfect, rows_of, small_films, text_of

N = 6


@pytest.fixture(scope="module")
def items() -> Iterator[list[TwoPictures]]:
    with small_films(looking):
        yield list(Looking().items(N, 0))


def answer(item: TwoPictures, which: str) -> str:
    said = {True: "Yes.", False: "No.", "left": "It is on the left side.", "right": "It is on the right side."}
    return f"[answer] {said[item.truth[which]]} [image]"


def test_the_two_differ_in_the_picture_and_in_the_right_answer_alone(items: list[TwoPictures]) -> None:
    for item in items:
        assert item.truth[ONE] != item.truth[OTHER]
        one, other = item.request(), item.other()
        assert one.question == other.question == item.truth["question"]  # type: ignore[attr-defined]
        assert one.study.pictures[0].sha256 != other.study.pictures[0].sha256


def test_kinds_of_question_go_round_and_nothing_of_training_is_shown() -> None:
    items = list(Looking().items(120, 0))
    assert {item.groups["asked"] for item in items} == {"side", "present or absent"}
    assert {item.groups["family"] for item in items} == set(EXAM_FAMILIES)
    assert {item.groups["wording"] for item in items} == {"of training", "held out"}
    assert all(seed in EXAM_SEEDS for item in items for _, seed in item.phantoms)
    assert 0.3 < sum(item.truth[ONE] in (True, "left") for item in items) / len(items) < 0.7


@pytest.mark.anyio
async def test_who_looks_gets_both_and_who_does_not_gets_none(items: list[TwoPictures], tmp_path: Path) -> None:
    asked = [pair for i in items for pair in ((i.request(), answer(i, ONE)), (i.other(), answer(i, OTHER)))]
    sees = figures_of(Looking(), await rows_of(Looking(), items, perfect(asked), tmp_path / "sees"))
    assert (sees["both pictures right"], sees["right, one by one"], sees["the same said of both"]) == (1, 1, 0)

    def blind(prompt: Prompt) -> str:
        return "[answer] Yes, on the left side. [image]"

    blind_figures = figures_of(Looking(), await rows_of(Looking(), items, blind, tmp_path / "blind"))
    assert blind_figures["both pictures right"] == 0
    assert blind_figures["right, one by one"] == 0.5
    assert blind_figures["the same said of both"] == 1


@pytest.mark.anyio
async def test_no_reference_is_shown(items: list[TwoPictures], tmp_path: Path) -> None:
    texts: list[str] = []
    await rows_of(Looking(), items[:1], lambda prompt: texts.append(text_of(prompt)) or "", tmp_path)  # type: ignore[func-returns-value]
    assert len(texts) == 2
    assert all("Knowledge: none." in text for text in texts)
