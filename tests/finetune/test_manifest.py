"""Wrong training data is told by file and line, all of it, before anything is trained."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from finetune.errors import Problem, WrongData
from finetune.manifest import assign_splits, check_apart, read_pairs, read_questions
from retrieval.errors import BadInput

RIGHT = {"image": "a.png", "text": "No effusion.", "patient": "7", "split": "train"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "a.png")
    return tmp_path


def manifest(folder: Path, *lines: Any) -> Path:
    path = folder / "studies.jsonl"
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


def problems_of(folder: Path, *lines: Any, ignore: frozenset[str] = frozenset(), labels: Any = None) -> list[str]:
    problems: list[Problem] = []
    path = manifest(folder, *lines)
    read_pairs([path], ignore, labels, problems.append)
    assert all(problem.file == path for problem in problems)
    return [f"{problem.line} {problem.what}" for problem in problems]


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("{", "is not a JSON object"),
        ("[]", "is not a JSON object"),
        ({**RIGHT, "image": "b.png"}, "its image is not there"),
        ({"text": "No effusion."}, "names no image"),
        ({**RIGHT, "text": " \n"}, "its text is empty"),
        ({"image": "a.png", "report": {"findings": " "}}, "its report is empty"),
        ({"image": "a.png", "caption": None}, "has no text, caption or report"),
        ({**RIGHT, "splt": "val"}, "unknown key 'splt'"),
        ({**RIGHT, "split": "valid"}, "unknown split 'valid'; known are train, val, test"),
        ({**RIGHT, "split": ["val"]}, "unknown split ['val']; known are train, val, test"),
        ({**RIGHT, "labels": ["oedema", "odema"]}, "unknown label 'odema'; known are oedema"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(folder: Path, line: Any, what: str) -> None:
    assert problems_of(folder, RIGHT, "", line, RIGHT, labels=frozenset(["oedema"])) == [f"3 {what}"]


def test_nothing_is_wrong_with_what_is_right(folder: Path) -> None:
    study = {
        "file": "a.png",
        "report": {"findings": "Clear.", "impression": "Normal."},
        "findings": [{"kind": "nodule"}],
    }
    assert problems_of(folder, RIGHT, study, {**RIGHT, "mine": 1}, ignore=frozenset(["mine"])) == []
    (pair,) = read_pairs([manifest(folder, study).parent], frozenset(), None, pytest.fail)
    assert (pair.text, pair.labels, pair.patient) == ("Findings: Clear.\nImpression: Normal.", ("nodule",), None)


def test_a_synthetic_study_is_known_by_its_seed(folder: Path) -> None:
    (pair,) = read_pairs([manifest(folder, {**RIGHT, "family": "train", "seed": 5})], frozenset(), None, pytest.fail)
    assert pair.phantom is not None
    assert pair.phantom.name == "family train, seed 5"


def test_a_manifest_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no manifest"):
        read_pairs([tmp_path / "none.jsonl"], frozenset(), None, pytest.fail)


def test_a_patient_on_both_sides_is_told_with_both_places() -> None:
    problems: list[Problem] = []
    a, b = Path("a.jsonl"), Path("b.jsonl")
    rows = [(a, 1, "7", "train"), (a, 2, "8", "val"), (a, 3, None, "val"), (b, 1, "7", "val"), (b, 2, "7", None)]
    check_apart(rows, problems.append)
    assert problems == [Problem(b, 1, "its patient is in val here and in train at a.jsonl:1")]


def test_one_error_tells_all_up_to_a_number() -> None:
    error = WrongData(
        [Problem(Path("b"), 1, "second"), *(Problem(Path("a"), n, "first") for n in range(1, 4))], shown=3
    )
    assert str(error) == (
        "4 things are wrong with the training data; nothing was trained:"
        "\n  a:1: first\n  a:2: first\n  a:3: first\n  … and 1 more"
    )
    assert len(error.problems) == 4


units = st.lists(st.integers(0, 40).map(str), min_size=1, max_size=60)


@given(units, st.integers(0, 5))
def test_a_patient_is_on_one_side(patients: list[str], seed: int) -> None:
    splits = assign_splits(patients, [None] * len(patients), 0.4, seed)
    assert len(set(zip(patients, splits, strict=True))) == len(set(patients))


@given(units, units)
def test_a_patient_more_moves_no_other(patients: list[str], others: list[str]) -> None:
    alone = assign_splits(patients, [None] * len(patients), 0.4, 0)
    together = assign_splits(others + patients, [None] * len(others + patients), 0.4, 0)
    assert together[len(others) :] == alone


def test_the_share_is_about_what_was_asked_and_a_named_split_counts_for_the_whole_patient() -> None:
    patients = [str(n) for n in range(2000)]
    assert 0.17 < assign_splits(patients, [None] * 2000, 0.2, 1).count("val") / 2000 < 0.23
    assert assign_splits(["7", "7", "8"], [None, "test", "val"], 0.0, 0) == ["test", "test", "val"]


def test_questions_are_checked_alike(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    rows = [
        {"question": "What?", "passage": "That."},
        {"question": "", "group": 3},
        {"question": "A", "passage": "B", "x": 1},
    ]
    path.write_text("\n".join(map(json.dumps, rows)))
    problems: list[Problem] = []
    read = read_questions([path], frozenset(), problems.append)
    assert [str(problem).removeprefix(str(tmp_path)) for problem in problems] == [
        "/q.jsonl:2: its question is empty", "/q.jsonl:2: has no passage", "/q.jsonl:3: unknown key 'x'"
    ]  # fmt: skip
    assert (read[0].question, read[0].passage, read[1].group) == ("What?", "That.", "3")
