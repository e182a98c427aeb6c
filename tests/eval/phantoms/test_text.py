"""Words agree with the truth: answers, report and findings say the same, and no side is ever swapped."""

from __future__ import annotations

import re
from dataclasses import asdict, fields
from itertools import combinations

import numpy as np
import pytest

from eval.phantoms import FINDINGS, Finding, FindingSpec, make_phantom
from eval.phantoms.devices import DEVICES, Device
from eval.phantoms.faults import FAULTS, GRADES, STATES, Fault
from eval.phantoms.findings import GRADES as SIZES
from eval.phantoms.findings import SIDED, SIDES, ZONED, ZONES
from eval.phantoms.phrases import NORMAL, TERMS, Question, phrase, sentence
from eval.phantoms.text import questions, report
from eval.phantoms.wordings import WORDINGS, get_wording

BOX = (0, 0, 1, 1)
NOTES = {True: "tip in the right place", False: "tip in the right main bronchus"}


def _study(seed: int, n: int | None = None) -> tuple[list[Finding], list[Device], Fault | None]:
    """Any truth: 0 to 7 findings, 0 to 3 devices, perhaps a fault."""
    rng = np.random.default_rng(seed)
    found = []
    for index in sorted(rng.permutation(7)[: int(rng.integers(8)) if n is None else n]):
        kind, size = FINDINGS[index], float(rng.uniform(8, 30))
        grade = SIZES[int(rng.integers(3))]
        if kind == "nodule":
            grade = SIZES[(size > 12.45) + (size > 20.05)]
        side = SIDES[int(rng.integers(2))] if kind in SIDED else None
        zone = ZONES[int(rng.integers(3))] if kind in ZONED else None
        found.append(Finding(kind, side, zone, grade, round(size, 1) if kind == "nodule" else None, BOX))
    placed = [bool(rng.integers(2)) for _ in DEVICES]
    devices = [Device(d, p, (0, 0), NOTES[p], BOX) for d, p in zip(DEVICES, placed, strict=True) if rng.random() < 0.4]
    fault = Fault(FAULTS[int(rng.integers(8))], GRADES[int(rng.integers(3))]) if rng.random() < 0.5 else None
    return found, devices, fault


def _asked(seed: int, wording: str, view: str = "PA") -> tuple[Question, ...]:
    found, devices, fault = _study(seed)
    return questions(found, wording, np.random.default_rng(seed), devices, view, fault)


@pytest.mark.parametrize("wording", WORDINGS)
@pytest.mark.parametrize("view", ["PA", "AP", "LATERAL"])
def test_twenty_well_formed_questions_and_none_twice(wording: str, view: str) -> None:
    for seed in range(80):
        asked = _asked(seed, wording, view)
        assert len(asked) >= 20
        assert len({q.text for q in asked}) == len(asked)
        for q in asked:
            assert "{" not in q.text + q.answer
            assert q.text[0].isupper()
            assert q.text[-1] in "?."
            assert q.answer in q.choices if q.choices else q.answer.endswith(".")
            assert len(set(q.choices)) == len(q.choices)
            assert q.closed == bool(q.choices or q.yes is not None)
            assert (q.present is None) == (q.finding is None and q.device is None)


