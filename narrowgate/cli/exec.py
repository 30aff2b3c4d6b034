"""`narrowgate exec`: runs a command with one tool's credentials. Prints nothing of its own."""

from __future__ import annotations

from typing import Annotated

import typer

from narrowgate.cli import _agent_inputs as inputs


def command(
    arguments: Annotated[list[str], typer.Argument(metavar="-- COMMAND", help="The command, after `--`.")],
    tool: inputs.ToolOption,
    workflow: inputs.WorkflowOption = None,
    manifest: inputs.ManifestOption = None,
    token_file: inputs.TokenFileOption = None,
) -> None:
    """Run a command with a tool's credentials; they are renewed while it runs and revoked when it ends.

    The command finds them where its kind looks: AWS_* for the aws CLI and SDKs, PGSERVICE for psql and libpq,
    NARROWGATE_BEARER, NARROWGATE_SECRET_* or NARROWGATE_CERTIFICATE_FILE else. It inherits no other AWS, PostgreSQL or
    Vault variables. Signals are passed on; the exit code is the command's.

    Example: [bold]narrowgate exec -w incident-summarization -t logs -- aws logs tail /app/payments[/bold]
    """
    from narrowgate.runtime.clients.child import SignalRelay, run_child

    relay = SignalRelay()
    with relay.installed(), inputs.log_in(manifest, workflow, token_file) as agent:
        code = run_child(agent, tool, arguments, relay)
    raise typer.Exit(code)
