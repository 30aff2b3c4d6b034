"""`narrowgate revoke`: the switch that stops a workflow, or one user of it. Prints; `narrowgate.operations` acts."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import Annotated

import typer

from narrowgate.cli._operator import ReportFormat


def command(  # noqa: PLR0913 - each is an option of the command
    workflow: Annotated[str, typer.Argument(help="The workflow.")],
    *,
    reason: Annotated[str, typer.Option("--reason", help="Why; it goes on record with your name.")],
    user: Annotated[str | None, typer.Option("--user", help="Only this user behind the agent.")] = None,
    manifest: Annotated[
        Path | None, typer.Option("--manifest", help="Its manifest. By default from $NARROWGATE_MANIFESTS.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do it; without it, the steps are shown first.")] = False,
    output: Annotated[ReportFormat, typer.Option("--format", "-f", help="How to report.")] = ReportFormat.TEXT,
) -> None:
    """Stop a workflow: refuse logins, revoke tokens and leases, end database sessions, cut AWS sessions off.

    Without --yes it shows the steps, and does nothing unless a person at a terminal confirms. Every step is verified;
    exit 1 where one was not seen to hold. It stays revoked, whatever is deployed, until `narrowgate restore`. It works
    with your Vault token (VAULT_TOKEN) and AWS settings: the operator's suffice.

    Example: [bold]narrowgate revoke ticket-drafting --user sam --reason "laptop stolen" --yes[/bold]
    """
    from narrowgate.cli._operator import (
        confirm,
        load_manifest,
        open_operator_of,
        outcome_as_json,
        print_lasting,
        print_step,
        show_preview,
    )
    from narrowgate.operations.revoking import preview_revocation, revoke
    from narrowgate.operations.target import read_target

    target = read_target(load_manifest(workflow, manifest), user)
    about = {"workflow": workflow, "user": user, "reason": reason}
    whom = workflow if user is None else f"{user} at {workflow}"
    with open_operator_of(target) as operator:
        if not yes:
            preview = preview_revocation(target, operator, reason)
            show_preview(preview, output, about)
            if output is ReportFormat.JSON or not confirm(f"Revoke {whom} now?"):
                raise typer.Exit(0 if preview.held else 1)
        outcome = revoke(target, operator, reason, print_step)
    if output is ReportFormat.JSON:
        typer.echo(outcome_as_json(outcome, **about, dry_run=False))
    else:
        print_lasting(outcome)
        typer.echo(f"{whom} is revoked." if outcome.held else f"{whom} is NOT wholly revoked: see the failed steps.")
    raise typer.Exit(0 if outcome.held else 1)
