"""The three sets of RAG preference tuning, by what a model answers under each condition."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from assistant.engines.base import Prompt
from eval.benchmarks.phantom_items import with_choices
from finetune.preferences.draft import Draft
from finetune.preferences.lesion import Noise
from finetune.preferences.material import Case, pictures_in
from finetune.preferences.pair import Source
from finetune.preferences.rag import NAMES, Rag
from finetune.preferences.verdict import choices_in, right
from tests.finetune.preferences.parts import case_of, read, reference, rows_of, saying


def yes_case(folder: Path, *, retrieved: bool = True) -> Case:
    """A question that is answered yes, and what was retrieved for it."""
    row = next(row for row in rows_of(folder) if row.told.task == "ask" and row.told.said.startswith("Yes,"))
    return case_of(row, [reference()] if retrieved else [])


def made(case: Case, with_r: str, alone: str, damaged: str, sources: tuple[Source, ...] = NAMES) -> list[Draft]:
    """What a model makes that answers so with the reference, without it, and to a damaged picture with it."""
    clean = {picture.sha256 for picture in pictures_in(case.prompt)}

    def answer(prompt: Prompt) -> str:
        if {picture.sha256 for picture in pictures_in(prompt)} != clean:
            return damaged
        return with_r if "pneumothorax is air" in read(prompt) else alone

    speak, _ = saying(answer)
    return asyncio.run(Rag(speak, Noise(None), sources).drafts(case, np.random.default_rng(0)))


YES, NO, YES_TOO = "[answer] Yes. [image]", "[answer] No. [1]", "[answer] Yes, as the reference says. [1]"


@pytest.mark.parametrize(
    ("with_r", "alone", "damaged", "sets"),
    [
        (YES, YES, YES_TOO, ["rag_a"]),
        (YES, YES, NO, []),
        (YES, NO, NO, ["rag_b"]),
        (YES, NO, YES_TOO, ["rag_a", "rag_b"]),
        (NO, YES, YES, ["rag_c"]),
        (NO, NO, YES, []),
    ],
)
def test_each_condition_gives_its_set(tmp_path: Path, with_r: str, alone: str, damaged: str, sets: list[str]) -> None:
    case = yes_case(tmp_path)
    drafts = made(case, with_r, alone, damaged)
    assert [draft.source for draft in drafts] == sets
    rejected = {"rag_a": damaged, "rag_b": alone, "rag_c": with_r}
    for draft in drafts:
        assert draft.chosen == case.answer
        assert draft.rejected == rejected[draft.source]
        assert "pneumothorax is air" in read(draft.prompt)  # which both sides read
        assert bool(draft.instead) == (draft.source == "rag_a")


def test_what_passages_say_is_on_neither_side(tmp_path: Path) -> None:
    case = yes_case(tmp_path)
    (draft,) = made(case, f"{NO}\n[guideline] The card covers it. [1]", YES, YES)
    assert draft.rejected == NO
    assert made(case, "[guideline] The card covers it. [1]", YES, YES) == []


def test_only_the_sets_that_are_wanted_are_made(tmp_path: Path) -> None:
    case = yes_case(tmp_path)
    assert [draft.source for draft in made(case, YES, NO, YES_TOO, ("rag_b",))] == ["rag_b"]
    assert made(case, NO, YES, YES, ("rag_a", "rag_b")) == []


def test_without_a_reference_there_is_no_such_pair(tmp_path: Path) -> None:
    assert made(yes_case(tmp_path, retrieved=False), YES, NO, YES) == []


@pytest.mark.parametrize(
    ("truth", "said", "question", "verdict"),
    [
        ("Yes, there is a small left effusion.", "Yes.", "Is there one?", True),
        ("Yes.", "No, there is none.", "Is there one?", False),
        ("Yes.", "Perhaps.", "Is there one?", False),
        ("Left.", "It is on the left.", "Where? Answer with one of: left or right.", True),
        ("Left.", "Left or right.", "Where? Answer with one of: left or right.", False),
        ("The effusion is on the patient's left side.", "It lies on the left.", "Where?", True),
        ("The effusion is on the patient's left side.", "It lies on the right.", "Where?", False),
        ("There is a small left pneumothorax.", "Small left pneumothorax.", "What is it?", True),
        ("It is a nice day.", "It is.", "What is it?", None),
        ("Yes.", "I cannot tell.", "Is there one?", False),
    ],
)
def test_the_verdict_is_the_exam_s(truth: str, said: str, question: str, verdict: bool | None) -> None:
    assert right(truth, said, "ask", question) is verdict


def test_a_report_is_right_when_its_findings_and_sides_are() -> None:
    truth = "There is a small left pleural effusion. No tube or line is seen. The heart is not enlarged."
    assert right(truth, "Small effusion on the left.", "report") is True
    assert right(truth, "Small effusion on the right.", "report") is False
    assert right(truth, "Small left effusion. Large nodule.", "report") is False


def test_choices_are_read_back_from_the_question() -> None:
    put = ("not enlarged", "mildly enlarged", "severely enlarged")
    assert choices_in(with_choices("How large is the heart?", put)) == put
    assert choices_in("How large is the heart?") == ()