@pytest.mark.parametrize("view", ["PA", "LATERAL"])
def test_answers_agree_with_the_findings(view: str) -> None:
    for seed in range(150):
        found, _, _ = _study(seed)
        there = {f.kind: f for f in found if view == "PA" or f.kind != "pneumothorax"}
        asked = _asked(seed, "train", view)
        presence = [q for q in asked if q.kind == "presence"]
        assert [q.finding for q in presence] == [k for k in FINDINGS if view == "PA" or k != "pneumothorax"]
        for q in asked:
            f = there.get(q.finding) if q.finding else None
            if q.finding:
                assert q.present == (f is not None)
            if q.kind == "presence":
                assert q.yes == q.present
            if q.kind == "negation":
                assert q.yes != q.present
            if q.kind == "side" and f:
                said = {q.answer} if q.choices else set(re.findall(r"patient's (\w+) side", q.answer))
                assert said == ({f.side} if view == "PA" else set())
            if q.kind == "zone" and f:
                assert str(f.zone) in q.answer
            if q.kind == "size" and q.choices and f:
                assert q.choices.index(q.answer) == SIZES.index(f.grade) + (f.kind == "cardiomegaly")
            if q.kind == "size" and not q.choices and f and f.size_mm:
                mm = int(re.findall(r"\d+", q.answer)[0])
                assert abs(mm - f.size_mm) <= 2.5
            if q.kind == "choice":
                names = {TERMS[k] for k in there}
                assert names & set(q.choices) == ({q.answer} if names else set())
            if q.kind == "count":
                words = ("no", "one", "two", "three", "four", "five", "six", "seven")
                assert q.answer.split()[2] == words[len(there)]


def test_no_side_is_swapped() -> None:
    for seed in range(150):
        found, devices, fault = _study(seed)
        said = [q.answer for q in _asked(seed, "exam")]
        for text in (*said, *report(found, devices, "PA", fault).text.split(". ")):
            for f in found:
                name = "nodule" if f.kind == "nodule" else TERMS[f.kind]
                for side in re.findall(rf"(left|right) (?:\w+ zone )?{name}", text):
                    assert side == f.side
        lateral = report(found, devices, "LATERAL", fault).text + "".join(
            q.answer for q in questions(found, "exam", np.random.default_rng(0), devices, "LATERAL", fault)
        )
        assert not re.search(r"\b(left|right)\b", lateral)
        assert "pneumothorax" not in lateral


def test_the_worse_side_is_that_of_the_gravest_finding() -> None:
    def answer(*sides_and_grades: tuple[str, str]) -> str:
        kinds = ("effusion", "consolidation", "nodule")
        found = [Finding(k, s, None, g, None, BOX) for k, (s, g) in zip(kinds, sides_and_grades, strict=False)]  # type: ignore[arg-type]
        return next(q.answer for q in questions(found, "train", np.random.default_rng(0)) if q.kind == "more")

    assert answer() == "Neither side is affected."
    assert answer(("right", "small")) == "The right side is more affected."
    assert answer(("right", "small"), ("left", "moderate"), ("right", "small")) == "The left side is more affected."
    assert answer(("right", "large"), ("left", "large")) == "Both sides are affected alike."


def test_devices_and_their_position() -> None:
    for seed in range(60):
        found, devices, _ = _study(seed)
        asked = _asked(seed, "clinic")
        for q in asked:
            if q.kind == "device" and q.device:
                assert q.yes == q.present == any(d.kind == q.device for d in devices)
            if q.kind == "position" and q.yes is not None:
                assert q.yes == all(d.placed for d in devices if q.device in (None, d.kind))
            if q.kind == "position" and q.device and q.yes is None:
                (note,) = [d.note for d in devices if d.kind == q.device]
                assert note.removeprefix("tip ") in q.answer
            if q.kind == "normal":
                assert q.yes == (not found and all(d.placed for d in devices))
        assert (asked[-1].answer == NORMAL) == (not found and not devices)
        words = report(found, devices)
        for d in devices:
            assert d.note in words.findings
            assert (f"Malpositioned {d.kind}." in words.impression) == (not d.placed)
    coiled = Device("nasogastric tube", False, (0, 0), "coiled in the oesophagus", BOX)
    answers = [q.answer for q in questions((), "train", np.random.default_rng(0), [coiled]) if q.kind == "position"]
    assert answers[1] == "The nasogastric tube is coiled in the oesophagus."


