"""What stands in AWS, Vault and PostgreSQL below an environment's paths, and what is found wrong with it: values only.

What could not be listed is None, and so is a thing that is listed and could not be read; each such None has an entry in
`unread`, so that nobody takes it for absent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from narrowgate.access.postgres import Catalog

Json = Mapping[str, Any]


class Kind(StrEnum):
    """How a thing differs from the lock: it has none of it, states it otherwise, or states it and it is not there."""

    UNKNOWN = "unknown"
    CHANGED = "changed"
    MISSING = "missing"


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One drift: in which `system` (aws, vault, postgres), of which `thing`, and `detail` in words."""

    system: str
    thing: str
    kind: Kind
    detail: str


@dataclass(frozen=True, slots=True, order=True)
class Unread:
    """What could not be listed or read in `system`, and why."""

    system: str
    thing: str
    reason: str


@dataclass(frozen=True, slots=True)
class StandingRole:
    """One IAM role: inline `policies` by name, `attached` are the ARNs of managed ones; `boundary` is an ARN."""

    name: str
    path: str
    trust_policy: Json
    policies: Mapping[str, Json]
    attached: tuple[str, ...]
    boundary: str | None
    max_session_seconds: int


@dataclass(frozen=True, slots=True)
class StandingMount:
    """One mount: its `type`, `accessor`, and an auth mount's own settings (None: not asked, or could not be read)."""

    type: str
    accessor: str = ""
    settings: Json | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """`member` is in the PostgreSQL role `role` by the hand of `grantor`; `expires` where the member's login ends."""

    role: str
    member: str
    grantor: str
    admin: bool
    inherit: bool
    set: bool
    expires: bool


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """One database."""

    host: str
    port: int
    database: str

    def __str__(self) -> str:
        """Return `database at host:port`."""
        return f"{self.database} at {self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Database:
    """What one database says of access: its catalogue, and who is in which role by whose hand."""

    catalog: Catalog
    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True)
class Standing:
    """All that stands. Keys: IAM roles and policies by name, mounts by path, logins by mount and name.

    `secret_roles` are those of secrets engines by the path of their collection (`narrowgate-aws/roles`) and name.
    `revoked` are the workflows that an operator has revoked.
    """

    roles: Mapping[str, StandingRole | None] | None = None
    vault_policies: Mapping[str, str | None] | None = None
    auth_mounts: Mapping[str, StandingMount] | None = None
    auth_roles: Mapping[str, Mapping[str, Json | None] | None] | None = None
    secret_mounts: Mapping[str, StandingMount] | None = None
    secret_roles: Mapping[str, Mapping[str, Json | None] | None] | None = None
    revoked: frozenset[str] | None = None
    databases: Mapping[Place, Database | None] | None = None
    unread: tuple[Unread, ...] = ()
