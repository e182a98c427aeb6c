"""Open questions: slots read by hand, and engines whose figures are known."""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from eval.benchmarks import phantom_items
from eval.benchmarks.phantom_items import declines
from eval.benchmarks.vqa_open import OpenVqa, slot, wrong_side
from eval.exam.benchmark import Item
from tests.eval.benchmarks.asking import abstains, figures_of, perfect, rows_of, showing, small_films

SWAP = {"left": "right", "right": "left"}


@pytest.fixture(scope="module")
def items() -> Iterator[list[Item]]:
    """A few of every kind, from several families."""
    drawn = sorted(itertools.islice(OpenVqa().items(120, 0), 120), key=lambda item: item.truth["kind"])
    groups = (list(group) for _, group in itertools.groupby(drawn, key=lambda item: item.truth["kind"]))
    with small_films(phantom_items):
        yield [item for group in groups for item in group[:3]]


def told(items: Sequence[Item], answer: str | None = None) -> list[tuple[object, str]]:
    return [(item.request(), f"[answer] {answer or item.truth['answer']} [image]") for item in items]


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("side", "The pleural effusion is on the patient's left side.", "left"),
        ("side", "Left and right.", None),
        ("side", "Both sides are affected alike.", "both"),
        ("side", "It can't be told.", None),
        ("zone", "In the right Lower zone.", "lower"),
        ("zone", "It reaches from the upper to the middle zone.", None),
        ("grade", "The heart is severely enlarged.", "large"),
        ("grade", "The lung nodule is about 15 mm.", "moderate"),
        ("grade", "About 1 cm.", "small"),
        ("grade", "A small nodule of 25 mm.", None),
        ("tip", "The tip of the endotracheal tube is 45 mm above the carina.", "carina"),
        ("tip", "The tip of the endotracheal tube is 90 mm above the carina, too high.", "too high"),
        ("tip", "The tip of the nasogastric tube is below the diaphragm in the stomach.", "stomach"),
        ("tip", "The nasogastric tube is coiled in the oesophagus.", "oesophagus"),
        ("tip", "The tip is at the cavoatrial junction.", "cavoatrial junction"),
    ],
)
def test_a_slot_holds_the_one_value_that_is_named(name: str, text: str, value: str | None) -> None:
    assert slot(name, text) == value


def test_a_wrong_side_is_told_from_none_and_from_another_finding() -> None:
    sides = {"Pleural Effusion": ["left"]}
    assert wrong_side("Right.", {}, ("left", "right")) is True
    assert wrong_side("Both.", {}, ("left", "both")) is False
    assert wrong_side("There is a small right pleural effusion.", sides, None) is True
    assert wrong_side("There is a small left pleural effusion and a right nodule.", sides, None) is False
    assert wrong_side("", sides, None) is False
    assert wrong_side("Right.", {}, None) is None


def test_to_say_that_it_cannot_be_told_is_no_answer() -> None:
    assert declines("")
    assert declines("I cannot tell: this model was not trained for that question.")
    assert declines("This can't be told from one film.")
    assert not declines("The pleural effusion is small; its cause cannot be told.")


def test_items_are_the_same_at_each_call_and_fewer_are_the_first_of_more() -> None:
    first, again, more = (list(OpenVqa().items(n, 0)) for n in (5, 5, 9))
    assert [i.id for i in first] == [i.id for i in again] == [i.id for i in more[:5]]
    assert len({i.id for i in more}) == 9
    assert not {i.cluster for i in more} & {i.cluster for i in OpenVqa().items(9, 1)}


def test_every_kind_that_asks_for_a_slot_is_asked_and_has_it(items: list[Item]) -> None:
    kinds = {item.groups["kind"] for item in items}
    assert {"side", "zone", "size", "position", "open", "count"} <= kinds
    slots = {"side": {"side"}, "zone": {"side", "zone"}, "size": {"grade"}, "position": {"tip"}}
    for item in items:
        assert set(item.truth["slots"]) >= slots.get(item.truth["kind"], set())


@pytest.mark.anyio
async def test_a_perfect_reader_has_everything_right(items: list[Item], tmp_path: Path) -> None:
    figures = figures_of(OpenVqa(), await rows_of(OpenVqa(), items, perfect(told(items)), tmp_path))
    assert figures.pop("wrong side") == 0
    assert figures == pytest.approx(dict.fromkeys(figures, 1.0))


@pytest.mark.anyio
async def test_who_mirrors_the_picture_gets_every_side_wrong_and_the_rest_right(
    items: list[Item], tmp_path: Path
) -> None:
    sided = [item for item in items if item.truth["kind"] in ("side", "zone", "size")]
    mirrored = [
        (request, " ".join(SWAP.get(word, word) for word in answer.split(" "))) for request, answer in told(sided)
    ]
    figures = figures_of(OpenVqa(), await rows_of(OpenVqa(), sided, perfect(mirrored), tmp_path))
    assert (figures["side right"], figures["wrong side"]) == (0, 1)
    assert (figures["zone right"], figures["grade right"], figures["answered"]) == (1, 1, 1)


@pytest.mark.anyio
async def test_who_always_says_yes_fills_no_slot_and_states_no_side(items: list[Item], tmp_path: Path) -> None:
    rows = await rows_of(OpenVqa(), items, lambda prompt: "[answer] Yes. [image]", tmp_path)
    figures = figures_of(OpenVqa(), rows)
    wrong = ("exact match", "side right", "zone right", "grade right", "tip right", "wrong side")
    assert [figures[name] for name in wrong] == [0] * len(wrong)
    assert figures["answered"] == 1


@pytest.mark.anyio
async def test_who_abstains_has_nothing_right_and_no_side_wrong(items: list[Item], tmp_path: Path) -> None:
    figures = figures_of(OpenVqa(), await rows_of(OpenVqa(), items, abstains, tmp_path))
    assert figures == pytest.approx(dict.fromkeys(figures, 0.0))


@pytest.mark.anyio
async def test_who_copies_a_reference_is_as_right_as_the_reference(items: list[Item], tmp_path: Path) -> None:
    """The copied words are another patient's: one side in every answer, right where that is the side."""
    sided = [item for item in items if item.truth["slots"].get("side") in SWAP]
    words = "The finding is in the left lower zone."
    rows = await rows_of(OpenVqa(), showing(sided, words), lambda prompt: f"[answer] {words} [1]", tmp_path)
    left = sum(item.truth["slots"]["side"] == "left" for item in sided) / len(sided)
    figures = figures_of(OpenVqa(), rows)
    assert figures["side right"] == pytest.approx(left)
    assert figures["wrong side"] == pytest.approx(1 - left)
    assert all(row.answers["asked"].retrieved == ("case",) for row in rows)
