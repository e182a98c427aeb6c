"""What a tower is told of a picture stays true when the picture is changed."""

import numpy as np
import pytest
import torch

from finetune.pocket.augment import Change, changed
from finetune.pocket.phantoms import GRID
from finetune.pocket.pictures import real_set
from finetune.pocket.targets import FAULT_TARGETS, NAMES, PLACES, of_phantom
from finetune.pocket.vision import Pictures, readers, seeing_loss
from tests.finetune.pocket.parts import phantoms, write_sources

AT = {name: n for n, name in enumerate(NAMES)}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Pictures:
    real = real_set(write_sources(tmp_path_factory.mktemp("sources")), 224)
    return Pictures(phantoms(), real, 64, np.random.default_rng(0))


def test_targets_are_what_the_phantom_shows() -> None:
    for facts in phantoms().facts:
        targets = of_phantom(facts)
        for finding in facts["findings"]:
            assert targets[AT[finding["kind"]]] == 1
            assert targets[AT[f"{finding['grade']} {finding['kind']}"]] == 1
            if finding["side"] and facts["view"] != "LATERAL":
                assert targets[AT[f"{finding['side']} {finding['kind']}"]] == 1
        assert np.nansum(targets[[AT[f"{grade} nodule"] for grade in ("small", "moderate", "large")]]) <= 1
        assert np.isnan(targets[AT["real any finding"]])


def test_places_lie_where_the_findings_boxes_are() -> None:
    seen = 0
    for facts, places in zip(phantoms().facts, phantoms().places, strict=True):
        for finding in facts["findings"]:
            x0, y0, x1, y1 = (value / 256 * GRID for value in finding["box"])
            rows, columns = np.nonzero(places[PLACES.index(finding["kind"])])
            if len(rows):
                seen += 1
                assert np.floor(x0) - 0.01 <= columns.min()
                assert columns.max() <= np.ceil(x1)
                assert np.floor(y0) - 0.01 <= rows.min()
                assert rows.max() <= np.ceil(y1)
    assert seen > 15


@pytest.mark.parametrize("change", [Change(True), Change(False), Change(True, free=True)])
def test_a_picture_and_its_map_move_alike(change: Change) -> None:
    square = torch.zeros(1, 3, 224, 224)
    square[:, :, 64:128, 96:160] = 1
    coarse = torch.nn.functional.adaptive_avg_pool2d(square[:, :1], GRID)
    rng = np.random.default_rng(3)
    for _ in range(10):
        seen, places = changed(square, coarse, [change], 224, rng)
        bright = torch.nn.functional.adaptive_avg_pool2d((seen[:, :1] > 0.55).float(), GRID)
        weights = torch.arange(GRID).float()
        for axis in (2, 3):
            one, other = ((mass.sum(axis) * weights).sum() / mass.sum() for mass in (bright[:, 0:1], places))
            assert abs(float(one - other)) < 0.7


def test_a_strong_change_says_nothing_of_faults(pictures: Pictures) -> None:
    faults = [bool(facts["fault"]) for facts in pictures.phantoms.facts]
    good, spoilt = faults.index(False), faults.index(True)
    rows = [pictures.phantom(good, strong=True), pictures.phantom(good, strong=False), pictures.phantom(spoilt, True)]
    batch = pictures.batch(rows)
    assert batch.targets[0, FAULT_TARGETS].isnan().all()
    assert not batch.targets[1:, FAULT_TARGETS].isnan().any()
    assert not rows[2].change.strong


def test_the_half_of_a_tumour_follows_its_picture(pictures: Pictures) -> None:
    assert pictures.real is not None
    brain = pictures.real.sources.index("brain_mri")
    gentle = pictures.batch([pictures.real_one(brain, gentle=True)]).targets[0]
    assert gentle[[AT["tumour left"], AT["tumour up"]]].tolist() == [1, 1]
    turned = {
        tuple(pictures.batch([pictures.real_one(brain)]).targets[0, [AT["tumour left"], AT["tumour up"]]].tolist())
        for _ in range(40)
    }
    assert {(1, 1), (0, 0), (0, 1), (1, 0)} <= turned


def test_what_is_not_known_is_not_learnt(pictures: Pictures) -> None:
    batch = pictures.draw(12)
    told = torch.zeros(12, len(NAMES), requires_grad=True)
    mapped = torch.zeros(12, len(PLACES), 7, 7, requires_grad=True)
    seeing_loss((told, mapped), batch).backward()
    assert told.grad is not None
    assert mapped.grad is not None
    assert (told.grad[batch.targets.isnan()] == 0).all()
    assert (mapped.grad[batch.marked == 0] == 0).all()
    assert (told.grad[~batch.targets.isnan()] != 0).all()


def test_a_map_is_read_from_each_token_alone() -> None:
    seen = torch.zeros(1, 49, 8)
    read = readers(8, 49)
    seen[0, 7 * 2 + 3] = 1.0  # row 2, column 3
    with torch.no_grad():
        moved = (read(seen)[1] - read(torch.zeros(1, 49, 8))[1]).abs().sum(1)[0]
    assert {tuple(cell) for cell in moved.nonzero().tolist()} == {(r, c) for r in (4, 5) for c in (6, 7)}
