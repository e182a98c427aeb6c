"""The lateral view: the same person and findings, seen from the side."""

from __future__ import annotations

import numpy as np
import pytest

from eval.phantoms import FAMILIES, FINDINGS, FindingSpec, Phantom, make_phantom
from eval.phantoms.findings import GRADES, box_of

VISIBLE = [kind for kind in FINDINGS if kind != "pneumothorax"]


def lateral(seed: int, *specs: FindingSpec, size: int = 128) -> Phantom:
    return make_phantom(seed, size=size, view="LATERAL", findings=specs)


@pytest.mark.parametrize("family", FAMILIES)
def test_it_is_the_same_person_and_the_same_bytes_each_time(family: str) -> None:
    frontal, one, two = (make_phantom(4, size=96, family=family, view=view) for view in ("PA", "LATERAL", "LATERAL"))
    assert one.pixels.tobytes() == two.pixels.tobytes()
    assert one.view == "LATERAL"
    assert (one.sex, one.age, one.ctr) == (frontal.sex, frontal.age, frontal.ctr)
    assert [(f.kind, f.side, f.zone, f.grade, f.size_mm) for f in one.findings] == [
        (f.kind, f.side, f.zone, f.grade, f.size_mm) for f in frontal.findings
    ]
    assert [d.note for d in one.devices] == [d.note for d in frontal.devices]
    assert one.id == frontal.id + "-lateral"
    assert one.distractors == ()


@pytest.mark.parametrize("seed", range(4))
def test_it_looks_like_a_chest_from_the_side(seed: int) -> None:
    """Air around, dark lung behind the heart, bright spine behind the lung, bright belly under it."""
    picture = lateral(seed).pixels.astype(float)
    assert picture[40:90, :4].max() < 40.0
    behind_heart, heart, belly = picture[70:80, 74:80], picture[70:80, 48:58], picture[120:, 50:70]
    assert behind_heart.mean() + 25.0 < heart.mean()
    assert behind_heart.mean() + 90.0 < belly.mean()
    spine = picture[60:75, 84:92].mean()
    assert behind_heart.mean() + 25.0 < spine


@pytest.mark.parametrize("kind", VISIBLE)
@pytest.mark.parametrize("grade", GRADES)
def test_findings_show_inside_their_masks(kind: str, grade: str) -> None:
    for seed in range(3):
        phantom = lateral(seed, FindingSpec(kind, grade=grade))  # type: ignore[arg-type]
        change = phantom.pixels.astype(float) - lateral(seed).pixels
        mask = phantom.masks[kind]
        assert phantom.findings[0].box == box_of(mask)
        assert change[mask].mean() > 2.5
        assert abs(change[mask]).mean() > 3.0 * abs(change[~mask]).mean()


def test_a_pneumothorax_does_not_show_and_is_not_told() -> None:
    phantom = lateral(1, FindingSpec("pneumothorax", grade="large"))
    assert phantom.findings[0].box == (0, 0, 0, 0)
    assert not phantom.masks["pneumothorax"].any()
    assert phantom.shown == ()
    assert phantom.pixels.tobytes() == lateral(1).pixels.tobytes()
    assert "pneumothorax." not in phantom.report.impression


def test_fluid_gathers_behind() -> None:
    for seed in range(3):
        change = lateral(seed, FindingSpec("effusion", grade="moderate")).pixels.astype(float) - lateral(seed).pixels
        rows, columns = np.nonzero(change > 15.0)
        assert rows.mean() > 80
        assert (columns > 64).mean() > 0.4


@pytest.mark.parametrize("zone", ["upper", "middle", "lower"])
def test_a_nodule_lies_at_the_height_of_the_frontal_view(zone: str) -> None:
    spec = FindingSpec("nodule", "left", zone, size_mm=24.0)  # type: ignore[arg-type]
    heights = []
    for view in ("PA", "LATERAL"):
        phantom = make_phantom(2, size=256, view=view, findings=[spec])
        _, y0, _, y1 = phantom.findings[0].box
        assert (y1 - y0) * phantom.spacing_mm == pytest.approx(24.0, abs=3.0)
        middle = (y0 + y1) / 2 - 128  # both films are centred on the same level
        heights.append(middle * phantom.spacing_mm)
    assert heights[0] == pytest.approx(heights[1], abs=3.0)


def test_a_large_heart_fills_the_space_behind_it() -> None:
    areas = [lateral(2, FindingSpec("cardiomegaly", grade=grade)).masks["cardiomegaly"].sum() for grade in GRADES]
    assert areas == sorted(areas)
    assert areas[2] > 1.05 * areas[0]
