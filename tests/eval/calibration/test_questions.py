import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eval.benchmarks.gold import gold_pairs
from eval.calibration.questions import LIBRARY, QUERIES, demonstration, learnt_from_cards, meant, named, read
from eval.ledger import EXAM_SEEDS, VALIDATION_SEEDS
from retrieval.encoders.folder import POCKET
from retrieval.errors import BadInput
from tests.assistant.parts import make_assistant


def written(folder: Path, *rows: object) -> Path:
    file = folder / "questions.jsonl"
    file.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    return file


def test_the_demonstration_is_nobodys_exam_and_no_encoders_training(tmp_path: Path) -> None:
    data = demonstration(make_assistant(tmp_path, [""]).library, 20, 20)
    assert not {question.text for question in data.questions} & {pair.question for pair in gold_pairs()}
    assert len({question.id for question in data.questions}) == len(data.questions)
    for seeds in (QUERIES, LIBRARY):
        assert seeds.start in VALIDATION_SEEDS
        assert seeds.start + 1000 in VALIDATION_SEEDS
        assert seeds.start + 1000 not in EXAM_SEEDS
    seen = json.loads((POCKET / "image_text" / "trained_on.json").read_text())["phantoms"]
    assert all(used["last"] < QUERIES.start for used in seen)
    closed = [question for question in data.questions if question.answer is not None]
    assert len(closed) == 20
    assert {question.answer for question in closed} == {True, False}
    assert sum(not question.relevant for question in data.questions if question.judged) >= 50


def test_the_same_data_have_the_same_hash(tmp_path: Path) -> None:
    library = make_assistant(tmp_path, [""]).library
    one, other = demonstration(library, 5, 2), demonstration(library, 5, 2)
    assert one.sha256 == other.sha256
    assert demonstration(library, 6, 2).sha256 != one.sha256


def test_whose_encoder_learnt_from_the_cards_is_known_by_its_ledger(tmp_path: Path) -> None:
    assert learnt_from_cards("pocket") == {"text→passage"}
    assert learnt_from_cards("fake") == learnt_from_cards(str(tmp_path)) == set()


def test_a_persons_own_questions(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "a.png")
    file = written(
        tmp_path,
        {"question": "Is there an effusion?", "relevant": ["effusion.md"], "image": "a.png", "answer": "yes"},
        "",
        {"question": "And a broken leg?", "relevant": []},
    )
    data = read(file, tmp_path)
    assert [(q.text, q.answer, q.picture is not None) for q in data.questions] == [
        ("Is there an effusion?", True, True),
        ("And a broken leg?", None, False),
    ]
    assert data.questions[0].picture is not None
    assert data.questions[0].picture().pixels.shape[:2] == (8, 8)


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("{", "line 2"),
        ([], "line 2"),
        ({"question": "Why?"}, "relevant"),
        ({"question": " ", "relevant": []}, "question"),
        ({"question": "Why?", "relevant": "effusion.md"}, "list of names"),
        ({"question": "Why?", "relevant": [], "answer": "perhaps"}, "answer"),
        ({"question": "Why?", "relevant": [], "image": "secret.png"}, "image is not there"),
    ],
)
def test_a_line_that_can_not_be_used_is_named(tmp_path: Path, row: object, why: str) -> None:
    file = written(tmp_path, {"question": "Good?", "relevant": []}, row)
    with pytest.raises(BadInput, match=why) as error:
        read(file, tmp_path)
    assert "secret" not in str(error.value)


def test_files_without_questions_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="holds no question"):
        read(written(tmp_path), tmp_path)
    with pytest.raises(BadInput, match="can't be read"):
        read(tmp_path / "missing.jsonl", tmp_path)


def test_what_is_relevant_goes_by_document_section_or_passage(tmp_path: Path) -> None:
    library = make_assistant(tmp_path, [""]).library
    ids, passages = named(library), list(library.passages())
    assert ids["effusion.md"] == ids["Pleural effusion"] == {passage.id for passage in passages}
    assert ids["effusion.md / Next step"] == {p.id for p in passages if p.section == "Next step"}
    assert ids[passages[0].id] == {passages[0].id}
    data = read(written(tmp_path, {"question": "Why?", "relevant": ["asthma.md"]}), tmp_path)
    with pytest.raises(BadInput, match=r"line 1: 'asthma\.md' is no document"):
        meant(data.questions[0], ids)
