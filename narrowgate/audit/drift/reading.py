"""Reads all that stands in an environment: AWS, Vault and PostgreSQL, with the caller's own credentials for each.

One system that can't be reached doesn't keep the others from being read. It changes nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from narrowgate.audit.drift.facts import Standing, Unread
from narrowgate.audit.drift.iam_reader import IamReader
from narrowgate.audit.drift.postgres_reader import read_databases
from narrowgate.audit.drift.vault_reader import VaultReader
from narrowgate.operations.errors import OperationError
from narrowgate.operations.vault import open_operator
from narrowgate.runtime.vault import ca_file

if TYPE_CHECKING:
    from collections.abc import Callable

    from narrowgate.audit.drift.expected import Expected


def read_standing(expected: Expected, say: Callable[[str], None]) -> Standing:
    """Return what stands; `say` is told what is read next. What can't be read stands in the answer's `unread`."""
    standing, unread = _read_vault(expected, say)
    iam = IamReader(expected.environment, say)
    roles = iam.read()
    databases, more = read_databases(expected.databases, say)
    return replace(standing, roles=roles, databases=databases, unread=tuple(sorted((*unread, *iam.unread, *more))))


def _read_vault(expected: Expected, say: Callable[[str], None]) -> tuple[Standing, list[Unread]]:
    vault = expected.environment.vault
    try:
        with (
            ca_file(vault.ca_pem) as verify,
            open_operator(vault.address, verify=verify, namespace=vault.namespace) as connection,
        ):
            reader = VaultReader(expected, connection, say)
            return reader.read(), reader.unread
    except OperationError as error:
        return Standing(), [Unread("vault", vault.address, str(error))]
