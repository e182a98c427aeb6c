"""Robustness: any benchmark again on corrupted pictures, after MedMNIST-C (arXiv:2406.17536; see `eval.corruptions`).

All items under 13 kinds at five severities would cost 66 times the benchmark. Here each item is asked clean and under
one kind at all five severities, which costs six times the benchmark. The kinds go round in random order, so that each
(kind, severity) sees an equal share of the items, and is always compared with the clean answers to the very same items.
The whole path is corrupted with the picture: quality gate, domain check and retrieval see what the model sees.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from assistant.requests import Request
from assistant.study import Picture, Study
from eval import corruptions
from eval.corruptions import KINDS, SEVERITIES, corrupt
from eval.exam.benchmark import Answer, Benchmark, Corpus, Figure, Item, Row, Scores
from eval.exam.candidate import Candidate
from retrieval.errors import BadInput

CLEAN = 0  # the severity of a picture as it is
LADDER = (CLEAN, *SEVERITIES)
FULL = 20  # items a kind in the whole set


class Against(NamedTuple):
    """MedMNIST-C's errors of a candidate over those of a baseline: below 1 it is the more robust of the two."""

    corruption_error: float
    relative_error: float


class Robustness(Benchmark):
    """`modality` names the kinds of corruption (`eval.corruptions.KINDS`). The benchmark's headline figure must lie in
    0..1 with 1 the best: what it lacks to 1 is the error."""

    def __init__(self, benchmark: Benchmark, modality: str = "chest_xray") -> None:
        super().__init__(benchmark.data)
        self.of, self.kinds = benchmark, KINDS[modality]
        self.name = f"robustness:{benchmark.name}"  # type: ignore[misc]
        self.title = f"On corrupted pictures: {benchmark.title}"  # type: ignore[misc]
        self.full = min(benchmark.full, FULL * len(self.kinds))  # type: ignore[misc]
        self.quick = min(benchmark.quick, len(self.kinds))  # type: ignore[misc]
        self.headline = f"{benchmark.headline}, corrupted"  # type: ignore[misc]

    @property
    def source(self) -> Path:
        return self.of.source

    def items(self, n: int, seed: int) -> Iterator[Item]:
        for number, (item, kind) in enumerate(zip(self.of.items(n, seed), self._rounds(seed), strict=False)):
            if number == 0 and not item.request().study.pictures:
                raise BadInput(f"{self.of.name} shows no pictures, so there is nothing to corrupt.")
            yield replace(item, groups=item.groups | {"corruption": kind})

    def _rounds(self, seed: int) -> Iterator[str]:
        """All kinds, then all again in another order: no kind falls on every second item, say."""
        rng = np.random.default_rng(seed)
        while True:
            yield from (self.kinds[at] for at in rng.permutation(len(self.kinds)))

    async def sit(self, candidate: Candidate, item: Item) -> dict[str, Answer]:
        kind = item.groups["corruption"]
        answers: dict[str, Answer] = {}
        for severity in LADDER:
            own = await self.of.sit(candidate, corrupted(item, kind, severity))
            answers |= {_condition(severity, name): answer for name, answer in own.items()}
        return answers

    def score(self, item: Item, answers: Mapping[str, Answer]) -> Scores:
        def at(severity: int) -> Scores:
            start = _condition(severity, "")
            return self.of.score(item, {k.removeprefix(start): a for k, a in answers.items() if k.startswith(start)})

        return {"kind": item.groups["corruption"], "ladder": [at(severity) for severity in LADDER]}

    @property
    def figures(self) -> Mapping[str, Figure]:
        headline = self.of.headline
        return {
            f"{headline}, clean": partial(self._value, severities=(CLEAN,)),
            self.headline: partial(self._value, severities=SEVERITIES),
            "mean error under corruption": self.mean_error,
            "mean cost of corruption": self.mean_cost,
            **{f"{headline}, severity {s}": partial(self._value, severities=(s,)) for s in SEVERITIES},
            **{f"{headline}, {kind}": partial(self._value, severities=SEVERITIES, kind=kind) for kind in self.kinds},
        }

    def mean_error(self, rows: Sequence[Scores]) -> float:
        """The mean over the kinds of the mean error over their severities: each kind weighs the same."""
        return _mean(_mean(ladder[1:]) for ladder in self.errors(rows).values())

    def mean_cost(self, rows: Sequence[Scores]) -> float:
        """The same of what the error has risen by from the clean pictures of the same items: MedMNIST-C's relative
        error before it is divided by a baseline's (`against` divides)."""
        return _mean(_mean(ladder[1:]) - ladder[0] for ladder in self.errors(rows).values())

    def errors(self, rows: Sequence[Scores]) -> dict[str, list[float]]:
        """1 − headline by kind: clean, then by severity; nan where there is nothing to measure."""
        kinds = {row["kind"] for row in rows}
        return {k: [1 - self._value(rows, (s,), k) for s in LADDER] for k in self.kinds if k in kinds}

    def against(self, rows: Sequence[Scores], baseline: Sequence[Scores]) -> Against:
        """The mean corruption error and mean relative error over the kinds that can be measured of both, with the
        rows of another candidate as the baseline. Clean errors are those of a kind's own items."""
        ours, theirs = self.errors(rows), self.errors(baseline)
        kinds = [k for k in ours if k in theirs and not math.isnan(math.fsum((*ours[k], *theirs[k])))]
        relative = (corruptions.relative_error(ours[k][1:], ours[k][0], theirs[k][1:], theirs[k][0]) for k in kinds)
        absolute = ({k: ladder[1:] for k, ladder in own.items() if k in kinds} for own in (ours, theirs))
        return Against(corruptions.mean_corruption_error(*absolute), _mean(relative))

    def _value(self, rows: Sequence[Scores], severities: Sequence[int], kind: str | None = None) -> float:
        """The headline figure over all answers of these severities (of one kind)."""
        chosen = [row["ladder"][s] for row in rows if kind in (None, row["kind"]) for s in severities]
        return self.of.figures[self.of.headline](chosen) if chosen else math.nan

    def corpus(self) -> Corpus | None:
        return self.of.corpus()

    def draw(self, rows: Sequence[Row], folder: Path) -> list[Path]:
        from eval.exam import plots

        scores = [row.scores for row in rows if row.error is None]
        curves = {kind: [1 - error for error in ladder] for kind, ladder in self.errors(scores).items()}
        if not curves:
            return []
        title = f"{self.of.name} on corrupted pictures (n = {len(scores)} items, each under one kind)"
        path = folder / f"robustness-{self.of.name}-severity.png"
        return [plots.severity_curves(curves, path, title, self.of.headline)]


