"""Pictures of results: one look for all, colours that the colour-blind can tell apart, and the n in every title.

Same numbers, same bytes: nothing here depends on the date, the screen or a person's own matplotlib settings.
"""

import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike, NDArray
from PIL import Image
from sklearn.metrics import roc_curve

from eval.metrics import calibration, classify
from eval.metrics.grounding import Box

# Okabe & Ito, "Color universal design" (2008).
BLUE, VERMILION, GREEN, SKY = "#0072B2", "#D55E00", "#009E73", "#56B4E9"
INK, GREY, PALE = "#222222", "#767676", "#D9D9D9"
DASHES = (0, (4, 3))
WIDTH = 8.0  # inches; 1200 pixels
_STYLE = {
    "figure.dpi": 150, "figure.facecolor": "white", "font.family": "DejaVu Sans", "font.size": 11,
    "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": GREY, "xtick.color": INK, "ytick.color": INK,
    "axes.spines.top": False, "axes.spines.right": False, "axes.titlesize": 12.5, "axes.titlelocation": "left",
    "axes.titlepad": 12, "axes.grid": True, "axes.axisbelow": True, "grid.color": "#EBEBEB", "grid.linewidth": 0.8,
    "lines.linewidth": 2.0, "legend.frameon": False, "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.12, "figure.constrained_layout.w_pad": 0.12,
}  # fmt: skip

Measured = tuple[float, float | None, float | None]  # value, low, high; None where there is no interval
Named = tuple[str, float, float | None, float | None]  # label, value, low, high


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """One picture of a panel: pixels (H, W) or (H, W, 3); boxes (x0, y0, x1, y1) in its pixels; a heat map of any
    coarser shape over the whole picture, whose values from 0 up show (nan and what is below 0 stay clear)."""

    pixels: NDArray[np.uint8]
    caption: str = ""
    boxes: Sequence[Box] = ()
    heat: ArrayLike | None = None


OF_ANSWERS = ("confidence in the answer given", "share of answers that are right", "answers")


def roc(truth: ArrayLike, p: ArrayLike, sensitivity: float, path: Path, name: str = "") -> Path:
    """ROC curve with the operating point of this sensitivity; `truth` must hold both classes."""
    said = np.asarray(truth, dtype=bool)
    false, true, _ = roc_curve(said, p)
    point = classify.operating_point(said, p, sensitivity)
    with drawing(path, WIDTH, 7.9) as figure:
        axes = figure.add_subplot()
        axes.plot(false, true, color=BLUE, clip_on=False, label=f"AUROC {classify.auroc(said, p):.2f}")
        axes.plot(
            1 - point.specificity, point.sensitivity, "o", color=VERMILION, markersize=9, clip_on=False, zorder=5,
            label=f"chosen here for sensitivity ≥ {sensitivity:g}: p ≥ {point.threshold:.2f}\n"
            f"sensitivity {point.sensitivity:.2f}, specificity {point.specificity:.2f}",
        )  # fmt: skip
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=1, linestyle=DASHES, zorder=1, label="chance")
        axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="1 − specificity", ylabel="sensitivity")
        axes.set_aspect("equal")
        axes.set_title(_named(name, f"ROC curve, yes against no (n = {said.size}, {int(said.sum())} positive)"))
        axes.legend(loc="lower right")
    return path


def reliability(
    confidence: ArrayLike, right: ArrayLike, path: Path, name: str = "", words: tuple[str, str, str] = OF_ANSWERS
) -> Path:
    """How often answers of a confidence are right, with 95 % Wilson intervals, above how many there are of each.
    `words` name confidence, share and items where these are no answers."""
    bins = calibration.reliability(confidence, right)
    values = np.asarray(confidence, dtype=float)
    start = 0.5 if values.size and values.min() >= 0.5 else 0.0
    with drawing(path, WIDTH, 7.2) as figure:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        upper.plot([start, 1], [start, 1], color=GREY, linewidth=1, linestyle=DASHES, label="calibrated")
        x, y = [b.confidence for b in bins], [b.accuracy for b in bins]
        low, high = zip(*[_wilson(b.accuracy, b.n) for b in bins], strict=True) if bins else ((), ())
        upper.vlines(x, low, high, color=SKY, linewidth=3, clip_on=False, label="95 % interval")
        upper.plot(x, y, "o-", color=BLUE, markersize=7, clip_on=False, label="measured")
        upper.set(ylim=(0, 1), ylabel=words[1])
        error = calibration.ece(confidence, right)
        upper.set_title(_named(name, f"calibration of {values.size} {words[2]}, expected error {error:.2f}"))
        upper.legend(loc="upper left")
        edges, heights = [b.low for b in bins], [b.n for b in bins]
        lower.bar(edges, heights, [b.high - b.low for b in bins], align="edge", color=PALE, edgecolor="white")
        lower.set_ylabel(words[2])
        lower.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        lower.set_xlim(start, 1)
        lower.set_xlabel(words[0])
        figure.align_ylabels([upper, lower])
    return path


