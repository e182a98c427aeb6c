"""A training sample says what is true of its picture and cites what, and only what, was shown."""

import re
from dataclasses import asdict

import numpy as np
import pytest

from assistant.lines import parse
from assistant.tasks.vqa import VQA
from eval.phantoms import make_phantom
from finetune.pocket.language import CARD_FOLDER, targets
from finetune.pocket.samples import FINDINGS, NO_SIDE, Sample, SampleMaker, cards, without_sides

PHANTOMS = [make_phantom(seed, size=64) for seed in range(40)]
FACTS = [
    {
        "findings": [asdict(finding) for finding in phantom.findings],
        "questions": [asdict(question) for question in phantom.questions],
        "report": asdict(phantom.report),
    }
    for phantom in PHANTOMS
]
CARDS = cards(CARD_FOLDER)


def drawn(n: int, task: str = "ask", knowledge: float = 1.0) -> list[Sample]:
    maker, rng = SampleMaker(FACTS, CARDS, knowledge), np.random.default_rng(0)
    return [maker.make(i % len(FACTS), PHANTOMS[i % len(FACTS)].pixels, rng, task) for i in range(n)]


def text_of(sample: Sample) -> str:
    return "".join(part for message in sample.prompt.messages for part in message.parts if isinstance(part, str))


def test_there_are_cards_on_every_trained_finding() -> None:
    assert {card.finding for card in CARDS} >= set(FINDINGS)


def test_a_passage_is_cited_when_and_only_when_it_is_on_the_finding() -> None:
    cited_any = 0
    for sample in drawn(300):
        shown = dict(re.findall(r"^\[(\d+)\] ([^,:]+)", text_of(sample), re.MULTILINE))
        for raw in sample.answer.splitlines():
            (line,) = parse(raw, VQA.sections)
            if line.section == "guideline":
                cited_any += 1
                (number,) = line.sources
                assert shown[str(number)].lower() in line.text.lower()
    assert cited_any > 50


def test_a_picture_s_own_report_is_never_among_its_references() -> None:
    told = [
        dict(facts, report={"findings": f"Study number {n}.", "impression": "-"}) for n, facts in enumerate(FACTS[:3])
    ]
    maker, rng = SampleMaker(told, CARDS, 1.0), np.random.default_rng(0)
    met = set()
    for n in range(300):
        own = n % 3
        met |= {
            (own, int(other))
            for other in re.findall(r"Study number (\d)", text_of(maker.make(own, PHANTOMS[own].pixels, rng)))
        }
    assert met == {(own, other) for own in range(3) for other in range(3) if own != other}


def test_no_side_is_learnt_where_the_picture_tells_none() -> None:
    unknown = [sample for sample in drawn(300, knowledge=0.0) if "sides unknown" in text_of(sample)]
    assert len(unknown) > 50
    assert not any(re.search(r"\b(left|right)\b", sample.answer) for sample in unknown)
    assert any(NO_SIDE in sample.answer for sample in unknown)


def test_sides_are_taken_out_cleanly() -> None:
    assert without_sides("Yes, there is a small left pleural effusion.") == "Yes, there is a small pleural effusion."
    assert without_sides("The nodule is in the right upper zone.") == "The nodule is in the upper zone."


@pytest.mark.parametrize(("task", "section"), [("report", "impression"), ("diagnose", "diagnosis")])
def test_other_tasks_have_their_own_sections(task: str, section: str) -> None:
    assert all(f"[{section}]" in sample.answer for sample in drawn(20, task))


def test_targets_name_presence_and_sides() -> None:
    for phantom, facts in zip(PHANTOMS, FACTS, strict=True):
        vector = targets(facts)
        assert len(vector) == 3 * len(FINDINGS)
        kinds = {finding.kind for finding in phantom.findings}
        assert {kind for kind, value in zip(FINDINGS, vector, strict=False) if value} == kinds
