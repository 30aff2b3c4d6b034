"""Verifies a ledger by its path: finds what vouches for it, and holds its files against that.

Where nothing that vouches can be read, nothing is verified: then it is an error, not a verdict. What was shipped may be
held against it, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from narrowgate.audit.ledger.errors import LedgerError
from narrowgate.audit.ledger.places import list_parts
from narrowgate.audit.ledger.reading import LedgerUnreadableError, open_parts, read_records
from narrowgate.audit.ledger.verify import Verdict, verify_parts
from narrowgate.audit.shipping.batches import read_lines
from narrowgate.audit.shipping.errors import ShippedDiffersError
from narrowgate.audit.shipping.fetching import fetch_ledger
from narrowgate.audit.vouching import Vouchers, gather_vouchers, read_vouchers

if TYPE_CHECKING:
    from pathlib import Path

    from narrowgate.audit.shipping.targets import Target


def verify_path(path: Path, *, anchors: Path | None = None, chain_only: bool = False) -> Verdict:
    """Return what is wrong with the ledger at `path`.

    `anchors` is a file that an auditor wrote; without it Vault is asked, and with `chain_only` nobody.

    Raises:
        LedgerUnreadableError: the file cannot be read.
        VouchersUnreadableError, AuditorError: what vouches for it cannot be read.

    """
    vouchers = None if chain_only else _gather(path, anchors)
    with open_parts(path) as files:
        if not files:
            raise LedgerUnreadableError(f"There is no ledger {path}.")
        try:
            verdict = verify_parts(
                ((str(part), file) for part, file in files),
                str(path.resolve()),
                anchors=None if vouchers is None else vouchers.anchors,
                check_signature=None if vouchers is None else vouchers.public_keys,
            )
        except OSError as error:
            raise LedgerUnreadableError(f"The ledger {path} cannot be read: {error.strerror}.") from None
        newest_is_gone = files[-1][0] != path
    if newest_is_gone:
        verdict.report("file-missing", 0, "its newest file is gone, and sealed ones stand beside it")
    for problem in () if vouchers is None else vouchers.problems:
        verdict.report("anchor-harmed", 0, problem)
    return verdict


def _gather(path: Path, anchors: Path | None) -> Vouchers:
    if anchors is not None:
        return read_vouchers(anchors)
    from narrowgate.audit.anchors import VaultReader, connect

    return gather_vouchers(VaultReader(connect()), ledger=_read_id(path))


def _read_id(path: Path) -> str | None:
    """Return the ledger's id as the first record of any of its files tells it, or None: then all anchors are wanted.

    Raises LedgerUnreadableError where there is no file of it.
    """
    there = [part for part in list_parts(path) if part.is_file()]
    if not there:
        raise LedgerUnreadableError(f"There is no ledger {path}.")
    try:
        return str(next(read_records(there[-1]))["details"]["ledger"])
    except (LedgerError, StopIteration, KeyError, TypeError):
        return None


def compare_shipped(path: Path, target: Target, verdict: Verdict) -> int:
    """Hold the ledger at `path` against what `target` has of it, add what differs to `verdict`, and return how far.

    Records that were removed from the files by retention count as they were shipped.

    Raises:
        ShippingError: what was shipped cannot be read.

    """
    shipped = 0
    try:
        local = read_lines(path)
        mine = next(local, None)
        for raw in fetch_ledger(target, verdict.ledger):
            shipped += 1
            while mine is not None and mine.seq < shipped:
                mine = next(local, None)
            if mine is None:
                verdict.report("tail-cut", 0, f"{target.name} has record {shipped}, which is not here any more")
                break
            if mine.seq == shipped and mine.raw != raw:
                verdict.report("shipped-differs", 0, f"record {shipped} is not the one that {target.name} has")
                break
    except ShippedDiffersError as error:
        verdict.report("shipped-differs", 0, str(error))
    return shipped
