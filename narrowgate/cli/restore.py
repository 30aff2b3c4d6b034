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
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do it; without it, the steps are shown first.")] = False,
    output: Annotated[ReportFormat, typer.Option("--format", "-f", help="How to report.")] = ReportFormat.TEXT,
) -> None:
    """Lift a revocation: a user may log in again at once, a whole workflow after the next deploy.

    What was revoked stays dead: tokens, leases and AWS sessions of before do not come back. The operator may lift a
    whole workflow's revocation, since only a deploy then opens it; one user is let in again by an administrator.

    Example: [bold]narrowgate restore ticket-drafting --user sam --yes[/bold]
    """
    from narrowgate.cli._operator import (
        confirm,
        load_manifest,
        open_operator_of,
        outcome_as_json,
        print_step,
        show_preview,
    )
    from narrowgate.operations.revoking import preview_restore, restore
    from narrowgate.operations.target import read_target

    target = read_target(load_manifest(workflow, manifest), user)
    about = {"workflow": workflow, "user": user}
    with open_operator_of(target) as operator:
        if not yes:
            preview = preview_restore(target, operator)
            show_preview(preview, output, about)
            whom = workflow if user is None else f"{user} at {workflow}"
            if output is ReportFormat.JSON or not confirm(f"Restore {whom} now?"):
                raise typer.Exit(0 if preview.held else 1)
        outcome = restore(target, operator, print_step)
    if output is ReportFormat.JSON:
        typer.echo(outcome_as_json(outcome, **about, dry_run=False))
    raise typer.Exit(0 if outcome.held else 1)
