"""The file of pairs: what is written is read again, and each fault is told by its line."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from finetune.errors import BadInput, Problem
from finetune.preferences.pair import Pair, read_pairs, write_pairs


def line(**changes: Any) -> dict[str, Any]:
    told: dict[str, Any] = {
        "id": "a",
        "prompt": [
            {"role": "system", "parts": [{"text": "Read."}]},
            {"role": "user", "parts": [{"text": "Picture 1: "}, {"image": "images/one.png"}, {"text": "What?"}]},
        ],
        "chosen": "[answer] Yes. [image]",
        "rejected": "[answer] No. [image]",
        "source": "hallucination",
        "seed": 1,
        "patient": "train-1000001",
        "split": "train",
        "why": "The answer is turned round.",
    }
    return told | changes


def written(folder: Path, *lines: dict[str, Any]) -> Path:
    (folder / "images").mkdir()
    for name in ("one", "other"):
        Image.new("L", (8, 8)).save(folder / "images" / f"{name}.png")
    path = folder / "pairs.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in lines))
    return path


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    pairs = [Pair.model_validate(line(id=name, weight=0.75)) for name in ("a", "b")]
    path = written(tmp_path)
    write_pairs(path, pairs)
    problems: list[Problem] = []
    assert read_pairs(path, problems.append) == pairs
    assert not problems
    assert pairs[0].images == ["images/one.png"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"chosen": " "}, "chosen answer is empty"),
        ({"rejected": ""}, "rejected answer is empty"),
        ({"rejected": "[answer] Yes. [image]"}, "are the same"),
        ({"rejected": "[answer] Yes. [image]", "rejected_images": ["images/one.png"]}, "are the same"),
        ({"weight": float("nan")}, "weight"),
        ({"weight": float("inf")}, "weight"),
        ({"weight": -0.1}, "weight"),
        ({"wait": 1}, "unknown key 'wait'"),
        ({"rejected_images": ["images/gone.png"]}, "image is not there"),
        ({"rejected_images": ["../one.png"]}, "outside the folder"),
        ({"rejected_images": ["images/one.png", "images/other.png"]}, "shows 2 pictures, its prompt 1"),
        ({"patient": ""}, "patient"),
        ({"source": "guess"}, "source"),
        ({"schema_version": 2}, "schema_version"),
        ({"id": "first"}, "its id stands on line 1"),
        ({"patient": "other", "split": "val"}, "its patient is in val here and in train"),
    ],
)
def test_each_fault_is_told_by_its_line(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    path = written(tmp_path, line(id="first", patient="other"), line(**changes))
    problems: list[Problem] = []
    read_pairs(path, problems.append)
    assert [problem.line for problem in problems] == [2]
    assert told in problems[0].what


def test_the_same_answer_about_another_picture_is_a_pair(tmp_path: Path) -> None:
    same = line(rejected="[answer] Yes. [image]", rejected_images=["images/other.png"], source="lesion")
    problems: list[Problem] = []
    assert len(read_pairs(written(tmp_path, same), problems.append)) == 1
    assert not problems


def test_a_file_that_is_not_there_is_an_error_of_the_tree(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="is not there"):
        read_pairs(tmp_path / "pairs.jsonl", lambda _: None)
