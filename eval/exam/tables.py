"""Results as people read them: a Markdown table, and the headline figures as a picture."""

from collections.abc import Mapping
from pathlib import Path

from eval.exam import plots
from eval.exam.results import Measured, Results, Sheet
from eval.metrics.intervals import Difference


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
        plots.forest(rows, folder / "plots" / "headlines.png", "Headline figures")
    for name, sheet in results.benchmarks.items():
        if groups := _drawn(sheet):
            title = f"{name}: {sheet.headline}"
            plots.bars_by_group(groups, folder / "plots" / f"{Path(name).name.replace(':', '-')}-groups.png", title)


def _drawn(sheet: Sheet) -> dict[str, dict[str, tuple[float, float, float]]]:
    """Subgroups with a value and an interval: a bar without one says more than is known."""
    whole = {
        key: {
            value: (m.value, m.low, m.high)
            for value, m in values.items()
            if m.value is not None and m.low is not None and m.high is not None
        }
        for key, values in sheet.groups.items()
    }
    return {key: rows for key, rows in whole.items() if rows}


def shown(measured: Measured) -> str:
    """ "0.84 [0.80, 0.88]"; "0.00 (of 30)" where all agree, so that no draw tells how sure that is; "–" for nothing."""
    if measured.value is None:
        return "–"
    if measured.low is None or measured.high is None or measured.low == measured.high:
        return f"{measured.value:.2f} (of {measured.units})"
    return f"{measured.value:.2f} [{measured.low:.2f}, {measured.high:.2f}]"


def markdown(results: Results) -> str:
    """Who was examined, a headline a benchmark, then all figures of each with 95 % intervals, and by subgroup."""
    who = results.candidate
    lines = [
        f"Model {who['model']} ({who['engine']}, {who['model_hash'][:12]}), adapter {who['adapter'] or 'none'}, "
        f"knowledge {who['knowledge']}, seed {results.seed}. In brackets 95 % bootstrap intervals over patients; "
        "(of n) where all n patients agree.",
    ]
    if who.get("demonstration"):
        lines.append("\nThis is a demonstration model: not for clinical use.")
    lines += ["", "| benchmark | figure | value |", "|---|---|---|"]
    for name, sheet in results.benchmarks.items():
        lines.append(f"| {name} | {sheet.headline} | {shown(sheet.figures[sheet.headline])} |")
    for name, sheet in results.benchmarks.items():
        lines += ["", f"### {name}: {sheet.title}", "", *_table(sheet)]
    lines += [f"\n{note}" for note in results.notes]
    return "\n".join(lines) + "\n"


def _table(sheet: Sheet) -> list[str]:
    n = len(sheet.items) - sheet.failed
    failed = f", {sheet.failed} could not be asked" if sheet.failed else ""
    lines = [f"{n} items{failed}.", "", "| figure | value |", "|---|---|"]
    lines += [
        f"| {name} | {shown(measured)} |" for name, measured in sheet.figures.items() if measured.value is not None
    ]
    unmeasured = [name for name, measured in sheet.figures.items() if measured.value is None]
    if unmeasured:
        lines += ["", f"Not measurable here: {', '.join(unmeasured)}."]
    if sheet.groups:
        lines += ["", f"| {sheet.headline} by | | value |", "|---|---|---|"]
        for key, values in sheet.groups.items():
            lines += [f"| {key} | {value} | {shown(measured)} |" for value, measured in values.items()]
    return lines


def differences(found: Mapping[str, Mapping[str, Difference]]) -> str:
    """b minus a by benchmark and figure, with interval and p."""
    lines = []
    for name, figures in found.items():
        lines += [f"### {name}", "", "| figure | B − A | 95 % interval | p |", "|---|---|---|---|"]
        for figure, d in figures.items():
            lines.append(f"| {figure} | {d.value:+.3f} | [{d.low:+.3f}, {d.high:+.3f}] | {d.p:.3f} |")
        lines.append("")
    return "\n".join(lines)
