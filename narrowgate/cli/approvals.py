"""`narrowgate approvals`: what an agent proposed, exactly what it would change, and your decision on it. Prints.

Exit codes: 0 done; 1 the answer is no (not yours to decide, decided already, another digest, refused by Vault); 2 it
cannot be carried out (no gate, no Vault, no digest given where nobody can be asked).
"""

from __future__ import annotations

import sys
import threading
from enum import StrEnum
from pathlib import Path  # noqa: TC003 - typer reads annotations at run time
from typing import TYPE_CHECKING, Annotated, Final

import typer

from narrowgate.cli import _approver_inputs as inputs
from narrowgate.cli._approvals_output import echo_json, render_case, render_line
from narrowgate.errors import NarrowgateError

if TYPE_CHECKING:
    from narrowgate.approvals import Approver, CaseView

app = typer.Typer(no_args_is_help=True, help="Read what agents propose, and approve or deny exactly that.")

SHORT_DIGEST: Final = 8
SECONDS: Final = 5.0


class Format(StrEnum):
    """How it is written: for people or for programs."""

    TEXT = "text"
    JSON = "json"


class NobodyToAskError(NarrowgateError):
    """Nobody can be asked, and no option says it."""

    code = "nobody-to-ask"
    exit_code = 2


RequestArgument = Annotated[str, typer.Argument(help="The request's id, as `list` shows it.")]
FormatOption = Annotated[Format, typer.Option("--format", "-f", help="How to write it.")]
ReasonOption = Annotated[str, typer.Option("--reason", "-r", help="Why, in a few words; it is kept with the decision.")]
DigestOption = Annotated[
    str | None,
    typer.Option(
        "--digest", help="The digest of the case that you read; without it the case is shown and you confirm."
    ),
]


def _epilog(*examples: str) -> str:
    return "Examples:\n\n" + "\n\n".join(examples)


@app.command(name="list", epilog=_epilog("narrowgate approvals list", "narrowgate approvals list --all --format json"))
def list_(
    *,
    closed: Annotated[bool, typer.Option("--all", "-a", help="Those that are over, too.")] = False,
    output: FormatOption = Format.TEXT,
    gate: inputs.GateOption = None,
    token_file: inputs.ApproverTokenOption = None,
) -> None:
    """List the open cases, the oldest first. Exit 1 where a case is not what its digest says."""
    from narrowgate.approvals.present import describe, present

    with inputs.log_in(gate, token_file) as approver:
        views = approver.list_cases(closed=closed)
        stops = approver.list_stops()
        if output is Format.JSON:
            echo_json(
                {
                    "version": 1,
                    "cases": [describe(view) for view in views],
                    "altered": list(approver.altered),
                    "stops": [{"by": p.name, "at": s.at, "reason": s.reason} for p, s in stops],
                }
            )
        else:
            for view in views:
                typer.echo(render_line(present(view)))
            if not views:
                typer.echo("No case is open." if not closed else "There is no case.")
        _report_stops(approver)
        _report_altered(approver)


@app.command(epilog=_epilog("narrowgate approvals show vendor-onboarding.abcdefghijklmnopqrst"))
def show(
    request: RequestArgument,
    output: FormatOption = Format.TEXT,
    gate: inputs.GateOption = None,
    token_file: inputs.ApproverTokenOption = None,
) -> None:
    """Show one case whole: who asks, what will change, why, who decided, and how it ended."""
    with inputs.log_in(gate, token_file) as approver:
        _print(approver.read_case(request), output)


@app.command(
    epilog=_epilog(
        'narrowgate approvals approve vendor-onboarding.abcdefghijklmnopqrst --reason "Papers checked."',
        "narrowgate approvals approve REQUEST --reason OK --digest sha256:…",
    )
)
def approve(  # noqa: PLR0913 - options
    request: RequestArgument,
    reason: ReasonOption,
    digest: DigestOption = None,
    *,
    output: FormatOption = Format.TEXT,
    gate: inputs.GateOption = None,
    token_file: inputs.ApproverTokenOption = None,
) -> None:
    """Approve exactly the case whose digest you give, or that is shown to you now. A decision is final."""
    with inputs.log_in(gate, token_file) as approver:
        view = approver.read_case(request)
        known = digest or _ask_digest(view, "approve")
        _print_decided(approver.approve(request, digest=known, reason=reason, seen_at=view.read_at), output)


@app.command(epilog=_epilog('narrowgate approvals deny vendor-onboarding.abcdefghijklmnopqrst --reason "Unknown."'))
def deny(  # noqa: PLR0913 - options
    request: RequestArgument,
    reason: ReasonOption,
    digest: DigestOption = None,
    *,
    output: FormatOption = Format.TEXT,
    gate: inputs.GateOption = None,
    token_file: inputs.ApproverTokenOption = None,
) -> None:
    """Deny a case for good. The agent may propose anew."""
    with inputs.log_in(gate, token_file) as approver:
        view = approver.read_case(request)
        _print_decided(
            approver.deny(request, digest=digest or view.digest, reason=reason, seen_at=view.read_at), output
        )


@app.command(epilog=_epilog("narrowgate approvals watch", "narrowgate approvals watch --every 30 --format json"))
def watch(
    every: Annotated[float, typer.Option("--every", min=1.0, help="Seconds between two looks.")] = SECONDS,
    output: FormatOption = Format.TEXT,
    gate: inputs.GateOption = None,
    token_file: inputs.ApproverTokenOption = None,
) -> None:
    """Print a line for each case that comes or moves on, until Ctrl-C or SIGTERM, or until your login ends.

    JSON is one object a line. While Vault is down it says so on stderr and goes on looking.
    """
    from narrowgate.approvals import VaultDownError
    from narrowgate.approvals.present import describe, present
    from narrowgate.approvals.service import stopped_by_signals

    seen: dict[str, tuple[str, int]] = {}
    stopping = threading.Event()
    with stopped_by_signals(stopping), inputs.log_in(gate, token_file) as approver:
        while not stopping.is_set():
            try:
                for view in _find_news(approver, seen):
                    line = render_line(present(view))
                    echo_json(describe(view), indent=None) if output is Format.JSON else typer.echo(line)
                sys.stdout.flush()
            except VaultDownError as error:
                typer.echo(f"waiting: {error}", err=True)
            stopping.wait(every)


