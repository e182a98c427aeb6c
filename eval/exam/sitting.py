"""One benchmark sat to its end. Every row is on disk before the next is counted: killed at any moment, the same
command goes on where it stopped, and never mixes two candidates, seeds or sets in one journal."""

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import anyio

from assistant.errors import BadInput, TooLarge
from eval.errors import LeakFound
from eval.exam.benchmark import Benchmark, Item, Row
from eval.exam.candidate import Candidate

Step = Callable[[], None]


class Journal:
    """Rows of one sitting, one a line, under a header that says whose they are. A torn last line is dropped."""

    def __init__(self, path: Path, header: Mapping[str, Any]) -> None:
        self.path, self.rows = path, dict[str, Row]()
        path.parent.mkdir(parents=True, exist_ok=True)
        head = json.dumps(header, sort_keys=True)
        whole = path.read_bytes().rpartition(b"\n")[0].splitlines() if path.is_file() else []
        if whole and whole[0].decode() != head:
            raise BadInput(
                f"{path.parent.parent} holds another exam (other model, seed, size or benchmark): name another --out, "
                f"or --fresh to start over. It differs in: {_differences(whole[0], header)}."
            )
        for line in whole[1:]:
            row = Row.model_validate_json(line)
            self.rows[row.id] = row
        lines = whole or [head.encode()]
        path.write_bytes(b"\n".join([*lines, b""]))

    def append(self, row: Row) -> None:
        with self.path.open("ab") as file:
            file.write(row.model_dump_json().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self.rows[row.id] = row


def _differences(old: bytes, new: Mapping[str, Any]) -> str:
    before = json.loads(old)
    return ", ".join(sorted(key for key in {*before, *new} if before.get(key) != new.get(key)))


async def sit(
    benchmark: Benchmark, candidate: Candidate, items: Sequence[Item], journal: Journal, *,
    at_once: int = 1, step: Step = lambda: None,
) -> list[Row]:  # fmt: skip
    """The rows of all items, in the order of the items. An item that can't be read is a row with an error, which
    counts as failed; an engine that is down ends the sitting (`EngineDown`), and what was answered stays."""
    slots = anyio.CapacityLimiter(at_once)
    patients = {name: f"patient {n}" for n, name in enumerate(dict.fromkeys(i.cluster for i in items if i.cluster), 1)}

    async def one(item: Item) -> None:
        async with slots:
            journal.append(await _row(benchmark, candidate, item, patients.get(item.cluster, "")))
            step()

    try:
        async with anyio.create_task_group() as group:
            for item in items:
                if item.id not in journal.rows:
                    group.start_soon(one, item)
    except BaseExceptionGroup as errors:
        raise _first(errors) from None
    return [journal.rows[item.id] for item in items]


async def _row(benchmark: Benchmark, candidate: Candidate, item: Item, patient: str) -> Row:
    row = Row(id=item.id, patient=patient, groups=item.groups, truth=item.truth)
    try:
        row.answers = await benchmark.sit(candidate, item)
    except LeakFound:
        raise
    except (BadInput, TooLarge) as error:
        row.error = error.type
        return row
    row.scores = benchmark.score(item, row.answers)
    return row


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error itself: a person is told of one, not of a tree of groups."""
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def fingerprint(*folders: Path) -> str:
    """Eight hex digits of these folders' sources: rows of one version of a benchmark aren't mixed with another's."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted(path for path in folder.iterdir() if path.suffix in {".py", ".json", ".jsonl"}):
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:8]