def risk_coverage(
    confidence: ArrayLike, right: ArrayLike, path: Path, name: str = "", *, asked: int | None = None
) -> Path:
    """Share of wrong answers when the least confident are withheld, between doing so by chance and perfectly. `asked`:
    questions in all, where some were not answered; the curve then ends at the share that was."""
    correct = np.asarray(right, dtype=bool)
    curve = calibration.risk_coverage(confidence, correct)
    reached = correct.size / asked if asked else 1.0
    wrong = np.sort(~correct)  # a perfect order answers what is right first
    ideal = np.cumsum(wrong) / np.arange(1, wrong.size + 1)
    with drawing(path, WIDTH, 5.6) as figure:
        axes = figure.add_subplot()
        axes.axhline(1 - correct.mean(), color=GREY, linewidth=1, linestyle=DASHES, label="withheld at random")
        axes.plot(reached * curve.coverage, curve.risk, color=BLUE, label="least confident withheld first")
        axes.plot(
            reached * np.arange(1, wrong.size + 1) / wrong.size, ideal, color=GREEN, linewidth=1.2,
            linestyle=(0, (1, 1.5)), label="best possible order",
        )  # fmt: skip
        axes.set(xlabel="coverage: share of questions answered", ylabel="risk: share of the answers that are wrong")
        axes.set(xlim=(0, 1), ylim=(0, max(0.1, 1.15 * float(curve.risk.max(initial=0)))))
        area = calibration.aurc(confidence, correct)
        axes.set_title(
            _named(name, f"risk and coverage, {correct.size} of {asked or correct.size} answered, area {area:.2f}")
        )
        figure.legend(loc="outside lower center", ncols=3, fontsize=10)
    return path


def _named(name: str, title: str) -> str:
    """The benchmark's name before the title."""
    return f"{name}: {title}" if name else title[0].upper() + title[1:]


def forest(rows: Sequence[Named], path: Path, title: str, chance: float | None = None) -> Path:
    """Figures with their intervals, a row each, from the top. `chance`: where a line is drawn; 0 stands for "no
    difference" and goes through the middle. The title should name the n."""
    with drawing(path, WIDTH, 1.7 + 0.4 * len(rows)) as figure:
        axes = figure.add_subplot()
        _intervals(axes, [(label, (value, low, high)) for label, value, low, high in rows], chance)
        axes.set_xlabel("difference" if chance == 0 else "value")
        _title(figure, title)
    return path


def bars_by_group(groups: Mapping[str, Mapping[str, Measured]], path: Path, title: str) -> Path:
    """One figure by subgroup: bars with intervals under a heading for each key ("sex", "age", …)."""
    rows: list[tuple[str, Measured | None]] = []
    for key, group in groups.items():
        rows += [(key, None), *group.items()]
    with drawing(path, WIDTH, 1.7 + 0.38 * len(rows)) as figure:
        axes = figure.add_subplot()
        for place, (_, measured) in enumerate(rows):
            if measured and not math.isnan(measured[0]):
                axes.barh(place, measured[0], height=0.62, color=SKY, alpha=0.55)
        _intervals(axes, rows, None)
        axes.set_xlabel("value")
        _title(figure, title)
    return path


def severity_curves(
    curves: Mapping[str, Sequence[float]], path: Path, title: str, figure: str = "accuracy", steps: str = "severity"
) -> Path:
    """A small plot a kind: the figure on clean pictures (first) and at each severity from 1 on, in grey the mean over
    all kinds. nan: not measured. `steps` says what the numbers from 1 on are."""
    rows, columns = _grid(len(curves))
    table = np.array(list(curves.values()), dtype=float).reshape(len(curves), -1)
    known = ~np.isnan(table)
    mean = np.where(known, table, 0).sum(axis=0) / np.where(known.any(axis=0), known.sum(axis=0), np.nan)
    with drawing(path, WIDTH, 1.2 + 1.75 * rows) as page:
        grid = page.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for axes, (kind, values) in zip(grid.flat, curves.items(), strict=False):
            axes.plot(mean, color=PALE, linewidth=4, solid_capstyle="round")
            axes.plot(np.asarray(values, dtype=float), "o-", color=BLUE, markersize=3.5, linewidth=1.6, clip_on=False)
            if np.isnan(np.asarray(values, dtype=float)).all():
                axes.text(0.5, 0.5, "too few items", transform=axes.transAxes, ha="center", fontsize=9, color=GREY)
            axes.set_title(kind, fontsize=10, pad=5)
            axes.set_xticks(range(table.shape[1]), ["clean", *map(str, range(1, table.shape[1]))], fontsize=9)
            axes.tick_params(axis="y", labelsize=9)
            axes.set_ylim(0, 1.03)
        for axes in grid.flat[len(curves) :]:
            axes.set_visible(False)
        for axes in grid.flat[max(0, len(curves) - columns) : len(curves)]:
            axes.tick_params(labelbottom=True)
        _title(page, title)
        page.supxlabel(f"{steps} (grey: mean of all kinds)", fontsize=11)
        page.supylabel(figure, fontsize=11)
    return path


