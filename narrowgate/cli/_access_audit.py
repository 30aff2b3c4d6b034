"""The verbs of `narrowgate access` that look at what was used and accepted. They only print."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

LedgerOption = Annotated[
    list[Path] | None, typer.Option("--ledger", "-l", help="A ledger, or a folder of them. May be repeated.")
]
VaultOption = Annotated[
    list[Path] | None, typer.Option("--vault-audit", help="Vault's audit log (JSON lines), or a folder.")
]
TrailOption = Annotated[list[Path] | None, typer.Option("--cloudtrail", help="CloudTrail's files, or a folder.")]


class ReviewFormat(StrEnum):
    """How a review is written: for people, a spreadsheet, a review, a browser, or programs."""

    TEXT = "text"
    CSV = "csv"
    MARKDOWN = "markdown"
    HTML = "html"
    JSON = "json"


def review(  # noqa: PLR0913, PLR0917 - each is an option of its own
    env: Annotated[str | None, typer.Option("--env", "-e", help="The environment.")] = None,
    ledger: LedgerOption = None,
    vault_audit: VaultOption = None,
    cloudtrail: TrailOption = None,
    output: Annotated[ReviewFormat, typer.Option("--format", "-f", help="How to show it.")] = ReviewFormat.TEXT,
    stacks: Annotated[
        Path | None, typer.Option("--stacks", help="The folder of declarations and locks. By default stacks/.")
    ] = None,
) -> None:
    """List for an audit who has what: tool, gated or not, last used, owner, and the commit that accepted it.

    What no source tells as used is `unknown`. The commit is the newest one of the action's lines in the lock.
    """
    from narrowgate.access.lock import lock_file
    from narrowgate.audit import tables
    from narrowgate.audit.review import review_access
    from narrowgate.audit.trace.search import Sources
    from narrowgate.audit.usage import read_usage
    from narrowgate.cli._access_inputs import UnreadableInputError, find_stacks, load_plan_of, reading

    folder = find_stacks(stacks)
    plan = load_plan_of(folder, env)
    path = lock_file(folder, plan.environment.name)
    if not path.is_file():
        raise UnreadableInputError(f"there is no lock {path}", hint="narrowgate access lock writes it")
    sources = Sources(tuple(ledger or ()), tuple(vault_audit or ()), tuple(cloudtrail or ()))
    with reading():
        rows = review_access(plan, path, read_usage(sources, plan) if sources.given else None)
    name = plan.environment.name
    text = {
        ReviewFormat.TEXT: lambda: tables.render_text(rows),
        ReviewFormat.CSV: lambda: tables.render_csv(rows),
        ReviewFormat.MARKDOWN: lambda: tables.render_markdown(rows),
        ReviewFormat.HTML: lambda: tables.render_html(rows, name),
        ReviewFormat.JSON: lambda: tables.render_json(rows, name),
    }[output]()
    typer.echo(text, nl=False)
