"""`consult preferences`: build pairs, and look at them before anything is trained on them."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

if TYPE_CHECKING:
    from assistant.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Pairs of answers to prefer and to turn away from.")


@app.command()
def build(
    source: Annotated[
        list[str],
        typer.Option(
            "--source",
            help="typed, sampled, lesion, whole_noise, rag_a, rag_b, rag_c or edits; again for each.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the pairs; the same command goes on after a kill.")],
    n: Annotated[int, typer.Option("--n", "-n", min=1, help="Pairs in all, shared out among the sources.")] = 200,
    phantoms: Annotated[int, typer.Option(min=0, help="Synthetic studies to render and make pairs from.")] = 0,
    data: Annotated[
        list[Path] | None,
        typer.Option(help="JSONL as `consult train sft` reads it, with box or mask where known; again for each."),
    ] = None,
    engine: Annotated[Literal["local", "http"] | None, typer.Option(help="Instead of the one in the settings.")] = None,
    model: Annotated[str | None, typer.Option(help="The model to be tuned: pocket, a folder, a name.")] = None,
    url: Annotated[str | None, typer.Option(help="Of its server, with --engine http.")] = None,
    adapter: Annotated[str | None, typer.Option(help="A tuned adapter of it, by its name in the settings.")] = None,
    judge: Annotated[
        list[str] | None,
        typer.Option(metavar="MODEL|MODEL@URL", help="Who weighs pairs; several take turns. None: every weight is 1."),
    ] = None,
    knowledge: Annotated[
        str, typer.Option(help="What is retrieved from: none, bundled, own (this home's library), or a home's folder.")
    ] = "none",
    damage: Annotated[
        Literal["diffusion", "replacement", "blur"], typer.Option(help="How a region is noised.")
    ] = "diffusion",
    step: Annotated[int, typer.Option(min=1, max=1000, help="Of the diffusion.")] = 500,
    whole: Annotated[bool, typer.Option("--whole", help="rag_a: damage the whole picture, not the lesion.")] = False,
    rounds: Annotated[int, typer.Option(min=1, help="sampled: answers asked of the model a case.")] = 4,
    temperature: Annotated[float, typer.Option(min=0.01, help="sampled: of these.")] = 0.9,
    first_seed: Annotated[int, typer.Option(help="Of the synthetic studies; see `trained_on.json`.")] = 1_900_000,
    size: Annotated[int, typer.Option(min=64, help="Pixels a side of the synthetic studies.")] = 256,
    validation: Annotated[float, typer.Option(min=0, max=0.9, help="Share of patients held out.")] = 0.1,
    seed: Annotated[int, typer.Option(help="Of all that chance decides.")] = 0,
    at_once: Annotated[
        int, typer.Option(min=1, help="Cases asked about at once; more than one pays with a served model.")
    ] = 1,
) -> None:
    """Write OUT/pairs.jsonl and the pictures beside it."""
    from assistant.settings import load_settings, with_engine
    from finetune.preferences.plan import Plan

    settings = with_engine(load_settings(), kind=engine, model=model, url=url)
    plan = _plan(Plan, {
        "recipes": source, "n": n, "model": settings.engine.model, "phantoms": phantoms, "first_seed": first_seed,
        "size": size, "data": data or [], "knowledge": settings.home if knowledge == "own" else knowledge,
        "judges": judge or [], "adapter": adapter, "damage": damage, "step": step, "whole": whole, "rounds": rounds,
        "temperature": temperature, "validation": validation, "seed": seed,
    })  # fmt: skip
    for line in told_of(_built(plan, settings, out, at_once), out):
        typer.echo(line)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="Folder that `consult preferences build` wrote.")],
    shown: Annotated[int, typer.Option(min=1, help="Pairs of each source to read.")] = 12,
    model: Annotated[str | None, typer.Option(help="Whose tokens are counted; else the one the pairs are for.")] = None,
    seed: Annotated[int, typer.Option(help="Of the choice of pairs, and of the bootstrap.")] = 0,
) -> None:
    """Write FOLDER/report.html and weights.png: counts, length bias, weights, and pairs with their pictures."""
    from finetune.preferences.report import write_report

    print(write_report(folder, shown, model, seed))


def told_of(summary: dict[str, Any], out: Path) -> list[str]:
    """What a person is told when a build is done."""
    lines = [f"{summary['pairs']} pairs in {out / 'pairs.jsonl'}"]
    for recipe, wanted in summary["wanted"].items():
        made = summary["made"][recipe]
        lines.append(f"  {recipe}: {made}" + ("" if made == wanted else f" of {wanted}: no more could be made"))
    weighed = ", ".join(f"{count} by {who}" for who, count in summary["weighed by"].items())
    lines.append(f"Weighed: {weighed}." + (" Weights of pairs weighed by none are 1." if "none" in weighed else ""))
    lines += [f"Reports left out: {count}, {why}." for why, count in summary["reports left out"].items()]
    return [*lines, f"Read some before training: consult preferences report {out}"]


def _built(plan: Any, settings: "Settings", out: Path, at_once: int) -> dict[str, Any]:
    import asyncio

    from finetune.preferences.build import build as run
    from finetune.preferences.voices import voices
    from retrieval.console import bars

    async def whole() -> dict[str, Any]:
        with bars(True) as progress:
            async with voices(plan, settings, out) as speakers:
                return await run(plan, speakers, settings.home, out, progress, at_once=at_once)

    return asyncio.run(whole())


def _plan(kind: Any, told: dict[str, Any]) -> Any:
    from pydantic import ValidationError

    from finetune.errors import BadInput

    try:
        return kind.model_validate(told)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"])).replace("recipes", "--source")
        raise BadInput(": ".join(filter(None, (where, first["msg"].removeprefix("Value error, ")))) + ".") from None
