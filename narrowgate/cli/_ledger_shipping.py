"""The verbs of `narrowgate ledger` that move records: ship, fetch, prune; and the policies of who may do what."""

from __future__ import annotations

import json
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

LedgerArgument = Annotated[Path, typer.Argument(help="The ledger's file.", show_default=False)]
ToOption = Annotated[str, typer.Option("--to", help="s3://BUCKET/PREFIX, or logs:LOG-GROUP.")]
RetainOption = Annotated[
    int | None,
    typer.Option("--retain-days", min=1, help="Lock each S3 object so long; else the bucket's default does."),
]


class PolicyKind(StrEnum):
    """Whose policy: who ships, who verifies by Vault, who verifies by AWS."""

    SHIPPER = "shipper"
    AUDITOR = "auditor"
    AUDITOR_AWS = "auditor-aws"


def ship(
    ledger: LedgerArgument,
    to: ToOption,
    retain_days: RetainOption = None,
    *,
    follow: Annotated[bool, typer.Option("--follow", help="Go on, every --seconds.")] = False,
    seconds: Annotated[float, typer.Option("--seconds", min=1, help="How long to wait between two rounds.")] = 60,
) -> None:
    """Ship new records to S3 with object lock or to CloudWatch Logs, by an identity that may only put.

    A note beside the ledger tells how far each target has it, so it goes on where it ended; a record may arrive twice,
    none is left out. The service confirms each batch. Exit 1: the ledger is not what was shipped of it. 2: AWS did not
    take it.
    """
    import time

    from narrowgate.audit.shipping import ShippingError, parse_target, ship_ledger
    from narrowgate.cli.app import print_error

    target = parse_target(to, retain_days=retain_days)
    while True:
        try:
            shipped, sent = ship_ledger(ledger, target)
            typer.echo(f"{sent} records shipped to {target.name}; it has the ledger up to record {shipped.seq}")
        except ShippingError as error:
            if not follow:
                raise
            print_error(error)
        if not follow:
            return
        time.sleep(seconds)


def fetch(
    ledger_id: Annotated[str, typer.Argument(help="The ledger's id, as `verify` tells it.", show_default=False)],
    source: Annotated[str, typer.Option("--from", help="s3://BUCKET/PREFIX, or logs:LOG-GROUP.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="A new file, which `verify` and `show` read.")],
) -> None:
    """Fetch what was shipped of a ledger, in its order and each record once, where the ledger itself is lost."""
    from narrowgate.audit.ledger.reading import LedgerUnreadableError
    from narrowgate.audit.shipping import fetch_ledger, parse_target

    target, count = parse_target(source), 0
    try:
        descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise LedgerUnreadableError(f"{output} cannot be made: {error.strerror}.", hint="Name a new file.") from None
    with os.fdopen(descriptor, "wb") as file:
        for line in fetch_ledger(target, ledger_id):
            file.write(line)
            count += 1
    typer.echo(f"{count} records of {ledger_id} are in {output}")


def prune(
    ledger: LedgerArgument,
    older_than: Annotated[str, typer.Option("--older-than", help="30m, 12h, 90d, or a time.")],
    *,
    unshipped: Annotated[bool, typer.Option("--unshipped", help="Also what no target has.")] = False,
) -> None:
    """Remove old sealed files that every target has; a record tells it. The newest file always stays."""
    import datetime as dt

    from narrowgate.audit.ledger import Ledger, Origin
    from narrowgate.audit.ledger.reading import LedgerUnreadableError, parse_since
    from narrowgate.audit.shipping import read_shipped_through

    if not ledger.is_file():
        raise LedgerUnreadableError(f"There is no ledger {ledger}.")
    before = parse_since(older_than, dt.datetime.now(dt.UTC))
    through = None if unshipped else read_shipped_through(ledger)
    with Ledger(ledger, Origin(*_read_origin(ledger))) as writer:
        removed = writer.prune(before, through)
    for part in removed:
        typer.echo(f"removed {part}")
    if not removed:
        typer.echo("nothing to remove")


def _read_origin(ledger: Path) -> tuple[str, str]:
    from narrowgate.audit.ledger.reading import read_records

    first = next(iter(read_records(ledger)), {})
    return str(first.get("environment", "")), str(first.get("workflow", ""))


def policy(
    kind: Annotated[PolicyKind, typer.Argument(help="shipper, auditor (Vault) or auditor-aws.", show_default=False)],
    env: Annotated[str, typer.Option("--env", "-e", help="The environment.")],
    to: Annotated[
        str | None, typer.Option("--to", help="Where the shipper puts: s3://BUCKET/PREFIX, or logs:GROUP.")
    ] = None,
    retain_days: RetainOption = None,
    stacks: Annotated[Path | None, typer.Option("--stacks", help="The folder of declarations.")] = None,
) -> None:
    """Print the policy of an identity that ships ledgers, or of an auditor: only what that needs.

    An administrator gives it to the identity; no stack does.
    """
    from narrowgate.audit import auditor
    from narrowgate.audit.shipping import TargetError, parse_target
    from narrowgate.cli._access_inputs import find_stacks, reading
    from narrowgate.declarations import load_environment

    with reading():
        bindings = load_environment(find_stacks(stacks), env)
    if kind is PolicyKind.AUDITOR:
        sys.stdout.write(auditor.vault_policy(bindings))
        return
    if kind is PolicyKind.AUDITOR_AWS:
        document = auditor.iam_policy(bindings)
    elif to is None:
        raise TargetError("The shipper's policy needs to know where to: give --to.")
    else:
        aws = bindings.aws
        document = parse_target(to, retain_days=retain_days).describe_policy(aws.partition, aws.region, aws.account)
    typer.echo(json.dumps(document, indent=2))
