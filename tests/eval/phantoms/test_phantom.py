"""Picture and truth: same seed same bytes, sides as a radiographer reads them, findings where they should be."""

from __future__ import annotations

from collections import Counter
from itertools import product

import numpy as np
import pytest

from eval.phantoms import DISTRACTORS, EXAM_FAMILIES, FAMILIES, FINDINGS, Fault, FindingSpec, make_phantom
from eval.phantoms.family import get_family
from eval.phantoms.findings import GRADES, SIDED, ZONES, box_of


@pytest.mark.parametrize("family", FAMILIES)
def test_same_arguments_give_the_same_study(family: str) -> None:
    one, two = (make_phantom(5, family=family, size=128) for _ in range(2))
    assert one.pixels.tobytes() == two.pixels.tobytes()
    assert (one.findings, one.report, one.questions) == (two.findings, two.report, two.questions)
    assert one.pixels.tobytes() != make_phantom(6, family=family, size=128).pixels.tobytes()


@pytest.mark.parametrize("family", EXAM_FAMILIES)
def test_families_share_nothing(family: str) -> None:
    train, exam = make_phantom(5, size=128), make_phantom(5, size=128, family=family)
    assert not np.array_equal(train.pixels, exam.pixels)
    texts = [
        {q.text for s in range(40) for q in make_phantom(s, size=64, family=f).questions} for f in (family, "train")
    ]
    assert not texts[0] & texts[1]


def test_the_new_families_lie_outside_the_ranges_of_training() -> None:
    train = get_family("train")
    for name in ("exam-barrel", "exam-portable"):
        family = get_family(name)
        apart = [
            field
            for field in ("depth_ratio", "shape", "dome", "rib_pitch", "branching", "vessel_gain", "scatter", "noise")
            if getattr(family, field)[0] >= getattr(train, field)[1]
            or getattr(family, field)[1] <= getattr(train, field)[0]
        ]
        assert len(apart) >= 6, (name, apart)


def test_a_film_in_bed_magnifies_the_heart_but_not_its_truth() -> None:
    healthy = [make_phantom(seed, size=64, family="exam-portable", findings=()) for seed in range(8)]
    assert {p.view for p in healthy} == {"AP"}
    assert all(p.ctr < 0.485 for p in healthy)


@pytest.mark.parametrize("size", [128, 256, 512])
def test_every_size_shows_the_same_anatomy(size: int) -> None:
    phantom, reference = make_phantom(3, size=size), make_phantom(3, size=128)
    assert phantom.pixels.shape == (size, size)
    assert phantom.pixels.dtype == np.uint8
    assert phantom.spacing_mm * size == pytest.approx(reference.spacing_mm * 128)
    k = size // 128
    small = phantom.pixels.reshape(128, k, 128, k).mean(axis=(1, 3))
    assert np.abs(small - reference.pixels).mean() < 4.0
    assert [f.kind for f in phantom.findings] == [f.kind for f in reference.findings]


def test_lungs_are_dark_and_the_heart_lies_to_the_pictures_right() -> None:
    for seed in range(8):
        picture = make_phantom(seed, size=128, findings=()).pixels.astype(float)
        lungs, spine = picture[45:75, 25:40].mean(), picture[50:80, 60:68].mean()
        assert lungs + 60 < spine
        assert picture[72:80, 72:84].mean() > picture[72:80, 44:56].mean()


@pytest.mark.parametrize(("kind", "side"), list(product(SIDED, ("left", "right"))))
def test_sides_are_the_patients(kind: str, side: str) -> None:
    for seed in range(4):
        phantom = make_phantom(seed, size=128, findings=[FindingSpec(kind, side)])  # type: ignore[arg-type]
        centre = np.argwhere(phantom.masks[kind])[:, 1].mean()
        assert (centre < 64) == (side == "right")
        assert phantom.findings[0].side == side
        assert phantom.findings[0].box == box_of(phantom.masks[kind])


