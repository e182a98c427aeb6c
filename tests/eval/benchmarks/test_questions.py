"""How answers of each kind are read, official files, and engines whose faults the figures must tell."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from assistant.engines.base import Prompt
from assistant.study import STANDARD_RADIOGRAPH
from eval.benchmarks.folder import RADIOGRAPH, entries, file_in, sample, study
from eval.benchmarks.questions import Asked, Kind, Questions, closed_kind, item_of, recall
from eval.exam.benchmark import Answer, Said, Scores
from retrieval.errors import BadInput
from tests.eval.benchmarks.asking import abstains, figures_of, perfect, rows_of
from tests.eval.benchmarks.folders import write_picture


def scores(kind: Kind, truth: str, said: str, choices: tuple[str, ...] = ()) -> Scores:
    item = item_of(Asked("1", "?", truth, (Path("1.png"),), kind, choices))
    sentences = (Said(section="answer", text=said, support="image"),) if said else ()
    return Small().score(item, {"asked": Answer(status="answered", text=said, sentences=sentences)})


class Small(Questions):
    """Four pictures, each asked in one way."""

    name, title, needs_data = "small", "A small set", "a folder"
    shown = ("accuracy", "balanced accuracy", "token F1", "off by", "answered")

    def asked(self, folder: Path) -> Iterator[Asked]:
        picture = (folder / "1.png",)
        yield Asked("1", "Is there a fracture?", "Yes", picture, "yes/no")
        yield Asked("2", "Is the heart large?", "No", picture, "yes/no")
        yield Asked("3", "How many nodules are there?", "4", picture, "number")
        yield Asked("4", "What is seen?", "a broken rib", picture)


RIGHT = {"1": "Yes, there is.", "2": "No.", "3": "There are 4.", "4": "A broken rib."}


@pytest.mark.parametrize(
    ("kind", "truth", "said", "right"),
    [
        ("yes/no", "Yes", "Yes, there is.", True),
        ("yes/no", "no", "Yes, there is no doubt.", False),
        ("yes/no", "Yes", "There is a fracture.", False),
        ("closed", "Axial", "The plane is axial.", True),
        ("closed", "right", "It is upright.", False),
        ("closed", "right", "", False),
        ("number", "4", "There are 4 nodules and 2 cysts.", True),
        ("number", "4", "There are 14.", False),
    ],
)
def test_closed_answers(kind: Kind, truth: str, said: str, right: bool) -> None:
    assert scores(kind, truth, said)["right"] is right


def test_choices() -> None:
    choices = ("none", "mild", "severe")
    assert scores("choice", "mild", "It is mild.", choices) == {
        "kind": "choice", "answered": True, "truth": "mild", "said": "mild", "right": True, "chance": 1 / 3,
    }  # fmt: skip
    assert scores("choice", "mild", "It is mild or severe.", choices)["said"] is None
    assert scores("choice", "mild", "I cannot tell.", choices)["answered"] is False
    assert scores("choice", "severe", "C", choices)["right"] is True


def test_numbers_and_open_answers() -> None:
    assert scores("number", "4", "There are 6.")["off_by"] == 2
    assert scores("number", "4", "Many.")["off_by"] is None
    found = scores("open", "left lower lobe", "The left lobe is dense.")
    assert found["recall"] == pytest.approx(2 / 3)  # left, lobe of left, lower, lobe
    assert found["f1"] == pytest.approx(2 * 2 / (4 + 3))
    assert found["exact"] == 0
    assert scores("open", "The", "The")["recall"] == 1
    assert scores("open", "?", "Yes")["recall"] is None
    assert recall("left left", "left lower left left") == pytest.approx(2 / 4)


def test_kinds_of_closed_answers() -> None:
    assert (closed_kind(" YES "), closed_kind("No."), closed_kind("left")) == ("yes/no", "yes/no", "closed")


ENGINES: dict[str, tuple[dict[str, str] | None, tuple[float, ...]]] = {
    "perfect": (RIGHT, (1, 1, 1, 0, 1)),
    "always yes": (dict.fromkeys(RIGHT, "Yes."), (1 / 3, 1 / 2, 0, float("nan"), 3 / 4)),
    "always abstains": (None, (0, 0, 0, float("nan"), 0)),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.anyio
async def test_the_figures_say_what_is_wrong_with_an_engine(engine: str, tmp_path: Path) -> None:
    write_picture(tmp_path / "1.png")
    said, expected = ENGINES[engine]
    benchmark = Small(tmp_path)
    items = list(benchmark.items(10, 0))
    says: Callable[[Prompt], str] = abstains
    if said is not None:
        says = perfect([(item.request(), f"[answer] {said[item.id]} [image]") for item in items])
    rows = await rows_of(benchmark, items, says, tmp_path)
    assert list(figures_of(benchmark, rows).values()) == pytest.approx(expected, nan_ok=True)


def test_the_same_seed_asks_the_same_and_a_part_is_the_beginning(tmp_path: Path) -> None:
    def ids(n: int, seed: int) -> list[str]:
        return [item.id for item in Small(tmp_path).items(n, seed)]

    assert ids(4, 0) == ids(9, 0)
    assert ids(2, 0) == ids(4, 0)[:2]
    assert any(ids(4, 0) != ids(4, seed) for seed in range(1, 5))
    assert sample(list(Small(tmp_path).asked(tmp_path))[::-1], 9, 0) == sample(Small(tmp_path).asked(tmp_path), 9, 0)


def test_a_set_without_its_folder_says_what_to_add() -> None:
    with pytest.raises(BadInput, match=r"small reads a folder: add --data small=FOLDER"):
        Small(Path("nowhere")).items(1, 0)


@pytest.mark.parametrize(
    ("name", "text", "place"),
    [
        ("a.jsonl", '{"id": 1}\n\n{"id": secret}\n', r"^a.jsonl, line 3, is not JSON"),
        ("a.jsonl", '{"id": 1}\n["secret"]\n', r"^a.jsonl, line 2, is not a JSON object"),
        ("a.json", '[\n{"id": 1},\n{secret}]', r"^a.json, line 3, is not JSON"),
        ("a.json", '[{"id": 1}, "secret"]', r"^a.json, entry 2, is not a JSON object"),
        ("a.json", '{"secret": 1}', r"^a.json is not a list of objects"),
        ("a.jsonl", '{"id": " ", "word": "secret"}\n', r"^a.jsonl, line 1, has no 'id'"),
        ("a.csv", "id,word\n1,x\n,secret\n", r"^a.csv, line 3, has no 'id'"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_by_its_place_alone(name: str, text: str, place: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(BadInput, match=place) as error:
        [entry.text("id") for entry in entries(tmp_path / name)]
    assert "secret" not in str(error.value)


def test_a_value_of_another_kind(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({"labels": "secret", "age": None}))
    entry = next(entries(tmp_path / "a.jsonl"))
    assert entry.maybe("age", int) is None
    with pytest.raises(BadInput, match=r"^a.jsonl, line 1, has a 'labels' that is no list") as error:
        entry.maybe("labels", list)
    assert "secret" not in str(error.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"holds no a.json or b.json"):
        file_in(tmp_path, "a.json", "b.json")
    (tmp_path / "latin.jsonl").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(BadInput, match="can't be read as UTF-8"):
        list(entries(tmp_path / "latin.jsonl"))


def test_pictures_are_told_what_their_set_knows_of_them(tmp_path: Path) -> None:
    pixels: Any = np.random.default_rng(0).integers(0, 255, (32, 40), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "1.png")
    picture = study((tmp_path / "1.png",), RADIOGRAPH).pictures[0]
    assert (picture.modality, picture.view, picture.orientation) == ("DX", None, STANDARD_RADIOGRAPH)
    assert picture.sha256 == study((tmp_path / "1.png",), RADIOGRAPH).pictures[0].sha256
    assert np.array_equal(picture.pixels, pixels)
