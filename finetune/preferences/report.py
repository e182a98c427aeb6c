"""`consult preferences report`: what a person looks at before anything is trained on pairs: how many of what, whether
the length of an answer gives away which is preferred, how weights are spread, and the pairs themselves."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eval.metrics.intervals import Interval, bootstrap
from finetune.checkpoints import write_whole
from finetune.errors import BadInput, Misconfigured, Problem, WrongData
from finetune.preferences.build import PAIRS, SUMMARY
from finetune.preferences.page import page
from finetune.preferences.pair import Pair, read_pairs

Count = Callable[[Sequence[str]], list[int]]


@dataclass(frozen=True, slots=True)
class Lengths:
    """Of pairs whose two answers differ in words: mean length of each side, their difference (rejected minus chosen)
    with its 95 % interval over patients, and the share of pairs that "the shorter is right" gets right, ties left
    out."""

    name: str
    pairs: int
    chosen: float
    rejected: float
    difference: Interval
    shorter_right: float


def write_report(folder: Path, shown: int, model: str | None = None, seed: int = 0) -> Path:
    """Writes FOLDER/report.html and FOLDER/weights.png. Raises `WrongData` with every wrong line."""
    problems: list[Problem] = []
    pairs = read_pairs(folder / PAIRS, problems.append)
    if problems:
        raise WrongData(problems)
    if not pairs:
        raise BadInput(f"{folder / PAIRS} holds no pair.")
    count, unit = _counter(folder, model)
    draw_weights(pairs, folder / "weights.png")
    text = page(folder.resolve().name, pairs, lengths(pairs, count, seed), unit, some(pairs, shown, seed))
    write_whole(folder / "report.html", lambda draft: draft.write_text(text, encoding="utf-8"))
    return folder / "report.html"


def _counter(folder: Path, model: str | None) -> tuple[Count, str]:
    """How length is counted, and what it is called: tokens of the model, words where its tokenizer isn't here."""
    from finetune.sft_samples import Reader

    summary = folder / SUMMARY
    told = json.loads(summary.read_text(encoding="utf-8"))["model"] if summary.is_file() else ""
    try:
        name = model or told
        return (Reader.open(name).count, f"tokens of {name}") if name else (_words, "words")
    except Misconfigured:
        if model:
            raise
        return _words, "words"


def _words(texts: Sequence[str]) -> list[int]:
    return [len(text.split()) for text in texts]


def lengths(pairs: Sequence[Pair], count: Count, seed: int = 0) -> list[Lengths]:
    """Over all such pairs, then by source."""
    texts = [pair for pair in pairs if pair.chosen != pair.rejected]
    sources = sorted({pair.source for pair in texts})
    groups = [("all", texts), *((source, [pair for pair in texts if pair.source == source]) for source in sources)]
    return [_lengths(name, some, count, seed) for name, some in groups if some]


def _lengths(name: str, pairs: Sequence[Pair], count: Count, seed: int) -> Lengths:
    chosen = np.array(count([pair.chosen for pair in pairs]), np.float64)
    rejected = np.array(count([pair.rejected for pair in pairs]), np.float64)
    apart = rejected - chosen
    difference = bootstrap(apart, np.mean, groups=[pair.patient for pair in pairs], seed=seed)
    told = apart[apart != 0]
    right = float((told > 0).mean()) if len(told) else float("nan")
    return Lengths(name, len(pairs), float(chosen.mean()), float(rejected.mean()), difference, right)


def draw_weights(pairs: Sequence[Pair], path: Path) -> None:
    """Weights of all pairs, those that nobody weighed apart."""
    from eval.exam.plots import BLUE, PALE, WIDTH, drawing

    weighed = [pair.weight for pair in pairs if pair.weighed_by != "none"]
    rest = [pair.weight for pair in pairs if pair.weighed_by == "none"]
    high = max(1.3, *(pair.weight for pair in pairs))
    with drawing(path, WIDTH, 4.0) as figure:
        axes = figure.add_subplot()
        bins = np.linspace(min(0.7, *(pair.weight for pair in pairs)), high, 31)
        every = [(rest, PALE, f"weighed by none ({len(rest)})"), (weighed, BLUE, f"weighed ({len(weighed)})")]
        series = [one for one in every if one[0]]
        axes.hist(
            [values for values, _, _ in series], bins.tolist(), stacked=True,
            color=[colour for _, colour, _ in series], label=[told for _, _, told in series],
        )  # fmt: skip
        axes.set(xlabel="weight", ylabel="pairs", title=f"Weights (n = {len(pairs)})")
        axes.legend(loc="upper left")


def some(pairs: Sequence[Pair], most: int, seed: int) -> list[Pair]:
    """At most so many of each source, drawn."""
    rng = np.random.default_rng(seed)
    chosen = []
    for source in dict.fromkeys(pair.source for pair in pairs):
        own = [pair for pair in pairs if pair.source == source]
        chosen += [own[n] for n in rng.permutation(len(own))[:most]]
    return chosen
