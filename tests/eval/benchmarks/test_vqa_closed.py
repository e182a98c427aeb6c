"""Closed questions about phantoms: balanced, in two wordings, and true."""

from itertools import islice

from eval.benchmarks.vqa_closed import ClosedVqa, asked, balanced
from eval.ledger import EXAM_SEEDS
from eval.phantoms import EXAM_FAMILIES, make_phantom

ITEMS = list(ClosedVqa().items(60, 0))


def test_items_are_the_same_each_time_and_other_ones_under_another_seed() -> None:
    assert [item.id for item in ClosedVqa().items(60, 0)] == [item.id for item in ITEMS]
    assert not {item.id for item in ClosedVqa().items(60, 1)} & {item.id for item in ITEMS}
    assert len({item.id for item in ITEMS}) == 60


def test_only_held_out_families_and_exam_seeds_are_asked_about() -> None:
    families = {item.groups["family"] for item in ITEMS}
    assert families == set(EXAM_FAMILIES)
    assert all(seed in EXAM_SEEDS for item in ITEMS for _, seed in item.phantoms)


def test_yes_and_no_are_about_equally_often_right() -> None:
    yes = sum(item.truth["answer"] for item in ITEMS)
    assert 0.35 <= yes / len(ITEMS) <= 0.65


def test_the_wording_is_the_training_s_in_every_other_study() -> None:
    phantom = make_phantom(EXAM_SEEDS.start, family="exam", size=64)
    known = {q.text for q in asked(phantom, "of training")}
    held_out = {q.text for q in asked(phantom, "held out")}
    assert known
    assert not known & held_out
    assert {item.groups["wording"] for item in ITEMS} == {"of training", "held out"}


def test_truth_and_other_picture_differ_in_the_finding_asked_about() -> None:
    for item in islice(ITEMS, 3):
        phantom = make_phantom(item.phantoms[0][1], family=item.phantoms[0][0], size=64)
        present = item.truth["finding"] in [finding.kind for finding in phantom.findings]
        assert present == item.truth["answer"]
        assert item.request().study.pictures[0].sha256 != item.other().study.pictures[0].sha256


def test_a_study_without_findings_is_asked_one_question() -> None:
    healthy = make_phantom(EXAM_SEEDS.start, family="exam", size=64, findings=())
    assert len(balanced(healthy, asked(healthy, "held out"))) == 1
