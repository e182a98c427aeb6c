"""results.json: who sat which benchmarks, every figure with its interval, and every item it rests on."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from eval.exam.benchmark import Benchmark, Figure, Row, Scores
from eval.metrics.intervals import bootstrap
from retrieval.errors import BadInput

DRAWS = 1000  # of the bootstrap
SMALLEST_GROUP = 10  # items a subgroup must have to be shown
FEWEST = 10  # patients an interval must rest on: of fewer, a bootstrap only says how alike they are


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Measured(Model):
    """A figure with its 95 % interval over patients; None where it can't be measured: of fewer than `FEWEST`, or when
    every draw gives the same. `units`: patients, or items where none are known."""

    value: float | None
    low: float | None
    high: float | None
    units: int


class Sheet(Model):
    """One benchmark's outcome. `groups`: the headline figure by subgroup, {"sex": {"F": …}}."""

    title: str
    headline: str
    figures: dict[str, Measured]
    groups: dict[str, dict[str, Measured]] = {}
    failed: int = 0
    items: list[Row]


class Results(Model):
    """`candidate`: model, hashes, encoders, adapter, library; `seed` and the sizes asked for make it again."""

    format: Literal[1] = 1
    candidate: dict[str, Any]
    seed: int
    versions: dict[str, str] = {}
    notes: list[str] = []
    benchmarks: dict[str, Sheet] = {}

    def save(self, folder: Path) -> Path:
        """Written whole or not at all."""
        path = folder / "results.json"
        draft = path.with_suffix(".draft")
        draft.write_text(self.model_dump_json(indent=1), encoding="utf-8")
        draft.replace(path)
        return path

    @classmethod
    def load(cls, path: Path) -> "Results":
        """From results.json or the folder that holds it. Raises `BadInput`."""
        file = path / "results.json" if path.is_dir() else path
        try:
            return cls.model_validate_json(file.read_bytes())
        except OSError as error:
            raise BadInput(f"{path} holds no results.json; `consult eval NAME --out {path}` makes one.") from error
        except ValidationError as error:
            raise BadInput(f"{file} is not a results.json of this version of Consult; make it again.") from error


def measure(benchmark: Benchmark, rows: Sequence[Row], seed: int) -> Sheet:
    """Figures over the rows that could be asked, with intervals; the headline figure by subgroup, too."""
    scored = [row for row in rows if row.error is None]
    figures = {name: measured(figure, scored, seed) for name, figure in benchmark.figures.items()}
    groups: dict[str, dict[str, Measured]] = {}
    headline = benchmark.figures[benchmark.headline]
    for key in sorted({key for row in scored for key in row.groups}):
        for value in sorted({row.groups[key] for row in scored if key in row.groups}):
            inside = [row for row in scored if row.groups.get(key) == value]
            if SMALLEST_GROUP <= len(inside) < len(scored):
                groups.setdefault(key, {})[value] = measured(headline, inside, seed)
    return Sheet(
        title=benchmark.title, headline=benchmark.headline, figures=figures, groups=groups,
        failed=len(rows) - len(scored), items=list(rows),
    )  # fmt: skip


def measured(figure: Figure, rows: Sequence[Row], seed: int) -> Measured:
    """A figure over rows, its interval from drawing whole patients."""
    scores: list[Scores] = [row.scores for row in rows]
    interval = bootstrap(scores, lambda drawn: figure(list(drawn)), groups=clusters(rows), n=DRAWS, seed=seed)
    tells = interval.units >= FEWEST and interval.low < interval.high
    low, high = (_known(interval.low), _known(interval.high)) if tells else (None, None)
    return Measured(value=_known(interval.value), low=low, high=high, units=interval.units)


def clusters(rows: Sequence[Row]) -> list[str]:
    return [row.patient or row.id for row in rows]


def _known(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 6)
