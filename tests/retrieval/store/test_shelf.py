import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest

from retrieval.errors import BadInput, Busy, Misconfigured
from retrieval.store.shelf import Row, Shelf, Term, Where
from tests.retrieval.conftest import CHILD_ENV


def row(number: int, *vector: float, text: str = "", **payload: Any) -> Row:
    return str(UUID(int=number)), vector, text, {"n": number, **payload}


def numbers(found: Any) -> list[int]:
    return [payload["n"] for payload, _ in found]


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    shelf = Shelf(tmp_path / "shelf", indexed=["group"])
    yield shelf
    shelf.close()


def test_nearest_by_cosine_and_by_words(shelf: Shelf) -> None:
    shelf.put([row(1, 1, 0, text="Pleural effusions"), row(2, 1, 1, text="a line"), row(3, 0, -1, text="effusion")])
    found = shelf.nearest([2, 0], 3)
    assert numbers(found) == [1, 2, 3]
    np.testing.assert_allclose([score for _, score in found], [1, 0.5**0.5, 0], atol=1e-6)
    assert set(numbers(shelf.worded("Effusion!", 9))) == {1, 3}
    assert shelf.worded("?!", 9) == []
    assert numbers(shelf.nearest([1, 0], 2, Where(must_not=(Term("n", "==", 1),)))) == [2, 3]


def test_variety_instead_of_nearness(shelf: Shelf) -> None:
    shelf.put([row(1, 1, 0.1), row(2, 1, 0.11), row(3, 0.6, -1)])
    assert numbers(shelf.nearest([1, 0], 2, diverse=0)) == [1, 2]
    assert numbers(shelf.nearest([1, 0], 2, diverse=1e-6)) == [1, 2]
    assert numbers(shelf.nearest([1, 0], 2, diverse=0.9)) == [1, 3]


def test_it_is_there_again_when_opened_again(shelf: Shelf, tmp_path: Path) -> None:
    shelf.put([row(1, 1, 0), row(2, 0, 1)])
    shelf.put([row(2, 1, 1, new=True)])  # in place of the old one
    shelf.close()
    again = Shelf(tmp_path / "shelf")
    assert sorted(payload["n"] for payload in again.all()) == [1, 2]
    assert list(again.all(Where(ids=(str(UUID(int=2)),)))) == [{"n": 2, "new": True, "text": ""}]
    with pytest.raises(BadInput, match="2 numbers"):  # known from the folder, before anything was stored
        again.put([row(3, 1, 0, 0)])
    again.close()


def test_more_than_a_page(shelf: Shelf) -> None:
    shelf.put([row(number, 1, number) for number in range(600)])
    assert sorted(payload["n"] for payload in shelf.all()) == list(range(600))


def test_removing(shelf: Shelf) -> None:
    shelf.remove(Where())  # nothing is there yet
    shelf.put([row(number, 1, number, group="even" if number % 2 == 0 else "odd") for number in range(10)])
    shelf.remove(Where(must=(Term("group", "==", "even"),)))
    shelf.tidy()
    assert sorted(payload["n"] for payload in shelf.all()) == [1, 3, 5, 7, 9]
    shelf.remove(Where(ids=()))  # none of them
    assert len(list(shelf.all())) == 5
    shelf.remove(Where())
    assert list(shelf.all()) == []


def test_cleared_it_takes_vectors_of_another_size(shelf: Shelf) -> None:
    shelf.clear()
    shelf.put([row(1, 1, 0)])
    shelf.clear()
    assert list(shelf.all()) == []
    shelf.put([row(1, 1, 0, 0)])
    assert numbers(shelf.nearest([1, 0, 0], 1)) == [1]


def test_a_vector_that_does_not_fit_stores_nothing(shelf: Shelf) -> None:
    for bad in ((1, 0, 0), (0, 0), (float("nan"), 1)):
        with pytest.raises(BadInput):
            shelf.put([row(1, 1, 0), row(2, *bad)])
    assert list(shelf.all()) == []
    shelf.put([])
    assert shelf.nearest([1, 0], 1) == []
    shelf.put([row(1, 1, 0)])
    with pytest.raises(BadInput, match="shape"):
        shelf.nearest([1, 0, 0], 1)


def test_what_the_engine_refuses_is_told(shelf: Shelf) -> None:
    shelf.put([row(1, 1, 0)])
    with pytest.raises(Misconfigured, match="refused"):
        list(shelf.all(Where(must=(Term("not[a path", "==", 1),))))


CHILD = """
import json, sys
from pathlib import Path
from retrieval.store.shelf import Shelf
from uuid import UUID
shelf = Shelf(Path(sys.argv[1]))
for number in range(10**6):
    shelf.put([(str(UUID(int=number)), [1.0, number], "", {"n": number})])
    print(number, flush=True)
"""


def test_a_second_process_is_refused_and_a_killed_one_loses_nothing(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", CHILD, str(tmp_path)], stdout=subprocess.PIPE, env=CHILD_ENV)
    assert child.stdout is not None
    said = [json.loads(child.stdout.readline()) for _ in range(20)]
    shelf = Shelf(tmp_path)
    try:
        for call in (lambda: shelf.put([row(1, 1, 0)]), lambda: list(shelf.all())):
            with pytest.raises(Busy, match="another process"):
                call()
    finally:
        child.send_signal(signal.SIGKILL)
    said += [json.loads(line) for line in child.stdout if line.endswith(b"\n")]
    child.wait()
    child.stdout.close()
    held = {payload["n"] for payload in shelf.all()}
    assert set(said) <= held <= {*said, said[-1] + 1}
    shelf.close()


def test_a_damaged_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "shard-2").mkdir()
    for shelf in (Shelf(tmp_path), Shelf(tmp_path)):
        with pytest.raises(Misconfigured, match="damaged"):
            list(shelf.all())


def test_closed_it_is_anothers(shelf: Shelf, tmp_path: Path) -> None:
    shelf.put([row(1, 1, 0)])
    other = Shelf(tmp_path / "shelf")
    with pytest.raises(Busy):
        other.put([row(2, 1, 0)])
    shelf.close()
    other.put([row(2, 1, 0)])
    other.close()
    assert len(list(shelf.all())) == 2


def test_a_killed_creation_leaves_no_shelf(tmp_path: Path) -> None:
    (tmp_path / "new" / "segments").mkdir(parents=True)
    shelf = Shelf(tmp_path)
    assert list(shelf.all()) == []
    shelf.put([row(1, 1, 0)])
    assert len(list(shelf.all())) == 1
    shelf.close()
