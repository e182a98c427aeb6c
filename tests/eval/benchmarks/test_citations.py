"""Citations: engines that cite what was shown well, badly or not at all, over the bundled cards."""

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from assistant.engines.base import Prompt
from eval.benchmarks.citations import Citations
from eval.benchmarks.gold import SHOWS, card_titles, gold_pairs
from eval.exam.benchmark import Item, Row
from eval.exam.candidate import Candidate
from eval.exam.sitting import Journal, sit
from retrieval.types import Evidence, Passage
from retrieval.types import Item as Reference
from tests.assistant.parts import make_assistant
from tests.eval.benchmarks.asking import figures_of

N = 3


def shown_to(item: Item) -> Item:
    """The same item with two passages as references: the second answers the question, the first doesn't."""
    card, _, section = item.truth["places"][0].partition(" / ")
    wrong = Passage("wrong", "d1", "Gout", "Treatment", "Gout is painful.", 0, 16, "chest_xray")
    right = Passage("right", "d2", card_titles()[card], section, "It says so.", 0, 11, "chest_xray")
    references = (Reference(1, wrong, {}, 0.9), Reference(2, right, {}, 0.8))
    return Item(item.id, item.truth, item.request, item.groups, item.cluster, references=Evidence(references, 2))


@pytest.fixture(scope="module")
def items() -> list[Item]:
    return [shown_to(item) for item in Citations().items(N, 0)]


SAYS: dict[str, Callable[[Prompt], str]] = {
    "gold": lambda prompt: "[guideline] It says so. [2]",
    "wrong": lambda prompt: "[guideline] It says so. [1]",
    "both, and one from the picture": lambda prompt: (
        "[guideline] It says so. [1][2]\n[answer] The lungs are clear. [image]"
    ),
    "invents": lambda prompt: "[guideline] It says so. [7]\n[answer] The lungs are clear. [image]",
    "nothing": lambda prompt: "",
}
EXPECTED = {  # precision, recall, coverage, cited, withheld, abstained
    "gold": (1, 1, 1, 1, 0, 0),
    "wrong": (0, 0, 1, 1, 0, 0),
    "both, and one from the picture": (1 / 2, 1, 1, 1 / 2, 0, 0),
    "invents": (math.nan, 0, 1, 0, 2 / 3, 0),  # the number and the sentence that rests on it alone
    "nothing": (math.nan, 0, math.nan, math.nan, math.nan, 1),
}
FIGURES = ("citation precision", "citation recall", "citation coverage", "sentences cited", "withheld", "abstained")


async def rows_of(items: list[Item], says: Callable[[Prompt], str], home: Path) -> list[Row]:
    assistant = make_assistant(home / "home", says)
    try:
        return await sit(Citations(), Candidate(assistant), items, Journal(home / "journal" / "rows.jsonl", {}))
    finally:
        await assistant.close()


@pytest.mark.parametrize("engine", SAYS)
@pytest.mark.anyio
async def test_the_figures_say_where_the_citations_point(engine: str, items: list[Item], tmp_path: Path) -> None:
    rows = await rows_of(items, SAYS[engine], tmp_path)
    figures = figures_of(Citations(), rows)
    gold = sum(len(item.truth["places"]) for item in items)
    wanted = list(EXPECTED[engine])
    wanted[1] *= N / gold  # one gold section of each question is shown
    assert [figures[name] for name in FIGURES] == pytest.approx(wanted, nan_ok=True)
    assert figures["gold passage shown"] == 1


def test_questions_are_those_a_chest_film_can_go_with() -> None:
    items = list(Citations().items(1000, 0))
    assert len(items) == Citations.full == sum(pair.card in SHOWS for pair in gold_pairs())
    assert all(item.truth["places"] and item.groups["card"] != "diabetic-retinopathy" for item in items)
    assert all(family != "train" for item in items for family, _ in item.phantoms)
    other_seed = list(Citations().items(3, 1))
    assert [item.id for item in items[:3]] == [item.id for item in other_seed]
    assert all(item.phantoms != other.phantoms for item, other in zip(items, other_seed, strict=False))