@pytest.mark.parametrize(("kind", "grade"), list(product(FINDINGS, GRADES)))
def test_a_finding_shows_inside_its_mask_and_little_outside(kind: str, grade: str) -> None:
    for seed in range(3):
        with_it = make_phantom(seed, size=168, findings=[FindingSpec(kind, grade=grade)])  # type: ignore[arg-type]
        without = make_phantom(seed, size=168, findings=())
        change = np.abs(with_it.pixels.astype(float) - without.pixels)
        mask = with_it.masks[kind]
        assert change[mask].mean() > 5.0
        assert change[mask].mean() > 4.0 * change[~mask].mean()


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("side", ["left", "right"])
def test_atelectasis_is_dense_in_its_zone_and_grows_with_its_grade(side: str, zone: str) -> None:
    areas = []
    without = make_phantom(3, size=128, findings=()).pixels.astype(float)
    for grade in GRADES:
        phantom = make_phantom(3, size=128, findings=[FindingSpec("atelectasis", side, zone, grade)])  # type: ignore[arg-type]
        mask = phantom.masks["atelectasis"]
        assert (phantom.pixels[mask] - without[mask]).mean() > 10.0
        areas.append(mask.sum())
    assert areas == sorted(areas)


def test_a_collapsed_lower_lobe_raises_its_diaphragm() -> None:
    """Just over the healthy dome, beside the wedge, lung has given way to belly."""
    spec = FindingSpec("atelectasis", "right", "lower", "large")
    change = (
        make_phantom(3, size=128, findings=[spec]).pixels.astype(float) - make_phantom(3, size=128, findings=()).pixels
    )
    outside = ~make_phantom(3, size=128, findings=[spec]).masks["atelectasis"]
    risen = (change > 60.0) & outside
    assert risen[80:100, 20:60].sum() > 20
    assert risen[80:100, 80:108].sum() < 5


def test_oedema_lies_on_both_sides_and_brightens_with_its_grade() -> None:
    without = make_phantom(4, size=128, findings=()).pixels.astype(float)
    gains = []
    for grade in GRADES:
        phantom = make_phantom(4, size=128, findings=[FindingSpec("oedema", grade=grade)])
        mask = phantom.masks["oedema"]
        assert (phantom.findings[0].side, phantom.findings[0].zone) == (None, None)
        assert 0.5 < mask[:, :64].sum() / mask[:, 64:].sum() < 2.0
        gains.append((phantom.pixels - without)[mask].mean())
    assert gains[0] > 3.0
    assert gains[1] > gains[0] + 5.0
    assert gains[2] > gains[1] + 5.0


@pytest.mark.parametrize("kind", FINDINGS)
def test_another_visit_shows_the_finding_in_its_place_on_another_film(kind: str) -> None:
    spec = FindingSpec(kind, grade="moderate")  # type: ignore[arg-type]
    alone = make_phantom(3, size=128, findings=[spec])
    later = make_phantom(
        3, size=128, visit=1, findings=[FindingSpec("nodule" if kind != "nodule" else "effusion"), spec]
    )
    assert (alone.sex, alone.age) == (later.sex, later.age)
    assert not np.array_equal(alone.pixels, later.pixels)
    old, new = alone.findings[0], later.findings[1]
    assert (old.side, old.zone, old.grade, old.size_mm) == (new.side, new.zone, new.grade, new.size_mm)
    centres = [np.argwhere(p.masks[kind]).mean(axis=0) * p.spacing_mm for p in (alone, later)]
    assert np.abs(centres[0] - centres[1]).max() < 25.0  # the shift of the film, 7 mm, and its turn


def test_given_findings_come_alone() -> None:
    for seed in range(30):
        phantom = make_phantom(seed, size=64, findings=())
        assert (phantom.findings, phantom.devices, phantom.distractors, phantom.fault) == ((), (), (), None)


