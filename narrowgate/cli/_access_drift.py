"""`narrowgate access drift`: what stands that the lock does not state? Prints; `narrowgate.audit.drift` judges."""

from __future__ import annotations

import time
from enum import StrEnum
from pathlib import Path  # noqa: TC003 - typer reads the annotations
from typing import TYPE_CHECKING, Annotated, Final

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

EXIT_DRIFT: Final = 1
EXIT_UNREAD: Final = 2
QUIET_SECONDS: Final = 2.0
CONFIG_VARIABLE: Final = "NARROWGATE_STACK_CONFIG_DIR"


class DriftFormat(StrEnum):
    """How drift is written: for people or for programs."""

    TEXT = "text"
    JSON = "json"


def drift(
    env: Annotated[str, typer.Option("--env", "-e", help="The environment.")],
    output: Annotated[DriftFormat, typer.Option("--format", "-f", help="How to show it.")] = DriftFormat.TEXT,
    stacks: Annotated[
        Path | None, typer.Option("--stacks", help="The folder of declarations and locks. By default stacks/.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config-dir", envvar=CONFIG_VARIABLE, help="The folder of Pulumi.<env>.yaml, where it is another one."
        ),
    ] = None,
) -> None:
    """Compare what stands in AWS, Vault and PostgreSQL with the access lock: what no plan contains, what was changed.

    It only reads, with your own credentials: VAULT_TOKEN, AWS's usual settings, libpq's PG variables. The rights that
    it needs are printed by `narrowgate ledger policy auditor` and `auditor-aws`; in PostgreSQL any login will do.
    Exit 0: nothing differs. 1: something does. 2: something could not be read, so nobody can tell.
    """
    from narrowgate.access.lock import lock_file
    from narrowgate.audit.drift.comparison import find_drift
    from narrowgate.audit.drift.expected import Expected
    from narrowgate.audit.drift.reading import read_standing
    from narrowgate.audit.drift.render import render_json, render_text
    from narrowgate.cli._access_inputs import find_stacks, reading
    from narrowgate.declarations import load_environment

    folder = find_stacks(stacks)
    with reading():
        environment = load_environment(config or folder, env)
        expected = Expected.read(environment, lock_file(folder, environment.name))
    standing = read_standing(expected, _tell_later())
    findings = find_drift(expected, standing)
    render = render_json if output is DriftFormat.JSON else render_text
    typer.echo(render(environment.name, findings, standing.unread), nl=False)
    if standing.unread:
        raise typer.Exit(EXIT_UNREAD)
    if findings:
        raise typer.Exit(EXIT_DRIFT)


def _tell_later() -> Callable[[str], None]:
    """Return what tells on stderr what is read next, once a second, as soon as it has taken a while."""
    spoken = time.monotonic() + QUIET_SECONDS - 1

    def say(text: str) -> None:
        nonlocal spoken
        if (now := time.monotonic()) >= spoken + 1:
            spoken = now
            typer.echo(f"reading {text}", err=True)

    return say
