"""Pointing: maps that peak in the finding, that peak elsewhere, and that peak nowhere are told apart."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eval.benchmarks import pointing
from eval.benchmarks.pointing import BrainPointing, FundusPointing, NihPointing, Pointing, PointingItem
from eval.exam.benchmark import Answer
from eval.exam.candidate import Candidate
from retrieval.encoders.fake import FakeImageTextEncoder
from retrieval.encoders.patches import Patches
from retrieval.errors import BadInput
from tests.assistant.parts import make_assistant
from tests.eval.benchmarks.asking import abstains, figures_of, rows_of
from tests.eval.benchmarks.folders import write_lines, write_picture

CELLS = 64


@pytest.fixture(autouse=True)
def small() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pointing, "SIZE", 128)
        pointing._rendered.cache_clear()
        yield
    pointing._rendered.cache_clear()


class Knows(FakeImageTextEncoder):
    """Its cells are like every text where `where` (a mask) is."""

    sees_places = True

    def __init__(self, where: np.ndarray) -> None:
        super().__init__()
        self.where = where

    def encode_texts(self, texts: list[str]) -> np.ndarray:  # type: ignore[override]
        return np.tile(np.eye(self.dim, dtype=np.float32)[0], (len(texts), 1))

    def encode_patches(self, images: list[np.ndarray]) -> list[Patches]:
        cells = np.zeros((CELLS, CELLS, self.dim), np.float32)
        height, width = images[0].shape[:2]
        rows, columns = (((np.arange(CELLS) + 0.5) * side / CELLS).astype(int) for side in (height, width))
        hot = self.where[np.ix_(rows, columns)]
        cells[..., 0], cells[..., 1] = hot, ~hot
        return [Patches(cells, (0, 0, width, height))]


async def scored(benchmark: Pointing, item: PointingItem, where: np.ndarray, home: Path) -> dict[str, float]:
    assistant = make_assistant(home, abstains)
    assistant.retriever.encoders = replace(assistant.retriever.encoders, image_text=Knows(where))
    try:
        answers = await benchmark.sit(Candidate(assistant), item)
    finally:
        await assistant.close()
    return benchmark.score(item, answers)


@pytest.mark.anyio
async def test_maps_with_known_faults(tmp_path: Path) -> None:
    benchmark = Pointing()
    item = next(i for i in benchmark.items(80, 0) if i.truth["finding"] == "consolidation")
    mask = item.mask()
    right = await scored(benchmark, item, mask, tmp_path / "right")
    assert (right["hit"], right["nearby"], right["shown"], right["hit_shown"]) == (True, True, True, True)
    assert right["iou"] > 0.7
    assert right["half_shown"] is False
    assert right["chance"] == pytest.approx(mask.mean())
    assert right["chance_nearby"] > right["chance"]
    wrong = await scored(benchmark, item, mask[:, ::-1], tmp_path / "wrong")
    assert (wrong["hit"], wrong["half_shown"]) == (False, True)
    flat = await scored(benchmark, item, np.zeros_like(mask), tmp_path / "flat")
    assert (flat["shown"], flat["hit_shown"], flat["half_shown"]) == (False, None, None)
    figures = figures_of_scores(benchmark, [right, wrong, flat])
    assert figures["pointing game of what is shown"] == 0.5
    assert figures["above chance"] == pytest.approx(figures["pointing game"] - figures["by chance"])


def figures_of_scores(benchmark: Pointing, scores: list[dict[str, float]]) -> dict[str, float]:
    return {name: figure(scores) for name, figure in benchmark.figures.items()}


def test_nearby_is_within_fifteen_of_512_pixels() -> None:
    item = next(i for i in Pointing().items(80, 0) if i.truth["finding"] == "consolidation")
    rows, columns = np.nonzero(item.mask())
    left = int(columns.min())
    row = int(rows[columns == left][0])
    for away, near in ((3, True), (5, False)):  # of 128 pixels: 3.75
        told = {"x": left - away, "y": row, "x0": 0, "y0": 0, "x1": 1, "y1": 1, "clear": 0, "enough": 1}
        asked = {"asked": Answer(status="answered", text="", likelihoods=told)}
        scores = Pointing().score(item, asked)
        assert (scores["hit"], scores["nearby"]) == (False, near)


@pytest.mark.anyio
async def test_an_encoder_that_cannot_tell_is_no_zero(tmp_path: Path) -> None:
    benchmark = Pointing()
    (row,) = await rows_of(benchmark, list(benchmark.items(1, 0)), abstains, tmp_path)
    assert row.error is not None
    assert "does not tell where" in row.error
    assert figures_of(benchmark, []).keys() == benchmark.figures.keys()


def test_items_repeat_and_point_at_what_the_sentence_says() -> None:
    first, again = (list(Pointing().items(6, 0)) for _ in range(2))
    assert [i.id for i in first] == [i.id for i in again]
    for item in first:
        assert item.mask().any()
        assert item.request().question == item.truth["sentence"]  # type: ignore[attr-defined]
        assert {family for family, _ in item.phantoms} <= set(pointing_families())


def pointing_families() -> tuple[str, ...]:
    from eval.phantoms import EXAM_FAMILIES

    return EXAM_FAMILIES


def lines(folder: Path) -> None:
    write_picture(folder / "images" / "a.png")
    for name, where in (("one", (0, 10)), ("two", (20, 30))):
        mask = np.zeros((256, 256), bool)
        mask[where[0] : where[1], :10] = True
        Image.fromarray(mask).save(folder / f"{name}.png")


def test_real_sets_are_read_by_their_masks_and_boxes(tmp_path: Path) -> None:
    lines(tmp_path)
    common = {"image": "images/a.png", "width": 256, "height": 256}
    box = [{"label": "effusion", "xyxy": [0, 0, 10, 10]}, {"label": "effusion", "xyxy": [0, 20, 10, 30]}]
    rows = [
        {"id": "a", "mask": "one.png", "boxes": box, "split": "val"} | common,
        {"id": "b", "mask": "two.png", "split": "train"} | common,
        {"id": "c", "mask": None, "boxes": None, "split": "val"} | common,
    ]
    write_lines(tmp_path / "studies.jsonl", rows)
    (brain,) = BrainPointing(tmp_path).items(9, 0)
    assert (brain.id, int(brain.mask().sum())) == ("a-tumour", 100)
    (nih,) = NihPointing(tmp_path).items(9, 0)
    assert (nih.truth["sentence"], int(nih.mask().sum())) == ("There is a pleural effusion.", 200)
    masks = {"haemorrhage": "one.png", "hard_exudate": "two.png", "optic_disc": "one.png"}
    write_lines(tmp_path / "studies.jsonl", [{"id": "f", "mask": masks} | common])
    assert {item.truth["finding"]: int(item.mask().sum()) for item in FundusPointing(tmp_path).items(9, 0)} == {
        "haemorrhage": 100, "hard_exudate": 100, "any lesion": 200,
    }  # fmt: skip
    (tmp_path / "one.png").unlink()
    with pytest.raises(BadInput, match="can't be read"):
        next(iter(FundusPointing(tmp_path).items(9, 0))).mask()
