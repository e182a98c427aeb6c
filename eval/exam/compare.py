"""Two results, item by item: only what both were asked is compared, and only with the same truth."""

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from eval.exam.benchmark import Figure, Row, Scores
from eval.exam.registry import find
from eval.exam.results import DRAWS, Results, Sheet, clusters
from eval.metrics.intervals import Difference, paired
from retrieval.errors import BadInput


def compare(a: Path, b: Path, seed: int = 0) -> dict[str, dict[str, Difference]]:
    """b minus a: benchmark → figure → difference with interval and permutation p. Raises `BadInput`."""
    first, second = Results.load(a), Results.load(b)
    shared = [name for name in first.benchmarks if name in second.benchmarks]
    if not shared:
        raise BadInput(f"{a} and {b} share no benchmark, so there is nothing to compare.")
    return {name: _differences(name, first.benchmarks[name], second.benchmarks[name], seed) for name in shared}


def _differences(name: str, a: Sheet, b: Sheet, seed: int) -> dict[str, Difference]:
    pairs = matched(name, a.items, b.items)
    groups = clusters([row for row, _ in pairs])
    before, after = [row.scores for row, _ in pairs], [row.scores for _, row in pairs]
    figures = find(name, to_sit=False).figures
    return {
        figure: paired(after, before, partial(_of_list, of), groups=groups, n=DRAWS, seed=seed)
        for figure, of in figures.items()
        if a.figures.get(figure) and a.figures[figure].value is not None and b.figures.get(figure)
    }


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
