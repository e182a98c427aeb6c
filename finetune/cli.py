"""`consult train`: one subcommand a recipe. Each imports what it needs when it runs."""

from pathlib import Path
from typing import Annotated

import typer

train = typer.Typer(no_args_is_help=True, help="Train encoders and vision-language models.")


@train.callback()
def _train() -> None:
    """Keeps `consult train` a group while it has one command."""


@train.command()
def encoder(
    config: Annotated[Path, typer.Option("--config", "-c", help="YAML file; see finetune/recipes/encoder.yaml.")],
) -> None:
    """Train an encoder of pictures and texts, or of questions and passages, by a contrastive loss. Killed, the same
    command goes on where it stopped."""
    from finetune.encoder import run_file
    from finetune.memory import keep_freed_memory
    from retrieval.console import bars

    keep_freed_memory()
    with bars(True) as watch:
        folder = run_file(config, watch, lambda line: typer.echo(line, err=True))
    print(folder)


@train.command()
def sft(
    config: Annotated[Path, typer.Option("--config", "-c", help="YAML file; see finetune/recipes/sft-lora.yaml.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything and print three samples as the model will read them.")
    ] = False,
) -> None:
    """Tune a vision-language model on questions, reports, diagnoses and criteria, with retrieved evidence. Killed, the
    same command goes on where it stopped."""
    from finetune.memory import keep_freed_memory
    from finetune.sft import run_file
    from retrieval.console import bars

    keep_freed_memory()
    with bars(True) as watch:
        folder = run_file(config, watch, lambda line: typer.echo(line, err=not dry_run), dry_run)
    if folder:
        print(folder)


@train.command()
def dpo(
    config: Annotated[Path, typer.Option("--config", "-c", help="YAML file; see finetune/recipes/mmedpo.yaml.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything and print pairs as the model will read them.")
    ] = False,
) -> None:
    """Tune a vision-language model on preferences between two answers. Killed, the same command goes on where it
    stopped."""
    from finetune.dpo import run_file
    from finetune.memory import keep_freed_memory
    from retrieval.console import bars

    keep_freed_memory()
    with bars(True) as watch:
        folder = run_file(config, watch, lambda line: typer.echo(line, err=not dry_run), dry_run)
    if folder:
        print(folder)


@train.command()
def pocket(
    data: Annotated[
        Path | None, typer.Option(help="Folder with the sources of real pictures; without it, phantoms alone.")
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option(metavar="SOURCE", help="A source to leave out; again for each.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Where it is written, laid out as the project is.")] = Path("out/shipped"),
    work: Annotated[Path, typer.Option(help="Rendered phantoms and checkpoints.")] = Path("out/pocket"),
    scale: Annotated[float, typer.Option(min=0.0001, max=10, help="All steps and phantoms times this.")] = 1.0,
    exam: Annotated[Path | None, typer.Option(help="An exam of these weights, for the model card.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Check the data, say how long it takes, stop.")] = False,
) -> None:
    """Train everything that ships, from data to model card. Killed, the same command goes on where it stopped."""
    from finetune.memory import keep_freed_memory
    from finetune.pocket.recipe import Recipe, School

    keep_freed_memory()
    school = School(Recipe().scaled(scale), work, data, tuple(without or ()))
    school.check(exam)
    minutes = school.minutes()
    told = ", ".join(f"{name} {value:.0f}" for name, value in minutes.items())
    print(f"On this machine about {sum(minutes.values()):.0f} minutes: {told}.", flush=True)
    if not dry_run:
        school.ship(out, exam)
        print(out)
