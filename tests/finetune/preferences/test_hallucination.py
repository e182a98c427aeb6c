"""Plausible hallucinations mean something else than the truth, in a way of a known type, and agree with themselves."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eval.phantoms import TRAINING_FAMILIES, make_phantom
from eval.phantoms.findings import Finding
from finetune.pocket.samples import asked
from finetune.preferences import wording
from finetune.preferences.hallucination import Sampled, Typed, as_lines
from finetune.preferences.typed import Facts, answer_of, asked_of, edits, report_of, report_with
from finetune.preferences.verdict import meaning, plain, present, right
from finetune.sft_data import sections_of
from tests.finetune.preferences.parts import case_of, read, rows_of, saying

FEW = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
NOWHERE = (0, 0, 0, 0)


def facts_of(seed: int) -> Facts:
    return Facts.of(make_phantom(1_900_000 + seed, family=TRAINING_FAMILIES[seed % 3], size=64))


def text_of(report: dict[str, str]) -> str:
    return " ".join(report.values())


@FEW
@given(st.integers(0, 60), st.integers(0, 9))
def test_an_edit_of_the_truth_always_changes_what_the_report_means(seed: int, draw: int) -> None:
    facts = facts_of(seed)
    made = edits(facts, np.random.default_rng(draw))
    assert {edit.kind for edit in made} >= {"invention"} | ({"negation"} if facts.findings else set())
    for edit in made:
        assert meaning(text_of(report_with(edit))) != meaning(text_of(report_of(facts))), edit


@FEW
@given(st.integers(0, 60), st.integers(0, 9))
def test_an_edited_answer_is_never_the_true_one(seed: int, draw: int) -> None:
    facts, found = facts_of(seed), 0
    for question in asked_of(facts, 1_900_000 + seed):
        for edit in edits(facts, np.random.default_rng(draw), question.finding, question.device):
            if answer := answer_of(edit, question, 1_900_000 + seed):
                found += 1
                assert meaning(answer) != meaning(question.answer), (question, answer)
                if question.kind == "presence" and edit.kind in ("finding", "negation", "invention"):
                    assert right(question.answer, answer, "ask", asked(question)) is False
                if question.kind == "side" and edit.kind == "side":
                    assert right(question.answer, answer, "ask", asked(question)) is False
    assert found


def test_a_wrong_side_is_wrong_in_every_section() -> None:
    facts = Facts((Finding("effusion", "left", None, "small", None, NOWHERE),), (), "PA", None)
    (edit,) = [edit for edit in edits(facts, np.random.default_rng(0)) if edit.kind == "side"]
    report = text_of(report_with(edit))
    assert "left" not in report
    assert present(report) == {("Pleural Effusion", "right")}


def test_a_replaced_finding_is_no_longer_denied_elsewhere() -> None:
    facts = Facts((Finding("nodule", "left", "upper", "small", 10.0, NOWHERE),), (), "PA", None)
    (edit,) = [edit for edit in edits(facts, np.random.default_rng(0)) if edit.kind == "finding"]
    report = text_of(report_with(edit))
    assert "There is no lung nodule" in report
    assert present(report) == {("Consolidation", "left")}


@pytest.mark.parametrize(
    ("answer", "kinds"),
    [
        ("[lungs] There is a small left upper lobe nodule of 8 mm.", {"side", "zone", "severity", "size", "finding"}),
        ("[answer] Yes.", {"negation"}),
        ("[answer] There is no pleural effusion.", {"negation"}),
        ("[lungs] Mild pulmonary edema.\n[lines] No tube or line is seen.", {"severity", "finding", "device"}),
    ],
)
def test_words_are_changed_by_type(answer: str, kinds: set[str]) -> None:
    task = "report" if answer.startswith("[l") else "ask"
    made = wording.edits(answer, sections_of(task), np.random.default_rng(0))  # type: ignore[arg-type]
    assert {kind for kind, _, _ in made} >= kinds
    for kind, _, text in made:
        assert meaning(plain(text, task)) != meaning(plain(answer, task)), kind  # type: ignore[arg-type]


def test_two_sides_are_not_swapped_nor_one_denial_taken_for_another() -> None:
    answer = "[lungs] Left effusion and right nodule.\n[pleura] There is no consolidation."
    made = wording.edits(answer, sections_of("report"), np.random.default_rng(0))
    assert "side" not in {kind for kind, _, _ in made}
    assert all("no atelectasis" not in text for _, _, text in made)


def test_typed_pairs_keep_the_prompt_and_the_form_of_the_task(tmp_path: Path) -> None:
    typed = Typed(lambda case: make_phantom(case.row.told.seed or 0, family=str(case.row.told.family), size=64))
    for row in rows_of(tmp_path, 2):
        case = case_of(row)
        for draft in asyncio.run(typed.drafts(case, np.random.default_rng(0))):
            assert draft.prompt is case.prompt
            assert draft.chosen == case.answer
            assert as_lines(draft.rejected, row.told.sections) == draft.rejected
            assert meaning(plain(draft.rejected, row.told.task)) != meaning(case.truth)


def presence(folder: Path) -> object:
    rows = rows_of(folder)
    return next(
        case_of(row) for row in rows if row.told.task == "ask" and row.told.answer[:4] in ("Yes,", "No, ")
    )  # fmt: skip


def test_the_model_s_most_frequent_wrong_answer_is_taken_without_a_judge(tmp_path: Path) -> None:
    case = presence(tmp_path)
    yes = case.truth.startswith("Yes")
    wrong, good = ("No", "Yes") if yes else ("Yes", "No")
    answers = {0: good, 1: f"{wrong}.", 2: f"{wrong}, surely.", 3: f"{wrong}, surely."}
    speak, heard = saying(lambda prompt: f"[answer] {answers[prompt.sampling.seed]}")
    (draft,) = asyncio.run(Sampled(speak, None, 4, 0.9).drafts(case, np.random.default_rng(0)))
    assert draft.rejected == f"[answer] {wrong}, surely."
    assert {prompt.sampling.temperature for prompt in heard} == {0.9}
    assert "2 of 4 times" in draft.why


def test_a_judge_picks_among_the_wrong_answers_and_may_find_none(tmp_path: Path) -> None:
    case = presence(tmp_path)
    wrong = "No" if case.truth.startswith("Yes") else "Yes"
    speak, _ = saying(lambda prompt: f"[answer] {wrong}, number {prompt.sampling.seed}.")
    judge, heard = saying(lambda _: "2")
    (draft,) = asyncio.run(Sampled(speak, judge, 3, 0.9).drafts(case, np.random.default_rng(0)))
    assert draft.rejected == f"[answer] {wrong}, number 1."
    assert case.truth in read(heard[0])
    nobody, _ = saying(lambda _: "0")
    assert asyncio.run(Sampled(speak, nobody, 3, 0.9).drafts(case, np.random.default_rng(0))) == []


def test_to_be_right_cut_off_or_silent_is_no_hallucination(tmp_path: Path) -> None:
    case = presence(tmp_path)
    for said in (case.answer, None, "[answer] I cannot tell."):
        speak, _ = saying(lambda _, said=said: said)
        assert asyncio.run(Sampled(speak, None, 2, 0.9).drafts(case, np.random.default_rng(0))) == []