def panel(tiles: Sequence[Tile], path: Path, title: str = "", note: str = "") -> Path:
    """Pictures in rows of up to four, with captions, true boxes and heat maps; `note` explains the marks."""
    rows, columns = _grid(len(tiles))
    lines = max((tile.caption.count("\n") + 1 for tile in tiles if tile.caption), default=0)
    side = WIDTH / columns
    with drawing(path, WIDTH, rows * (side + 0.19 * lines) + 0.4 * bool(title) + 0.35 * bool(note)) as figure:
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes in grid.flat:
            axes.set_axis_off()
        for axes, tile in zip(grid.flat, tiles, strict=False):
            _show(axes, tile)
            axes.set_title(tile.caption, fontsize=8, pad=4)
        _title(figure, title)
        if note:
            figure.supxlabel(note, x=0.02, ha="left", fontsize=9.5, color=GREY)
    return path


@contextmanager
def drawing(path: Path, width: float, height: float) -> Iterator[Figure]:
    """A figure of so many inches, saved when the block ends well."""
    with matplotlib.style.context(_STYLE, after_reset=True):
        figure = Figure(figsize=(width, height))
        yield figure
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, format="png", metadata={"Software": None})


def _grid(n: int) -> tuple[int, int]:
    """Rows and columns for n small pictures: at most four beside each other, rows as even as can be."""
    rows = max(1, math.ceil(n / 4))
    return rows, max(1, math.ceil(n / rows))


def _title(figure: Figure, title: str) -> None:
    """Over the whole width, where the axes' own would begin too far to the right."""
    if title:
        figure.suptitle(textwrap.fill(title, 84), x=0.02, ha="left", fontsize=12.5)


def _intervals(axes: Axes, rows: Sequence[tuple[str, Measured | None]], chance: float | None) -> None:
    """Points and whiskers from the top down, the numbers beside them; a row without figures is a heading."""
    reach = [v for _, m in rows if m for v in m if v is not None and not math.isnan(v)]
    if chance is not None:
        axes.axvline(chance, color=GREY, linewidth=1, linestyle=DASHES)
        label = "no difference" if chance == 0 else f"chance {chance:.2g}"
        axes.annotate(label, (chance, 1), (4, 3), xycoords=("data", "axes fraction"), textcoords="offset points",
                      color=GREY, fontsize=9)  # fmt: skip
    for place, (_, measured) in enumerate(rows):
        if measured is None:
            continue
        value, low, high = measured
        if low is not None and high is not None:
            axes.plot([low, high], [place, place], color=BLUE, linewidth=2.2, solid_capstyle="butt")
        axes.plot(value, place, "o", color=BLUE, markersize=6.5, clip_on=False)
        axes.annotate(_words(measured, signed=chance == 0), (1.03, place), xycoords=("axes fraction", "data"),
                      va="center", fontsize=10, annotation_clip=False)  # fmt: skip
    axes.set_yticks(range(len(rows)), [label for label, _ in rows])
    for tick, (_, measured) in zip(axes.get_yticklabels(), rows, strict=True):
        tick.set_fontweight("normal" if measured else "bold")
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0, pad=8)
    axes.spines["left"].set_visible(False)
    axes.grid(visible=False, axis="y")
    if chance == 0:
        furthest = 1.1 * max([0.05, *map(abs, reach)])
        axes.set_xlim(-furthest, furthest)
        axes.locator_params(axis="x", nbins=5)
    elif all(0 <= v <= 1 for v in reach):
        axes.set_xlim(0, 1)


def _words(measured: Measured, *, signed: bool) -> str:
    value, low, high = measured
    form = "+.2f" if signed else ".2f"
    if math.isnan(value):
        return "–"
    interval = "" if low is None or high is None or math.isnan(low) else f" [{low:{form}}, {high:{form}}]"
    return f"{value:{form}}{interval}".replace("-", "−")


def _wilson(share: float, n: int, z: float = 1.959964) -> tuple[float, float]:
    """Wilson's 95 % interval of a share of n (1927)."""
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return middle - half, middle + half


_HEAT = LinearSegmentedColormap.from_list("heat", [(0.84, 0.37, 0, 0), (0.90, 0.55, 0, 0.45), (1, 0.92, 0.3, 0.75)])


def _show(axes: Axes, tile: Tile) -> None:
    height, width = tile.pixels.shape[:2]
    axes.imshow(tile.pixels, cmap="gray", vmin=0, vmax=255, extent=(0, width, height, 0), interpolation="antialiased")
    if tile.heat is not None:
        warm = np.nan_to_num(np.maximum(np.asarray(tile.heat, dtype=np.float32), 0))
        smooth = np.asarray(Image.fromarray(warm).resize((width, height), Image.Resampling.BICUBIC))
        axes.imshow(smooth, cmap=_HEAT, vmin=0, vmax=max(float(warm.max()), 1e-9), extent=(0, width, height, 0))
    for x0, y0, x1, y1 in tile.boxes:
        for colour, thick in (("black", 3.0), (SKY, 1.6)):
            axes.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor=colour, linewidth=thick))
    axes.set(xlim=(0, width), ylim=(height, 0))
