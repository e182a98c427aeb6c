"""A training sample says what is true of its picture and cites what, and only what, was shown."""

import re

import numpy as np
import pytest

from assistant.lines import parse
from eval.phantoms.questions import NO_SIDE as LATERAL
from finetune.pocket.material import CARD_FOLDER, FINDINGS, cards
from finetune.pocket.samples import NO_SIDE, Sample, SampleMaker, mixed, without_sides
from tests.finetune.pocket.parts import phantoms

CARDS = cards(CARD_FOLDER)


def maker() -> SampleMaker:
    return SampleMaker(phantoms().facts, CARDS)


def quizzes(n: int, knowledge: float = 0.0, turns: int = 4) -> list[Sample]:
    made, rng = maker(), np.random.default_rng(0)
    return [made.quiz(i % len(made.facts), rng, turns, knowledge) for i in range(n)]


def text_of(sample: Sample) -> str:
    return "".join(part for message in sample.prompt.messages for part in message.parts if isinstance(part, str))


def answers(sample: Sample) -> list[str]:
    return [sample.answer, *(said for _, said in sample.more)]


def test_there_are_cards_on_every_trained_finding() -> None:
    assert {card.finding for card in CARDS} >= set(FINDINGS)


def test_a_passage_is_cited_when_and_only_when_it_is_on_the_finding() -> None:
    cited_any = 0
    for sample in quizzes(120, knowledge=1.0):
        shown = dict(re.findall(r"^\[(\d+)\] ([^,:]+)", text_of(sample), re.MULTILINE))
        for raw in "\n".join(answers(sample)).splitlines():
            (line,) = parse(raw, ("answer", "guideline"))
            if line.section == "guideline":
                cited_any += 1
                (number,) = line.sources
                assert shown[str(number)].lower() in line.text.lower()
    assert cited_any > 50


def test_no_report_of_the_same_person_is_among_the_references() -> None:
    facts = [dict(one, report={"findings": f"Person {one['family']} {one['seed']}."}) for one in phantoms().facts]
    made, rng, met = SampleMaker(facts, CARDS), np.random.default_rng(0), 0
    for n in range(200):
        own = facts[n % len(facts)]
        told = re.findall(r"Person (\S+) (\d+)\.", text_of(made.quiz(n % len(facts), rng, 2, 1.0)))
        met += len(told)
        assert (own["family"], str(own["seed"])) not in told
    assert met > 50


def test_no_side_is_learnt_where_the_picture_tells_none() -> None:
    unknown = [sample for sample in quizzes(200) if "sides unknown" in text_of(sample)]
    told = [
        line for sample in unknown for line in answers(sample) if "main bronchus" not in line and LATERAL not in line
    ]
    assert len(unknown) > 30
    assert not any(re.search(r"\b(left|right)\b", line, re.IGNORECASE) for line in told)
    assert any(NO_SIDE in line for line in told)


def test_sides_are_taken_out_cleanly() -> None:
    assert without_sides("Yes, there is a small left pleural effusion.") == "Yes, there is a small pleural effusion."
    assert without_sides("The nodule is in the right upper zone.") == "The nodule is in the upper zone."


def test_questions_are_mixed_so_that_yes_and_no_are_as_likely() -> None:
    made, rng = maker(), np.random.default_rng(1)
    asked = [q for n in range(len(made.facts)) for q in mixed(made.questions(n, rng), rng, 6)]
    presence = [q.present for q in asked if q.kind == "presence" and q.finding]
    assert 0.35 < np.mean(presence) < 0.65
    assert len({q.kind for q in asked}) > 8


def test_a_follow_up_shows_the_prior_first_and_says_how_it_changed() -> None:
    made, rng = maker(), np.random.default_rng(0)
    current = [n for n, facts in enumerate(made.facts) if facts["kind"] == "current"]
    assert current
    for n in current:
        sample = made.follow_up(n, rng, 5)
        assert sample.pictures == 2
        assert text_of(sample).index("Prior 1:") < text_of(sample).index("Picture 1:")
        assert (made.facts[n - 1]["kind"], made.facts[n - 1]["seed"]) == ("prior", made.facts[n]["seed"])
        changes = {change["change"] for change in made.facts[n]["changes"]}
        assert any(change.lower() in line.lower() for change in changes for line in answers(sample))


@pytest.mark.parametrize(("task", "section"), [("report", "impression"), ("diagnosis", "diagnosis")])
def test_other_tasks_have_their_own_sections(task: str, section: str) -> None:
    made, rng = maker(), np.random.default_rng(0)
    assert all(f"[{section}]" in getattr(made, task)(n, rng).answer for n in range(10))


def test_a_choice_is_put_with_its_choices_and_answered_by_one() -> None:
    for sample in quizzes(60):
        for question, answer in zip([text_of(sample), *(q for q, _ in sample.more)], answers(sample), strict=True):
            if offered := re.search(r"Answer with one of: (.*) or (.*)\.$", question):
                said = re.match(r"\[answer\] (.*)\. \[image\]", answer)
                choices = [*offered[1].split(", "), offered[2]]
                assert NO_SIDE in answer or LATERAL in answer or "cannot tell" in answer or said
                if said:
                    assert said[1].lower() in [choice.lower() for choice in choices]


def test_criteria_are_as_the_study_and_the_history_decide_them() -> None:
    made, rng = maker(), np.random.default_rng(0)
    said = [line for n in range(len(made.facts)) for line in answers(made.criteria(n, rng, 6))]
    states = [line.removeprefix("[answer] ").removesuffix(". [image]") for line in said]
    assert set(states) == {"Met", "Contradicted", "Unknown"}
    assert min(states.count(state) for state in set(states)) > 0.15 * len(states)
