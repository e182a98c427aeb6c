"""`consult adapters`, `consult merge` and `consult improve`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from assistant.settings import Settings

How = Literal["cat", "linear", "svd", "ties", "ties_svd", "dare_linear", "dare_ties", "magnitude_prune"]

adapters = typer.Typer(no_args_is_help=True, add_completion=False)


@adapters.callback()
def _adapters() -> None:
    """Tuned adapters of this installation: take them in, compare them with the model, promote one."""


@adapters.command("list")
def names() -> None:
    """What is here, what it learnt from, and which one answers requests that name none."""
    from rich.console import Console
    from rich.table import Table

    from assistant.adapters import kept
    from assistant.engines.card import weights_hash
    from assistant.settings import load_settings
    from finetune.gate import GATE, Gate, data_of

    settings = load_settings()
    table = Table("name", "weights", "data", "gate", "")
    for name, folder in settings.engine.adapters.items():
        gate = Gate.load(folder / GATE) if (folder / GATE).is_file() else None
        told = "none" if gate is None else gate.refusal() or "open"
        here = "" if name in kept(settings.home) else "of the settings"
        mark = "promoted" if name == settings.engine.adapter else here
        table.add_row(name, weights_hash(folder) or "not there", data_of(folder)[:12], told, mark)
    Console().print(table if settings.engine.adapters else "No adapters: `consult adapters load FOLDER` takes one in.")


@adapters.command()
def load(
    what: Annotated[str, typer.Argument(metavar="FOLDER|NAME", help="What training wrote, or a name of `list`.")],
    name: Annotated[str | None, typer.Option(help="What it is called from now on; else as its run was.")] = None,
) -> None:
    """Take an adapter into CONSULT_HOME, and into the vLLM that serves the model, while it runs. Requests choose it by
    its name; it is not promoted."""
    import asyncio

    from assistant.settings import load_settings
    from finetune.adapters import folder_of, take_in

    settings = load_settings()
    folder = Path(what)
    if (folder / "adapter").is_dir():  # the run's own folder
        folder /= "adapter"
    if folder.is_dir():
        called = name or (folder.resolve().parent.name if folder.name == "adapter" else folder.name)
        place = take_in(settings, folder, called)
    else:
        called, place = what, folder_of(settings, what)
    if settings.engine.kind == "http":
        asyncio.run(_served(load_settings(), called))
        print(f"{called}: {place}, and served at {settings.engine.url}.")
    else:
        print(f"{called}: {place}. What is started from now on has it: `consult ask --adapter {called}`.")


async def _served(settings: "Settings", name: str) -> None:
    """One token through the adapter: a server that hasn't got it takes it up."""
    from assistant.engines.base import Message, Prompt, Sampling
    from assistant.engines.http import HttpEngine

    engine = HttpEngine(settings.engine)
    try:
        asked = Prompt((Message("user", (".",)),), Sampling(max_tokens=1), adapter=name)
        async for _ in engine.stream(asked):
            pass
    finally:
        await engine.close()


@adapters.command()
def gate(
    name: Annotated[str, typer.Argument(help="As `consult adapters list` calls it.")],
    base: Annotated[Path, typer.Option(help="Exam of the model as it is: `consult eval … --out`.")],
    candidate: Annotated[Path, typer.Option(help="The same exam with --adapter NAME.")],
    seed: Annotated[int, typer.Option(help="Of the bootstrap and the permutation test.")] = 0,
) -> None:
    """Compare two exams, item by item, and write the gate file that `promote` asks for."""
    from rich.console import Console
    from rich.markdown import Markdown

    from assistant.settings import load_settings
    from finetune.adapters import folder_of
    from finetune.gate import GATE, page, weigh

    folder = folder_of(load_settings(), name)
    found = weigh(name, folder, base, candidate, seed)
    found.save(folder / GATE)
    text = page(found)
    (folder / "gate.md").write_text(text, encoding="utf-8")
    Console().print(Markdown(text))
    print(folder / GATE)


@adapters.command()
def promote(
    name: Annotated[str, typer.Argument(help="As `consult adapters list` calls it.")],
    gate: Annotated[
        Path | None, typer.Option(help="Gate file; else the one that `consult adapters gate` wrote.")
    ] = None,
) -> None:
    """Let it answer requests that name no adapter. Refused unless its gate is open."""
    from assistant.settings import load_settings
    from finetune.adapters import promote

    found = promote(load_settings(), name, gate)
    print(
        f"{name} answers from the next start on ({len(found.verdicts().get('better', []))} figures better, none worse)."
    )


@adapters.command()
def demote() -> None:
    """Let the model as it is answer requests that name no adapter."""
    from assistant.settings import load_settings
    from finetune.adapters import demote

    before = demote(load_settings())
    print(f"{before} is no longer promoted." if before else "Nothing was promoted.")


def merge(
    folders: Annotated[list[Path], typer.Argument(metavar="ADAPTER...", help="Folders of adapters of one model.")],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    weight: Annotated[list[float] | None, typer.Option(help="How much an adapter counts; again for each.")] = None,
    how: Annotated[
        How, typer.Option(help="How several are combined, as peft calls it; cat is their exact sum.")
    ] = "cat",
    density: Annotated[
        float | None, typer.Option(min=0.01, max=1, help="Share of values that ties, dare and prune keep.")
    ] = None,
    keep_adapter: Annotated[bool, typer.Option("--keep-adapter", help="Write one adapter, not a whole model.")] = False,
    model: Annotated[str | None, typer.Option(help="The model, where the adapters don't say.")] = None,
) -> None:
    """Add adapters to their model's weights, or several to one adapter (--keep-adapter)."""
    from finetune.merge import Merge, run

    told = Merge(tuple(folders), out, tuple(weight or ()), how, density, not keep_adapter, model)
    print(run(told, lambda line: typer.echo(line, err=True)))


def improve(
    config: Annotated[Path, typer.Option("--config", "-c", help="YAML file; see finetune/recipes/improve.yaml.")],
) -> None:
    """Collect what clinicians changed, tune an adapter on it, examine it beside the model, and write the page that a
    person reads before promoting it. Killed, the same command goes on where it stopped."""
    from finetune.improve import run_file
    from finetune.memory import keep_freed_memory
    from retrieval.console import bars

    keep_freed_memory()
    with bars(True) as watch:
        path = run_file(config, watch, lambda line: typer.echo(line, err=True))
    print(path)
