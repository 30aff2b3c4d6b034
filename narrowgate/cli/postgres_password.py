"""`narrowgate postgres-password`: one tool's login as files that libpq reads."""

from __future__ import annotations

import shlex
from pathlib import Path  # noqa: TC003 - typer reads annotations at run time
from typing import Annotated

import typer

from narrowgate.cli import _agent_inputs as inputs


def command(
    tool: inputs.ToolOption,
    folder: Annotated[Path, typer.Option("--folder", help="A private folder for the passfile and the service file.")],
    workflow: inputs.WorkflowOption = None,
    manifest: inputs.ManifestOption = None,
    token_file: inputs.TokenFileOption = None,
) -> None:
    """Write a tool's login into a passfile and a service file for libpq, and print the variables that name them.

    The login lives for the tool's declared time and ends by itself: run this again for another. `narrowgate exec` ends
    it with the command. No password is printed.

    Example: [bold]eval "$(narrowgate postgres-password -w incident-summarization -t incidents --folder ~/.ng)"[/bold]
    """
    from narrowgate.runtime.clients.postgres_files import write_postgres_files

    with inputs.log_in(manifest, workflow, token_file, leave=True) as agent:
        variables = write_postgres_files(agent, tool, folder)
    for name, value in variables.items():
        typer.echo(f"export {name}={shlex.quote(value)}")
