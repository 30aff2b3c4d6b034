"""`narrowgate ledger`: keeps, shows and verifies records of tool calls. Prints; the library writes and judges.

Exit codes of `verify`: 0 nothing was found, 1 somebody changed the ledger, 2 it cannot be read or verified.
"""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from narrowgate.cli import _agent_inputs as inputs
from narrowgate.cli import _ledger_shipping as shipping

if TYPE_CHECKING:
    from narrowgate.audit.ledger import Ledger
    from narrowgate.audit.ledger.verify import Verdict
    from narrowgate.runtime import Manifest

EXIT_FOUND = 1

app = typer.Typer(no_args_is_help=True, help="Records of tool calls: append, show, verify, checkpoint, ship.")


class LedgerFormat(StrEnum):
    """How an answer is written: for people or for programs."""

    TEXT = "text"
    JSON = "json"


Output = Annotated[LedgerFormat, typer.Option("--format", "-f", help="How to show it.")]
LedgerArgument = Annotated[Path, typer.Argument(help="The ledger's file.", show_default=False)]
LedgerOption = Annotated[
    Path | None,
    typer.Option(
        "--ledger",
        help="The ledger's file, or a folder of them; else NARROWGATE_LEDGER, else the user's state folder.",
    ),
]
AnchorsOption = Annotated[
    Path | None,
    typer.Option("--anchors", help="What `narrowgate ledger anchors` wrote, instead of asking Vault."),
]


def _examples(*examples: str) -> str:
    return "Examples:\n\n" + "\n\n".join(examples)


@app.command(
    epilog=_examples(
        """echo '{"tool":"logs","operation":"sql:SELECT","outcome":"allowed"}' | narrowgate ledger append -w W""",
        "narrowgate ledger append -w W --input calls.jsonl --durable",
    )
)
def append(  # noqa: PLR0913, PLR0917 - each is an option of its own
    workflow: inputs.WorkflowOption = None,
    manifest: inputs.ManifestOption = None,
    token_file: inputs.TokenFileOption = None,
    ledger: LedgerOption = None,
    source: Annotated[
        Path | None, typer.Option("--input", help="A file of entries, one a line; else standard input.")
    ] = None,
    user: Annotated[
        str | None, typer.Option("--user", help="Whom the agent acts for, where an entry doesn't say.")
    ] = None,
    *,
    durable: Annotated[bool, typer.Option("--durable", help="Answer only once the record is on the disk.")] = False,
    checkpoint: Annotated[
        bool, typer.Option("--checkpoint", help="Then log in, and have Vault vouch for the ledger.")
    ] = False,
) -> None:
    """Append entries to a workflow's ledger, one JSON object a line, and answer each with its record's number.

    It reads on until the input ends and answers each line at once, so a client in any language may keep it open. Inputs
    and outputs are redacted as a Python agent's are; what is secret may be listed in an entry's `secrets`. A `begin`
    entry is always on the disk before it is answered. A wrong line ends the command with exit 1; the lines before it
    are kept.
    """
    from narrowgate.audit.ledger import Ledger, Origin
    from narrowgate.audit.ledger.places import find_ledger_file, read_ledger_variable

    known = inputs.find_manifest(manifest, workflow)
    path = find_ledger_file(ledger or read_ledger_variable(), known.environment, known.workflow)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with Ledger(path, Origin(known.environment, known.workflow, user)) as writer:
        if source is None:
            _append_lines(writer, known, sys.stdin.buffer, durable=durable)
        else:
            with _open(source) as file:
                _append_lines(writer, known, file, durable=durable)
    if checkpoint:
        _make_checkpoint(manifest, workflow, token_file, path)


def _append_lines(writer: Ledger, manifest: Manifest, file: Any, *, durable: bool) -> None:  # noqa: ANN401 - a binary file
    from dataclasses import replace

    from narrowgate.audit.ledger import RecordError
    from narrowgate.audit.ledger.entries import LINE_LIMIT, parse_entry
    from narrowgate.audit.ledger.redaction import hide_fields

    for number, line in enumerate(iter(lambda: file.readline(LINE_LIMIT), b""), start=1):
        if not line.strip():
            continue
        try:
            given = parse_entry(line)
            origin = replace(writer.origin, user=given.user) if given.user is not None else writer.origin
            tool = manifest.tools.get(given.entry.tool or "")
            hide = hide_fields(tool.secret_fields if tool is not None else ())
            entry = replace(
                given.entry,
                origin=origin,
                inputs=hide.apply_inputs(given.entry.inputs),
                outputs=hide.apply(given.entry.outputs),
                details=hide.apply(given.entry.details),
            )
            seq = writer.record(entry, secrets=given.secrets, durable=durable or entry.kind == "begin")
        except RecordError as error:
            raise RecordError(f"line {number}: {error}", hint=error.hint) from None
        typer.echo(json.dumps({"seq": seq}))


