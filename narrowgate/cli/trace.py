"""`narrowgate trace`: what did this agent do, for whom, with whose approval? Prints; the library joins and judges.

Exit codes: 0 no finding, 1 findings, 2 a source cannot be read.
"""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

EXIT_FOUND = 1


class TraceFormat(StrEnum):
    """How a trace is written: for people, for programs, or as one page."""

    TEXT = "text"
    JSON = "json"
    HTML = "html"


LedgerOption = Annotated[
    list[Path] | None,
    typer.Option("--ledger", "-l", help="A ledger, or a folder of them; agents' and executors'. May be repeated."),
]
VaultOption = Annotated[
    list[Path] | None, typer.Option("--vault-audit", help="Vault's audit log (JSON lines), or a folder.")
]
TrailOption = Annotated[
    list[Path] | None,
    typer.Option("--cloudtrail", help="CloudTrail's files (.json.gz, .json, JSON lines), or a folder."),
]


def command(  # noqa: PLR0913, PLR0917 - each is an option of its own
    identifier: Annotated[
        str | None,
        typer.Argument(
            metavar="[ID]",
            help="A request id, lease, access key id, session name, login's accessor, proposal, or <ledger>:<record>.",
            show_default=False,
        ),
    ] = None,
    workflow: Annotated[str | None, typer.Option("--workflow", "-w", help="All that this workflow did.")] = None,
    user: Annotated[str | None, typer.Option("--user", "-u", help="All that was done for this user.")] = None,
    since: Annotated[str | None, typer.Option("--since", help="30m, 12h, 90d, or a time.")] = None,
    ledger: LedgerOption = None,
    vault_audit: VaultOption = None,
    cloudtrail: TrailOption = None,
    output: Annotated[TraceFormat, typer.Option("--format", "-f", help="How to show it.")] = TraceFormat.TEXT,
) -> None:
    """Join ledgers, Vault's audit log and CloudTrail into one time line, and say what does not fit together.

    Who asked, which agent logged in, which credential it took, what it called, who approved, what was executed. Exit 0:
    no finding. 1: findings. 2: a source cannot be read. It believes its sources: verify ledgers first.

    Example: [bold]narrowgate trace -w incident-summarization --since 12h -l ledgers/ --vault-audit audit.jsonl
    --cloudtrail trail/ --format html > trace.html[/bold]
    """
    import datetime as dt

    from narrowgate.audit.ledger.reading import parse_since
    from narrowgate.audit.trace import Question, SourceError, Sources, build_trace, search
    from narrowgate.audit.trace.events import format_moment
    from narrowgate.audit.trace.page import render_page
    from narrowgate.audit.trace.render import render_json, render_text

    if identifier is not None and (workflow or user):
        raise SourceError("An ID excludes --workflow and --user.", hint="Give one of them.")
    now = dt.datetime.now(dt.UTC)
    start = "" if since is None else format_moment(parse_since(since, now).astimezone(dt.UTC).isoformat())
    sources = Sources(tuple(ledger or ()), tuple(vault_audit or ()), tuple(cloudtrail or ()))
    question = Question(identifier, workflow, user, start)
    answer = build_trace(search(sources, question, _note), now)
    render = {TraceFormat.TEXT: render_text, TraceFormat.JSON: render_json, TraceFormat.HTML: render_page}
    typer.echo(render[output](answer), nl=False)
    if answer.findings:
        raise typer.Exit(EXIT_FOUND)


def _note(text: str) -> None:
    if sys.stderr.isatty():
        typer.echo(text, err=True)
