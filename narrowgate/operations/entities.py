"""The Vault entity of one user at one workflow's auth mount: disabling it refuses that user there, and nobody else.

It sends `disabled` and nothing else, so that an operator's policy need allow no other parameter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from narrowgate.operations.errors import VaultRefusedError

if TYPE_CHECKING:
    from narrowgate.operations.vault import VaultOperator


@dataclass(frozen=True, slots=True)
class UserEntity:
    """The Vault entity of one (workflow, user): it stands for exactly these two."""

    vault: VaultOperator
    mount: str
    user: str

    def find(self) -> dict[str, Any] | None:
        """Return what Vault knows of the entity (`id`, `disabled`, …), or None where the user never logged in."""
        answer = self.vault.write(
            "identity/lookup/entity", alias_name=self.user, alias_mount_accessor=self._read_accessor()
        )
        return dict(answer["data"]) if answer else None

    def make(self) -> str:
        """Make the entity of a user who never logged in, disabled from the start, and return its id."""
        answer = self.vault.write("identity/entity", disabled=True)
        if answer is None:
            raise VaultRefusedError("Vault made no entity.")
        entity = str(answer["data"]["id"])
        self.vault.write(
            "identity/entity-alias", name=self.user, canonical_id=entity, mount_accessor=self._read_accessor()
        )
        return entity

    def disable(self, entity: str) -> None:
        """Have Vault refuse the entity's tokens and logins."""
        self.vault.write(f"identity/entity/id/{entity}", disabled=True)

    def enable(self, entity: str) -> None:
        """Let the entity log in again."""
        self.vault.write(f"identity/entity/id/{entity}", disabled=False)

    def _read_accessor(self) -> str:
        mounts = self.vault.read("sys/auth")
        mount = (mounts or {}).get("data", {}).get(f"{self.mount}/")
        if mount is None:
            raise VaultRefusedError(f"There is no auth mount {self.mount}.", hint="The workflow is not deployed.")
        return str(mount["accessor"])
