"""Prior and current are one person; every change said is the change that was drawn."""

from __future__ import annotations

import numpy as np
import pytest

from eval.phantoms.findings import FINDINGS, GRADES, SIDED, Kind, Side
from eval.phantoms.pairs import CHANGES, Change, ChangeName, Pair, change_sentence, compare, make_pair

PAIRS = [make_pair(seed, family=family, size=64) for seed in range(30) for family in ("train", "exam")]


@pytest.mark.parametrize("name", CHANGES)
@pytest.mark.parametrize("kind", FINDINGS)
def test_a_change_asked_for_is_rendered(kind: Kind, name: ChangeName) -> None:
    side: Side | None = "left" if kind in SIDED else None
    pair = make_pair(3, size=64, changes=[Change(kind, side, name)])
    assert pair.changes == (Change(kind, side, name),)
    before, after = pair.prior.findings, pair.current.findings
    assert (len(before), len(after)) == {"new": (0, 1), "resolved": (1, 0)}.get(name, (1, 1))
    if before and after:
        assert (before[0].side, before[0].zone) == (after[0].side, after[0].zone)
        step = GRADES.index(after[0].grade) - GRADES.index(before[0].grade)
        assert np.sign(step) == {"larger": 1, "smaller": -1, "unchanged": 0}[name]
        if kind == "nodule":
            assert np.sign(round((after[0].size_mm or 0) - (before[0].size_mm or 0))) == np.sign(step)


def test_both_studies_are_of_one_person_on_two_films() -> None:
    for pair in PAIRS:
        assert (pair.prior.age, pair.prior.sex) == (pair.current.age, pair.current.sex)
        assert (pair.prior.visit, pair.current.visit) == (0, 1)
        assert not np.array_equal(pair.prior.pixels, pair.current.pixels)
    again = make_pair(0, family="train", size=64)
    assert again.changes == PAIRS[0].changes
    assert np.array_equal(again.current.pixels, PAIRS[0].current.pixels)
    assert [q.text for q in again.questions] == [q.text for q in PAIRS[0].questions]


def test_every_course_and_finding_is_drawn() -> None:
    assert {c.change for pair in PAIRS for c in pair.changes} == set(CHANGES)
    assert {c.kind for pair in PAIRS for c in pair.changes} == set(FINDINGS)


def _course(pair: Pair, kind: Kind) -> str | None:
    """What became of a finding, told from the studies alone."""
    before, after = (next((f for f in s.findings if f.kind == kind), None) for s in (pair.prior, pair.current))
    if before is None or after is None:
        return "resolved" if before else "new" if after else None
    sizes = [GRADES.index(f.grade) for f in (before, after)]
    return "unchanged" if sizes[0] == sizes[1] else "larger" if sizes[1] > sizes[0] else "smaller"


def test_answers_agree_with_both_studies() -> None:
    for pair in PAIRS:
        texts = [q.text for q in pair.questions]
        assert len(set(texts)) == len(texts)
        for q in pair.questions:
            assert q.kind == "change"
            assert "{" not in q.text
            if q.choices:
                assert q.finding
                assert q.answer == _course(pair, q.finding)
            elif q.finding and _course(pair, q.finding) is None:
                assert q.yes is False
            elif q.finding:
                sides = {f.side for s in (pair.prior, pair.current) for f in s.findings if f.kind == q.finding}
                assert {"left", "right"} & set(f"{q.text} {q.answer}".split()) == sides - {None}
        for c in pair.changes:
            about = [q for q in pair.questions if q.finding == c.kind]
            assert sum(q.yes is True for q in about) == 1
            assert change_sentence(c) in pair.report.comparison


def test_the_comparison_stands_in_the_report() -> None:
    effusion, nodule = Change("effusion", "left", "larger"), Change("nodule", "right", "unchanged")
    assert change_sentence(effusion) == "The left pleural effusion is larger than on the prior study."
    heart = Change("cardiomegaly", None, "new")
    assert change_sentence(heart) == "The enlargement of the heart is new since the prior study."
    assert compare([]) == "There is no change from the prior study."
    assert compare([effusion, nodule]).endswith("The right lung nodule is unchanged from the prior study.")
    lines = PAIRS[0].report.text.splitlines()
    assert [line.split(":")[0] for line in lines] == ["Technique", "Comparison", "Findings", "Impression"]
    assert "Comparison" not in PAIRS[0].current.report.text


def test_a_pair_without_findings_has_not_changed() -> None:
    pair = make_pair(1, size=64, changes=[])
    assert pair.changes == pair.prior.findings == pair.current.findings == ()
    assert [q.yes for q in pair.questions if q.finding is None] == [False, None]


@pytest.mark.parametrize(
    "changes",
    [
        [Change("effusion", "left", "new"), Change("effusion", "right", "resolved")],
        [Change("oedema", "left", "new")],
        [Change("fracture", None, "new")],  # type: ignore[arg-type]
        [Change("nodule", None, "worse")],  # type: ignore[arg-type]
    ],
)
def test_what_cannot_be_rendered_is_refused(changes: list[Change]) -> None:
    with pytest.raises(ValueError, match=r"expected each at most once|cannot render"):
        make_pair(0, size=64, changes=changes)
