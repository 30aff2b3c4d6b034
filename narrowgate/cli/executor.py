"""`narrowgate executor`: the service that carries out what people approved."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - typer reads annotations at run time
from typing import Annotated, Final

import typer

from narrowgate.cli import _approver_inputs as inputs

SECONDS: Final = 2.0

app = typer.Typer(no_args_is_help=True, help="Carry out what people approved: the service of one tool.")


@app.callback()
def _group() -> None:
    """Carry out what people approved: the service of one tool."""


@app.command(
    epilog="Examples:\n\nnarrowgate executor run --tool vendors --token-file /run/secrets/executor.jwt\n\n"
    "narrowgate executor run --tool vendors --notify-file /run/secrets/apprise --page https://approvals.example.com"
)
def run(  # noqa: PLR0913 - options
    tool: Annotated[str, typer.Option("--tool", "-t", help="The tool whose gated actions it carries out.")],
    token_file: Annotated[
        Path,
        typer.Option(
            "--token-file",
            envvar="NARROWGATE_EXECUTOR_TOKEN_FILE",
            show_envvar=False,
            help="The file of the executor's own token, read again for each login; else "
            "NARROWGATE_EXECUTOR_TOKEN_FILE.",
        ),
    ],
    every: Annotated[float, typer.Option("--every", min=0.1, help="Seconds between two looks.")] = SECONDS,
    gate: inputs.GateOption = None,
    *,
    notify_file: Annotated[
        Path | None,
        typer.Option("--notify-file", help="A file of apprise addresses, one a line, to tell of new cases."),
    ] = None,
    page: Annotated[
        str | None, typer.Option("--page", help="The approvers' page, for the link in a message: https://host.")
    ] = None,
) -> None:
    """Make cases of drafts and carry out approved ones, until SIGTERM or Ctrl-C; then finish what is in hand.

    Before it serves, it proves that Vault holds back every gated path; where one is open it exits 1. Several may run
    for one tool. It logs to standard error, one JSON object a line, and no inputs or credentials.
    """
    from narrowgate.approvals.executor import Executor
    from narrowgate.approvals.notifications import read_notifier
    from narrowgate.approvals.service import log_as_json, serve, stopped_by_signals
    from narrowgate.runtime.vault import ca_file

    known = inputs.find_gate(gate)
    inputs.read_token(token_file)
    log_as_json()
    with (
        ca_file(known.ca_pem) as verify,
        Executor(known, tool, lambda: inputs.read_token(token_file), verify=verify) as executor,
    ):
        notifier = None if notify_file is None else read_notifier(notify_file, page)
        if notifier is not None:
            executor.announce = notifier.announce
        try:
            with stopped_by_signals(executor.stopping):
                serve(executor, every=every)
        finally:
            if notifier is not None:
                notifier.close()
