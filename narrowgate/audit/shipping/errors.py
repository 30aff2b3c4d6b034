"""What can go wrong with shipping. No message here may hold a record's content."""

from __future__ import annotations

from narrowgate.audit.ledger.errors import LedgerError


class TargetError(LedgerError):
    """What was named is no place to ship to."""

    code = "ship-target-invalid"
    hint = "s3://BUCKET/PREFIX, or logs:LOG-GROUP."
    exit_code = 2


class ShippingError(LedgerError):
    """AWS did not take, or not give, the records; what was shipped before stays noted, and the next try goes on."""

    code = "ship-failed"
    hint = "Try again; the shipper's identity needs what `narrowgate ledger policy shipper` prints."
    exit_code = 2


class ShippedDiffersError(LedgerError):
    """The ledger is not what was shipped of it: somebody changed one of them."""

    code = "shipped-differs"
    hint = "Keep both, and run `narrowgate ledger verify --shipped`."
