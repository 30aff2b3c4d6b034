"""`narrowgate init`: a private repository, or one commented starting file. Nothing is ever overwritten."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from narrowgate.plan import Backend

if TYPE_CHECKING:
    from collections.abc import Iterable

STACKS = Path("stacks")
Stacks = Annotated[Path, typer.Option("--stacks", help="The folder of tools/, workflows/ and Pulumi.*.yaml.")]

app = typer.Typer(no_args_is_help=True, help="Start a repository, a workflow or a tool. Nothing is ever overwritten.")


@app.command()
def project(folder: Annotated[Path, typer.Argument(help="A new folder; the project is named like it.")]) -> None:
    """Write a private repository that depends on this package, with one workflow and one tool to change.

    Example: [bold]narrowgate init project agents[/bold]
    """
    from narrowgate.declarations.starting import start_project

    _report(start_project(folder))
    typer.echo(f"next: read {folder / 'README.md'}")


@app.command()
def workflow(
    name: Annotated[str, typer.Argument(help="The workflow's name: one use case, one agent identity.")],
    stacks: Stacks = STACKS,
) -> None:
    """Write one workflow to change.

    Example: [bold]narrowgate init workflow refund-triage[/bold]
    """
    from narrowgate.declarations.starting import start_workflow

    _report(start_workflow(stacks, name))
    typer.echo("next: change it, then narrowgate check")


@app.command()
def tool(
    name: Annotated[str, typer.Argument(help="The tool's name: one system that agents can call.")],
    backend: Annotated[Backend, typer.Option("--backend", "-b", help="How its credentials are minted.")] = Backend.AWS,
    stacks: Stacks = STACKS,
) -> None:
    """Write one tool to change.

    Example: [bold]narrowgate init tool invoices --backend postgres[/bold]
    """
    from narrowgate.declarations.starting import start_tool

    _report(start_tool(stacks, name, backend))
    typer.echo("next: change it, bind its real names in Pulumi.<stack>.yaml, then narrowgate check")


def _report(paths: Iterable[Path]) -> None:
    for path in paths:
        typer.echo(f"wrote {os.path.relpath(path)}")
