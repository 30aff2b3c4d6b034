"""What can go wrong with a ledger. No message here may hold a record's inputs or outputs."""

from __future__ import annotations

from narrowgate.errors import NarrowgateError


class LedgerError(NarrowgateError):
    """Root of the ledger's errors."""

    code = "ledger-error"


class LedgerUnwritableError(LedgerError):
    """A record could not be written and is not in the ledger: a full disk, a missing folder, a limit."""

    code = "ledger-unwritable"
    hint = "Free the disk, or name another file in NARROWGATE_LEDGER. Calls of high impact wait until records are kept."


class LedgerReplacedError(LedgerError):
    """The file is no longer the one that was opened, or is shorter than what was written: somebody changed it."""

    code = "ledger-replaced"
    hint = "Keep the file as it is, and run `narrowgate ledger verify` on it: only this writer may touch it."


class CheckpointError(LedgerError):
    """A checkpoint could not be signed or anchored; what was written since the last one is not vouched for yet."""

    code = "ledger-checkpoint-failed"
    hint = "Check that Vault answers. Calls of high impact wait until a checkpoint is anchored."


class RecordError(LedgerError):
    """What was handed in is no record, or is of a newer version than this library knows."""

    code = "ledger-record-invalid"