def test_quality_is_asked_about_and_said_where_it_matters() -> None:
    hits = 0
    for seed in range(120):
        found, devices, fault = _study(seed)
        asked = [q for q in _asked(seed, "train") if q.kind == "quality"]
        assert len(asked) == (5 if fault else 2)
        limited = bool(fault and fault.changes_reading)
        assert asked[0].yes == (not limited)
        states = re.findall("|".join(sorted(STATES.values(), key=len, reverse=True)), asked[1].text)
        assert asked[1].yes == (fault is not None and states == [STATES[fault.kind]])
        hits += bool(asked[1].yes)
        technique = report(found, devices, "PA", fault).technique
        assert technique.startswith("Frontal chest radiograph, PA view.")
        assert ("The film is" in technique) == limited
        if fault:
            assert asked[3].answer == STATES[fault.kind]
            assert asked[4].answer == ("slight", "moderate", "severe")[fault.grade - 1]
    assert 20 < hits < 50


def test_the_view_is_told() -> None:
    for view, name in (("PA", "frontal"), ("AP", "frontal"), ("LATERAL", "lateral")):
        yes_no, choice = (q for q in questions((), "exam", np.random.default_rng(0), (), view) if q.kind == "view")
        assert (yes_no.yes, choice.answer) == (name == "frontal", name)
    assert report((), view="AP").technique == "Frontal chest radiograph, AP view."
    assert report((), view="LATERAL").technique == "Lateral chest radiograph."


def test_wordings_share_no_template_and_no_question() -> None:
    templates = {
        name: {way for field in fields(words) for way in getattr(words, field.name)} for name, words in WORDINGS.items()
    }
    texts = {name: {q.text for seed in range(60) for q in _asked(seed, name)} for name in WORDINGS}
    assert len(WORDINGS) >= 3
    for one, other in combinations(WORDINGS, 2):
        assert not templates[one] & templates[other]
        assert not texts[one] & texts[other]
    with pytest.raises(ValueError, match="unknown wording 'french'; known: train, exam, clinic"):
        get_wording("french")


def test_what_is_asked_of_every_study_does_not_depend_on_its_findings() -> None:
    texts = [[q.text for q in questions(_study(seed)[0], "exam", np.random.default_rng(4))] for seed in range(20)]
    assert len({tuple(row[:10]) for row in texts}) == 1
    given = make_phantom(4, size=64, findings=[FindingSpec("effusion", "left", grade="small")])
    bare = make_phantom(4, size=64, findings=())
    assert [q.text for q in given.questions[:10]] == [q.text for q in bare.questions[:10]]


def test_the_report_names_what_is_there_and_what_is_not() -> None:
    for seed in range(60):
        found, _, _ = _study(seed)
        words = report(found)
        for f in found:
            assert sentence(f) in words.findings
        kinds = {f.kind for f in found}
        for term in {"pleural effusion", "pneumothorax"} - {TERMS[kind] for kind in kinds}:
            assert f"no {term}" in words.findings or f"or {term}" in words.findings
        clear = not kinds & {"consolidation", "nodule", "oedema", "atelectasis"}
        assert ("The lungs are clear." in words.findings) == clear
    normal = report(())
    assert normal.findings == (
        "The heart is not enlarged. The lungs are clear. There is no pleural effusion or pneumothorax."
    )
    assert normal.impression == NORMAL
    assert list(asdict(normal)) == ["technique", "findings", "impression"]


def test_phrases() -> None:
    effusion = Finding("effusion", "left", None, "small", None, BOX)
    nodule = Finding("nodule", "right", "middle", "moderate", 16.2, BOX)
    heart = Finding("cardiomegaly", None, None, "moderate", None, BOX)
    oedema = Finding("oedema", None, None, "large", None, BOX)
    collapse = Finding("atelectasis", "left", "lower", "small", None, BOX)
    assert phrase(effusion) == "a small left pleural effusion"
    assert phrase(nodule) == "a right middle zone nodule of about 15 mm"
    assert sentence(heart) == "The heart is moderately enlarged."
    assert sentence(oedema) == "There is severe pulmonary oedema."
    assert sentence(collapse) == "There is a small left lower zone atelectasis."
    assert report([effusion, heart, oedema]).impression == (
        "Small left pleural effusion. Moderately enlarged heart. Severe pulmonary oedema."
    )
