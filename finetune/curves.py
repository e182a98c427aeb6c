"""Curves of a training run: `curves.jsonl`, a line whenever something was measured, and `curves.png` drawn from it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from finetune.checkpoints import write_whole


class Curves:
    """The curves kept in `folder`. What is appended is on disk at once, as whole lines."""

    def __init__(self, folder: Path) -> None:
        self.path, self.picture = folder / "curves.jsonl", folder / "curves.png"
        folder.mkdir(parents=True, exist_ok=True)

    def append(self, step: int, **values: float) -> None:
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **values}, ensure_ascii=False) + "\n")

    def rows(self) -> list[dict[str, Any]]:
        """What was measured, in order; the half line of a run that was killed is left out."""
        found = []
        for line in self.path.read_text(encoding="utf-8").splitlines() if self.path.is_file() else ():
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
        return found

    def rewind(self, step: int) -> None:
        """Forgets what was measured after `step`: a run that goes on measures it again."""
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in self.rows() if row["step"] <= step]
        write_whole(self.path, lambda draft: draft.write_text("".join(lines), encoding="utf-8"))

    def draw(self, panels: Mapping[str, Sequence[str]], title: str) -> Path:
        """One panel a title, with the curves of these names; a curve of many points is drawn pale, with its mean over
        a fiftieth of the run above it."""
        from eval.exam.plots import BLUE, GREEN, SKY, VERMILION, drawing

        rows = self.rows()
        with drawing(self.picture, 4.6 * len(panels), 4.0) as figure:
            for axes, (label, names) in zip(
                np.atleast_1d(figure.subplots(1, len(panels))), panels.items(), strict=True
            ):
                for name, colour in zip(names, (BLUE, VERMILION, GREEN, SKY), strict=False):
                    points = np.array([(row["step"], row[name]) for row in rows if name in row]).reshape(-1, 2)
                    _line(axes, points, name, colour)
                axes.set(xlabel="step", title=label)
                if len(names) > 1:
                    axes.legend(loc="best")
            figure.suptitle(title, x=0.02, ha="left", fontsize=13)
        return self.picture


def _line(axes: Any, points: Any, name: str, colour: str) -> None:
    steps, values = points.T
    window = len(values) // 50
    if window < 2:
        axes.plot(steps, values, "o-" if len(values) < 30 else "-", markersize=4, color=colour, label=name)
        return
    smooth = np.convolve(values, np.ones(window) / window, mode="valid")
    axes.plot(steps, values, color=colour, alpha=0.25, linewidth=0.8)
    axes.plot(steps[window - 1 :], smooth, color=colour, label=name)
