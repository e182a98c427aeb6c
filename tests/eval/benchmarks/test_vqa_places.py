"""Side, zone and size: openly and as a choice, in two wordings, each by itself."""

from pathlib import Path

import pytest

from eval.benchmarks import phantom_items
from eval.benchmarks.vqa_places import Places
from tests.eval.benchmarks.asking import abstains, figures_of, perfect, rows_of, small_films

ITEMS = list(Places().items(80, 0))


def test_every_slot_is_asked_both_ways_in_both_wordings() -> None:
    seen = {(item.truth["kind"], item.groups["asked"], item.groups["wording"]) for item in ITEMS}
    assert len(seen) == 3 * 2 * 2
    assert len({item.id for item in ITEMS}) == len(ITEMS)
    for item in ITEMS:
        assert item.truth["value"] in (item.truth["choices"] or ("left", "right", "upper", "middle", "lower",
                                                                  "small", "moderate", "large"))  # fmt: skip


@pytest.mark.anyio
async def test_a_perfect_reader_is_perfect_and_one_that_errs_in_zones_is_told_so(tmp_path: Path) -> None:
    with small_films(phantom_items):
        items = ITEMS[:12]
        asked = [(item.request(), f"[answer] {item.truth['answer'].rstrip('.')}. [image]") for item in items]
        figures = figures_of(Places(), await rows_of(Places(), items, perfect(asked), tmp_path / "good"))
        assert {value for value in figures.values() if value == value} == {1.0}
        wrong = {"upper": "lower", "middle": "upper", "lower": "middle"}
        asked = [
            (item.request(), f"[answer] It is {wrong.get(item.truth['value'], item.truth['value'])}. [image]")
            for item in items
        ]
        figures = figures_of(Places(), await rows_of(Places(), items, perfect(asked), tmp_path / "bad"))
        assert (figures["side right"], figures["zone right"], figures["size grade right"]) == (1, 0, 1)
        rows = await rows_of(Places(), items[:2], abstains, tmp_path / "none")
        assert figures_of(Places(), rows)["answered"] == 0
