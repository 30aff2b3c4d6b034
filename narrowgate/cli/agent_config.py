"""`narrowgate agent-config`: a configuration for OpenBao Agent or Vault Agent from the manifest alone."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads annotations at run time
from typing import Annotated

import typer

from narrowgate.cli import _agent_inputs as inputs


def command(
    folder: Annotated[Path, typer.Option("--folder", help="A private folder for agent.hcl and what it renders.")],
    token_file: inputs.TokenFileOption = None,
    tools: Annotated[
        list[str] | None,
        typer.Option("--tool", "-t", help="A declared tool, may be repeated; else all but databases."),
    ] = None,
    workflow: inputs.WorkflowOption = None,
    manifest: inputs.ManifestOption = None,
) -> None:
    """Write agent.hcl for OpenBao Agent or Vault Agent: it logs in and keeps a file for each tool fresh.

    Database logins are not kept so: these programs would renew their leases, which no agent may.

    Example: [bold]narrowgate agent-config -w incident-summarization --folder ~/.ng --token-file ~/.ng-token[/bold]
    """
    from narrowgate.runtime import LoginRefusedError
    from narrowgate.runtime.clients.agent_config import CONFIGURATION, render_agent_config
    from narrowgate.runtime.clients.private_files import open_folder, write_file

    if token_file is None:
        raise LoginRefusedError(
            "There is no token file for the agent to log in with.", hint="Give --token-file or NARROWGATE_TOKEN_FILE."
        )
    known = inputs.find_manifest(manifest, workflow)
    texts = render_agent_config(known, tools or [], folder=folder.absolute(), token_file=token_file.absolute())
    target = open_folder(folder)
    for name, text in texts.items():
        typer.echo(f"wrote {write_file(target / name, text)}")
    typer.echo(f"next: bao agent -config={target / CONFIGURATION}")
