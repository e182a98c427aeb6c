"""The right pair of three: engines whose figures are known, with likelihoods and without."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from assistant.engines.base import EngineInfo, Prompt
from assistant.engines.fake import INFO
from eval.benchmarks import pairs
from eval.benchmarks.pairs import Pairs, PairsItem, wrong
from eval.exam.benchmark import Item
from eval.phantoms.pairs import CHANGES
from tests.eval.benchmarks.asking import NO_SCORES, abstains, figures_of, perfect, rows_of, shown, small_films

N = 3
ACCURACY, CHOSE, OF_THOSE, YESES = Pairs().figures


@pytest.fixture(scope="module")
def items() -> Iterator[list[PairsItem]]:
    with small_films(pairs):
        yield list(Pairs().items(N, 0))


def sees(items: Sequence[PairsItem]) -> set[tuple[str, ...]]:
    """The pictures of the right pairs."""
    requests = [item.request() for item in items]
    return {tuple(p.sha256 for study in (r.prior, r.study) if study for p in study.pictures) for r in requests}


def test_items_go_round_all_findings_and_courses_and_state_what_only_one_pair_shows() -> None:
    items = list(Pairs().items(35, 0))
    assert len({(item.groups["finding"], item.groups["change"]) for item in items}) == 35
    assert len({phantom for item in items for phantom in item.phantoms}) == 3 * 35
    for item in items:
        assert len(set(item.truth["changes"])) == 3


@pytest.mark.parametrize("stated", CHANGES)
def test_of_a_wrong_pair_the_statement_never_holds(stated: str) -> None:
    others = {change for seed in range(40) for change in wrong(stated, seed)}  # type: ignore[arg-type]
    excluded = {"larger": {"larger", "new"}, "smaller": {"smaller", "resolved"}}.get(stated, {stated})
    assert others == set(CHANGES) - excluded


@pytest.mark.anyio
async def test_a_perfect_reader_picks_by_yes_where_there_are_no_likelihoods(
    items: list[PairsItem], tmp_path: Path
) -> None:
    says = perfect([(item.request(), "[answer] Yes. [image]") for item in items], otherwise="[answer] No. [image]")
    figures = figures_of(Pairs(), await rows_of(Pairs(), items, says, tmp_path, info=NO_SCORES))
    assert figures == {ACCURACY: 1, CHOSE: 1, OF_THOSE: 1, YESES: 1}


@pytest.mark.anyio
async def test_the_likeliest_yes_wins_though_all_are_answered_yes(items: list[PairsItem], tmp_path: Path) -> None:
    right = sees(items)

    def surer(prompt: Prompt, completions: Sequence[str]) -> list[float]:
        """Sure of all three, and a little surer of the right one."""
        return [-1e-9 if shown(prompt) in right else -1e-6, -60.0]

    rows = await rows_of(Pairs(), items, lambda prompt: "[answer] Yes. [image]", tmp_path, score=surer)
    assert figures_of(Pairs(), rows) == {ACCURACY: 1, CHOSE: 1, OF_THOSE: 1, YESES: 3}


@pytest.mark.anyio
async def test_who_takes_the_wrong_pair_is_wrong(items: list[PairsItem], tmp_path: Path) -> None:
    says = perfect([(item.others[1](), "[answer] Yes. [image]") for item in items], otherwise="[answer] No. [image]")
    figures = figures_of(Pairs(), await rows_of(Pairs(), items, says, tmp_path, info=NO_SCORES))
    assert figures == {ACCURACY: 0, CHOSE: 1, OF_THOSE: 0, YESES: 1}


@pytest.mark.parametrize(
    ("says", "info", "yeses"),
    [
        ("[answer] Yes. [image]", NO_SCORES, 3),
        ("[answer] No. [image]", NO_SCORES, 0),
        ("[answer] Yes. [image]", INFO, 3),  # likelihoods, all alike
    ],
)
@pytest.mark.anyio
async def test_one_answer_to_all_is_no_choice(
    items: list[PairsItem], says: str, info: EngineInfo, yeses: int, tmp_path: Path
) -> None:
    figures = figures_of(Pairs(), await rows_of(Pairs(), items, lambda prompt: says, tmp_path, info=info))
    assert (figures[ACCURACY], figures[CHOSE], figures[YESES]) == (0, 0, yeses)
    assert figures[OF_THOSE] != figures[OF_THOSE]


@pytest.mark.anyio
async def test_who_abstains_makes_no_choice(items: list[Item], tmp_path: Path) -> None:
    figures = figures_of(Pairs(), await rows_of(Pairs(), items, abstains, tmp_path, info=NO_SCORES))
    assert (figures[ACCURACY], figures[CHOSE], figures[YESES]) == (0, 0, 0)
