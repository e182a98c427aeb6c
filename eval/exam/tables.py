"""Results as people read them: a Markdown table, and the headline figures as a picture."""

import math
from pathlib import Path

from eval.exam import plots
from eval.exam.compare import Comparison
from eval.exam.results import FEWEST, Measured, Results, Sheet


def write(results: Results, folder: Path) -> None:
    """results.json, table.md and plots/headlines.png."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plots").mkdir(exist_ok=True)
    results.save(folder)
    (folder / "table.md").write_text(markdown(results), encoding="utf-8")
    headlines = [(name, sheet.figures[sheet.headline]) for name, sheet in results.benchmarks.items()]
    rows = [
        (f"{name}: {results.benchmarks[name].headline}", m.value, m.low, m.high)
        for name, m in headlines
        if m.value is not None
    ]
    if rows:
        plots.forest(rows, folder / "plots" / "headlines.png", f"Headline figures of {_whose(results)}")
    for name, sheet in results.benchmarks.items():
        if groups := _drawn(sheet):
            title = f"{name}: {sheet.headline}, {_counts(sheet)} items (patients), {_whose(results)}"
            plots.bars_by_group(groups, folder / "plots" / f"{Path(name).name.replace(':', '-')}-groups.png", title)


def _whose(results: Results) -> str:
    """The candidate in the title of a picture, which may be shown apart from its table."""
    who = results.candidate
    parts = [f"model {Path(str(who['model'])).name}", f"adapter {who['adapter']}" if who["adapter"] else ""]
    parts += [f"knowledge {who['knowledge']}", "demonstration only" if who.get("demonstration") else ""]
    return ", ".join(filter(None, parts))


def _drawn(sheet: Sheet) -> dict[str, dict[str, tuple[float, float | None, float | None]]]:
    """Subgroups with a value, two or more of a kind: a bar alone has nothing to be compared with."""
    known = {
        key: {value: (m.value, m.low, m.high) for value, m in values.items() if m.value is not None}
        for key, values in sheet.groups.items()
    }
    return {key: rows for key, rows in known.items() if len(rows) > 1}


def shown(measured: Measured) -> str:
    """ "0.84 [0.80, 0.88]", without brackets where no interval can be told; "–" where there is nothing to measure."""
    if measured.value is None:
        return "–"
    if measured.low is None or measured.high is None:
        return f"{measured.value:.2f}"
    return f"{measured.value:.2f} [{measured.low:.2f}, {measured.high:.2f}]"


def markdown(results: Results) -> str:
    """Who was examined, a headline a benchmark, then all figures of each with 95 % intervals, and by subgroup."""
    who = results.candidate
    lines = [
        f"Model {who['model']} ({who['engine']}, {who['model_hash'][:12]}), adapter {who['adapter'] or 'none'}, "
        f"knowledge {who['knowledge']}, seed {results.seed}. In brackets 95 % bootstrap intervals over patients; "
        f"none where there are fewer than {FEWEST} patients or where every draw gives the same. A question that is not "
        "answered counts as wrong.",
    ]
    if who.get("demonstration"):
        lines.append("\nThis is a demonstration model: not for clinical use.")
    lines += ["", "| benchmark | items (patients) | figure | value |", "|---|---|---|---|"]
    for name, sheet in results.benchmarks.items():
        lines.append(f"| {name} | {_counts(sheet)} | {sheet.headline} | {shown(sheet.figures[sheet.headline])} |")
    for name, sheet in results.benchmarks.items():
        lines += ["", f"### {name}: {sheet.title}", "", *_table(sheet)]
    lines += [f"\n{note}" for note in results.notes]
    return "\n".join(lines) + "\n"


def _counts(sheet: Sheet) -> str:
    n, patients = len(sheet.items) - sheet.failed, sheet.figures[sheet.headline].units
    return f"{n} ({patients})" + (f", and {sheet.failed} that could not be asked" if sheet.failed else "")


def _table(sheet: Sheet) -> list[str]:
    lines = [f"Items (patients): {_counts(sheet)}.", "", "| figure | value |", "|---|---|"]
    lines += [
        f"| {name} | {shown(measured)} |" for name, measured in sheet.figures.items() if measured.value is not None
    ]
    unmeasured = [name for name, measured in sheet.figures.items() if measured.value is None]
    if unmeasured:
        lines += ["", f"Not measurable here: {'; '.join(unmeasured)}."]
    if failed := sorted({row.error for row in sheet.items if row.error}):
        lines += ["", *(f"Could not be asked: {error}" for error in failed)]
    if sheet.groups:
        lines += ["", f"| {sheet.headline} by | | value |", "|---|---|---|"]
        for key, values in sheet.groups.items():
            lines += [f"| {key} | {value} | {shown(measured)} |" for value, measured in values.items()]
    return lines


def differences(comparison: Comparison) -> str:
    """Who A and B are, then B minus A by benchmark and figure, with interval and p."""
    lines = [f"- {letter}: {_whose(results)}" for letter, results in (("A", comparison.a), ("B", comparison.b))]
    tests = sum(len(sheet.figures) for sheet in comparison.sheets.values())
    lines += ["", f"p of a permutation test, not corrected for {tests} figures.", ""]
    for name, sheet in comparison.sheets.items():
        left = f", {sheet.left_out} in one of them only" if sheet.left_out else ""
        lines += [f"### {name}", "", f"{sheet.items} items of {sheet.patients} patients in both{left}.", ""]
        lines += ["| figure | B − A | 95 % interval | p |", "|---|---|---|---|"]
        for figure, d in sheet.figures.items():
            interval = "–" if math.isnan(d.low) else f"[{d.low:+.3f}, {d.high:+.3f}]"
            lines.append(f"| {figure} | {d.value:+.3f} | {interval} | {d.p:.3f} |")
        lines.append("")
    return "\n".join(lines)
