"""Two results, item by item: only what both were asked is compared, and only with the same truth."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from scipy.stats import rankdata

from eval.exam.benchmark import Figure, Row, Scores
from eval.exam.registry import find
from eval.exam.results import DRAWS, Results, clusters
from eval.metrics.intervals import Difference, paired
from retrieval.errors import BadInput


@dataclass(frozen=True, slots=True)
class Compared:
    """One benchmark: B minus A by figure, over the items both were asked. `left_out`: asked in one of them only."""

    figures: dict[str, Difference]
    items: int
    patients: int
    left_out: int


@dataclass(frozen=True, slots=True)
class Comparison:
    a: Results
    b: Results
    sheets: dict[str, Compared]


def compare(a: Path, b: Path, seed: int = 0) -> Comparison:
    """B against A, with 95 % intervals over patients and permutation p values. Raises `BadInput`."""
    first, second = Results.load(a), Results.load(b)
    shared = [name for name in first.benchmarks if name in second.benchmarks]
    if not shared:
        raise BadInput(f"{a} and {b} share no benchmark, so there is nothing to compare.")
    sheets = {
        name: _compared(name, first.benchmarks[name].items, second.benchmarks[name].items, seed) for name in shared
    }
    return Comparison(first, second, sheets)


def _compared(name: str, a: Sequence[Row], b: Sequence[Row], seed: int) -> Compared:
    pairs = matched(name, a, b)
    groups = clusters([row for row, _ in pairs])
    benchmark = find(name, to_sit=False)
    before, after = [row.scores for row, _ in pairs], [row.scores for _, row in pairs]
    ranks = _ranks(before), _ranks(after)
    found = {}
    for figure, of in benchmark.figures.items():
        old, new = ranks if figure in benchmark.ranked else (before, after)
        found[figure] = paired(new, old, partial(_of_list, of), groups=groups, n=DRAWS, seed=seed)
    told = {figure: d for figure, d in found.items() if not math.isnan(d.value)}
    return Compared(told, len(pairs), len(set(groups)), len({row.id for row in a} ^ {row.id for row in b}))


def _ranks(rows: Sequence[Scores]) -> list[Scores]:
    """Each score p as its rank among them, 0..1: the permutation test swaps what two models say, and one may be bolder
    than the other in all it says."""
    known = [row["p"] for row in rows if row.get("p") is not None]
    ranks = iter(rankdata(known) / max(len(known), 1)) if known else iter(())
    return [{**row, "p": float(next(ranks))} if row.get("p") is not None else row for row in rows]


def _of_list(figure: Figure, rows: Iterable[Scores]) -> float:
    return figure(list(rows))


def matched(name: str, a: Sequence[Row], b: Sequence[Row]) -> list[tuple[Row, Row]]:
    """Rows of the same item, answered by both. Raises `BadInput` when one item had two truths."""
    other = {row.id: row for row in b}
    pairs = [(row, other[row.id]) for row in a if row.id in other]
    if any(row.truth != twin.truth for row, twin in pairs):
        raise BadInput(f"The two results disagree about the truth of {name}: they come from different versions of it.")
    answered = [(row, twin) for row, twin in pairs if row.error is None and twin.error is None]
    if not answered:
        raise BadInput(f"The two results share no item of {name}: sit both with the same --seed and --n.")
    return answered
