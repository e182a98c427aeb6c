"""One benchmark sat to its end. Every row is on disk before the next is counted: killed at any moment, the same
command goes on where it stopped, and never mixes two candidates, seeds or sets in one journal."""

import fcntl
import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
from pydantic import ValidationError

from assistant.errors import BadInput, Busy, TooLarge
from eval.errors import LeakFound
from eval.exam.benchmark import Benchmark, Item, Row
from eval.exam.candidate import Candidate

Step = Callable[[], None]


class Journal:
    """Rows of one sitting, one a line, under a header that says whose they are. A torn last line is dropped, and an
    item that could not be asked is asked again. `fresh`: what was there is forgotten."""

    def __init__(self, path: Path, header: Mapping[str, Any], *, fresh: bool = False) -> None:
        """Raises `BadInput` when the file is another sitting's or damaged."""
        self.path, self.rows = path, dict[str, Row]()
        path.parent.mkdir(parents=True, exist_ok=True)
        raw = path.read_bytes() if path.is_file() and not fresh else b""
        whole = raw[: raw.rfind(b"\n") + 1]
        if not whole:
            _write_whole(path, json.dumps(header, sort_keys=True).encode() + b"\n")
            return
        head, *lines = whole.splitlines()
        self._admit(head, header)
        self._read(lines)
        if len(whole) < len(raw):
            os.truncate(path, len(whole))  # never written anew: a kill in between would take all of it

    def _admit(self, head: bytes, header: Mapping[str, Any]) -> None:
        try:
            before = json.loads(head)
        except ValueError as error:
            raise BadInput(f"{self.path} is not a journal of an exam: name another --out.") from error
        differing = ", ".join(sorted(key for key in {*before, *header} if before.get(key) != header.get(key)))
        if differing:
            raise BadInput(
                f"{self.path.parent.parent} holds another exam (other model, seed, size, data or benchmark): name "
                f"another --out, or --fresh to start over. It differs in: {differing}."
            )

    def _read(self, lines: Sequence[bytes]) -> None:
        for number, line in enumerate(lines, 2):
            try:
                row = Row.model_validate_json(line)
            except ValidationError as error:
                raise BadInput(f"{self.path}, line {number}, is damaged: --fresh starts over.") from error
            if row.error is None:
                self.rows[row.id] = row

    def append(self, row: Row) -> None:
        with self.path.open("ab") as file:
            file.write(row.model_dump_json().encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self.rows[row.id] = row


def _write_whole(path: Path, content: bytes) -> None:
    draft = path.with_suffix(".draft")
    draft.write_bytes(content)
    draft.replace(path)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """One exam at a time in a folder; the system lets go when the process dies. Raises `Busy` and `BadInput`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("w")
    except OSError as error:
        raise BadInput(f"--out {folder} can't be written ({error.strerror}).") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(f"Another exam is writing into {folder}: wait for it, or name another --out.") from None
        yield


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
        row.error = f"{error.type}: {error}"
        return row
    row.scores = benchmark.score(item, row.answers)
    return row


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    """The error itself: a person is told of one, not of a tree of groups."""
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def fingerprint(*paths: Path) -> str:
    """Eight hex digits of these files and of the sources in these folders: rows of one version of a benchmark, a prompt
    or a parser aren't mixed with another's."""
    digest = hashlib.sha256()
    for path in paths:
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        for file in (file for file in inside if file.suffix in {".py", ".json", ".jsonl"}):
            digest.update(file.name.encode() + file.read_bytes())
    return digest.hexdigest()[:8]


def items_digest(items: Sequence[Item]) -> str:
    """Eight hex digits of what is asked and what is true of it. Raises `BadInput` when an id stands twice."""
    twice = [item_id for item_id, count in Counter(item.id for item in items).items() if count > 1]
    if twice:
        raise BadInput(f"Several items have the id {twice[0]!r}: give each its own.")
    told = json.dumps([[item.id, item.truth] for item in items], sort_keys=True, default=str)
    return hashlib.sha256(told.encode()).hexdigest()[:8]
