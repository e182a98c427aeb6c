"""Every training picture is read once before training: that it can be read, what it looks like, whose it says it is."""

import json
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from eval.leaks import Hashes
from retrieval.cases import look_of, picture_reader, read_picture_safely
from retrieval.embed import Progress
from retrieval.errors import BadInput
from retrieval.types import Image

SALT = b"consult: sides of a split"  # links files of a patient in memory; what is published gets a salt of its own


@dataclass(frozen=True, slots=True)
class Look:
    """`look`: 64 hex digits (`retrieval.cases.look_of`), "" where the picture can't be read for the reason `wrong`.
    `whose`: its patient's hash with `SALT`, where the file says so."""

    look: str = ""
    whose: str | None = None
    wrong: str = ""


def look_at(pictures: Sequence[Path], memory: Path, workers: int, watch: Progress) -> dict[Path, Look]:
    """What each of these pictures looks like. `memory`: a file that keeps what was seen, by size and time of change, so
    that a second run needn't read them again. `workers`: processes that read, 0 for this one."""
    seen = dict(_remembered(memory))
    keys = {path: _key(path) for path in pictures}
    unseen = [path for path in dict.fromkeys(pictures) if keys[path] not in seen]
    memory.parent.mkdir(parents=True, exist_ok=True)
    with memory.open("a", encoding="utf-8") as file:
        for done, (path, look) in enumerate(zip(unseen, _looks(unseen, workers), strict=True), 1):
            seen[keys[path]] = look
            if not look.wrong:  # what is wrong may be mended
                file.write(json.dumps([keys[path], asdict(look)]) + "\n")
            watch("looking at the pictures", done, len(unseen))
    return {path: seen[keys[path]] for path in pictures}


def _key(path: Path) -> str:
    stat = path.stat()
    return f"{path.resolve()}|{stat.st_size}|{stat.st_mtime_ns}"


def _remembered(memory: Path) -> Iterator[tuple[str, Look]]:
    for line in memory.read_text(encoding="utf-8").splitlines() if memory.is_file() else ():
        try:
            key, look = json.loads(line)
            yield key, Look(**look)
        except (ValueError, TypeError):  # the last line of a run that was killed
            continue


def _looks(paths: Sequence[Path], workers: int) -> Iterator[Look]:
    pool: Any = ProcessPoolExecutor(workers, get_context("spawn")) if workers else nullcontext()
    with pool:
        found: Iterable[Look] = pool.map(_look, paths, chunksize=16) if workers else map(_look, paths)
        yield from found


reader = lru_cache(1)(picture_reader)  # which looks through all installed packages


def read_training_picture(path: Path) -> tuple[Image, str | None]:
    """The picture, and its patient's hash with `SALT` where the file says whose it is. Raises `BadInput`."""
    return read_picture_safely(reader(), path, SALT)


def _look(path: Path) -> Look:
    try:
        pixels, whose = read_training_picture(path)
    except BadInput as error:
        return Look(wrong=str(error))
    return Look(look_of(pixels), whose)


def hashes_of(looks: Sequence[Look]) -> Hashes:
    """(n, 4) 256-bit perceptual hashes, as `eval.leaks` compares them."""
    words = [np.frombuffer(bytes.fromhex(look.look), "<u8") for look in looks]
    return np.array(words, np.uint64).reshape(-1, 4)
