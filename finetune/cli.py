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
