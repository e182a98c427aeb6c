"""Lines and tubes: the tip lies where the note says, and the strand is in the picture."""

from __future__ import annotations

import numpy as np
import pytest

from eval.phantoms import DEVICES, DeviceSpec, Fault, Phantom, make_phantom
from eval.phantoms.anatomy import sample_anatomy
from eval.phantoms.canvas import Canvas
from eval.phantoms.family import get_family

SEEDS = range(24)


def shown(seed: int, kind: str, placed: bool, size: int = 64) -> Phantom:
    return make_phantom(seed, size=size, findings=(), devices=[DeviceSpec(kind, placed)])  # type: ignore[arg-type]


def tip_mm(phantom: Phantom) -> tuple[float, float, float, float]:
    """x and y of the tip, level of the carina and of the left dome, in mm."""
    anatomy = sample_anatomy(np.random.default_rng([phantom.seed, 0, 0]), get_family("train"))
    canvas: Canvas = anatomy.canvas(len(phantom.pixels))
    x, y = phantom.devices[0].tip
    at = (x + 0.5) * canvas.spacing + canvas.left, (y + 0.5) * canvas.spacing + canvas.top
    return *at, anatomy.carina, anatomy.dome_left


@pytest.mark.parametrize("kind", DEVICES)
@pytest.mark.parametrize("placed", [True, False])
def test_a_device_shows_inside_its_box_alone(kind: str, placed: bool) -> None:
    for seed in range(4):
        phantom = shown(seed, kind, placed, size=256)
        change = np.abs(phantom.pixels.astype(int) - make_phantom(seed, size=256, findings=()).pixels)
        x0, y0, x1, y1 = phantom.devices[0].box
        x, y = phantom.devices[0].tip
        assert change[y0:y1, x0:x1].max() >= 4
        change[max(y0 - 4, 0) : y1 + 4, max(x0 - 4, 0) : x1 + 4] = 0
        assert change.max() <= 4
        assert x0 - 1 <= x <= x1
        assert y0 - 1 <= y <= y1
        assert phantom.devices[0].placed == placed
        assert phantom.findings == ()


def test_a_well_placed_tube_ends_three_to_seven_centimetres_above_the_carina() -> None:
    for seed in SEEDS:
        phantom = shown(seed, "endotracheal tube", True, size=256)
        _, y, carina, _ = tip_mm(phantom)
        assert 27.0 < carina - y < 73.0
        assert phantom.devices[0].note == f"tip {int(phantom.devices[0].note.split()[1])} mm above the carina"
        assert float(phantom.devices[0].note.split()[1]) == pytest.approx(carina - y, abs=4.0)


def test_a_misplaced_tube_is_too_high_or_in_the_right_bronchus() -> None:
    notes = set()
    for seed in SEEDS:
        phantom = shown(seed, "endotracheal tube", False, size=256)
        x, y, carina, _ = tip_mm(phantom)
        deep = phantom.devices[0].note == "tip in the right main bronchus"
        notes.add(deep)
        assert (y > carina + 8.0 and x < -4.0) if deep else carina - y > 70.0
    assert notes == {True, False}


def test_catheter_tips_lie_where_the_note_says() -> None:
    notes = set()
    for seed in SEEDS:
        for placed in (True, False):
            phantom = shown(seed, "central venous catheter", placed, size=256)
            note = phantom.devices[0].note
            x, y, carina, _ = tip_mm(phantom)
            notes.add(note)
            if placed:
                assert carina + 6.0 < y < carina + 48.0
                assert -40.0 < x < -5.0
            assert ("atrium" in note and not placed) == (y > carina + 60.0)
            assert ("neck" in note) == (y < -10.0)
            assert ("across" in note) == (x > 30.0)
    assert len(notes) == 5


def test_nasogastric_tips_lie_where_the_note_says() -> None:
    notes = set()
    for seed in SEEDS:
        for placed in (True, False):
            phantom = shown(seed, "nasogastric tube", placed, size=256)
            note = phantom.devices[0].note
            x, y, _, dome = tip_mm(phantom)
            notes.add(note)
            assert placed == (y > dome + 30.0 and x > 25.0)
            assert ("bronchus" in note) == (x < -20.0)
    assert notes == {
        "tip below the diaphragm in the stomach",
        "tip in the right lower lobe bronchus",
        "coiled in the oesophagus",
    }


def test_a_device_does_not_depend_on_the_others() -> None:
    alone = make_phantom(5, size=64, findings=(), devices=[DeviceSpec("nasogastric tube")]).devices[0]
    assert make_phantom(5, size=64, findings=(), devices=[DeviceSpec(kind) for kind in DEVICES]).devices[2] == alone


def test_the_lateral_view_shows_the_same_device() -> None:
    for kind in DEVICES:
        frontal, lateral = (
            make_phantom(6, size=128, view=view, findings=(), devices=[DeviceSpec(kind)]) for view in ("PA", "LATERAL")
        )
        assert lateral.devices[0].note == frontal.devices[0].note
        assert lateral.devices[0].tip != frontal.devices[0].tip
        bare = make_phantom(6, size=128, view="LATERAL", findings=())
        assert np.abs(lateral.pixels.astype(int) - bare.pixels).max() >= 4


def test_a_turned_film_turns_the_tip() -> None:
    straight = shown(3, "nasogastric tube", True, size=128)
    turned = make_phantom(
        3, size=128, findings=(), devices=[DeviceSpec("nasogastric tube", True)], fault=Fault("rotation", 3)
    )
    before, after = (np.asarray(p.devices[0].tip) - 63.5 for p in (straight, turned))
    assert np.linalg.norm(after) == pytest.approx(np.linalg.norm(before), abs=2.0)
    assert np.linalg.norm(after - before) > 5.0


def test_unknown_devices_and_two_of_a_kind_are_refused() -> None:
    for kinds in (["pacemaker"], ["nasogastric tube", "nasogastric tube"]):
        with pytest.raises(ValueError, match="devices"):
            make_phantom(0, size=64, findings=(), devices=[DeviceSpec(kind) for kind in kinds])  # type: ignore[arg-type]
