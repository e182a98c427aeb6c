"""Guideline criteria: engines whose figures are known."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from assistant.engines.base import Prompt
from eval.benchmarks import phantom_items
from eval.benchmarks.criteria import Criteria, checklists
from eval.benchmarks.phantom_items import drawn
from eval.exam.benchmark import Answer, Item
from eval.phantoms.criteria import DISEASES, diagnosis
from tests.eval.benchmarks.asking import abstains, figures_of, rows_of, rows_of_oracles, small_films

N = 6


@pytest.fixture(scope="module")
def items() -> Iterator[list[Item]]:
    with small_films(phantom_items):
        yield list(Criteria().items(N, 0))


def test_the_likeliest_disease_and_another_are_asked() -> None:
    for place, phantom in zip(range(20), drawn(4, 0), strict=False):
        asked = checklists(phantom, place)
        assert asked[:-1] == diagnosis(phantom)[:1]
        assert asked[-1] not in asked[:-1]
    assert {checklists(phantom, n)[-1] for n, phantom in zip(range(30), drawn(4, 0), strict=False)} == set(DISEASES)


def test_all_states_occur_in_what_is_true(items: list[Item]) -> None:
    assert {state for item in items for state in item.truth["states"].values()} == {"met", "contradicted", "unknown"}
    assert len({item.id for item in items}) == N


@pytest.mark.anyio
async def test_a_reader_that_knows_the_truth_tells_all_states(items: list[Item], tmp_path: Path) -> None:
    figures = figures_of(Criteria(), await rows_of_oracles(Criteria(), items, tmp_path))
    assert figures == pytest.approx(dict.fromkeys(figures, 1.0))


@pytest.mark.anyio
async def test_who_sees_everything_met_is_wrong_where_it_is_not(items: list[Item], tmp_path: Path) -> None:
    def met(prompt: Prompt, completions: Sequence[str]) -> list[float]:
        return [0.0 if "Met" in text else -1.0 for text in completions]

    rows = await rows_of(Criteria(), items, abstains, tmp_path, score=met)
    told = [(truth, said) for row in rows for truth, said in zip(row.scores["truth"], row.scores["said"], strict=True)]
    figures = figures_of(Criteria(), rows)
    assert figures["recall of criteria met"] == figures["decided"] == 1
    assert figures["accuracy"] == pytest.approx(sum(truth == said for truth, said in told) / len(told))
    assert {said for truth, said in told if truth == "contradicted"} == {"met", "contradicted"}  # by value or history
    assert figures["macro-F1"] < 1


def test_a_refused_study_has_every_criterion_wrong(items: list[Item]) -> None:
    score = Criteria().score(items[0], {"asked": Answer(status="abstained", text="")})
    assert set(score["said"]) == {None}
    figures = {name: figure([score]) for name, figure in Criteria().figures.items()}
    assert [figures[name] for name in ("macro-F1", "accuracy", "decided")] == [0, 0, 0]
