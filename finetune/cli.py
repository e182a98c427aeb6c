"""`consult train`: one subcommand a recipe. Each imports what it needs when it runs."""

import typer

train = typer.Typer(no_args_is_help=True, help="Train encoders and vision-language models.")
