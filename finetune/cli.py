"""`consult train`: one subcommand a recipe. Each imports what it needs when it runs."""

from pathlib import Path
from typing import Annotated

import typer

train = typer.Typer(no_args_is_help=True, help="Train encoders and vision-language models.")


@train.callback()
def _train() -> None:
    """Keeps `consult train` a group while it has one command."""


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
