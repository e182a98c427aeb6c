"""The differential inside the one iterator: candidates, checklists, ranking, what is said of it."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest

from assistant.assistant import Assistant
from assistant.engines.base import Prompt
from assistant.engines.fake import INFO, FakeEngine
from assistant.errors import BadInput
from assistant.events import (
    Candidate,
    CheckedCriterion,
    Differential,
    Done,
    Event,
    Finding,
    Quality,
    Retrieved,
    Sentence,
)
from assistant.requests import DiagnoseRequest
from eval.phantoms.criteria import DISEASES
from retrieval.cards import Card, Criterion, Disagreement, Lab
from tests.assistant.diagnosis.cards import CRP, EFFUSION, PNEUMONIA, assistant_with, card, prompts, reader, source
from tests.assistant.parts import CARD, study

HISTORY = "A 70-year-old woman who coughs. C-reactive protein 12 mg/L."


def run(assistant: Assistant, request: DiagnoseRequest) -> list[Event]:
    async def collect() -> list[Event]:
        async with aclosing(assistant.run(request)) as events:
            return [event async for event in events]

    return asyncio.run(collect())


def differential(events: Sequence[Event]) -> Differential:
    (found,) = [event for event in events if isinstance(event, Differential)]
    return found


def by_name(found: Differential) -> dict[str, Candidate]:
    return {candidate.name: candidate for candidate in found.candidates}


def lines_of(found: Differential, name: str) -> dict[str, CheckedCriterion]:
    return {line.text: line for line in by_name(found)[name].criteria}


def request(**changes: object) -> DiagnoseRequest:
    fields: dict[str, object] = {"study": study(), "history": HISTORY, "candidates": ("pneumonia", "pleural effusion")}
    return DiagnoseRequest(**(fields | changes))  # type: ignore[arg-type]


def test_the_events_come_in_order_and_the_readings_are_released_sentences(tmp_path: Path) -> None:
    assistant = assistant_with(tmp_path, [PNEUMONIA], reader(["consolidation"], ["Pneumonia"]))
    events = run(assistant, request(candidates=()))
    assert [type(event) for event in events] == [Quality, Retrieved, Sentence, Sentence, Differential, Finding, Done]
    (reading,) = [event for event in events if isinstance(event, Sentence) and event.section == "checklist"]
    assert (reading.text, reading.support) == ("Met: The lung shows consolidation.", "image")


def test_each_kind_is_decided_by_what_it_is_about(tmp_path: Path) -> None:
    assistant = assistant_with(tmp_path, [PNEUMONIA, EFFUSION], reader(["consolidation"]))
    found = differential(run(assistant, request()))
    lines = lines_of(found, "Pneumonia")
    seen, told = lines["The lung shows consolidation."], lines["The patient coughs."]
    value = lines["C-reactive protein is above 100 mg/L."]
    assert seen.state == told.state == "met"
    assert value.state == "contradicted"
    assert seen.shown is not None
    assert seen.shown.kind == "image"
    assert told.shown is not None
    assert HISTORY[told.shown.start : told.shown.end] == told.shown.text == "coughs"
    assert value.shown is not None
    assert value.shown.text == "C-reactive protein 12 mg/L, above its range of at most 5 mg/L"
    assert seen.source == "Society A, Guide, 2023, Diagnosis"
    assert by_name(found)["Pneumonia"].doid == "DOID:552"
    assert found.candidates[0].name == "Pneumonia"


def test_a_value_of_the_request_is_converted(tmp_path: Path) -> None:
    assistant = assistant_with(tmp_path, [PNEUMONIA], reader([]))
    found = differential(run(assistant, request(laboratory={"CRP": "12 mg/dL"})))
    line = lines_of(found, "Pneumonia")["C-reactive protein is above 100 mg/L."]
    assert line.state == "met"
    assert line.shown is not None
    assert line.shown.start is None


def test_a_value_is_refused_before_the_model_is_asked(tmp_path: Path) -> None:
    assistant = assistant_with(tmp_path, [PNEUMONIA], reader([]))
    with pytest.raises(BadInput, match="no known unit"):
        run(assistant, request(laboratory={"CRP": "12 florins"}))
    assert prompts(assistant) == []


def test_a_value_in_a_unit_of_another_kind_leaves_its_criterion_unknown(tmp_path: Path) -> None:
    assistant = assistant_with(tmp_path, [PNEUMONIA], reader([]))
    found = differential(run(assistant, request(laboratory={"CRP": "12 mmol/L"})))
    line = lines_of(found, "Pneumonia")["C-reactive protein is above 100 mg/L."]
    assert line.state == "unknown"
    assert "can't be compared" in line.why


def test_a_criterion_points_at_the_passage_that_says_it(tmp_path: Path) -> None:
    assistant = assistant_with(tmp_path, [EFFUSION], reader(["effusion"]), documents={"effusion.md": CARD})
    found = differential(run(assistant, request()))
    passage = lines_of(found, "Pleural effusion")["A pleural effusion blunts the costophrenic angle."].passage
    assert passage is not None
    assert passage.document_id is not None
    assert passage.quote == "A pleural effusion blunts the costophrenic angle."
    assert assistant.library.document(passage.document_id).text[passage.start : passage.end] == passage.quote
    assert lines_of(found, "Pleural effusion")["Breath sounds are reduced."].passage is None  # the card has no Symptoms


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        ('Met: "short of breath".', "met"),
        ('Contradicted: "short of breath".', "contradicted"),
        ('Met: "wheezing at night".', "unknown"),  # nobody said so
        ("Met.", "unknown"),  # no words
        ("Unknown.", "unknown"),
        ('Met or contradicted: "short of breath".', "unknown"),
        ('It is not met: "short of breath".', "unknown"),
    ],
)
def test_the_models_word_for_a_history_counts_only_with_words_of_it(tmp_path: Path, answer: str, state: str) -> None:
    dyspnoea = card("Asthma", Criterion("Dyspnoea at rest", "history", "required", 0))

    def said(prompt: Prompt) -> str:
        return f"[answer] {answer}" if "Criterion:" in str(prompt.messages[-1].parts[-1]) else ""

    assistant = assistant_with(tmp_path, [dyspnoea], said)
    told = "He is short of breath sitting."
    (line,) = by_name(differential(run(assistant, request(history=told, candidates=("asthma",)))))["Asthma"].criteria
    assert line.state == state
    if line.shown:
        assert told[line.shown.start : line.shown.end] == line.shown.text == "short of breath"


def test_a_side_is_not_read_where_sides_are_unknown(tmp_path: Path) -> None:
    left = card("Collapse", Criterion("The left lower lobe has collapsed.", "imaging", "required", 0))
    assistant = assistant_with(tmp_path, [left], reader(["left lower lobe"]))
    events = run(assistant, request(study=study(sides=False), candidates=("collapse",)))
    (line,) = by_name(differential(events))["Collapse"].criteria
    assert (line.state, line.why) == ("unknown", "A check withheld the model's reading.")
    assert any(
        "states a side" in dropped.why for event in events if isinstance(event, Done) for dropped in event.dropped
    )


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        ("Met.", "met"),
        ("Contradicted: no metastasis.", "contradicted"),
        ("No metastasis is seen.", "unknown"),
        ("This is not met.", "unknown"),
        ("It isn't met.", "unknown"),
    ],
)
def test_a_state_is_a_word_of_the_answer_that_it_does_not_deny(tmp_path: Path, answer: str, state: str) -> None:
    def said(prompt: Prompt) -> str:
        return f"[answer] {answer}" if "Criterion:" in str(prompt.messages[-1].parts[-1]) else ""

    found = differential(run(assistant_with(tmp_path, [card("One", SEEN)], said), request(candidates=("one",))))
    assert [line.state for line in found.candidates[0].criteria] == [state]


def test_scores_decide_where_the_engine_can(tmp_path: Path) -> None:
    assistant = assistant_with(tmp_path, [PNEUMONIA], reader([]), INFO)
    asked: list[tuple[str, ...]] = []

    class Scoring(FakeEngine):
        async def score(self, prompt: Prompt, completions: Sequence[str]) -> list[float]:
            asked.append(tuple(completions))
            return [0.0 if "Met" in text or "Pneumonia" in text else -9.0 for text in completions]

    assistant.engine = Scoring([""])
    found = differential(run(assistant, request()))
    assert lines_of(found, "Pneumonia")["The lung shows consolidation."].state == "met"
    assert [by_name(found)[name].standing for name in ("Pneumonia", "pleural effusion")] == [1.0, 0.5]
    assert ("[answer] Met. [image]", "[answer] Contradicted. [image]", "[answer] Unknown. [image]") in asked


def test_candidates_merge_under_one_name_and_a_missing_guideline_is_marked(tmp_path: Path) -> None:
    answer = reader([], ["Lung infection", "Sarcoidosis"])
    assistant = assistant_with(tmp_path, [PNEUMONIA], answer)
    found = differential(run(assistant, request(candidates=("PNEUMONIA",))))
    named = by_name(found)
    assert named["Pneumonia"].origins == ("request", "model")
    assert named["Pneumonia"].standing == 1
    assert (named["Sarcoidosis"].guideline, named["Sarcoidosis"].origins) == (False, ("model",))


def test_the_models_order_is_its_own_not_that_of_the_request(tmp_path: Path) -> None:
    assistant = assistant_with(tmp_path, TWINS, reader(["consolidation"], ["Two", "One"]))
    found = differential(run(assistant, request(candidates=("one", "two"))))
    assert [(c.name, c.standing) for c in found.candidates] == [("Two", 1), ("One", 0.5)]


@pytest.mark.parametrize(("history", "asked"), [("A woman.", [120]), ("A man.", [130]), ("Pale.", [130, 120])])
def test_a_limit_for_the_other_sex_is_not_asked(tmp_path: Path, history: str, asked: list[int]) -> None:
    limits = {"male": 130, "female": 120}
    anaemia = card("Anaemia", *(
        Criterion(f"Haemoglobin below {limit} g/L", "laboratory", "required", 0,
                  lab=Lab("Haemoglobin", "g/L", below=limit, sex=sex))  # type: ignore[arg-type]
        for sex, limit in limits.items()
    ))  # fmt: skip
    wanted = request(history=history, candidates=("anaemia",), laboratory={"Hb": "9 g/dL"})
    (found,) = differential(run(assistant_with(tmp_path, [anaemia], reader([])), wanted)).candidates
    assert [line.text for line in found.criteria] == [f"Haemoglobin below {limit} g/L" for limit in asked]
    assert {line.state for line in found.criteria} == ({"met"} if len(asked) == 1 else {"unknown"})


def test_the_documents_of_passages_are_candidates(tmp_path: Path) -> None:
    assistant = assistant_with(tmp_path, [EFFUSION], reader([]), documents={"effusion.md": CARD})
    found = differential(run(assistant, request(history="Is it a pleural effusion?", candidates=())))
    assert [(c.name, c.origins) for c in found.candidates] == [("Pleural effusion", ("guideline",))]


def test_what_the_model_denies_is_no_candidate(tmp_path: Path) -> None:
    def said(_: Prompt) -> str:
        return "[diagnosis] Pneumonia is unlikely. [image]"

    found = differential(run(assistant_with(tmp_path, [PNEUMONIA], said), request(candidates=())))
    assert (found.candidates, found.verdict) == ((), "not enough to tell")


def test_nothing_known_is_not_enough_to_tell(tmp_path: Path) -> None:
    def said(_: Prompt) -> str:
        return "[answer] Unknown."

    found = differential(
        run(assistant_with(tmp_path, [PNEUMONIA], said), request(history="", candidates=("pneumonia",)))
    )
    assert {line.state for line in found.candidates[0].criteria} == {"unknown"}
    assert found.verdict == "not enough to tell"


SEEN = Criterion("The lung shows consolidation.", "imaging", "required", 0)
TWINS = [card(name, SEEN, Criterion("The patient coughs.", "history", "supports", 0)) for name in ("One", "Two")]


def test_equals_are_tied(tmp_path: Path) -> None:
    found = differential(
        run(assistant_with(tmp_path, TWINS, reader(["consolidation"])), request(candidates=("one", "two")))
    )
    assert found.verdict == "tie"
    assert "One and Two" in found.message


def test_the_missing_fact_that_would_turn_the_ranking_is_named(tmp_path: Path) -> None:
    seen = Criterion("The lung shows consolidation.", "imaging", "required", 0)
    first = card("First", seen, Criterion("The patient coughs.", "history", "supports", 0))
    second = card("Second", seen, Criterion("Procalcitonin is above 1 ug/L.", "laboratory", "required", 0,
                                            lab=Lab("Procalcitonin", "ug/L", above=1)))  # fmt: skip
    assistant = assistant_with(tmp_path, [first, second], reader(["consolidation"], ["Second"]))
    found = differential(run(assistant, request(history="A man. No cough.", candidates=("first", "second"))))
    assert found.missing is not None
    assert (found.missing.candidate, found.missing.criterion) == ("Second", "Procalcitonin is above 1 ug/L.")
    settled = differential(
        run(assistant, request(history="A man. No cough.", candidates=("first", "second"),
                               laboratory={"Procalcitonin": "3 ug/L"}))
    )  # fmt: skip
    assert settled.missing is None  # nothing is unknown any more


def test_guidelines_that_disagree_are_shown_with_both_sources(tmp_path: Path) -> None:
    low = Lab("C-reactive protein", "mg/dL", above=2)
    here = card("Pneumonia", Criterion("CRP above 100 mg/L", "laboratory", "required", 0, lab=CRP))
    there = card("Pneumonia (There)", Criterion("CRP above 2 mg/dL", "laboratory", "required", 0, lab=low),
                 terms=["pneumonia"], sources=[source("Society B")])  # fmt: skip
    assistant = assistant_with(tmp_path, [here, there], reader([]))
    found = differential(run(assistant, request(laboratory={"CRP": "50 mg/L"}, candidates=("pneumonia",))))
    assert [conflict.about for conflict in found.conflicts] == ["C-reactive protein", "whether it is established"]
    assert found.conflicts[0].statements == ("CRP above 100 mg/L", "CRP above 2 mg/dL")
    assert [text.split(",")[0] for text in found.conflicts[0].sources] == ["Society A", "Society B"]
    same = replace(there, criteria=(replace(there.criteria[0], lab=Lab("CRP", "mg/dL", above=10)),))
    agreed = assistant_with(tmp_path / "agreed", [here, same], reader([]))
    assert differential(run(agreed, request(candidates=("pneumonia",)))).conflicts == ()


def test_a_disagreement_that_a_card_declares_is_shown_with_both_sources(tmp_path: Path) -> None:
    there = replace(PNEUMONIA, file="there.md", sources=(source("Society B"),),
                    disagrees=(Disagreement(PNEUMONIA.file, "A wants a culture, B none."),))  # fmt: skip
    assistant = assistant_with(tmp_path, [PNEUMONIA, there], reader([]))
    (conflict,) = differential(run(assistant, request(candidates=("pneumonia",)))).conflicts
    assert conflict.about == "A wants a culture, B none."
    assert [text.split(",")[0] for text in conflict.sources] == ["Society B", "Society A"]


def test_a_radiograph_is_not_asked_what_takes_a_ct(tmp_path: Path) -> None:
    embolism = card("Embolism", Criterion("CT shows a filling defect.", "imaging", "required", 0),
                    Criterion("A radiograph or CT shows a wedge.", "imaging", "supports", 0))  # fmt: skip
    assistant = assistant_with(tmp_path, [embolism], reader(["CT"]))
    defect, wedge = differential(run(assistant, request(candidates=("embolism",)))).candidates[0].criteria
    assert (defect.state, defect.why) == ("unknown", "It takes CT, and the request has none.")
    assert wedge.state == "met"


def test_the_picture_is_asked_without_the_history(tmp_path: Path) -> None:
    assistant = assistant_with(tmp_path, [PNEUMONIA], reader(["consolidation"]))
    run(assistant, request())
    (asked,) = [text for text in prompts(assistant) if "consolidation" in text]
    assert "70-year-old" not in asked


def test_what_two_guidelines_ask_is_asked_once(tmp_path: Path) -> None:
    assistant = assistant_with(tmp_path, TWINS, reader(["consolidation"]))
    run(assistant, request(candidates=("one", "two")))
    assert sum("Criterion:" in text for text in prompts(assistant)) == 1


def test_cards_of_every_phantom_disease_are_read_from_their_checklists() -> None:
    from eval.calibration.phantom_cards import phantom_cards
    from eval.phantoms import make_phantom

    cards: tuple[Card, ...] = phantom_cards(make_phantom(1, size=64))
    assert tuple(card.title.casefold() for card in cards) == DISEASES
    assert sum(line.lab is not None for one in cards for line in one.criteria) == 10
