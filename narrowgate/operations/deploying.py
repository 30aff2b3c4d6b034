"""What a deploy must know of an operator's doings: which workflows are revoked, and stay so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from narrowgate.operations.record import RevocationRecords
from narrowgate.operations.vault import open_operator
from narrowgate.runtime.vault import ca_file

if TYPE_CHECKING:
    from narrowgate.operations.record import RevocationRecord
    from narrowgate.plan import Environment


def read_revocations(environment: Environment) -> dict[str, RevocationRecord]:
    """Return the records of all revoked workflows of `environment`, by name, read with the deployer's Vault token.

    Fails closed: a deploy that cannot read them must stop, else it would open a login that somebody closed.

    Raises:
        VaultRefusedError: Vault does not answer, refuses, or has no mount of records.
        RevocationRecordError: a record cannot be understood, or was deleted.

    """
    vault = environment.vault
    with (
        ca_file(vault.ca_pem) as verify,
        open_operator(vault.address, verify=verify, namespace=vault.namespace) as connection,
    ):
        return RevocationRecords(connection, vault.revocations_mount).read_all()
