"""The record of what is revoked: it stands in Vault, outside every stack, and outlives each deploy until `restore`.

One record for each workflow, in a KV v2 mount of the environment's foundation. Its history (KV versions) tells who
revoked what, when and why. This module must not carry anything out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from narrowgate.operations.errors import RevocationRecordError, VaultRefusedError

if TYPE_CHECKING:
    from narrowgate.operations.vault import VaultOperator

VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Revocation:
    """Why access was taken away, by whom (the operator's name in Vault) and when (RFC 3339, UTC)."""

    reason: str
    by: str
    at: str


@dataclass(frozen=True, slots=True)
class RevocationRecord:
    """What is revoked of one workflow: `whole`, or some `users`; none of both after a restore.

    `generation` counts the revocations of the whole workflow, so that a deploy after a restore makes its login anew.
    """

    workflow: str
    whole: Revocation | None = None
    users: Mapping[str, Revocation] = field(default_factory=lambda: MappingProxyType({}))
    generation: int = 0

    @property
    def is_whole(self) -> bool:
        """Return whether the whole workflow is revoked."""
        return self.whole is not None

    def revoke(self, user: str | None, revocation: Revocation) -> RevocationRecord:
        """Return the record with the whole workflow, or one `user` of it, revoked."""
        if user is None:
            return replace(self, whole=revocation, generation=self.generation + 1)
        return replace(self, users={**self.users, user: revocation})

    def restore(self, user: str | None) -> RevocationRecord:
        """Return the record without the revocation of the whole workflow, or of one `user` of it."""
        if user is None:
            return replace(self, whole=None)
        return replace(self, users={name: held for name, held in self.users.items() if name != user})

    def as_json(self) -> dict[str, Any]:
        """Return the record as it is stored."""
        return {
            "version": VERSION,
            "workflow": self.workflow,
            "whole": _describe(self.whole),
            "users": {user: _describe(held) for user, held in sorted(self.users.items())},
            "generation": self.generation,
        }


def _describe(revocation: Revocation | None) -> dict[str, str] | None:
    return None if revocation is None else {"reason": revocation.reason, "by": revocation.by, "at": revocation.at}


def parse_record(document: object, workflow: str) -> RevocationRecord:
    """Return the record in `document`; raise RevocationRecordError for one that this version cannot understand."""
    if not isinstance(document, Mapping) or document.get("version") != VERSION:
        raise RevocationRecordError(f"The revocation record of {workflow} is not of version {VERSION}.")
    try:
        if document["workflow"] != workflow:
            raise RevocationRecordError(f"The revocation record of {workflow} names {document['workflow']!r}.")
        whole = document["whole"]
        return RevocationRecord(
            workflow=workflow,
            whole=None if whole is None else _parse(whole),
            users=MappingProxyType({str(user): _parse(held) for user, held in document["users"].items()}),
            generation=int(document["generation"]),
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        kind = type(error).__name__
        message = f"The revocation record of {workflow} is not complete ({kind} at {error})."
        raise RevocationRecordError(message) from None


def _parse(held: Mapping[str, Any]) -> Revocation:
    return Revocation(str(held["reason"]), str(held["by"]), str(held["at"]))


@dataclass(frozen=True, slots=True)
class RevocationRecords:
    """The records of one environment, in its KV v2 `mount`."""

    vault: VaultOperator
    mount: str

    def read(self, workflow: str) -> tuple[RevocationRecord, int]:
        """Return a workflow's record and its KV version (0: there is none yet)."""
        answer = self.vault.read(f"{self.mount}/data/{workflow}")
        if answer is None:
            return RevocationRecord(workflow), 0
        data = answer["data"]
        return parse_record(data["data"], workflow), int(data["metadata"]["version"])

    def write(self, record: RevocationRecord, version: int) -> None:
        """Store `record` on top of `version`; raise VaultRefusedError where somebody else wrote meanwhile."""
        self.vault.write(f"{self.mount}/data/{record.workflow}", data=record.as_json(), options={"cas": version})

    def read_all(self) -> dict[str, RevocationRecord]:
        """Return every workflow's record. Fails closed: without the mount, nobody can tell what is revoked.

        Raises:
            VaultRefusedError: the mount cannot be read.
            RevocationRecordError: a record cannot be understood, or was deleted.

        """
        if self.vault.read(f"{self.mount}/config") is None:
            raise VaultRefusedError(
                f"Vault has no mount {self.mount}: nobody can tell which workflows are revoked.",
                hint="Deploy the environment's foundation first: it makes the mount.",
            )
        records = {}
        for name in sorted(self.vault.list_keys(f"{self.mount}/metadata/")):
            records[name], version = self.read(name)
            if not version:  # what a deleted record said is unknown, which is not the same as nothing
                raise RevocationRecordError(f"The revocation record of {name} was deleted.")
        return records
