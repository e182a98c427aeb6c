"""Differential diagnosis: what is read of a differential, and engines whose figures are known."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from eval.benchmarks import phantom_items
from eval.benchmarks.diagnosis import Diagnosis
from eval.exam.benchmark import Answer, Item, Said, Weighed
from eval.phantoms.criteria import DISEASES
from tests.eval.benchmarks.asking import abstains, figures_of, rows_of, rows_of_oracles, small_films

N = 6


@pytest.fixture(scope="module")
def items() -> Iterator[list[Item]]:
    with small_films(phantom_items):
        yield list(Diagnosis().items(N, 0))


def answer(verdict: str, *names: str) -> Answer:
    found = tuple(Weighed(name=name.capitalize(), score=1 / n) for n, name in enumerate(names, 1))
    said = Said(section="diagnosis", text="Anything else is likely.", support="image")  # isn't read
    return Answer(status="answered", text="", sentences=(said,), verdict=verdict, candidates=found)


def scores(diseases: tuple[str, ...], found: Answer) -> dict[str, object]:
    item = Item(id="a", truth={"diseases": diseases}, request=lambda: None)  # type: ignore[arg-type, return-value]
    return Diagnosis().score(item, {"asked": found})


def test_the_ranking_is_read() -> None:
    found = answer("leads", "pneumonia", "heart failure", "lung nodule", "pneumothorax")
    wanted = {"top1": True, "top3": True, "leads": True, "right_lead": True, "spared": None, "cites": False}
    assert scores(("heart failure", "pneumonia"), found) == wanted
    assert scores(("lung nodule",), found) == wanted | {"top1": False, "right_lead": False}
    assert scores(("pneumothorax",), found)["top3"] is False
    assert scores(("pneumonia",), answer("tie", "pneumonia"))["right_lead"] is None


def test_of_a_healthy_study_there_must_not_be_enough_to_tell() -> None:
    for verdict, spared in (("leads", False), ("tie", False), ("not enough to tell", True)):
        found = scores((), answer(verdict, "pneumonia"))
        assert (found["spared"], found["top1"], found["leads"]) == (spared, None, None)


def test_a_refused_study_counts_as_wrong() -> None:
    refused = Answer(status="abstained", text="")
    assert [scores(("pneumonia",), refused)[name] for name in ("top1", "top3")] == [False, False]
    assert scores((), refused)["spared"] is False


def test_the_order_of_candidates_tells_nothing_and_is_always_the_same(items: list[Item]) -> None:
    orders = [item.truth["candidates"] for item in items]
    assert all(sorted(order) == sorted(DISEASES) for order in orders)
    assert len(set(orders)) > N // 2
    assert [item.truth for item in items] == [item.truth for item in Diagnosis().items(N, 0)]


@pytest.mark.anyio
async def test_a_reader_that_knows_the_truth_is_right(items: list[Item], tmp_path: Path) -> None:
    figures = figures_of(Diagnosis(), await rows_of_oracles(Diagnosis(), items, tmp_path))
    assert [figures[name] for name in ("top-1", "top-3", "right when said to lead")] == [1, 1, 1]
    assert figures["cites"] == 0


@pytest.mark.anyio
async def test_every_disease_is_ranked_by_its_checklist(items: list[Item], tmp_path: Path) -> None:
    for row in await rows_of(Diagnosis(), items[:2], abstains, tmp_path):
        found = row.answers["asked"].candidates
        assert sorted(one.name.casefold() for one in found) == sorted(DISEASES)
        assert all(len(one.states) >= 6 for one in found)
        assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