def _open(path: Path) -> Any:  # noqa: ANN401 - a binary file
    from narrowgate.audit.ledger.reading import LedgerUnreadableError

    try:
        return path.open("rb")
    except OSError as error:
        raise LedgerUnreadableError(f"{path} cannot be read: {error.strerror}.", hint="") from None


@app.command(epilog=_examples("narrowgate ledger checkpoint -w incident-summarization"))
def checkpoint(
    workflow: inputs.WorkflowOption = None,
    manifest: inputs.ManifestOption = None,
    token_file: inputs.TokenFileOption = None,
    ledger: LedgerOption = None,
) -> None:
    """Have Vault sign and keep what the ledger holds now, by the agent's own login."""
    from narrowgate.audit.ledger.places import find_ledger_file, read_ledger_variable

    known = inputs.find_manifest(manifest, workflow)
    path = find_ledger_file(ledger or read_ledger_variable(), known.environment, known.workflow)
    _make_checkpoint(manifest, workflow, token_file, path)


def _make_checkpoint(manifest: Path | None, workflow: str | None, token_file: Path | None, path: Path) -> None:
    from narrowgate.audit.ledger import CheckpointError

    with inputs.log_in(manifest, workflow, token_file, ledger=path) as agent:
        if agent.ledger is None or agent.ledger.witness is None:
            raise CheckpointError(
                "The manifest names no place for checkpoints.", hint="Deploy the workflow with this version."
            )
        anchor = agent.ledger.checkpoint()
    if anchor is not None:
        typer.echo(f"covered up to record {anchor.checkpoint.seq}: {anchor.place}")


@app.command(
    epilog=_examples(
        "narrowgate ledger verify /var/lib/agent/ledger.jsonl",
        "narrowgate ledger verify ledger.jsonl --anchors anchors.jsonl --format json",
    )
)
def verify(
    ledger: LedgerArgument,
    anchors: AnchorsOption = None,
    shipped: Annotated[
        str | None, typer.Option("--shipped", help="Hold it against what was shipped there, too, by a reader's login.")
    ] = None,
    output: Output = LedgerFormat.TEXT,
    *,
    chain_only: Annotated[
        bool, typer.Option("--chain-only", help="Ask nobody: finds accidents, not what was rewritten whole.")
    ] = False,
) -> None:
    """Say whether a ledger is what was written: chain, signatures and anchors; and which tail nothing covers yet.

    It asks Vault by VAULT_ADDR, VAULT_TOKEN and VAULT_CACERT of an auditor. Exit 0: nothing was found. 1: somebody
    changed it, or an anchor. 2: it cannot be read, or nothing that vouches for it can.
    """
    from narrowgate.audit.shipping.targets import parse_target
    from narrowgate.audit.verification import compare_shipped, verify_path

    verdict = verify_path(ledger, anchors=anchors, chain_only=chain_only)
    if shipped is not None:
        count = compare_shipped(ledger, parse_target(shipped), verdict)
        typer.echo(f"{count} records of it are at {shipped}", err=True)
    if output is LedgerFormat.JSON:
        typer.echo(json.dumps(verdict.describe(), indent=2))
    else:
        _print_verdict(verdict)
    if not verdict.intact:
        raise typer.Exit(EXIT_FOUND)


def _print_verdict(verdict: Verdict) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(soft_wrap=True, highlight=False)
    for problem in verdict.problems:
        console.print(
            Text.assemble((f"{problem.path}:{problem.line}", "bold"), ": ", (problem.what, "red"), f" [{problem.code}]")
        )
    whose = f" of {verdict.workflow}" if verdict.workflow else ""
    console.print(Text(f"{verdict.records} records{whose}, ledger {verdict.ledger or 'unknown'}"))
    if verdict.first > 1:
        console.print(Text(f"they begin at {verdict.first}: older ones were removed by retention"))
    if not verdict.anchored:
        console.print(Text("no checkpoint was looked at: only the chain was followed", "yellow"))
    elif verdict.covered:
        covered = f"{verdict.checkpoints} checkpoints hold; covered up to {verdict.covered}, {verdict.covered_at}"
        console.print(Text(covered))
    if verdict.tail:
        first = verdict.last - verdict.tail + 1
        console.print(Text(f"no checkpoint covers the last {verdict.tail} records yet, from {first} on", "yellow"))
    console.print(Text("intact", "green") if verdict.intact else Text(f"{len(verdict.problems)} problems", "red"))


