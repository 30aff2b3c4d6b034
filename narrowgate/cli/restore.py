"""`narrowgate restore`: lifts a revocation. Prints; `narrowgate.operations` acts."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import Annotated

import typer

from narrowgate.cli._operator import ReportFormat


def command(
    workflow: Annotated[str, typer.Argument(help="The workflow.")],
    *,
    user: Annotated[str | None, typer.Option("--user", help="Only this user behind the agent.")] = None,
    manifest: Annotated[
        Path | None, typer.Option("--manifest", help="Its manifest. By default from $NARROWGATE_MANIFESTS.")
    ] = None,
    output: Annotated[ReportFormat, typer.Option("--format", "-f", help="How to report.")] = ReportFormat.TEXT,
) -> None:
    """Lift a revocation: a user may log in again at once, a whole workflow after the next deploy.

    What was revoked stays dead: tokens, leases and AWS sessions of before do not come back.

    Example: [bold]narrowgate restore ticket-drafting --user sam[/bold]
    """
    from narrowgate.cli._operator import load_manifest, open_operator_of, outcome_as_json, print_step
    from narrowgate.operations.revoking import restore
    from narrowgate.operations.target import read_target

    target = read_target(load_manifest(workflow, manifest), user)
    with open_operator_of(target) as operator:
        outcome = restore(target, operator, print_step)
    if output is ReportFormat.JSON:
        typer.echo(outcome_as_json(outcome, workflow=workflow, user=user))
    raise typer.Exit(0 if outcome.held else 1)
