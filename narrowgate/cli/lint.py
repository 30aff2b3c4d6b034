"""`narrowgate lint`: what is wrong with policy files that nobody deployed with us? Prints; the rules judge."""

from __future__ import annotations

import json
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import quote

import typer
from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from narrowgate.rules import Finding

EXIT_FOUND: Final = 1
EXIT_UNREADABLE: Final = 2
_STYLES: Final = {"error": "bold red", "warning": "yellow"}
_SARIF_SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"


class LintFormat(StrEnum):
    """How findings are written: for people, programs, code scanning, or as annotations of a GitHub workflow."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"
    GITHUB = "github"


def command(
    paths: Annotated[list[Path], typer.Argument(help="Policy files, or folders of them.", show_default=False)],
    output: Annotated[LintFormat, typer.Option("--format", "-f", help="How to report.")] = LintFormat.TEXT,
) -> None:
    """Judge IAM and Vault policy files; exit 1 if a finding is an error, 2 if a file can't be read.

    A file holds an identity policy, a trust policy, a JSON list of the identity policies of one role (judged
    together), or a Vault policy in HCL or JSON.

    Example: [bold]narrowgate lint policies/ --format sarif[/bold]
    """
    from narrowgate.cli.app import print_error
    from narrowgate.rules import judge
    from narrowgate.rules.files import UnreadableFileError, find_files, read_file

    findings: list[Finding] = []
    unreadable = False
    for path in paths:
        try:
            files = find_files(path)
        except UnreadableFileError as error:
            print_error(error)
            unreadable = True
            continue
        for file in files:
            try:
                findings += judge(read_file(file))
            except UnreadableFileError as error:
                print_error(error)
                unreadable = True
    _PRINTERS[output](findings)
    if unreadable:
        raise typer.Exit(EXIT_UNREADABLE)
    if any(finding.severity == "error" for finding in findings):
        raise typer.Exit(EXIT_FOUND)


def _print_text(findings: list[Finding]) -> None:
    console = Console(soft_wrap=True, highlight=False)
    for finding in findings:
        console.print(
            Text.assemble(
                (f"{finding.resource}:{finding.line}", "bold"),
                ": ",
                (finding.severity, _STYLES[finding.severity]),
                f": {finding.message} [{finding.rule}]",
            )
        )
        console.print(Text(f"    attack: {finding.detail}\n    fix: {finding.fix}"))
    errors = sum(finding.severity == "error" for finding in findings)
    console.print(Text(f"{errors} errors, {len(findings) - errors} warnings", "red" if errors else "green"))


def _print_json(findings: list[Finding]) -> None:
    typer.echo(json.dumps({"findings": [_fields(finding) for finding in findings]}, indent=2))


def _fields(finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "severity": str(finding.severity),
        "path": finding.resource,
        "line": finding.line,
        "message": finding.message,
        "detail": f"{finding.detail} Fix: {finding.fix}",
    }


def _print_sarif(findings: list[Finding]) -> None:
    from narrowgate.rules import RULES

    driver = {
        "name": "narrowgate",
        "version": version("narrowgate"),
        "rules": [{"id": rule.name, "shortDescription": {"text": rule.title}} for rule in RULES],
    }
    results = [
        {
            "ruleId": finding.rule,
            "level": str(finding.severity),
            "message": {"text": f"{finding.message}. Attack: {finding.detail} Fix: {finding.fix}"},
            "locations": [
                {
                    "physicalLocation": {
                        "artifactLocation": {"uri": quote(Path(finding.resource).as_posix())},
                        "region": {"startLine": finding.line},
                    }
                }
            ],
        }
        for finding in findings
    ]
    log = {"$schema": _SARIF_SCHEMA, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}
    typer.echo(json.dumps(log, indent=2))


def _print_github(findings: list[Finding]) -> None:
    for finding in findings:
        place = f"file={_property(finding.resource)},line={finding.line},title={_property(finding.rule)}"
        text = f"{finding.message}. Attack: {finding.detail} Fix: {finding.fix}"
        typer.echo(f"::{finding.severity} {place}::{_data(text)}")


def _data(text: str) -> str:
    """Escape the message of a workflow command, as GitHub's own toolkit does."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """Escape a property of a workflow command."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")


_PRINTERS: Final[Mapping[LintFormat, Callable[[list[Finding]], None]]] = {
    LintFormat.TEXT: _print_text,
    LintFormat.JSON: _print_json,
    LintFormat.SARIF: _print_sarif,
    LintFormat.GITHUB: _print_github,
}