@app.command(name="stop-all", epilog=_epilog('narrowgate approvals stop-all --reason "The agent was taken over."'))
def stop_all(
    reason: ReasonOption,
    *,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    gate: inputs.GateOption = None,
    token_file: inputs.ApproverTokenOption = None,
) -> None:
    """Stop the gate: executors end every open request and take no new one until an administrator ends the stop."""
    with inputs.log_in(gate, token_file) as approver:
        person = approver.who().person
        if not yes:
            if not sys.stdin.isatty():
                raise NobodyToAskError("Nobody can be asked whether to stop the gate.", hint="Give --yes.")
            typer.confirm(f"Stop every open request of {approver.gate.environment}, as {person.name}?", abort=True)
        approver.stop_all(reason)
        typer.echo("stopped: executors end all open requests and take no new ones")


@app.command(
    epilog=_epilog(
        "narrowgate approvals serve",
        "narrowgate approvals serve --host 0.0.0.0 --certificate tls.pem --key tls.key "
        "--url https://approvals.example.com",
    )
)
def serve(  # noqa: PLR0913 - options
    host: Annotated[str, typer.Option("--host", help="The address to listen at.")] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(
            "--port", min=1, max=65_535, help="The port to listen at; by default the environment's own page's, or 8400."
        ),
    ] = None,
    url: Annotated[str | None, typer.Option("--url", help="What browsers call it, as in https://host.")] = None,
    oidc_role: Annotated[
        str | None,
        typer.Option("--oidc-role", help="The role of type oidc at the approvers' mount, if not the gate's own."),
    ] = None,
    *,
    certificate: Annotated[Path | None, typer.Option("--certificate", help="The TLS certificate's file.")] = None,
    key: Annotated[Path | None, typer.Option("--key", help="The TLS key's file.")] = None,
    gate: inputs.GateOption = None,
) -> None:
    """Serve the approvers' page. It has no rights of its own: each person acts by their own Vault token.

    Over plain http it serves this machine alone. Needs narrowgate[approvals].
    """
    from narrowgate.approvals.page.serving import choose_origin, choose_port, serve_page
    from narrowgate.approvals.service import log_as_json

    known = inputs.find_gate(gate)
    port = port or choose_port(known)
    origin = choose_origin(host, port, url, tls=certificate is not None)
    if oidc_role is None and known.approvers.page_url == origin:
        oidc_role = known.approvers.page_role
    log_as_json()
    typer.echo(f"serving {origin}", err=True)
    serve_page(known, host=host, port=port, origin=origin, oidc_role=oidc_role, certificate=certificate, key=key)


# -- what the commands share


def _ask_digest(view: CaseView, verb: str) -> str:
    """Show the case and let the person type the beginning of its digest; return the whole digest."""
    from narrowgate.approvals import NotShownError
    from narrowgate.approvals.present import present

    shown = present(view)
    if not sys.stdin.isatty():
        raise NobodyToAskError(
            f"Nobody can be asked: to {verb} exactly this case, give --digest {view.digest}",
            hint="Read the case first: `narrowgate approvals show` prints it with its digest.",
        )
    typer.echo(render_case(shown))
    short = view.digest.partition(":")[2][:SHORT_DIGEST]
    typed = typer.prompt(f"To {verb} exactly this, type the first {SHORT_DIGEST} characters after `sha256:`").strip()
    if typed != short:
        raise NotShownError("That is not the case's digest: nothing was decided.")
    return view.digest


def _print(view: CaseView, output: Format) -> None:
    from narrowgate.approvals.present import describe, present

    if output is Format.JSON:
        echo_json({"version": 1, **describe(view)})
    else:
        typer.echo(render_case(present(view)))


def _print_decided(view: CaseView, output: Format) -> None:
    from narrowgate.approvals.present import present

    if output is Format.JSON:
        _print(view, output)
        return
    shown = present(view)
    typer.echo(f"{shown.request}: {shown.status}")
    typer.echo(f"digest {shown.digest}")


def _find_news(approver: Approver, seen: dict[str, tuple[str, int]]) -> list[CaseView]:
    """Return the cases that are new or moved on; those that are no longer open are read once more."""
    views = {view.case.request: view for view in approver.list_cases()}
    for request in [request for request in seen if request not in views]:
        views[request] = approver.read_case(request)
    _report_altered(approver, fail=False)
    news = []
    for request, view in views.items():
        stands = (view.state.value, len(view.decisions) + (view.outcome is not None))
        if seen.get(request) != stands:
            news.append(view)
        seen[request] = stands
        if view.outcome is not None:
            del seen[request]
    return news


def _report_stops(approver: Approver) -> None:
    from narrowgate.approvals.text import show as safe

    for person, stop in approver.list_stops():
        typer.echo(f"STOPPED by {safe(person.name)} at {safe(stop.at)}: {safe(stop.reason)}", err=True)


def _report_altered(approver: Approver, *, fail: bool = True) -> None:
    for request in approver.altered:
        typer.echo(f"ALTERED: the case {request} is not what its digest says; do not approve it", err=True)
    if approver.altered and fail:
        raise typer.Exit(1)