@app.command(
    epilog=_examples(
        "narrowgate ledger show ledger.jsonl --user alice --since 12h",
        "narrowgate ledger show ledger.jsonl --kind call --last 20 --format json",
    )
)
def show(  # noqa: PLR0913, PLR0917 - each is a filter of its own
    ledger: LedgerArgument,
    kind: Annotated[
        list[str] | None, typer.Option("--kind", help="call, begin, lease, login, …; may be repeated.")
    ] = None,
    workflow: Annotated[str | None, typer.Option("--workflow", "-w", help="Only this workflow's.")] = None,
    user: Annotated[str | None, typer.Option("--user", "-u", help="Only what was done for this user.")] = None,
    tool: Annotated[str | None, typer.Option("--tool", "-t", help="Only this tool's.")] = None,
    since: Annotated[str | None, typer.Option("--since", help="30m, 12h, 90d, or a time.")] = None,
    last: Annotated[int | None, typer.Option("--last", min=1, help="Only so many, the newest.")] = None,
    output: Output = LedgerFormat.TEXT,
) -> None:
    """Show records, one a line; `--format json` prints them as they were written. It does not verify them."""
    import datetime as dt

    from narrowgate.audit.ledger.reading import RecordFilter, choose_records, parse_since, read_ledger

    moment = None if since is None else parse_since(since, dt.datetime.now(dt.UTC))
    wanted = RecordFilter(frozenset(kind or ()), workflow, user, tool, moment)
    for record in choose_records(read_ledger(ledger), wanted, last):
        typer.echo(json.dumps(record, ensure_ascii=False) if output is LedgerFormat.JSON else _say(record))


def _say(record: dict[str, Any]) -> str:
    what = ".".join(str(record[name]) for name in ("tool", "action") if record.get(name))
    lease = record.get("lease") or {}
    parts = [
        f"{record.get('seq', ''):>6}",
        str(record.get("time", ""))[:23],
        f"{record.get('workflow', '')} for {record['user']}" if record.get("user") else str(record.get("workflow", "")),
        str(record.get("kind", "")),
        what,
        str(record.get("operation") or ""),
        str(record.get("outcome") or ""),
        str(record.get("error") or ""),
        "unrecorded calls" if record.get("recorded") is False else "",
        str(lease.get("session") or lease.get("login") or lease.get("id") or ""),
    ]
    return "  ".join(_plain(part) for part in parts if part)


def _plain(text: str) -> str:
    """Return `text` without what could move a terminal's cursor: an agent may have chosen it."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


@app.command(epilog=_examples("narrowgate ledger anchors > anchors.jsonl"))
def anchors() -> None:
    """Print all anchors and public keys, for verifying where Vault cannot be reached. An auditor's login does it."""
    from narrowgate.audit.anchors import VaultReader, connect
    from narrowgate.audit.vouching import gather_vouchers, write_vouchers

    for line in write_vouchers(gather_vouchers(VaultReader(connect()))):
        typer.echo(line)


_SHIP_EXAMPLES = _examples(
    "narrowgate ledger ship ledger.jsonl --to s3://acme-ledgers/dev",
    "narrowgate ledger ship ledger.jsonl --to logs:/narrowgate/ledgers --follow",
)
_FETCH_EXAMPLES = _examples("narrowgate ledger fetch 0b0e… --from s3://acme-ledgers/dev --output fetched.jsonl")
_POLICY_EXAMPLES = _examples(
    "narrowgate ledger policy shipper -e dev --to s3://acme-ledgers/dev", "narrowgate ledger policy auditor -e dev"
)
app.command("ship", epilog=_SHIP_EXAMPLES)(shipping.ship)
app.command("fetch", epilog=_FETCH_EXAMPLES)(shipping.fetch)
app.command("prune", epilog=_examples("narrowgate ledger prune ledger.jsonl --older-than 90d"))(shipping.prune)
app.command("policy", epilog=_POLICY_EXAMPLES)(shipping.policy)
