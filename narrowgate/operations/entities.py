"""The Vault entity of one user at one workflow's auth mount: disabling it refuses that user there, and nobody else.

It sends `disabled` and nothing else, and that as text, as a Vault policy can compare it: the operator's allows this one
value of this one parameter. To let somebody in again, or to refuse a first login, is more: an administrator does it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from narrowgate.operations.errors import VaultRefusedError

if TYPE_CHECKING:
    from narrowgate.operations.vault import VaultOperator


ADMINISTRATOR: Final = "The operator can only cut: have an administrator run the same command with their own login."


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
        try:
            answer = self.vault.write("identity/entity", disabled="true")
        except VaultRefusedError as error:
            message = f"{self.user} never logged in at {self.mount}, so there is nothing to disable yet ({error})"
            raise VaultRefusedError(message, hint=ADMINISTRATOR) from None
        if answer is None:
            raise VaultRefusedError("Vault made no entity.")
        entity = str(answer["data"]["id"])
        self.vault.write(
            "identity/entity-alias", name=self.user, canonical_id=entity, mount_accessor=self._read_accessor()
        )
        return entity

    def disable(self, entity: str) -> None:
        """Have Vault refuse the entity's tokens and logins."""
        self.vault.write(f"identity/entity/id/{entity}", disabled="true")

    def enable(self, entity: str) -> None:
        """Let the entity log in again."""
        try:
            self.vault.write(f"identity/entity/id/{entity}", disabled="false")
        except VaultRefusedError as error:
            raise VaultRefusedError(f"{self.user} is not let in again: {error}", hint=ADMINISTRATOR) from None

    def _read_accessor(self) -> str:
        mounts = self.vault.read("sys/auth")
        mount = (mounts or {}).get("data", {}).get(f"{self.mount}/")
        if mount is None:
            raise VaultRefusedError(f"There is no auth mount {self.mount}.", hint="The workflow is not deployed.")
        return str(mount["accessor"])
