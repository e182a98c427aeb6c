"""`consult`: commands of all rooms, found through the entry point group `consult.commands` and loaded when called."""

import os
import sys
from importlib.metadata import EntryPoint, entry_points

import typer
from typer._click.core import Command, Context
from typer.core import TyperGroup
from typer.main import get_command

from assistant.errors import ConsultError
from assistant.quiet import QUIET


class Rooms(TyperGroup):
    """A command group that imports a room's command only when somebody asks for it."""

    def list_commands(self, ctx: Context) -> list[str]:
        return sorted(point.name for point in entry_points(group="consult.commands"))

    def get_command(self, ctx: Context, cmd_name: str) -> Command | None:
        found = [point for point in entry_points(group="consult.commands") if point.name == cmd_name]
        return _command(found[0]) if found else None


def _command(point: EntryPoint) -> Command:
    """A room offers a typer app or a plain function."""
    target = point.load()
    if not isinstance(target, typer.Typer):
        app = typer.Typer(add_completion=False)
        app.command(name=point.name)(target)
        target = app
    command = get_command(target)
    command.name = point.name
    return command


app = typer.Typer(cls=Rooms, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def consult() -> None:
    """A second reader for clinicians: answers about medical images in which every statement cites what it rests on."""


def main() -> None:
    """Runs a command. An error of the tree is one line on standard error and its own exit code."""
    os.environ.update({name: value for name, value in QUIET.items() if name not in os.environ})
    try:
        app()
    except ConsultError as error:
        print(f"consult: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