def corrupted(item: Item, kind: str, severity: int) -> Item:
    """The item with every picture that it makes corrupted, whatever fields make them; severity 0 leaves it as it is."""
    if severity == CLEAN:
        return item

    def picture(clean: Picture) -> Picture:
        return replace(clean, pixels=corrupt(clean.pixels, kind, severity, int(clean.sha256[:8], 16)), sha256="")

    return replace(item, **{field.name: _changed(getattr(item, field.name), picture) for field in fields(item)})


def _changed(thing: Any, picture: Callable[[Picture], Picture]) -> Any:
    """A thing, what it holds or what it will make, with its pictures changed."""
    if isinstance(thing, Picture):
        return picture(thing)
    if isinstance(thing, tuple) and type(thing) is tuple:
        return tuple(_changed(part, picture) for part in thing)
    if isinstance(thing, Study):
        return replace(thing, pictures=_changed(thing.pictures, picture))
    if isinstance(thing, Request):
        return replace(thing, study=_changed(thing.study, picture), prior=_changed(thing.prior, picture))
    if callable(thing):
        return lambda *args, **kwargs: _changed(thing(*args, **kwargs), picture)
    return thing


def _condition(severity: int, name: str) -> str:
    return f"severity {severity}: {name}" if severity else f"clean: {name}"


def _mean(values: Any) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan
