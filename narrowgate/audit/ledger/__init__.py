"""The ledger: one record for each tool call, in an append-only, hash-chained file, vouched for by signed checkpoints.

    with Ledger(path, origin) as ledger:
        ledger.record(Entry(kind="call", tool="logs", operation="logs:FilterLogEvents", outcome="allowed"))

`Ledger` is the one writer. An agent imports this package, so it must stay light: no client of any system here. Who
signs and anchors a checkpoint is handed in as a `Witness`.
"""

from narrowgate.audit.ledger.checkpoints import Anchor, Checkpoint, Witness
from narrowgate.audit.ledger.errors import (
    CheckpointError,
    LedgerError,
    LedgerReplacedError,
    LedgerUnwritableError,
    RecordError,
)
from narrowgate.audit.ledger.ledger import Ledger
from narrowgate.audit.ledger.records import Entry, Lease, Origin
from narrowgate.audit.ledger.redaction import FieldRule, Redaction

__all__ = [
    "Anchor",
    "Checkpoint",
    "CheckpointError",
    "Entry",
    "FieldRule",
    "Lease",
    "Ledger",
    "LedgerError",
    "LedgerReplacedError",
    "LedgerUnwritableError",
    "Origin",
    "RecordError",
    "Redaction",
    "Witness",
]
