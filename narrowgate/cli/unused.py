"""`narrowgate unused`: which declared actions did nobody use, and how are they removed? Prints; the library knows.

Exit codes: 0 everything was used or can't be told, 1 something was not used, 2 a source cannot be read.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from narrowgate.cli._access_audit import LedgerOption, TrailOption, VaultOption  # noqa: TC001 - typer reads them

if TYPE_CHECKING:
    from narrowgate.audit.unused import Answer

EXIT_FOUND = 1
StacksOption = Annotated[
    Path | None, typer.Option("--stacks", help="The folder of declarations. By default stacks/, here or above.")
]


class UnusedFormat(StrEnum):
    """How the answer is written: for people or for programs."""

    TEXT = "text"
    JSON = "json"


def command(  # noqa: PLR0913, PLR0917 - each is an option of its own
    since: Annotated[str, typer.Option("--since", help="The period's beginning: 90d, 12h, or a time.")] = "90d",
    env: Annotated[str | None, typer.Option("--env", "-e", help="The environment.")] = None,
    ledger: LedgerOption = None,
    vault_audit: VaultOption = None,
    cloudtrail: TrailOption = None,
    output: Annotated[UnusedFormat, typer.Option("--format", "-f", help="How to show it.")] = UnusedFormat.TEXT,
    stacks: StacksOption = None,
) -> None:
    """List the declared actions that nobody used, with the edit that removes each; exit 1 where there are some.

    What the sources can't know, since they don't cover the period or don't tell, is `unknown` and never unused. They
    are taken to be without gaps.

    Example: [bold]narrowgate unused --since 90d -e prod -l ledgers/ --vault-audit audit/ --cloudtrail trail/[/bold]
    """
    import datetime as dt

    from narrowgate.audit.ledger.reading import parse_since
    from narrowgate.audit.trace.search import Sources
    from narrowgate.audit.unused import Verdict, find_unused
    from narrowgate.audit.usage import read_usage
    from narrowgate.cli._access_inputs import UnreadableInputError, find_stacks, load_plan_of, reading

    folder = find_stacks(stacks)
    plan = load_plan_of(folder, env)
    now = dt.datetime.now(dt.UTC)
    sources = Sources(tuple(ledger or ()), tuple(vault_audit or ()), tuple(cloudtrail or ()))
    if not sources.given:
        raise UnreadableInputError(
            "no source was given: nothing can be known", hint="--ledger, --vault-audit, --cloudtrail"
        )
    with reading():
        answers = find_unused(plan, read_usage(sources, plan), parse_since(since, now), now)
        edits = _list_edits(folder, [answer for answer in answers if answer.verdict is Verdict.UNUSED])
    if output is UnusedFormat.JSON:
        value = {
            "version": 1,
            "environment": plan.environment.name,
            "since": since,
            "actions": [{**asdict(answer), "last_used": answer.last_used or None} for answer in answers],
            "edits": edits,
        }
        typer.echo(json.dumps(value, indent=2, ensure_ascii=False))
    else:
        _print(answers, edits)
    if edits:
        raise typer.Exit(EXIT_FOUND)


def _list_edits(folder: Path, unused: list[Answer]) -> list[dict[str, Any]]:
    """Return the edits of each workflow's file; where nothing of a workflow was used, its file is what goes."""
    from narrowgate.audit.edits import remove_actions
    from narrowgate.declarations.workflows import read_workflows

    found: list[dict[str, Any]] = []
    for workflow in read_workflows(folder / "workflows")[0]:
        gone = {(answer.tool, answer.action) for answer in unused if answer.workflow == workflow.name}
        if not gone:
            continue
        value = workflow.source.value
        declared = {(tool, action) for tool, held in value["tools"].items() for action in held["actions"]}
        edits = None if gone == declared else [asdict(edit) for edit in remove_actions(workflow.source, gone)]
        found.append(
            {
                "file": str(workflow.source.path),
                "workflow": workflow.name,
                "environments": list(value.get("environments") or ()),
                "delete_file": edits is None,
                "edits": edits or [],
            }
        )
    return found


def _print(answers: list[Answer], edits: list[dict[str, Any]]) -> None:
    from narrowgate.audit.pages import plain
    from narrowgate.audit.unused import Verdict

    for answer in answers:
        if answer.verdict is not Verdict.USED:
            last = f"; last used {answer.last_used[:19]}" if answer.last_used else ""
            name = f"{answer.workflow} {answer.tool}.{answer.action}"
            typer.echo(plain(f"{answer.verdict.value:<8} {name}: {answer.why}{last}"))
    for edit in edits:
        if len(edit["environments"]) > 1:
            typer.echo(
                f"note: {edit['file']} is of {', '.join(edit['environments'])}: ask about each before you edit it"
            )
        if edit["delete_file"]:
            typer.echo(f"{edit['file']}: nothing of this workflow was used: delete the file")
        for change in edit["edits"]:
            typer.echo(plain(f"{edit['file']}:{change['first']}: {_say(change)}"))
    used = sum(answer.verdict is Verdict.USED for answer in answers)
    unused = sum(answer.verdict is Verdict.UNUSED for answer in answers)
    typer.echo(f"{unused} unused, {used} used, {len(answers) - used - unused} unknown")


def _say(change: dict[str, Any]) -> str:
    if change["text"] is None:
        return "remove the action there by hand"
    if change["text"] == "":
        lines = "this line" if change["first"] == change["last"] else f"lines {change['first']} to {change['last']}"
        return f"delete {lines}"
    return f"write `{change['text']}`"
