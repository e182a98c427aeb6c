"""The better of two pictures: a fixed preference is no judgement."""

from itertools import islice
from pathlib import Path

import pytest

from eval.benchmarks.quality_comparison import CHOICES, QualityComparison, couples
from eval.exam.benchmark import Item
from eval.phantoms.faults import FAULTS
from tests.eval.benchmarks.asking import Says, abstains, figures_of, rows_of, shown

N = 4
BOTH = "right in both orders (chance .25)"


def knowing(items: list[Item]) -> Says:
    better = {item.request().study.pictures[0].sha256 for item in items}
    return lambda prompt: f"[answer] {CHOICES[0 if shown(prompt)[0] in better else 1]} one is better. [image]"


@pytest.mark.anyio
async def test_engines_with_known_faults(tmp_path: Path) -> None:
    items = list(QualityComparison().items(N, 0))
    engines: dict[str, Says] = {
        "perfect": knowing(items),
        "first": lambda prompt: "[answer] The first picture. [image]",
        "abstains": abstains,
    }
    expected = {"perfect": (1, 1, 1, 0.5), "first": (0.5, 0, 1, 1), "abstains": (0, 0, 0, 0)}
    for name, says in engines.items():
        found = figures_of(QualityComparison(), await rows_of(QualityComparison(), items, says, tmp_path / name))
        told = (found["accuracy (chance .50)"], found[BOTH], found["answered"], found["chose the first (half is fair)"])
        assert told == expected[name]
        assert found["accuracy, coarse"] == found["accuracy, fine"] == expected[name][0]


def test_pairs_are_as_far_apart_as_their_level_says() -> None:
    drawn = list(islice(couples(0), 2 * len(FAULTS)))
    coarse, fine = drawn[::2], drawn[1::2]
    assert all(a.kind != b.kind and (a.grade, b.grade) == (1, 3) for a, b in coarse)
    assert all(a.kind == b.kind and b.grade == a.grade + 1 for a, b in fine)
    assert {a.kind for a, _ in fine} == set(FAULTS)


def test_both_pictures_show_the_same_person() -> None:
    item = next(QualityComparison().items(1, 0))
    one, two = item.request().study.pictures
    assert one.sha256 != two.sha256
    assert one.pixels.shape == two.pixels.shape
    assert (one.view, one.orientation, one.spacing_mm) == (two.view, two.orientation, two.spacing_mm)
    assert len(item.phantoms) == 1
