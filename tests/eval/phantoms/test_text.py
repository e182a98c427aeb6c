"""Words agree with the truth: answers, report and findings say the same."""

from __future__ import annotations

import pytest

from eval.phantoms import FINDINGS, Finding, FindingSpec, make_phantom
from eval.phantoms.text import TERMS, phrase, report, sentence

BOX = (0, 0, 1, 1)


@pytest.mark.parametrize("family", ["train", "exam"])
def test_answers_agree_with_findings(family: str) -> None:
    for seed in range(60):
        phantom = make_phantom(seed, size=64, family=family)
        kinds = {f.kind for f in phantom.findings}
        presence = [q for q in phantom.questions if q.kind == "presence"]
        assert [q.finding for q in presence] == list(FINDINGS)
        for q in presence:
            assert q.present == (q.finding in kinds)
            assert q.answer.startswith("Yes," if q.present else "No,")
        for q in phantom.questions:
            assert "{" not in q.text
            assert q.text[0].isupper()
            assert q.answer.endswith(".")
            if q.kind == "side":
                side = next(f.side for f in phantom.findings if f.kind == q.finding)
                assert q.answer.endswith(f"on the patient's {side} side.")
        answer = phantom.questions[-1].answer
        assert (answer == "No abnormality is seen.") == (not kinds)


def test_the_report_names_what_is_there_and_what_is_not() -> None:
    for seed in range(40):
        phantom = make_phantom(seed, size=64)
        for f in phantom.findings:
            assert sentence(f) in phantom.report.findings
        kinds = {f.kind for f in phantom.findings}
        for kind in {"effusion", "pneumothorax"} - kinds:
            assert f"no {TERMS[kind]}" in phantom.report.findings or f"or {TERMS[kind]}" in phantom.report.findings
    normal = report(())
    assert normal.findings == (
        "The heart is not enlarged. The lungs are clear. There is no pleural effusion or pneumothorax."
    )
    assert normal.impression == "No abnormality is seen."


def test_phrases() -> None:
    effusion = Finding("effusion", "left", None, "small", None, BOX)
    nodule = Finding("nodule", "right", "middle", "moderate", 16.2, BOX)
    heart = Finding("cardiomegaly", None, None, "moderate", None, BOX)
    assert phrase(effusion) == "a small left pleural effusion"
    assert phrase(nodule) == "a right middle zone nodule of about 15 mm"
    assert sentence(heart) == "The heart is moderately enlarged."
    assert report([effusion, heart]).impression == "Small left pleural effusion. Moderately enlarged heart."


def test_wording_does_not_depend_on_the_findings_asked_for() -> None:
    given = make_phantom(4, size=64, findings=[FindingSpec("effusion", "left", grade="small")])
    bare = make_phantom(4, size=64, findings=())
    assert [q.text for q in given.questions[:5]] == [q.text for q in bare.questions[:5]]