@pytest.mark.parametrize("name", DISTRACTORS)
def test_a_distractor_shows_and_is_no_finding(name: str) -> None:
    with_it = make_phantom(2, size=168, findings=(), distractors=[name])  # type: ignore[list-item]
    without = make_phantom(2, size=168, findings=())
    change = np.abs(with_it.pixels.astype(int) - without.pixels)
    assert change.max() >= 6
    assert (change > 2).mean() < 0.08
    assert (with_it.findings, with_it.masks, with_it.distractors) == ((), {}, (name,))
    assert with_it.report == without.report


def test_a_turned_film_turns_its_truth() -> None:
    spec = FindingSpec("nodule", "left", "upper", size_mm=28.0)
    straight = make_phantom(2, size=256, findings=[spec])
    turned = make_phantom(2, size=256, findings=[spec], fault=Fault("rotation", 3))
    moved = turned.masks["nodule"]
    assert turned.findings[0].box == box_of(moved) != straight.findings[0].box
    assert moved.sum() == pytest.approx(straight.masks["nodule"].sum(), rel=0.1)


@pytest.mark.parametrize(("kind", "brighter"), [("effusion", True), ("consolidation", True), ("pneumothorax", False)])
def test_fluid_is_bright_and_free_air_dark(kind: str, brighter: bool) -> None:
    with_it = make_phantom(2, size=128, findings=[FindingSpec(kind)])  # type: ignore[arg-type]
    without = make_phantom(2, size=128, findings=())
    mask = with_it.masks[kind]
    assert (with_it.pixels[mask].mean() > without.pixels[mask].mean()) == brighter


def test_the_cardiothoracic_ratio_agrees_with_the_grade() -> None:
    for seed in range(6):
        ratios = [make_phantom(seed, size=64, findings=()).ctr]
        ratios += [make_phantom(seed, size=64, findings=[FindingSpec("cardiomegaly", grade=g)]).ctr for g in GRADES]
        assert 0.39 < ratios[0] < 0.485
        assert ratios == sorted(ratios)
        assert ratios[1] > 0.52
        assert ratios[3] < 0.66


def test_nodules_have_the_size_they_are_said_to_have() -> None:
    phantom = make_phantom(1, size=512, findings=[FindingSpec("nodule", size_mm=20.0)])
    x0, y0, x1, y1 = phantom.findings[0].box
    assert (x1 - x0) * phantom.spacing_mm == pytest.approx(20.0, abs=1.5)
    assert (y1 - y0) * phantom.spacing_mm == pytest.approx(20.0, abs=1.5)


def test_random_studies_are_balanced() -> None:
    studies = [make_phantom(seed, size=64) for seed in range(400)]
    counts = Counter(f.kind for study in studies for f in study.findings)
    assert all(0.15 < counts[kind] / 400 < 0.28 for kind in FINDINGS)
    assert 0.1 < sum(not study.findings for study in studies) / 400 < 0.23
    assert 0.18 < sum(bool(study.devices) for study in studies) / 400 < 0.32
    assert 0.26 < sum(bool(study.distractors) for study in studies) / 400 < 0.42
    assert all(box_of(mask) != (0, 0, 0, 0) for study in studies for mask in study.masks.values())


def test_what_cannot_be_rendered_is_refused() -> None:
    with pytest.raises(ValueError, match="family"):
        get_family("nobody")
    with pytest.raises(ValueError, match="family"):
        make_phantom(0, family="nobody")
    with pytest.raises(ValueError, match="seed"):
        make_phantom(-1)
    with pytest.raises(ValueError, match="view"):
        make_phantom(0, view="OBLIQUE")
    with pytest.raises(ValueError, match="distractor"):
        make_phantom(0, findings=(), distractors=["tattoo"])  # type: ignore[list-item]
    with pytest.raises(ValueError, match="nodule"):
        make_phantom(0, findings=[FindingSpec("nodule", size_mm=50.0)])
    with pytest.raises(ValueError, match="one finding of a kind"):
        make_phantom(0, findings=[FindingSpec("nodule"), FindingSpec("nodule")])
