"""Reads Vault's mounts, policies, logins and roles below an environment's paths. It only reads, and judges nothing."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, TypeVar

from narrowgate.audit.drift.comparison import POLICY_PREFIXES
from narrowgate.audit.drift.facts import Standing, StandingMount, Unread
from narrowgate.operations.errors import OperationError
from narrowgate.operations.record import RevocationRecords

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from narrowgate.audit.drift.expected import Expected
    from narrowgate.operations.vault import VaultOperator

T = TypeVar("T")

SETTINGS_PATHS: Final[Mapping[str, str]] = {
    "aws": "config/client",
    "jwt": "config",
    "kubernetes": "config",
    "oidc": "config",
}
"""Where each kind of login keeps its mount's settings; an approle mount has none."""
_TAKEN: Final[Mapping[str, object]] = {"disable_iss_validation": True, "max_retries": -1, "status": "valid"}
"""What a mount answers by itself, and nobody set (Vault's API: Kubernetes, AWS and JWT logins)."""
# Made up by Vault for an AWS login: its own name for the role, and the unique ids of the bound principals.
_MADE_UP: Final = frozenset({"bound_iam_principal_id", "role_id", "role_tag"})


@dataclass(slots=True)
class VaultReader:
    """Reads with the caller's Vault token; `unread` gathers what could not be read."""

    expected: Expected
    vault: VaultOperator
    say: Callable[[str], None]
    unread: list[Unread] = field(default_factory=list)

    def read(self) -> Standing:
        """Return all that stands in Vault; parts that can't be read are None and stand in `unread`."""
        auth_mounts = self._read_mounts("sys/auth")
        types = {path: mount.type for path, mount in (auth_mounts or {}).items()}
        ours = self.expected.locked.auth_mounts
        return Standing(
            vault_policies=self._read_policies(),
            auth_mounts=auth_mounts and {path: self._with_settings(path, mount) for path, mount in auth_mounts.items()},
            auth_roles={path: self._read_logins(path, kind) for path, kind in types.items() if path in ours},
            secret_mounts=(secret_mounts := self._read_mounts("sys/mounts")),
            secret_roles=None if secret_mounts is None else self._read_secret_roles(secret_mounts),
            revoked=self._read_revoked(),
        )

    def _try(self, thing: str, read: Callable[[], T]) -> T | None:
        """Return what `read` returns; None where Vault refuses it, which is remembered."""
        self.say(f"Vault: {thing}")
        try:
            return read()
        except OperationError as error:
            self.unread.append(Unread("vault", thing, str(error)))
            return None

    def _read(self, path: str) -> dict[str, Any] | None:
        """Return what `path` holds: nothing is an empty dict, a refusal None."""
        return self._try(path, lambda: dict((self.vault.read(path) or {}).get("data") or {}))

    def _list(self, path: str) -> list[str] | None:
        return self._try(f"{path}/", lambda: self.vault.list_keys(f"{path}/"))

    def _read_mounts(self, path: str) -> dict[str, StandingMount] | None:
        data = self._read(path)
        if data is not None and not data:
            self.unread.append(Unread("vault", path, "Vault lists no mounts at all"))
            return None
        return data and {
            name.rstrip("/"): StandingMount(str(mount["type"]), str(mount.get("accessor") or ""))
            for name, mount in data.items()
        }

    def _with_settings(self, path: str, mount: StandingMount) -> StandingMount:
        where = SETTINGS_PATHS.get(mount.type)
        if where is None or path not in self.expected.locked.auth_mounts:
            return mount
        settings = self._read(f"auth/{path}/{where}")
        if settings is not None:
            settings = {name: value for name, value in settings.items() if value != _TAKEN.get(name, ())}
        return replace(mount, settings=settings)

    def _read_policies(self) -> dict[str, str | None] | None:
        listed = self._list("sys/policies/acl")
        if listed is None:
            return None
        known = self.expected.locked.policies
        chosen = [name for name in listed if name in known or name.startswith(POLICY_PREFIXES)]
        texts: dict[str, str | None] = {}
        for name in chosen:
            data = self._read(f"sys/policies/acl/{name}")
            texts[name] = None if data is None else str(data.get("policy") or "")
        return texts

    def _read_logins(self, mount: str, kind: str) -> dict[str, dict[str, Any] | None] | None:
        listed = self._list(f"auth/{mount}/role")
        return None if listed is None else {name: self._read_login(mount, kind, name) for name in listed}

    def _read_login(self, mount: str, kind: str, name: str) -> dict[str, Any] | None:
        path = f"auth/{mount}/role/{name}"
        settings = self._read(path)
        if settings is None:
            return None
        if kind == "aws":
            return {key: value for key, value in settings.items() if key not in _MADE_UP}
        if kind == "approle":
            more = self._read(f"{path}/role-id")
            return None if more is None else {**settings, **more}
        return settings

    def _read_secret_roles(
        self, mounts: Mapping[str, StandingMount]
    ) -> dict[str, dict[str, dict[str, Any] | None] | None]:
        found: dict[str, dict[str, dict[str, Any] | None] | None] = {}
        for collection in self.expected.collections:
            mount = collection.rpartition("/")[0]
            if mount not in mounts and mount != "identity/oidc":
                continue  # that it is missing is found by the mounts
            listed = self._list(collection)
            found[collection] = (
                None if listed is None else {name: self._read(f"{collection}/{name}") for name in listed}
            )
        return found

    def _read_revoked(self) -> frozenset[str] | None:
        records = RevocationRecords(self.vault, self.expected.environment.vault.revocations_mount)
        held = self._try("which workflows are revoked", records.read_all)
        return None if held is None else frozenset(name for name, record in held.items() if record.is_whole)
