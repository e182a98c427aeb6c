"""A benchmark: items, how each is asked and how an answer is scored, in one file of `eval/benchmarks`.

An item's truth and an answer's score are plain JSON, so that everything a figure rests on can be read in results.json.
Figures are functions of the rows' scores alone: a bootstrap calls them again on resampled rows.
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from assistant.requests import Request
from retrieval.types import Evidence

if TYPE_CHECKING:
    from eval.exam.candidate import Candidate

Scores = dict[str, Any]  # of one item, JSON; None where a score doesn't apply
Figure = Callable[[Sequence[Scores]], float]  # nan when there is nothing to measure


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """One thing that is asked. `request` makes the pictures when they are needed: a thousand items cost nothing.

    `cluster` is the patient (the bootstrap resamples patients, and leaks are looked for by it); `phantoms` are the
    (family, seed) of every phantom in it; `groups` name the subgroups it counts for: {"finding": "nodule", "sex": "F"}.
    """

    id: str
    truth: dict[str, Any]
    request: Callable[[], Request]
    groups: dict[str, str] = field(default_factory=dict)
    cluster: str = ""
    phantoms: tuple[tuple[str, int], ...] = ()
    references: Evidence | None = None  # what is shown whatever retrieval would find; None: what it finds


class Said(BaseModel):
    """One released sentence. `cites`: passage and case ids its citations resolve to."""

    model_config = ConfigDict(extra="forbid")

    section: str
    text: str
    support: str
    cites: tuple[str, ...] = ()


class Weighed(BaseModel):
    """A candidate of a differential: `states` of its criteria by their texts; none without a guideline."""

    model_config = ConfigDict(extra="forbid")

    name: str
    score: float
    states: dict[str, str] = {}


class Answer(BaseModel):
    """What came back of one asking. `raw` is what the model wrote before any check; `likelihoods` are the natural
    log-probabilities of the offered completions, empty where the engine can't score. `verdict` and `candidates`, best
    first, are those of a differential. `evidence` is not written down: it lets the same references be shown again with
    another picture."""

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True)

    status: str  # answered, abstained
    text: str
    raw: str = ""
    sentences: tuple[Said, ...] = ()
    findings: tuple[str, ...] = ()  # checks on the whole that noticed something, by name
    defects: tuple[str, ...] = ()  # kinds of defect the quality gate noticed
    domain: str | None = None
    dropped: int = 0
    pictures: tuple[str, ...] = ()  # sha256
    retrieved: tuple[str, ...] = ()  # ids, best first
    prompt_sha256: str = ""
    likelihoods: dict[str, float] = {}
    verdict: str = ""
    candidates: tuple[Weighed, ...] = ()
    evidence: Evidence = Field(default_factory=Evidence, exclude=True)


@dataclass(frozen=True, slots=True)
class Corpus:
    """What the library holds while a benchmark is sat: document files, and a manifest of cases made by `cases(folder)`.
    Benchmarks with corpora of one name share a library."""

    name: str
    documents: Callable[[], Sequence[Path]] | None = None
    cases: Callable[[Path], Path] | None = None  # writes pictures and a manifest into the folder, returns the manifest


class Benchmark(ABC):
    """`full` and `quick`: items in the whole set, and under `--quick` (0: not part of it). `headline` names the figure
    that stands for the benchmark in plots and subgroup tables."""

    name: ClassVar[str]
    title: ClassVar[str]
    full: ClassVar[int]
    quick: ClassVar[int] = 0
    headline: ClassVar[str]
    ranked: ClassVar[frozenset[str]] = frozenset()  # figures that only compare scores "p" within one exam (AUROC)
    needs_data: ClassVar[str] = ""  # what `--data NAME=FOLDER` must name, in words; "": nothing

    def __init__(self, data: Path | None = None) -> None:
        self.data = data

    @property
    def source(self) -> Path:
        """The file that asks and scores: rows of one version aren't mixed with another's."""
        return Path(inspect.getfile(type(self)))

    @abstractmethod
    def items(self, n: int, seed: int) -> Iterator[Item]:
        """The first `n` items of this seed: fewer when there are no more. The same call gives the same items."""

    async def sit(self, candidate: "Candidate", item: Item) -> dict[str, Answer]:
        """The answers by condition."""
        return {"asked": await candidate.ask(item.request(), item.references)}

    @abstractmethod
    def score(self, item: Item, answers: Mapping[str, Answer]) -> Scores:
        """What the answers are worth."""

    @property
    @abstractmethod
    def figures(self) -> Mapping[str, Figure]:
        """By name, in the order of the table."""

    def corpus(self) -> Corpus | None:
        """What the library must hold; None: whatever the exam was told to use."""
        return None

    def draw(self, rows: Sequence["Row"], folder: Path) -> list[Path]:
        """Pictures of this benchmark's own, written into `folder`."""
        return []


class Row(BaseModel):
    """One item as it is kept: everything its score rests on. `patient` numbers the patients of a sitting, it names
    none. `error`: why it could not be asked (messages of the tree name no file and no value)."""

    model_config = ConfigDict(extra="forbid")

    id: str
    patient: str = ""
    groups: dict[str, str] = {}
    truth: dict[str, Any] = {}
    answers: dict[str, Answer] = {}
    scores: Scores = {}
    error: str | None = None


def mean_of(key: str, where: Callable[[Scores], bool] | None = None) -> Figure:
    """The mean of a score over the items that have it (and that satisfy `where`)."""

    def mean(rows: Sequence[Scores]) -> float:
        values = [float(row[key]) for row in rows if row.get(key) is not None and (where is None or where(row))]
        return sum(values) / len(values) if values else float("nan")

    return mean


def column(rows: Sequence[Scores], *keys: str) -> list[list[Any]]:
    """The values of several scores over the items that have all of them, a list a key."""
    whole = [row for row in rows if all(row.get(key) is not None for key in keys)]
    return [[row[key] for row in whole] for key in keys]
