"""The school's part of the exception tree; the tree itself is drawn in `retrieval/errors.py`."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from retrieval.errors import BadInput, Misconfigured

__all__ = ["BadInput", "Misconfigured", "Problem", "WrongData"]


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """What is wrong with a line of training data; `what` names no patient and no picture file."""

    file: Path
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what}"


class WrongData(BadInput):
    """All that is wrong with training data, found before training starts; the first `shown` are told."""

    type = "wrong-data"

    def __init__(self, problems: Sequence[Problem], shown: int = 20) -> None:
        self.problems = tuple(sorted(problems))
        count = len(self.problems)
        told = "".join(f"\n  {problem}" for problem in self.problems[:shown])
        more = f"\n  … and {count - shown} more" if count > shown else ""
        things = "1 thing is" if count == 1 else f"{count} things are"
        super().__init__(f"{things} wrong with the training data; nothing was trained:{told}{more}")
