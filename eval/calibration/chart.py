"""Domains on held-out pictures, in one picture: what each kind is taken for, and where the kinds lie."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from eval.exam.plots import BLUE, GREEN, GREY, SKY, VERMILION, drawing
from retrieval.types import Domain

COLOURS = (BLUE, VERMILION, GREEN, SKY, "#CC79A7", "#E69F00", GREY)
UNSURE, NONE = "unsure:\nall searched", "none\nI know"


def domain_chart(
    vectors: NDArray[np.float32], truth: Sequence[str], taken: Sequence[Domain], known: Sequence[str], path: Path,
    encoder: str,
) -> Path:  # fmt: skip
    """Left what each kind was taken for, in per cent of its pictures; right the embeddings' two main axes."""
    kinds = [*(name for name in known if name in truth), *sorted(set(truth) - set(known))]
    columns = [*known, UNSURE, NONE]
    said = [(verdict.name if verdict.sure else UNSURE) if verdict.name else NONE for verdict in taken]
    counts = np.array([[_both(truth, said, kind, column) for column in columns] for kind in kinds])
    with drawing(path, 13.5, 3.4 + 0.55 * max(len(kinds), 4)) as figure:
        left, right = figure.subplots(1, 2, width_ratios=(1.25, 1))
        _matrix(left, counts, kinds, columns)
        _map(right, vectors, np.array(truth), kinds)
        figure.suptitle(
            f"What {len(truth)} held-out pictures are taken for ({encoder})", x=0.02, ha="left", fontsize=13
        )
    return path


def _both(truth: Sequence[str], said: Sequence[str], kind: str, column: str) -> int:
    return sum(true == kind and one == column for true, one in zip(truth, said, strict=True))


def _plain(name: str) -> str:
    return name.replace("_", " ")


def _matrix(axes: Axes, counts: NDArray[np.int64], kinds: Sequence[str], columns: Sequence[str]) -> None:
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / totals
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1.15, aspect="auto")
    for row, column in np.ndindex(*counts.shape):
        if counts[row, column]:
            colour = "white" if shares[row, column] > 0.6 else "black"
            text = f"{shares[row, column]:.0%}\n{counts[row, column]}"
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=10)
    axes.set_xticks(range(len(columns)), [_plain(column) for column in columns], fontsize=10)
    labels = [f"{_plain(kind)} (n = {total})" for kind, total in zip(kinds, totals[:, 0], strict=True)]
    axes.set_yticks(range(len(kinds)), labels)
    axes.set(xlabel="taken for", ylabel="what it is")
    axes.grid(visible=False)
    axes.set_title("share and number of pictures")


def _map(axes: Axes, vectors: NDArray[np.float32], truth: NDArray[np.str_], kinds: Sequence[str]) -> None:
    from sklearn.decomposition import PCA

    places = PCA(2, svd_solver="full").fit_transform(vectors) if len(vectors) > 2 else np.zeros((len(vectors), 2))
    for number, kind in enumerate(kinds):
        own = places[truth == kind]
        axes.plot(*own.T, "o", markersize=4, alpha=0.7, color=COLOURS[number % len(COLOURS)], label=_plain(kind))
    axes.set(xlabel="first main axis", ylabel="second main axis")
    axes.set_title("where they lie in the encoder's space")
    axes.legend(loc="best")
