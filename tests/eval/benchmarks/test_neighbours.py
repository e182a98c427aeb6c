"""Neighbours: who counts as near, what counts as the same, and what chance is."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from assistant.study import Pixels
from eval.benchmarks.folder import Entry
from eval.benchmarks.neighbours import (
    FIRST,
    OURS,
    SAME,
    SIDE,
    Neighbours,
    PhantomNeighbours,
    alike,
    as_pixels,
    findings_of,
    untrained,
)
from eval.exam.candidate import Candidate
from eval.exam.sitting import Journal, sit
from retrieval.encoders.base import Vectors
from tests.assistant.parts import make_assistant
from tests.eval.benchmarks.asking import figures_of
from tests.eval.benchmarks.folders import write_lines

QUERIES, CASES = 4, 16


def grey(number: int) -> int:
    """Ill ones are bright, and a little brighter each."""
    return (200 if number % 2 else 40) + number


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    data = tmp_path / "data"
    (data / "images").mkdir(parents=True)
    rows: list[dict[str, Any]] = []
    for number in range(QUERIES + CASES):
        noise = np.random.default_rng(number).integers(0, 3, (48, 48), np.uint8)
        Image.fromarray(noise + np.uint8(grey(number))).save(data / "images" / f"{number}.png")
        query = number < QUERIES
        rows.append({
            "id": f"i{number}", "image": f"images/{number}.png", "labels": ["mass"] if number % 2 else [],
            "patient": f"p{number}", "split": "val" if query else "train",
        })  # fmt: skip
    write_lines(data / "studies.jsonl", rows)
    return data


async def figures(benchmark: Neighbours, home: Path, bright: bool) -> dict[str, float]:
    """With an encoder that sees how bright a picture is, or one that sees nothing of it."""
    assistant = make_assistant(home, [""])

    def look(pictures: Sequence[Pixels]) -> Vectors:
        angles = np.array([float(p.mean()) / 300 if bright else (p.sum() * 7919 % 101) / 101 for p in pictures])
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)

    assistant.retriever.look = look  # type: ignore[method-assign]
    try:
        items = list(benchmark.items(100, 0))
        rows = await sit(benchmark, Candidate(assistant), items, Journal(home / "rows.jsonl", {}))
    finally:
        await assistant.close()
    return figures_of(benchmark, rows)


@pytest.mark.anyio
async def test_who_sees_what_the_picture_shows_finds_the_same(folder: Path, tmp_path: Path) -> None:
    seeing = await figures(Neighbours(folder), tmp_path / "seeing", True)
    assert seeing[f"{SAME}, {OURS}"] == seeing["of the way from chance to all"] == 1
    assert seeing[f"{SAME}, chance"] == 0.5
    blind = await figures(Neighbours(folder), tmp_path / "blind", False)
    assert blind[f"{SAME}, {OURS}"] < 1
    assert blind[f"{SAME}, in use − raw pixels"] == pytest.approx(
        blind[f"{SAME}, {OURS}"] - blind[f"{SAME}, raw pixels"]
    )
    assert np.isnan(blind[f"{SAME}, untrained"])  # a fake encoder has no architecture to make anew


def test_queries_are_held_out_and_cases_are_not(folder: Path) -> None:
    benchmark = Neighbours(folder)
    assert {item.id for item in benchmark.items(100, 0)} == {f"i{n}" for n in range(QUERIES)}
    assert {case.id for case in benchmark.cases()} == {f"i{n}" for n in range(QUERIES, QUERIES + CASES)}


@pytest.mark.anyio
async def test_without_a_split_every_other_patient_s_picture_may_be_near(folder: Path, tmp_path: Path) -> None:
    lines = (folder / "studies.jsonl").read_text().replace(', "split": "val"', "").replace(', "split": "train"', "")
    (folder / "studies.jsonl").write_text(lines.replace('"p3"', '"p1"'))
    benchmark, assistant = Neighbours(folder), make_assistant(tmp_path / "home", [""])
    assistant.retriever.look = as_pixels  # type: ignore[method-assign,assignment]
    item = next(item for item in benchmark.items(100, 0) if item.id == "i1")
    answer = benchmark.rank(assistant, item)[OURS]
    await assistant.close()
    assert len(benchmark.cases()) == QUERIES + CASES
    assert len(answer.retrieved) == FIRST
    assert not {"i1", "i3"} & set(answer.retrieved)


@pytest.mark.parametrize(
    ("row", "findings"),
    [
        ({"modality": "fundus", "grade": {"dr": 1}, "labels": ["x"]}, set()),
        ({"modality": "fundus", "grade": {"dr": 3}}, {"dr"}),
        ({"modality": "fundus", "grade": None, "labels": ["x"]}, None),
        ({"modality": "microscopy", "grade": {"platelets": 2}}, {"platelets"}),
        ({"modality": "mr", "labels": ["tumour"], "extra": {"location": "lower left"}}, {"left"}),
        ({"modality": "mr", "labels": ["tumour"], "extra": {"location": "upper centre"}}, {"neither half"}),
        ({"labels": ["mass", "nodule"]}, {"mass", "nodule"}),
        ({"labels": []}, set()),
        ({"labels": None}, None),
    ],
)
def test_what_counts_as_the_same_is_what_the_set_knows(row: dict[str, Any], findings: set[str] | None) -> None:
    assert findings_of(Entry("line 1", row)) == (None if findings is None else frozenset(findings))


def test_one_in_common_is_enough_and_nothing_is_like_nothing() -> None:
    none, one, two = frozenset[str](), frozenset({"a"}), frozenset({"a", "b"})
    assert [alike(one, two), alike(none, none), alike(none, one), alike(one, frozenset({"b"}))] == [1, 1, 0, 0]


def test_raw_pixels_know_nothing_of_brightness() -> None:
    dark = np.random.default_rng(0).integers(0, 100, (80, 64), np.uint8)
    vectors = as_pixels([dark, dark + 100, np.zeros((8, 8, 3), np.uint8)])
    assert vectors.shape == (3, SIDE * SIDE)
    assert vectors[0] @ vectors[1] == pytest.approx(1, abs=1e-3)
    assert not vectors[2].any()


def test_an_untrained_encoder_is_the_same_architecture_and_the_same_each_time() -> None:
    from retrieval.encoders import load_image_text

    look = untrained("pocket")
    assert look is not None
    pictures = [np.random.default_rng(n).integers(0, 256, (64, 64), np.uint8) for n in range(2)]
    trained = load_image_text("pocket")
    assert look(pictures).shape == trained.encode_images(pictures).shape
    untrained.cache_clear()
    again = untrained("pocket")
    assert again is not None
    assert np.allclose(look(pictures), again(pictures))
    assert not np.allclose(look(pictures), trained.encode_images(pictures), atol=0.1)
    assert untrained("org/some-model") is None


def test_phantoms_are_queries_of_held_out_families_over_cases_of_the_training_family() -> None:
    benchmark = PhantomNeighbours()
    assert {case.id.partition("-")[0] for case in benchmark.cases()} == {"train"}
    items = list(benchmark.items(12, 0))
    assert all(item.phantoms[0][0] != "train" for item in items)
    assert any(item.truth["findings"] for item in items)
