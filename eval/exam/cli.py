"""`consult eval`: sit benchmarks, compare two results, list what can be sat."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer._click.core import Context
from typer.core import TyperGroup

if TYPE_CHECKING:
    from eval.exam.run import Exam


class RunByDefault(TyperGroup):
    """`consult eval vqa-closed` is `consult eval run vqa-closed`."""

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        if args and args[0] not in {*self.commands, "--help"}:
            args = ["run", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(cls=RunByDefault, no_args_is_help=True, add_completion=False)


@app.callback()
def evaluate() -> None:
    """Say how good a model is: `consult eval NAME...` or `consult eval --quick` (that is: `consult eval run …`)."""


@app.command()
def run(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME...", help="Benchmarks: see `consult eval list`.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="The quick subset, minutes on two cores.")] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Every benchmark that needs no data, whole: overnight.")
    ] = False,
    n: Annotated[int | None, typer.Option("--n", "-n", min=2, help="Items of each benchmark.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of the exam; the same command goes on after a kill.")] = Path(
        "exam"
    ),
    data: Annotated[
        list[str] | None, typer.Option(metavar="NAME=FOLDER", help="Where a data set lies; again for each.")
    ] = None,
    engine: Annotated[Literal["local", "http"] | None, typer.Option(help="Instead of the one in the settings.")] = None,
    model: Annotated[str | None, typer.Option(help="Model: pocket, a folder, or as the server calls it.")] = None,
    url: Annotated[str | None, typer.Option(help="Of the OpenAI-compatible server, with --engine http.")] = None,
    adapter: Annotated[str | None, typer.Option(help="A tuned adapter, by its name in the settings.")] = None,
    knowledge: Annotated[
        Literal["bundled", "own", "none"],
        typer.Option(help="Bundled cards and synthetic cases, this installation's own library, or none."),
    ] = "bundled",
    seed: Annotated[int, typer.Option(min=0, max=400, help="Other items; the same seed gives the same numbers.")] = 0,
    at_once: Annotated[
        int, typer.Option(min=1, help="Items asked at once; more than one pays with --engine http.")
    ] = 1,
    fresh: Annotated[bool, typer.Option("--fresh", help="Ask again what was answered before.")] = False,
) -> None:
    """Sit benchmarks; writes results.json, table.md and plots into the folder."""
    from rich.console import Console
    from rich.markdown import Markdown

    from assistant.errors import BadInput
    from assistant.settings import load_settings, with_engine
    from eval.exam.run import Exam
    from eval.exam.tables import markdown

    asked = names or _standard(quick, everything)
    if not asked:
        raise BadInput("Name a benchmark, or say --quick or --all. `consult eval list` names them.")
    settings = with_engine(load_settings(), kind=engine, model=model, url=url)
    exam = Exam(
        benchmarks=_benchmarks(asked, data or []), settings=settings, out=out, n=n, quick=quick, seed=seed,
        adapter=adapter, knowledge=knowledge, at_once=at_once, fresh=fresh,
    )  # fmt: skip
    results = _hold(exam)
    Console().print(Markdown(markdown(results)))
    Console(stderr=True).print(f"[dim]{out}/results.json, {out}/table.md, {out}/plots/[/dim]", highlight=False)


@app.command()
def compare(
    a: Annotated[Path, typer.Argument(help="Folder or results.json of the first exam.")],
    b: Annotated[Path, typer.Argument(help="And of the second.")],
    out: Annotated[Path | None, typer.Option(help="Folder for compare.md and compare.png.")] = None,
    seed: Annotated[int, typer.Option(help="Of the bootstrap and the permutation test.")] = 0,
) -> None:
    """Paired differences, B minus A, with 95 % intervals and a permutation test."""
    from rich.console import Console
    from rich.markdown import Markdown

    from eval.exam import plots
    from eval.exam.compare import compare
    from eval.exam.tables import differences

    found = compare(a, b, seed)
    text = differences(found)
    if out:
        out.mkdir(parents=True, exist_ok=True)
        (out / "compare.md").write_text(text, encoding="utf-8")
        rows = [
            (f"{name}: {figure}", d.value, d.low, d.high)
            for name, sheet in found.sheets.items()
            for figure, d in sheet.figures.items()
        ]
        plots.forest(rows, out / "compare.png", f"{b.name} minus {a.name}", chance=0.0)
    Console().print(Markdown(text))


@app.command()
def judge(
    folder: Annotated[Path, typer.Argument(help="Folder of an exam in which `report` was sat.")],
    engine: Annotated[Literal["local", "http"] | None, typer.Option(help="Of the judge; else the settings'.")] = None,
    model: Annotated[str | None, typer.Option(help="The judge's model.")] = None,
    url: Annotated[str | None, typer.Option(help="Of the judge's server, with --engine http.")] = None,
    seed: Annotated[int, typer.Option(help="Of the judge's sampling.")] = 0,
) -> None:
    """Let a second model count the errors in drafted reports: six types, significant or not (CheXprompt)."""
    import asyncio
    import json

    from rich.console import Console

    from assistant.assistant import Assistant
    from assistant.errors import BadInput
    from assistant.settings import load_settings, with_engine
    from eval.benchmarks.report import judged
    from eval.exam.results import Results
    from eval.metrics.judge import ERROR_TYPES, JudgeSummary

    sheet = Results.load(folder).benchmarks.get("report")
    if sheet is None:
        raise BadInput(f"{folder} holds no reports; `consult eval report --out {folder}` drafts some.")
    items = sheet.items

    async def count() -> tuple[JudgeSummary, str]:
        assistant = Assistant.open(with_engine(load_settings(), kind=engine, model=model, url=url))
        try:
            with Console(stderr=True).status(f"Judging {len(items)} drafts"):
                found = await judged(items, assistant.engine, seed=seed)
            return found, (await assistant.engine.info()).model
        finally:
            await assistant.close()

    found, judge_model = asyncio.run(count())
    counts = {kind: found.errors[:, place].sum(axis=0).tolist() for place, kind in enumerate(ERROR_TYPES)}
    told = {"judge": judge_model, "judged": len(found.errors), "unjudged": found.unjudged,
            "errors_a_report": found.mean if len(found.errors) else None,
            "significant_errors_a_report": found.mean_significant if len(found.errors) else None,
            "significant_and_not_by_type": counts}  # fmt: skip
    text = json.dumps(told, indent=2)
    (folder / "judge.json").write_text(text + "\n", encoding="utf-8")
    print(text)


@app.command()
def leaks(
    training: Annotated[Path, typer.Argument(help="Manifest of training pictures, or the folder that holds it.")],
) -> None:
    """Fail when a training picture could retrieve its own patient from this installation's library."""
    from assistant.settings import load_settings
    from eval.exam.guard import admit_training

    count = admit_training(training, load_settings().home)
    print(f"{count} training pictures, and none can retrieve its own patient from the library.")


