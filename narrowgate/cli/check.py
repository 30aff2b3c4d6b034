"""`narrowgate check`: are the declarations right, in every environment? Prints; the library judges."""

from __future__ import annotations

import json
import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from narrowgate.errors import NarrowgateError

if TYPE_CHECKING:
    from narrowgate.declarations.checking import CheckReport
    from narrowgate.errors import Location

STACKS = Path("stacks")


class ReportFormat(StrEnum):
    """How a report is written: for people, for programs, or as annotations of a GitHub workflow."""

    TEXT = "text"
    JSON = "json"
    GITHUB = "github"


class StacksNotFoundError(NarrowgateError):
    """There is no folder of declarations."""

    code = "no-stacks"
    exit_code = 2


def command(
    env: Annotated[str, typer.Option("--env", "-e", help="An environment's name, or `all`.")] = "all",
    output: Annotated[ReportFormat, typer.Option("--format", "-f", help="How to report.")] = ReportFormat.TEXT,
    stacks: Annotated[
        Path, typer.Option("--stacks", help="The folder of tools/, workflows/ and Pulumi.*.yaml.")
    ] = STACKS,
) -> None:
    """Check every tool, workflow and environment; exit 1 if anything is wrong.

    Example: [bold]narrowgate check --env dev --format github[/bold]
    """
    from narrowgate.declarations.checking import check_stacks

    if not stacks.is_dir():
        raise StacksNotFoundError(f"there is no folder {stacks}", hint="run it in a checkout, or give --stacks")
    report = check_stacks(stacks, None if env == "all" else [env])
    _PRINTERS[output](report)
    if report.errors:
        raise typer.Exit(1)


def _print_text(report: CheckReport) -> None:
    console = Console(soft_wrap=True, highlight=False)
    for error in report.errors:
        console.print(Text.assemble((_place(error.location), "bold"), ": ", (error.message, "red"), f" [{error.code}]"))
        if error.hint:
            console.print(Text(f"    {error.hint}"))
    for notice in report.notices:
        console.print(Text(f"{_place(notice.location)}: note: {notice.message} [{notice.code}]"))
    for plan in report.plans:
        tools = sum(len(workflow.tools) for workflow in plan.workflows)
        gated = sum(len(tool.gated) for workflow in plan.workflows for tool in workflow.tools)
        name = plan.environment.name
        console.print(Text(f"{name}: {len(plan.workflows)} workflows, {tools} tools in use, {gated} gated actions"))
    count = len(report.errors)
    console.print(
        Text(f"{count} error{'s' if count != 1 else ''}" if count else "no errors", "red" if count else "green")
    )


def _print_json(report: CheckReport) -> None:
    findings: list[dict[str, Any]] = [
        {"severity": "error", "code": e.code, "message": e.message, "hint": e.hint, **_fields(e.location)}
        for e in report.errors
    ]
    findings += [
        {"severity": "note", "code": n.code, "message": n.message, "hint": None, **_fields(n.location)}
        for n in report.notices
    ]
    document = {
        "version": 1,
        "ok": not report.errors,
        "environments": list(report.environments),
        "findings": findings,
    }
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))


def _print_github(report: CheckReport) -> None:
    for error in report.errors:
        text = error.message if error.hint is None else f"{error.message}\n{error.hint}"
        typer.echo(_annotation("error", error.location, error.code, text))
    for notice in report.notices:
        typer.echo(_annotation("notice", notice.location, notice.code, notice.message))


def _annotation(level: str, location: Location, title: str, message: str) -> str:
    """Return a workflow command; what could end a property or the line is escaped as GitHub documents it."""
    properties = {"file": _path(location), "line": str(location.line), "col": str(location.column), "title": title}
    listed = ",".join(f"{name}={_escape(value, also=':,')}" for name, value in properties.items())
    return f"::{level} {listed}::{_escape(message)}"


def _escape(text: str, also: str = "") -> str:
    for character in "%\r\n" + also:
        text = text.replace(character, f"%{ord(character):02X}")
    return text


def _path(location: Location) -> str:
    return os.path.relpath(location.path)


def _place(location: Location) -> str:
    return f"{_path(location)}:{location.line}:{location.column}"


def _fields(location: Location) -> dict[str, Any]:
    return {"path": _path(location), "line": location.line, "column": location.column}


_PRINTERS = {ReportFormat.TEXT: _print_text, ReportFormat.JSON: _print_json, ReportFormat.GITHUB: _print_github}
