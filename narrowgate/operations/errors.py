"""What can go wrong for an operator. No message here holds a token or a credential."""

from __future__ import annotations

from narrowgate.errors import NarrowgateError


class OperationError(NarrowgateError):
    """Root of all errors that `narrowgate.operations` raises on purpose."""

    code = "operation-failed"


class VaultRefusedError(OperationError):
    """Vault refused a request of the operator, or could not be asked."""

    code = "operator-refused"
    hint = "Log in to Vault as an operator (VAULT_TOKEN, or `vault login`), and check that its policy names this path."


class RevocationRecordError(OperationError):
    """The record of a workflow's revocation cannot be read, so nobody can tell whether it is revoked."""

    code = "revocation-record-unreadable"
    hint = "Read it with `vault kv get`; a record of a newer version needs a newer narrowgate."


class NotRevokedError(OperationError):
    """There is nothing to restore."""

    code = "not-revoked"
    hint = "The records stand in Vault: `vault kv list narrowgate-revocations`."
