"""Differential diagnosis: rankings read by hand, and engines whose figures are known."""

import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from assistant.engines.base import Prompt
from eval.benchmarks import phantom_items
from eval.benchmarks.diagnosis import CANDIDATES, Diagnosis, ranked
from eval.exam.benchmark import Item
from tests.eval.benchmarks.asking import abstains, figures_of, perfect, rows_of, showing, small_films, text_of

N = 9


@pytest.fixture(scope="module")
def items() -> Iterator[list[Item]]:
    with small_films(phantom_items):
        yield list(Diagnosis().items(N, 0))


@pytest.mark.parametrize(
    ("sentences", "named"),
    [
        (["Pneumonia is likely."], ("pneumonia",)),
        (["Heart failure; pleural effusion.", "Pneumonia."], ("heart failure", "pleural effusion", "pneumonia")),
        (["Pneumonia.", "Pneumonia explains the fever."], ("pneumonia",)),
        (["There is no pneumothorax, lobar collapse is likely."], ("lobar collapse",)),
        (["Heart failure is unlikely.", "Pneumonia."], ("pneumonia",)),
        (["Pneumothorax is ruled out."], ()),
        (["No abnormality is seen."], ("no abnormality",)),
        (["Pneumonia rather than heart failure."], ("pneumonia",)),
        (["The heart is enlarged."], ()),
        ([], ()),
    ],
)
def test_the_ranking_is_the_order_of_what_is_held_likely(sentences: list[str], named: tuple[str, ...]) -> None:
    assert ranked(sentences) == named


def test_the_order_of_candidates_tells_nothing_and_is_always_the_same(items: list[Item]) -> None:
    orders = [item.truth["candidates"] for item in items]
    assert all(sorted(order) == sorted(CANDIDATES) for order in orders)
    assert len(set(orders)) > N // 2
    assert [item.truth for item in items] == [item.truth for item in Diagnosis().items(N, 0)]


@pytest.mark.anyio
async def test_a_perfect_reader_names_what_is_there_and_nothing_else(items: list[Item], tmp_path: Path) -> None:
    says = perfect(
        (item.request(), "\n".join(f"[diagnosis] {name.capitalize()} is likely. [image]" for name in diseases))
        for item in items
        for diseases in [item.truth["diseases"]]
    )
    figures = figures_of(Diagnosis(), await rows_of(Diagnosis(), items, says, tmp_path))
    assert [figures[name] for name in ("top-1", "top-3", "recall", "precision", "names a candidate")] == [1] * 5
    assert figures["diseases named"] == pytest.approx(sum(len(item.truth["diseases"]) for item in items) / N)
    assert figures["cites"] == 0


@pytest.mark.anyio
async def test_who_lists_all_candidates_finds_all_and_says_nothing(items: list[Item], tmp_path: Path) -> None:
    def lists(prompt: Prompt) -> str:
        candidates = text_of(prompt).partition("Candidates: ")[2].partition("\n")[0].split("; ")
        return "\n".join(f"[diagnosis] {name.capitalize()}." for name in candidates)

    figures = figures_of(Diagnosis(), await rows_of(Diagnosis(), items, lists, tmp_path))
    true = [set(item.truth["diseases"]) for item in items]
    first = [item.truth["candidates"][0] in own for item, own in zip(items, true, strict=True)]
    assert figures["recall"] == 1
    assert figures["precision"] == pytest.approx(sum(map(len, true)) / (N * len(CANDIDATES)))
    assert figures["top-1"] == pytest.approx(sum(first) / N)


@pytest.mark.anyio
async def test_who_copies_the_first_reference_is_right_where_it_is(items: list[Item], tmp_path: Path) -> None:
    says = perfect([], otherwise="[diagnosis] Heart failure. [1]")
    rows = await rows_of(Diagnosis(), showing(items, "Heart failure with heart failure."), says, tmp_path)
    figures = figures_of(Diagnosis(), rows)
    assert figures["top-1"] == pytest.approx(sum("heart failure" in item.truth["diseases"] for item in items) / N)
    assert figures["cites"] == 1


@pytest.mark.anyio
async def test_who_abstains_names_nothing(items: list[Item], tmp_path: Path) -> None:
    figures = figures_of(Diagnosis(), await rows_of(Diagnosis(), items, abstains, tmp_path))
    assert [figures[name] for name in ("top-1", "top-3", "recall", "diseases named", "names a candidate")] == [0] * 5
    assert math.isnan(figures["precision"])
