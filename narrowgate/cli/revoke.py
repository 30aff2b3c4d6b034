"""`narrowgate revoke`: the switch that stops a workflow, or one user of it. Prints; `narrowgate.operations` acts."""

from __future__ import annotations

import sys
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import Annotated

import typer

from narrowgate.cli._operator import ReportFormat
from narrowgate.errors import NarrowgateError


class NotConfirmedError(NarrowgateError):
    """Nobody said yes."""

    code = "not-confirmed"
    hint = "Answer `y`, or give --yes."


def command(  # noqa: PLR0913 - each is an option of the command
    workflow: Annotated[str, typer.Argument(help="The workflow.")],
    *,
    reason: Annotated[str, typer.Option("--reason", help="Why; it goes on record with your name.")],
    user: Annotated[str | None, typer.Option("--user", help="Only this user behind the agent.")] = None,
    manifest: Annotated[
        Path | None, typer.Option("--manifest", help="Its manifest. By default from $NARROWGATE_MANIFESTS.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    output: Annotated[ReportFormat, typer.Option("--format", "-f", help="How to report.")] = ReportFormat.TEXT,
) -> None:
    """Stop a workflow: refuse logins, revoke tokens and leases, end database sessions, cut AWS sessions off.

    What would be done is shown first. Every step is verified; exit 1 where one was not seen to hold. It stays revoked,
    whatever is deployed, until `narrowgate restore`. It works with your Vault token (VAULT_TOKEN) and AWS settings.

    Example: [bold]narrowgate revoke ticket-drafting --user sam --reason "laptop stolen"[/bold]
    """
    from narrowgate.cli._operator import load_manifest, open_operator_of, outcome_as_json, print_lasting, print_step
    from narrowgate.operations.revoking import preview_revocation, revoke
    from narrowgate.operations.target import read_target

    target = read_target(load_manifest(workflow, manifest), user)
    about = {"workflow": workflow, "user": user, "reason": reason}
    with open_operator_of(target) as operator:
        if dry_run or not yes:
            preview = preview_revocation(target, operator, reason)
            if dry_run and output is ReportFormat.JSON:
                typer.echo(outcome_as_json(preview, **about, dry_run=True))
            else:
                for result in preview.results:
                    typer.echo(f"would {result.detail}" if result.held else f"cannot: {result.detail}", err=not dry_run)
                print_lasting(preview)
            if dry_run:
                raise typer.Exit(0 if preview.held else 1)
            _confirm(workflow, user)
        outcome = revoke(target, operator, reason, print_step)
    if output is ReportFormat.JSON:
        typer.echo(outcome_as_json(outcome, **about, dry_run=False))
    else:
        print_lasting(outcome)
        whom = workflow if user is None else f"{user} at {workflow}"
        typer.echo(f"{whom} is revoked." if outcome.held else f"{whom} is NOT wholly revoked: see the failed steps.")
    raise typer.Exit(0 if outcome.held else 1)


def _confirm(workflow: str, user: str | None) -> None:
    whom = workflow if user is None else f"{user} at {workflow}"
    if not sys.stdin.isatty() or not typer.confirm(f"Revoke {whom} now?", err=True):
        raise NotConfirmedError(f"{whom} was not revoked: nobody confirmed it.")
