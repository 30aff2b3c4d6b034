"""The root of the command line: finds the commands, and turns every expected error into a message and an exit code.

A module beside this one is a command if it has a `command` function (a verb of its name) or an `app` (a group of
verbs). An installed distribution adds groups by the entry-point group `narrowgate.commands`: so a checkout's rehearsal
is not in the wheel. This module must not import what only one command needs.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from importlib.metadata import entry_points, version
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.text import Text

from narrowgate import cli
from narrowgate.errors import NarrowgateError

ENTRY_POINTS: Final = "narrowgate.commands"
# Exit codes: 0 fine, 1 the answer is no or something is wrong with what was given, 2 the command cannot be carried out.
EXIT_REFUSED: Final = 1
EXIT_USAGE: Final = 2


def build_app() -> typer.Typer:
    """Return the app with all commands that are installed."""
    app = typer.Typer(
        name="narrowgate",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        help="What may this AI agent do, and how does it get exactly those credentials and no others?",
    )
    app.callback()(_root)
    for module_info in sorted(pkgutil.iter_modules(cli.__path__), key=lambda info: info.name):
        name = module_info.name
        if name == "app" or name.startswith("_"):
            continue
        module = importlib.import_module(f"narrowgate.cli.{name}")
        if hasattr(module, "command"):
            app.command(name.replace("_", "-"))(module.command)
        elif hasattr(module, "app"):
            app.add_typer(module.app, name=name)
    for entry in sorted(entry_points(group=ENTRY_POINTS), key=lambda point: point.name):
        app.add_typer(entry.load(), name=entry.name)
    return app


def _show_version(value: bool) -> None:  # noqa: FBT001 - typer calls it with the flag's value
    if value:
        typer.echo(f"narrowgate {version('narrowgate')}")
        raise typer.Exit


def _root(
    *,
    _: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Show help where no command is given."""


def main() -> None:
    """Run the command line and exit: a user's mistake is a message and a hint on stderr, never a traceback."""
    try:
        build_app()(prog_name="narrowgate")
    except NarrowgateError as error:
        print_error(error)
        sys.exit(getattr(error, "exit_code", EXIT_REFUSED))


def print_error(error: NarrowgateError) -> None:
    """Print an error's message, code and hint on stderr."""
    console = Console(stderr=True, soft_wrap=True)
    console.print(Text.assemble(("error", "bold red"), f": {error} [{error.code}]"))
    if error.hint:
        console.print(Text.assemble(("hint", "bold"), f": {error.hint}"))
