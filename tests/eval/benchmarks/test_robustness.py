"""Robustness: what a model loses on corrupted pictures, and only that."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eval.benchmarks.closed import ClosedItem
from eval.benchmarks.pairs import PairsItem
from eval.benchmarks.robustness import Robustness, corrupted
from eval.corruptions import KINDS
from eval.exam.benchmark import Row, Scores
from eval.exam.registry import find
from tests.eval.benchmarks.asking import abstains, figures_of, rows_of
from tests.eval.fakes import FAKES, ITEMS, Small, ask, picture


def small() -> Robustness:
    """Of two kinds: each gets four of the eight items."""
    benchmark = Robustness(Small())
    benchmark.kinds = ("brightness down", "jpeg compression")
    return benchmark


def ladder(kind: str, truth: bool, *said: bool | None) -> Scores:
    """Answers to the clean picture and at severities 1 to 5."""
    return {"kind": kind, "ladder": [{"truth": truth, "said": one} for one in said]}


@pytest.mark.parametrize(
    ("fake", "clean", "under", "cost"),
    [
        ("always yes", 0.5, 0.5, 0.0),
        ("always abstains", 0.0, 0.0, 0.0),
        ("perfect", 1.0, 0.5, 0.5),  # it knows clean pictures by their hash, and says no to all others
    ],
)
@pytest.mark.anyio
async def test_figures_tell_what_corruption_costs(
    fake: str, clean: float, under: float, cost: float, tmp_path: Path
) -> None:
    benchmark = small()
    rows = await rows_of(benchmark, list(benchmark.items(ITEMS, 0)), FAKES.get(fake, abstains), tmp_path)
    found = figures_of(benchmark, rows)
    assert all(len({a.pictures for c, a in row.answers.items() if c.endswith(": with")}) == 6 for row in rows)
    assert found["balanced accuracy, clean"] == clean
    assert found[benchmark.headline] == found["balanced accuracy, severity 3"] == under
    measured = [found[f"balanced accuracy, {kind}"] for kind in benchmark.kinds]
    assert measured == pytest.approx([under] * 2)
    assert found["mean cost of corruption"] == pytest.approx(cost)


def test_errors_against_a_baseline_agree_with_a_hand_computed_case() -> None:
    benchmark = small()
    kind = benchmark.kinds[0]
    ours = [ladder(kind, True, True, True, True, False, False, False), ladder(kind, False, *[False] * 6)]
    theirs = [ladder(kind, True, True, *[False] * 5), ladder(kind, False, False, *[True] * 5)]
    assert benchmark.errors(ours) == {kind: [0, 0, 0, 0.5, 0.5, 0.5]}
    assert benchmark.mean_error(ours) == pytest.approx(0.3)
    assert benchmark.mean_cost(ours) == pytest.approx(0.3)
    # 1.5 of 5 errors, on either measure: neither errs on clean pictures.
    assert benchmark.against(ours, theirs) == pytest.approx((0.3, 0.3))
    late = [ladder(kind, True, False, *[False] * 5), ladder(kind, False, *[False] * 6)]
    # Always half wrong: 2.5 of 5 errors, but none of them comes from the corruption.
    assert benchmark.against(late, theirs) == pytest.approx((0.5, 0.0))


def test_what_cannot_be_measured_is_left_out() -> None:
    benchmark = small()
    one_class = [ladder(benchmark.kinds[1], True, *[True] * 6)]
    assert math.isnan(benchmark.mean_error(one_class))
    both = [*one_class, ladder(benchmark.kinds[0], True, *[True] * 6), ladder(benchmark.kinds[0], False, *[False] * 6)]
    assert benchmark.mean_error(both) == 0


def test_every_kind_has_the_same_share_of_the_items_and_no_fixed_place() -> None:
    benchmark = Robustness(Small())
    rounds = benchmark._rounds(0)
    first, second = ([next(rounds) for _ in KINDS["chest_xray"]] for _ in range(2))
    assert sorted(first) == sorted(second) == sorted(KINDS["chest_xray"])
    assert first != second
    kinds = [[item.groups["corruption"] for item in benchmark.items(8, seed)] for seed in (0, 0, 1)]
    assert kinds[0] == kinds[1] != kinds[2]


def test_all_that_an_item_shows_is_corrupted_and_nothing_else() -> None:
    show: dict[str, Any] = {"id": "1", "truth": {"answer": True}, "request": lambda: ask(picture(0, ill=True))}
    closed = ClosedItem(**show, other=lambda: ask(picture(1, ill=False)))
    assert corrupted(closed, "pixelate", 0) is closed
    changed = corrupted(closed, "pixelate", 3)
    assert isinstance(changed, ClosedItem)
    for before, after in ((closed.request, changed.request), (closed.other, changed.other)):
        old, new = before().study.pictures[0], after().study.pictures[0]
        assert new.sha256 != old.sha256
        assert (new.pixels != old.pixels).any()
        assert (new.view, new.orientation) == (old.view, old.orientation)
        assert np.array_equal(after().study.pictures[0].pixels, new.pixels)
    assert changed.truth == closed.truth
    several = corrupted(PairsItem(**show, others=(show["request"],)), "pixelate", 5)
    assert isinstance(several, PairsItem)
    assert several.others[0]().study.pictures[0].sha256 == several.request().study.pictures[0].sha256


def test_it_is_found_by_its_name_and_draws_its_curves(tmp_path: Path) -> None:
    benchmark = find("robustness:vqa-closed")
    assert (benchmark.name, benchmark.headline) == ("robustness:vqa-closed", "balanced accuracy, corrupted")
    assert benchmark.headline in benchmark.figures
    kind = KINDS["chest_xray"][0]
    rows = [Row(id=str(n), scores=ladder(kind, n == 0, *[True] * 6)) for n in range(2)]
    (drawn,) = benchmark.draw(rows, tmp_path)
    assert drawn.read_bytes().startswith(b"\x89PNG")
    assert benchmark.draw([], tmp_path) == []