@app.command("list")
def names() -> None:
    """What can be sat: items in the whole set and in the quick one, and what data it needs."""
    from rich.console import Console
    from rich.table import Table

    from eval.exam.registry import installed

    table = Table("name", "what", "items", "quick", "needs")
    for name, made in installed().items():
        table.add_row(
            name, made.title, "all" if made.needs_data else str(made.full), str(made.quick or ""), made.needs_data
        )
    table.add_row("robustness:NAME", "any of these on pictures corrupted at five severities", "", "", "")
    table.add_row("FILE.py", "a benchmark of your own, see eval/README.md", "", "", "")
    Console().print(table)


def _standard(quick: bool, everything: bool) -> list[str]:
    from eval.exam.registry import installed

    free = {name: made for name, made in installed().items() if not made.needs_data}
    if quick:
        return [name for name, made in free.items() if made.quick]
    return [*free, "robustness:vqa-closed"] if everything else []


def _benchmarks(asked: list[str], data: list[str]) -> dict[str, Any]:
    from assistant.errors import BadInput
    from eval.exam.registry import find

    folders = dict(line.split("=", 1) for line in data if "=" in line)
    if len(folders) != len(data) or (strangers := set(folders) - set(asked)):
        wrong = ", ".join(sorted(strangers)) if len(folders) == len(data) else "a value without ="
        raise BadInput(f"--data is NAME=FOLDER with a benchmark that is sat; wrong: {wrong}.")
    for name, folder in folders.items():
        if not Path(folder).is_dir():
            raise BadInput(f"--data {name}: {folder} is not a folder.")
    return {name: find(name, Path(folders[name]) if name in folders else None) for name in asked}


def _hold(exam: "Exam") -> Any:
    import asyncio

    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TaskID, TimeElapsedColumn

    from eval.exam.run import hold

    console, phases = Console(stderr=True), dict[str, TaskID]()
    columns = (*Progress.get_default_columns(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:

        def watch(name: str, done: int, total: int) -> Callable[[], None]:
            if not console.is_terminal:  # a log shows no bar
                console.print(f"{name}: {total - done} of {total} items to go", highlight=False)
            task = progress.add_task(name, total=total, completed=done)
            return lambda: progress.advance(task)

        def filling(phase: str, done: int, total: int) -> None:
            if phase not in phases:
                phases[phase] = progress.add_task(phase, total=total)
            progress.update(phases[phase], completed=done, total=total)

        return asyncio.run(hold(exam, watch, filling))
