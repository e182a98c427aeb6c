"""Yes/no questions about real pictures: who is asked what, and films compared within their own view."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from assistant.engines.base import Prompt
from eval.benchmarks.picture_yes_no import WITHIN, BloodPlatelets, FundusReferable, NihAny, PictureYesNo
from retrieval.errors import BadInput
from tests.eval.benchmarks.asking import figures_of, perfect, rows_of, shown
from tests.eval.benchmarks.folders import write_lines, write_picture

FILMS: list[dict[str, Any]] = [
    {"id": f"f{n}", "image": f"images/f{n}.png", "patient": f"p{n}", "labels": labels, "view": view}
    for n, (labels, view) in enumerate([(["mass"], "AP"), ([], "AP"), (["mass"], "PA"), ([], "PA"), (["mass"], "AP")])
]


def written(folder: Path, rows: list[dict[str, Any]]) -> Path:
    for n, row in enumerate(rows):
        write_picture(folder / str(row["image"]), n)
    write_lines(folder / "studies.jsonl", rows)
    return folder


def graded(grades: Sequence[dict[str, int] | None]) -> list[dict[str, Any]]:
    return [{"id": f"i{n}", "image": f"images/{n}.png", "grade": grade} for n, grade in enumerate(grades)]


@pytest.mark.parametrize(
    ("made", "grades", "answers"),
    [
        (FundusReferable, [{"dr": 0}, {"dr": 1}, {"dr": 2}, {"dr": 4}, None], [False, False, True, True]),
        (BloodPlatelets, [{"platelets": 0}, {"platelets": 3}, {"red_blood_cells": 9}], [False, True]),
    ],
)
def test_what_the_grade_says_is_asked_and_what_is_unknown_is_not(
    made: type[PictureYesNo], grades: list[dict[str, int] | None], answers: list[bool], tmp_path: Path
) -> None:
    items = sorted(made(written(tmp_path, graded(grades))).items(100, 0), key=lambda item: item.id)
    assert [item.truth["answer"] for item in items] == answers
    for item in items:
        assert item.other().study.pictures[0].sha256 != item.request().study.pictures[0].sha256  # type: ignore[attr-defined]


def test_without_a_folder_it_says_what_is_wanted() -> None:
    with pytest.raises(BadInput, match="add --data fundus-referable=FOLDER"):
        list(FundusReferable().items(1, 0))


@pytest.mark.anyio
async def test_films_are_compared_with_those_of_their_view(tmp_path: Path) -> None:
    """Whoever only tells the views apart gets nothing of it; whoever sees is perfect."""
    benchmark = NihAny(written(tmp_path / "data", FILMS))
    items = list(benchmark.items(100, 0))
    pictures = {item.request().study.pictures[0].sha256: item.truth for item in items}
    said = [(item.request(), f"[answer] {'Yes' if item.truth['answer'] else 'No'}. [image]") for item in items]

    def by_view(prompt: Prompt, completions: Sequence[str]) -> list[float]:
        return [-0.1 if pictures[shown(prompt)[0]]["like"] == "AP" else -3.0, -1.0]

    def seeing(prompt: Prompt, completions: Sequence[str]) -> list[float]:
        return [-0.1 if pictures[shown(prompt)[0]]["answer"] else -3.0, -1.0]

    rows = await rows_of(benchmark, items, perfect(said), tmp_path / "a", score=by_view)
    figures = figures_of(benchmark, rows)
    assert (figures[WITHIN], figures["balanced accuracy"]) == (0.5, 1)
    assert figures["AUROC, yes against no"] > 0.5  # the view alone says something
    rows = await rows_of(benchmark, items, perfect(said), tmp_path / "b", score=seeing)
    assert figures_of(benchmark, rows)[WITHIN] == 1
