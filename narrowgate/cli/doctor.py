"""`narrowgate doctor`: is an environment as Narrowgate needs it? Prints; `narrowgate.operations.doctor` looks."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from narrowgate.cli._operator import ReportFormat
from narrowgate.errors import NarrowgateError

if TYPE_CHECKING:
    from narrowgate.operations.doctor import Finding
    from narrowgate.plan import Environment

STACKS = Path("stacks")
CONFIG_VARIABLE = "NARROWGATE_STACK_CONFIG_DIR"
COLORS = {"ok": "green", "wrong": "bold red", "unknown": "yellow", "skipped": "dim"}


class TokenFileError(NarrowgateError):
    """The file of the token cannot be read."""

    code = "token-unreadable"
    exit_code = 2


def command(
    env: Annotated[str, typer.Option("--env", "-e", help="The environment's name.")],
    *,
    output: Annotated[ReportFormat, typer.Option("--format", "-f", help="How to report.")] = ReportFormat.TEXT,
    token: Annotated[
        Path | None, typer.Option("--token", help="A file with an agent's token, to look at its claims.")
    ] = None,
    stacks: Annotated[
        Path, typer.Option("--stacks", help="The folder of tools/, workflows/ and Pulumi.*.yaml.")
    ] = STACKS,
) -> None:
    """Examine an environment's servers and system identities: what is wrong, and how to mend it. It only reads.

    It works with an administrator's Vault token (VAULT_TOKEN) and AWS settings. Exit 0: all is well; 1: something is
    wrong or could not be asked; 2: the environment's bindings cannot be read.

    Example: [bold]narrowgate doctor --env prod --format json[/bold]
    """
    from narrowgate.cli.app import print_error
    from narrowgate.declarations import DeclarationErrors, load_environment
    from narrowgate.operations.doctor import Health

    try:
        environment = load_environment(Path(os.environ.get(CONFIG_VARIABLE) or stacks), env)
    except DeclarationErrors as errors:
        for error in errors.errors:
            print_error(error)
        raise typer.Exit(2) from None  # nothing was examined
    text = None if token is None else _read_token(token)
    findings = _examine(environment, stacks, text, show=output is ReportFormat.TEXT)
    if output is ReportFormat.JSON:
        healthy = all(finding.health in {Health.OK, Health.SKIPPED} for finding in findings)
        found = [asdict(finding) for finding in findings]
        typer.echo(json.dumps({"version": 1, "environment": env, "healthy": healthy, "findings": found}))
    bad = [finding for finding in findings if finding.health in {Health.WRONG, Health.UNKNOWN}]
    raise typer.Exit(1 if bad else 0)


def _examine(environment: Environment, stacks: Path, token: str | None, *, show: bool) -> list[Finding]:
    import boto3

    from narrowgate.compile.foundation import compile_foundation
    from narrowgate.operations.doctor import Patient, examine
    from narrowgate.operations.vault import open_operator
    from narrowgate.runtime.vault import ca_file

    aws, vault = environment.aws, environment.vault

    make: Any = boto3.client  # its type knows literal names of services only

    def connect(service: str) -> Any:  # noqa: ANN401 - boto3 makes clients at run time
        return make(service, region_name=aws.region, endpoint_url=aws.endpoint_url)

    findings = []
    with (
        ca_file(vault.ca_pem) as verify,
        open_operator(vault.address, verify=verify, namespace=vault.namespace) as connection,
    ):
        documents = compile_foundation(environment)
        gated = _has_gated(environment, stacks)
        for finding in examine(Patient(environment, documents, connection, connect, gated, token)):
            findings.append(finding)
            if show:
                _print(finding)
    return findings


def _has_gated(environment: Environment, stacks: Path) -> bool:
    """Tell whether a workflow has gated actions; where that cannot be read, it may have."""
    from narrowgate.declarations import DeclarationErrors, load_plan

    try:
        plan = load_plan(stacks, environment)
    except (DeclarationErrors, OSError):
        return True
    return any(tool.gated for workflow in plan.workflows for tool in workflow.tools)


def _read_token(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise TokenFileError(f"The token in {path} cannot be read ({type(error).__name__}).") from None


def _print(finding: Finding) -> None:
    console = Console(soft_wrap=True, highlight=False)
    mark = Text(f"{finding.health.value:8}", COLORS[finding.health.value])
    console.print(Text.assemble(mark, f"{finding.check}: {finding.detail}"))
    if finding.mend:
        console.print(Text(f"        {finding.mend}"))
