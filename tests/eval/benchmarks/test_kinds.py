"""Kinds of image: which are asked, what counts as known, and that a crop stays a crop."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.study import Pixels
from eval.benchmarks import kinds
from eval.benchmarks.kinds import AUROC, CROPS, PHOTOGRAPHS, PIXELS, SIDE, Kinds, cropped
from eval.exam.benchmark import Row
from eval.exam.candidate import Candidate
from eval.exam.sitting import Journal, sit
from retrieval.domain import Domains
from retrieval.errors import BadInput, Misconfigured
from tests.assistant.parts import make_assistant
from tests.eval.benchmarks.asking import figures_of
from tests.eval.benchmarks.folders import write_lines, write_picture

PARTS: dict[str, list[dict[str, Any]]] = {
    "chest": [{"modality": "xray", "body_part": "chest", "split": split} for split in ("train", "val", "test")],
    "sound": [{"modality": "ultrasound", "body_part": "breast"}] * 2,
    "knees": [{"modality": "mr", "body_part": "knee"}, {"modality": "mr", "body_part": "knee", "domain": "knee_mri"}],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for part, rows in PARTS.items():
        lines = [row | {"id": f"{n}", "image": f"images/{n}.png"} for n, row in enumerate(rows)]
        for n in range(len(rows)):
            write_picture(tmp_path / "data" / part / "images" / f"{n}.png", n)
        write_lines(tmp_path / "data" / part / "studies.jsonl", lines)
    return tmp_path / "data"


async def rows(folder: Path, home: Path, known: tuple[str, ...], sees: dict[str, str]) -> list[Row]:
    """With an encoder that takes a picture for what `sees` says of its kind."""
    benchmark = Kinds(folder)
    items = [item for item in benchmark.items(100, 0) if item.truth["kind"] in sees]
    means = np.eye(len(known) + 1, dtype=np.float32)
    domains = Domains(known, means[:-1], np.full(len(known), 0.5, np.float32), 0.1)
    told = {item.request().study.pictures[0].sha256: sees[item.truth["kind"]] for item in items}
    assistant = make_assistant(home, [""], domains=domains)

    def look(pictures: list[Pixels]) -> np.ndarray:
        from assistant.study import Picture

        wanted = told[Picture(pictures[0]).sha256]
        return means[[known.index(wanted) if wanted in known else -1]]

    assistant.retriever.look = look  # type: ignore[method-assign,assignment]
    try:
        return await sit(benchmark, Candidate(assistant), items, Journal(home / "rows.jsonl", {}))
    finally:
        await assistant.close()


def test_held_out_lines_of_all_parts_are_shown_and_kinds_that_cannot_be_told_are_not(folder: Path) -> None:
    items = list(Kinds(folder).items(1000, 0))
    told = sorted((item.groups["part"], item.truth["kind"]) for item in items if item.groups["part"] != "photographs")
    assert told == [("chest", "chest_xray")] * 2 + [("knees", "knee_mri")] + [("sound", "ultrasound")] * 2
    photographs = [item for item in items if item.groups["part"] == "photographs"]
    assert len(photographs) == CROPS * (len(PHOTOGRAPHS) + 2)
    assert len({item.cluster for item in photographs}) == len(PHOTOGRAPHS) + 2
    first = [item.truth["kind"] for item in Kinds(folder).items(4, 0)]
    assert len(set(first)) == 4  # few are spread over the kinds


@pytest.mark.anyio
async def test_figures_of_an_encoder_whose_faults_are_known(folder: Path, tmp_path: Path) -> None:
    sees = {"chest_xray": "chest_xray", "ultrasound": "none", "knee_mri": "none"}
    figures = figures_of(Kinds(folder), await rows(folder, tmp_path / "a", ("chest_xray", "fundus"), sees))
    assert figures["kind right, of known kinds"] == figures[AUROC] == figures["told to be none, of unknown kinds"] == 1
    sees = {"chest_xray": "fundus", "ultrasound": "chest_xray", "knee_mri": "knee_mri"}
    names = ("chest_xray", "fundus", "knee_mri")
    figures = figures_of(Kinds(folder), await rows(folder, tmp_path / "b", names, sees))
    assert figures["kind right, of known kinds"] == pytest.approx(1 / 3)
    assert figures["the same, mean over kinds"] == 0.5
    assert figures["told to be none, of unknown kinds"] == 0
    assert figures[AUROC] == 0.5


def test_what_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"holds no studies.jsonl"):
        list(Kinds(tmp_path).items(1, 0))
    assistant = make_assistant(tmp_path / "home", [""])
    with pytest.raises(Misconfigured, match="consult domains fit"):
        kinds.identified(assistant, np.zeros((8, 8), np.uint8))


@given(st.integers(1, 700), st.integers(1, 700), st.booleans(), st.integers(0, 99))
def test_a_crop_keeps_kind_and_shape_of_the_picture(height: int, width: int, colour: bool, seed: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3) if colour else (height, width), np.uint8)
    made = cropped(pixels, np.random.default_rng(seed))
    assert made.dtype == np.uint8
    assert made.ndim == pixels.ndim
    assert PIXELS[0] <= max(made.shape[:2]) <= PIXELS[1]
    if min(height, width) > 50:
        ratio = made.shape[0] / made.shape[1] * width / height
        assert 0.9 * SIDE[0] < ratio < 1.1 / SIDE[0]
