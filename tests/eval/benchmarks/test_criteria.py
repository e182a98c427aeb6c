"""Guideline criteria: states read by hand, and engines whose figures are known."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from assistant.requests import AskRequest
from eval.benchmarks import phantom_items
from eval.benchmarks.criteria import Criteria, checklists, state_of
from eval.benchmarks.phantom_items import drawn
from eval.exam.benchmark import Item
from eval.phantoms.criteria import DISEASES, diagnosis
from tests.eval.benchmarks.asking import abstains, figures_of, perfect, rows_of, small_films

N = 26


@pytest.fixture(scope="module")
def items() -> Iterator[list[Item]]:
    with small_films(phantom_items):
        yield list(Criteria().items(N, 0))


@pytest.mark.parametrize(
    ("text", "state"),
    [
        ("Met.", "met"),
        ("The criterion is met.", "met"),
        ("It is not met.", "contradicted"),
        ("Contradicted: the heart is of normal size.", "contradicted"),
        ("Unknown.", "unknown"),
        ("That cannot be told from a radiograph.", "unknown"),
        ("Met or unknown.", None),
        ("The symptom is there.", None),
        ("", None),
    ],
)
def test_an_answer_names_one_state_or_none(text: str, state: str | None) -> None:
    assert state_of(text) == state


def test_the_likeliest_disease_and_another_are_asked() -> None:
    for place, phantom in zip(range(20), drawn(4, 0), strict=False):
        asked = checklists(phantom, place)
        assert asked[:-1] == diagnosis(phantom)[:1]
        assert asked[-1] not in asked[:-1]
    assert {checklists(phantom, n)[-1] for n, phantom in zip(range(30), drawn(4, 0), strict=False)} == set(DISEASES)


def test_the_history_is_in_the_question_and_all_states_occur(items: list[Item]) -> None:
    assert {item.truth["state"] for item in items} == {"met", "contradicted", "unknown"}
    request = items[0].request()
    assert isinstance(request, AskRequest)
    assert items[0].truth["history"] in request.question
    assert items[0].truth["criterion"] in request.question
    assert len({item.id for item in items}) == N


@pytest.mark.anyio
async def test_a_perfect_reader_tells_all_states(items: list[Item], tmp_path: Path) -> None:
    says = perfect((item.request(), f"[answer] {item.truth['state'].capitalize()}. [image]") for item in items)
    figures = figures_of(Criteria(), await rows_of(Criteria(), items, says, tmp_path))
    assert figures == pytest.approx(dict.fromkeys(figures, 1.0))


@pytest.mark.anyio
async def test_who_always_says_met_has_full_recall_and_little_f1(items: list[Item], tmp_path: Path) -> None:
    rows = await rows_of(Criteria(), items, lambda prompt: "[answer] Met. [image]", tmp_path)
    figures = figures_of(Criteria(), rows)
    share = sum(item.truth["state"] == "met" for item in items) / N
    met = 2 * share / (share + 1)
    assert figures["recall of criteria met"] == 1
    assert figures["F1: met"] == pytest.approx(met)
    assert (figures["F1: contradicted"], figures["F1: unknown"]) == (0, 0)
    assert figures["macro-F1"] == pytest.approx(met / 3)
    assert figures["accuracy"] == pytest.approx(share)


@pytest.mark.anyio
async def test_who_abstains_misses_every_criterion(items: list[Item], tmp_path: Path) -> None:
    figures = figures_of(Criteria(), await rows_of(Criteria(), items, abstains, tmp_path))
    assert figures == pytest.approx(dict.fromkeys(figures, 0.0))
