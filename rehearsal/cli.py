"""`narrowgate rehearsal …`: a thin shell over the rehearsal's modules. It exists in a checkout only.

Each command imports what it needs when it runs, since every `narrowgate` command loads this module.
"""

from __future__ import annotations

import json
import os
import re
import sys
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from narrowgate.errors import NarrowgateError
from rehearsal.errors import RehearsalError
from rehearsal.layout import find_layout

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rehearsal.status import Part, Status

app = typer.Typer(
    name="rehearsal",
    help="The whole system on this machine: real engine, Vault and PostgreSQL, emulated AWS.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
SECONDS = {"s": 1, "m": 60, "h": 3600}
MAX_TTL_SECONDS = 24 * 3600
NAME_WIDTH = 26


class Format(StrEnum):
    """How a command prints."""

    TEXT = "text"
    JSON = "json"


EnvironmentOption = Annotated[str, typer.Option("--env", help="dev, prod, or all.")]
OneEnvironmentOption = Annotated[
    str, typer.Option("--env", envvar="NARROWGATE_ENVIRONMENT", help="Whose it is: dev or prod.")
]
FormatOption = Annotated[Format, typer.Option("--format", help="Text for people, JSON for programs.")]


@contextmanager
def _mistakes_explained() -> Iterator[None]:
    """Turn an error of ours into its text, hint and log on standard error, and exit status 1; never a traceback."""
    try:
        yield
    except NarrowgateError as error:
        console = Console(stderr=True, highlight=False)
        console.print(f"[red]error[/red] {escape(str(error))}", soft_wrap=True)
        log = getattr(error, "log", None)
        for label, text in (("hint", error.hint), ("log", log)):
            if text:
                console.print(f"[dim]{label}[/dim]  {escape(str(text))}", soft_wrap=True)
        raise typer.Exit(1) from error


@app.command()
def up(
    *,
    environment: EnvironmentOption = "all",
    demo: Annotated[bool, typer.Option(help="Show agents at work when all is up.")] = True,
) -> None:
    """Start and deploy every environment, or heal what broke; a second run takes seconds.

    Example: [bold]narrowgate rehearsal up --env dev --no-demo[/bold]
    """
    from rehearsal.environments import list_environments
    from rehearsal.progress import Progress
    from rehearsal.steps import list_steps, run_steps

    with _mistakes_explained():
        layout, progress = find_layout(), Progress()
        environments = list_environments(layout, environment)
        run_steps(layout, progress, list_steps(environments))
        if demo:
            from rehearsal.demo import run_demo

            first, *others = environments
            run_demo(first, Console(highlight=False), next(iter(others), None))
        progress.say(f'up after {progress.elapsed_seconds:.1f} s; next: eval "$(narrowgate rehearsal env)"')


@app.command()
def status(environment: EnvironmentOption = "all", output: FormatOption = Format.TEXT) -> None:
    """Tell what runs, where everything is, and who is who. Exit status 1 when a part does not answer.

    Example: [bold]narrowgate rehearsal status --format json[/bold]
    """
    from rehearsal.environments import list_environments
    from rehearsal.status import as_json, read_status

    with _mistakes_explained():
        layout = find_layout()
        found = read_status(layout, list_environments(layout, environment))
        if output is Format.JSON:
            typer.echo(json.dumps(as_json(found), indent=2))
        else:
            _print_status(found)
    if not found.running:
        raise typer.Exit(1)


def _print_status(found: Status) -> None:
    sections: dict[str, dict[str, str]] = {}
    for name, one in found.environments.items():
        sections[f"{name}: parts"] = {part.name: _describe_part(part) for part in one.parts}
        sections[f"{name}: who is who"] = one.identities
        sections[f"{name}: paths"] = one.paths
        sections[f"{name}: workflows"] = dict.fromkeys(one.workflows, "")
    sections["people"] = {user: ", ".join(groups) or "no group" for user, groups in found.people.items()}
    sections["paths"] = found.paths
    for title, lines in sections.items():
        typer.secho(title, dim=True)
        for name, text in lines.items():
            typer.echo(f"  {name:<{NAME_WIDTH}} {text}".rstrip())


def _describe_part(part: Part) -> str:
    state = "runs" if part.healthy else "does not answer" if part.pid else "down"
    return "  ".join(filter(None, (f"{state:<5}", part.address, part.kind, f"log {part.log}")))


@app.command()
def env(environment: OneEnvironmentOption = "dev") -> None:
    """Print `export` lines with which plain pulumi, bao, vault, aws, psql and boto3 work as an environment's operator.

    Example: [bold]eval "$(narrowgate rehearsal env --env prod)"[/bold]
    """
    from rehearsal.environments import find_environment
    from rehearsal.operator_environment import format_exports, operator_environment, require_running

    with _mistakes_explained():
        layout = find_environment(find_layout(), environment)
        require_running(layout)
        variables = operator_environment(layout, path=os.environ.get("PATH", os.defpath))
    sys.stdout.write(format_exports(variables))


@app.command()
def token(
    user: Annotated[str, typer.Option(help="On whose behalf: alice, sam, vera, mallory, olivia, or anybody.")],
    workflow: Annotated[
        str | None, typer.Option(help="Whose agent acts for the user; without it, it is the user's own token.")
    ] = None,
    group: Annotated[
        list[str] | None, typer.Option(help="The user's group, may be repeated; by default what the directory says.")
    ] = None,
    ttl: Annotated[str, typer.Option(help="How long it lives: 30s, 10m, 1h.")] = "10m",
    environment: OneEnvironmentOption = "dev",
) -> None:
    """Print a JWT, as an environment's identity provider would issue it.

    Example: [bold]narrowgate rehearsal token --workflow incident-summarization --user alice[/bold]
    """
    from rehearsal import idp
    from rehearsal.environments import find_environment

    with _mistakes_explained():
        subject = idp.look_up(user, group, workflow)
        layout = find_environment(find_layout(), environment)
        typer.echo(idp.sign_token(layout, subject, ttl_seconds=read_seconds(ttl)))


def read_seconds(text: str) -> int:
    """Return the seconds that `text` (30s, 10m, 1h) means.

    Raises:
        RehearsalError: it is no duration, or longer than a day.

    """
    match = re.fullmatch(r"([1-9]\d{0,5})([smh])", text)
    seconds = int(match[1]) * SECONDS[match[2]] if match else 0
    if not 0 < seconds <= MAX_TTL_SECONDS:
        raise RehearsalError(f"{text!r} is no time to live", hint="write 30s, 10m or 1h; a day at most")
    return seconds


@app.command()
def down() -> None:
    """End every process of this rehearsal, and keep its data.

    Example: [bold]narrowgate rehearsal down[/bold]
    """
    from rehearsal.progress import Progress
    from rehearsal.steps import bring_down

    with _mistakes_explained():
        count = bring_down(find_layout(), Progress())
        typer.echo(f"{count} processes ended" if count else "nothing was running")


@app.command()
def reset(
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """End every process and delete all data of this rehearsal; the cache of built programs stays.

    Example: [bold]narrowgate rehearsal reset --yes[/bold]
    """
    from rehearsal.progress import Progress
    from rehearsal.steps import delete_data

    with _mistakes_explained():
        layout = find_layout()
        if not yes:
            typer.confirm(f"Delete everything in {layout.root}?", abort=True)
        delete_data(layout, Progress())
        typer.echo(f"{layout.root} is deleted")
