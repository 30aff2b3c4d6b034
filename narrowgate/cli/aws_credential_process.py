"""`narrowgate aws-credential-process`: one tool's keys as the AWS CLI and SDKs expect them of a program."""

from __future__ import annotations

import typer

from narrowgate.cli import _agent_inputs as inputs


def command(
    tool: inputs.ToolOption,
    workflow: inputs.WorkflowOption = None,
    manifest: inputs.ManifestOption = None,
    token_file: inputs.TokenFileOption = None,
) -> None:
    """Print a tool's AWS credentials as JSON, for `credential_process` in an AWS profile.

    The caller may keep them until `Expiration`. Vault's login ends with this command; the STS session does not.

    Example: [bold]credential_process = narrowgate aws-credential-process -w incident-summarization -t logs[/bold]
    """
    from narrowgate.runtime.clients.credential_process import render_credential_process

    with inputs.log_in(manifest, workflow, token_file) as agent:
        text = render_credential_process(agent, tool)
    typer.echo(text)
