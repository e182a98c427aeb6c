"""Grounding: a map that points at the finding, one that points elsewhere, and none at all are told apart."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from assistant.engines.base import Prompt
from assistant.study import Picture
from eval.benchmarks.grounding import (
    GRID,
    MASK_SIZE,
    WHOLE,
    Grounding,
    GroundingItem,
    cells_of,
    chance,
    covered,
    heat_of,
    judged,
    named,
    region_of,
)  # fmt: skip
from eval.exam.benchmark import Answer
from tests.eval.benchmarks.asking import NO_SCORES, Says, Score, abstains, figures_of, rows_of, shown

POINTING = "model's map: pointing game"


def answered(items: Sequence[GroundingItem]) -> Says:
    truth = {item.request().study.pictures[0].sha256: item.truth for item in items}

    def says(prompt: Prompt) -> str:
        own = truth[shown(prompt)[0]]
        where = f"in the {own['side']} {own['zone']} zone" if own["zone"] else f"on the {own['side']} side"
        return f"[answer] It is {where}. [image]"

    return says


def seeing(items: Sequence[GroundingItem]) -> Score:
    """Yes is as likely as much of the finding is left uncovered."""
    known = []
    for item in items:
        pixels = item.request().study.pictures[0].pixels
        known.append((pixels, np.asarray(Image.fromarray(item.mask()).resize(pixels.shape[::-1]))))

    def score(prompt: Prompt, completions: Sequence[str]) -> list[float]:
        (picture,) = (p for message in prompt.messages for p in message.parts if isinstance(p, Picture))
        pixels, mask = min(known, key=lambda own: float((own[0] != picture.pixels).mean()))
        return [10 * float((pixels == picture.pixels)[mask].mean()), 0.0]

    return score


@pytest.mark.anyio
async def test_engines_with_known_faults(tmp_path: Path) -> None:
    benchmark = Grounding()
    items = list(benchmark.items(2, 0))
    rows = await rows_of(benchmark, items, answered(items), tmp_path / "perfect", score=seeing(items))
    found = figures_of(benchmark, rows)
    assert (found["named region: hit"], found["named a region"], found[POINTING]) == (1, 1, 1)
    assert found["model's map: IoU"] > found["maps: IoU of the whole lung fields"]
    assert 0 <= found["encoder's map: pointing game"] <= 1
    (panel,) = benchmark.draw(rows, tmp_path)
    assert panel.read_bytes().startswith(b"\x89PNG")

    flat = figures_of(benchmark, await rows_of(benchmark, items, abstains, tmp_path / "abstains"))
    assert (flat["named region: hit"], flat["named a region"], flat[POINTING], flat["model's map: IoU"]) == (0, 0, 0, 0)

    mute = await rows_of(benchmark, items[:1], abstains, tmp_path / "mute", info=NO_SCORES)
    assert math.isnan(figures_of(benchmark, mute)[POINTING])


def test_a_region_needs_one_side_and_the_zone_that_was_asked_for() -> None:
    assert named("It is in the left upper zone.") == ("left", "upper")
    assert named("On the right.") == ("right", None)
    assert named("Left or right, in the lower zone.") == (None, "lower")
    assert named("") == (None, None)
    zoned = next(item for item in Grounding().items(20, 0) if item.truth["zone"])
    zone, side = zoned.truth["zone"], zoned.truth["side"]
    other = "left" if side == "right" else "right"

    def hit(text: str) -> bool:
        said = Answer.model_validate(
            {"status": "answered", "text": text, "sentences": [{"section": "answer", "text": text, "support": "image"}]}
        )
        return bool(Grounding().score(zoned, {"where": said})["named_hit"])

    assert [hit(f"{side} {zone} zone"), hit(f"the {side} side"), hit(f"{other} {zone} zone")] == [True, False, False]


def test_zones_of_a_side_fill_its_lung_and_the_patients_right_is_on_the_left() -> None:
    whole = region_of("right", None)
    zones = [region_of("right", zone) for zone in ("upper", "middle", "lower")]
    assert zones[0][1] == whole[1]
    assert zones[2][3] == whole[3]
    assert [a[3] for a in zones[:2]] == [b[1] for b in zones[1:]]
    assert whole[2] < MASK_SIZE / 2 < region_of("left", None)[0]


def test_naming_the_truth_nearly_always_hits() -> None:
    """The standard lung fields fit the held-out families: otherwise the figure would have a low ceiling."""
    hits = []
    for item in Grounding().items(60, 0):
        y, x = np.argwhere(item.mask()).min(axis=0) / 2 + (np.argwhere(item.mask()).max(axis=0) + 1) / 2
        x0, y0, x1, y1 = region_of(item.truth["side"], item.truth["zone"])
        hits.append(x0 <= x < x1 and y0 <= y < y1)
    assert np.mean(hits) >= 0.95


def test_covering_hides_one_cell_at_a_time() -> None:
    pixels = np.arange(60 * 48, dtype=np.uint16).astype(np.uint8).reshape(60, 48) % 100 + 100
    pictures = dict(covered(pixels))
    assert len(pictures) == GRID * GRID + 1
    assert np.array_equal(pictures[WHOLE], pixels)
    changed = np.argwhere(pictures["5,0"] != pixels)
    assert changed.min(axis=0).tolist() == [50, 0]
    assert changed.max(axis=0).tolist() == [59, 7]


def test_a_map_is_judged_by_its_hottest_cells() -> None:
    mask = np.zeros((MASK_SIZE, MASK_SIZE), dtype=bool)
    side = MASK_SIZE // GRID
    mask[side : 2 * side, 2 * side : 3 * side] = True  # exactly the cell 1,2
    values = {WHOLE: 3.0, **{f"{r},{c}": 3.0 for r in range(GRID) for c in range(GRID)}}

    def heat(**lower: float) -> np.ndarray:
        told = values | {key[1:].replace("_", ","): value for key, value in lower.items()}
        return heat_of(Answer(status="answered", text="", likelihoods=told))

    assert judged(heat(c1_2=1.0), mask) == (True, 1.0)
    assert judged(heat(c1_2=1.0, c0_0=2.0), mask) == (True, 0.5)  # half as hot: of the region
    assert judged(heat(c1_2=1.0, c0_0=2.1), mask) == (True, 1.0)
    assert judged(heat(c4_4=1.0), mask) == (False, 0.0)
    assert judged(heat(), mask) == judged(heat(c1_2=4.0), mask) == (False, 0.0)
    assert cells_of(mask).sum() == 1


def test_chance_is_the_share_of_the_lung_fields() -> None:
    x0, y0, x1, y1 = (round(edge) for edge in region_of("left", "upper"))
    mask = np.zeros((MASK_SIZE, MASK_SIZE), dtype=bool)
    mask[y0:y1, x0:x1] = True
    heights, widths = 0.81 - 0.18, (0.445 - 0.15) + (0.85 - 0.565)
    share = (0.365 - 0.18) * (0.85 - 0.565) / (heights * widths)
    assert chance(mask)["chance_iou"] == pytest.approx(share, abs=0.01)
    assert chance(~mask & False)["chance_hit"] == 0
