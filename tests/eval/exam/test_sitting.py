"""Sitting a benchmark: every answered item is kept, and a broken-off sitting goes on where it stopped."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from assistant.engines.base import Prompt
from assistant.errors import BadInput, Busy, EngineDown
from eval.errors import LeakFound
from eval.exam.benchmark import Item, Row
from eval.exam.candidate import Candidate
from eval.exam.sitting import Journal, alone, items_digest, sit
from tests.assistant.parts import make_assistant
from tests.eval.fakes import ITEMS, Small, says, sees

HEADER = {"benchmark": "small", "seed": 0}


class Breaks:
    """Perfect, but the engine goes down at the given call."""

    def __init__(self, at: int) -> None:
        self.at, self.calls = at, 0

    def __call__(self, prompt: Prompt) -> str:
        self.calls += 1
        if self.calls == self.at:
            raise EngineDown("The engine went down.")
        return says(sees(prompt))


async def sit_small(folder: Path, answers: object, items: Sequence[Item] | None = None, at_once: int = 1) -> list[Row]:
    assistant, benchmark = make_assistant(folder / "home", answers), Small()  # type: ignore[arg-type]
    try:
        journal = Journal(folder / "journal" / "small.jsonl", HEADER)
        asked = list(benchmark.items(ITEMS, 0)) if items is None else items
        return await sit(benchmark, Candidate(assistant), asked, journal, at_once=at_once)
    finally:
        await assistant.close()


@pytest.mark.anyio
async def test_a_broken_off_sitting_goes_on_and_asks_nothing_twice(tmp_path: Path) -> None:
    whole = await sit_small(tmp_path / "a", Breaks(-1))
    with pytest.raises(EngineDown):
        await sit_small(tmp_path / "b", Breaks(10))  # three askings an item: the fourth item breaks off
    kept = (tmp_path / "b/journal/small.jsonl").read_bytes().splitlines()
    assert len(kept) == 1 + 3
    rest = Breaks(-1)
    resumed = await sit_small(tmp_path / "b", rest)
    assert rest.calls == 3 * (ITEMS - 3)
    assert [row.model_dump() for row in resumed] == [row.model_dump() for row in whole]


@pytest.mark.anyio
async def test_a_torn_last_line_is_asked_again(tmp_path: Path) -> None:
    await sit_small(tmp_path, Breaks(-1))
    journal = tmp_path / "journal/small.jsonl"
    journal.write_bytes(journal.read_bytes()[:-20])
    again = Breaks(-1)
    rows = await sit_small(tmp_path, again)
    assert (again.calls, len(rows)) == (3, ITEMS)


def test_opening_a_journal_never_writes_it_anew(tmp_path: Path) -> None:
    """A kill while it is opened takes nothing with it."""
    path = tmp_path / "journal/small.jsonl"
    Journal(path, HEADER).append(Row(id="1"))
    with path.open("ab") as file:
        file.write(b'{"id": "2", "torn')
    before = path.stat()
    journal = Journal(path, HEADER)
    assert path.stat().st_ino == before.st_ino
    assert list(journal.rows) == ["1"]
    journal.append(Row(id="3"))
    assert list(Journal(path, HEADER).rows) == ["1", "3"]


def test_a_damaged_journal_is_told_of_without_quoting_it(tmp_path: Path) -> None:
    path = tmp_path / "journal/small.jsonl"
    Journal(path, HEADER)
    with path.open("ab") as file:
        file.write(b'{"secret": 1}\n')
    with pytest.raises(BadInput, match="line 2, is damaged") as told:
        Journal(path, HEADER)
    assert "secret" not in str(told.value)


def test_one_exam_at_a_time_writes_into_a_folder(tmp_path: Path) -> None:
    with alone(tmp_path), pytest.raises(Busy), alone(tmp_path):
        pass
    with alone(tmp_path):
        pass
    (tmp_path / "file").write_text("")
    with pytest.raises(BadInput, match="can't be written"), alone(tmp_path / "file"):
        pass


def test_what_is_asked_is_part_of_the_header_and_ids_stand_once() -> None:
    items = list(Small().items(4, 0))
    turned = [*items[:3], replace(items[3], truth={"answer": not items[3].truth["answer"]})]
    assert items_digest(items) == items_digest(list(Small().items(4, 0))) != items_digest(turned)
    with pytest.raises(BadInput, match="item-0"):
        items_digest([*items, items[0]])


def test_a_journal_of_another_exam_is_refused_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "journal/small.jsonl"
    Journal(path, HEADER).append(Row(id="1"))
    before = path.read_bytes()
    with pytest.raises(BadInput, match="differs in: seed"):
        Journal(path, {**HEADER, "seed": 1})
    assert path.read_bytes() == before
    assert list(Journal(path, HEADER).rows) == ["1"]


def test_a_journal_that_holds_only_half_a_header_starts_anew(tmp_path: Path) -> None:
    path = tmp_path / "journal/small.jsonl"
    path.parent.mkdir()
    path.write_bytes(b'{"bench')
    assert Journal(path, HEADER).rows == {}
    assert json.loads(path.read_text()) == HEADER


@pytest.mark.anyio
async def test_several_at_once_give_the_same_rows_in_the_same_order(tmp_path: Path) -> None:
    one = await sit_small(tmp_path / "one", Breaks(-1))
    many = await sit_small(tmp_path / "many", Breaks(-1), at_once=4)
    assert [row.model_dump() for row in one] == [row.model_dump() for row in many]


@pytest.mark.anyio
@pytest.mark.parametrize(("error", "ends"), [(BadInput("unreadable"), False), (LeakFound("seen"), True)])
async def test_an_unreadable_item_counts_as_failed_and_a_leak_ends_the_exam(
    error: BadInput, ends: bool, tmp_path: Path
) -> None:
    def broken() -> None:
        raise error

    first, *others = Small().items(2, 0)
    items = [Item(id="broken", truth={}, request=broken), first, *others]  # type: ignore[arg-type]
    if ends:
        with pytest.raises(LeakFound):
            await sit_small(tmp_path, Breaks(-1), items)
        return
    rows = await sit_small(tmp_path, Breaks(-1), items)
    assert [row.error for row in rows] == ["bad-input: unreadable", None, None]
    assert rows[0].scores == {}
    mended = [*Small().items(3, 0)][2]
    again = Breaks(-1)
    rows = await sit_small(tmp_path, again, [replace(mended, id="broken"), *items[1:]])
    assert (again.calls, rows[0].error) == (3, None)  # what could not be asked is asked again, and nothing else


@pytest.mark.anyio
async def test_a_row_keeps_all_its_score_rests_on(tmp_path: Path) -> None:
    row = (await sit_small(tmp_path, Breaks(-1)))[0]
    answer = row.answers["with"]
    assert answer.raw == "[answer] Yes, there is a pleural effusion. [image]"
    assert answer.text == "Yes, there is a pleural effusion."
    assert answer.retrieved == ("case-True",)
    assert answer.prompt_sha256 != row.answers["without"].prompt_sha256
    assert row.answers["without"].retrieved == ()
    assert answer.pictures == row.answers["without"].pictures != row.answers["other picture"].pictures
