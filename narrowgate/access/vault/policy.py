"""Vault policies as frozen values. They hold what the text says, with the place of each rule; they decide nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime


class Server(Enum):
    """Whose rules count. `ANY` reads what either server accepts and decides as OpenBao does."""

    ANY = "any"
    OPENBAO = "openbao"
    VAULT = "vault"


OPENBAO_CAPABILITIES = frozenset({"create", "read", "update", "delete", "list", "sudo", "patch", "scan"})
VAULT_CAPABILITIES = frozenset({"create", "read", "update", "delete", "list", "sudo", "patch", "subscribe", "recover"})
ALL_CAPABILITIES = OPENBAO_CAPABILITIES | VAULT_CAPABILITIES

Parameters = MappingProxyType[str, tuple[Any, ...]]
NO_PARAMETERS: Parameters = MappingProxyType({})


class Opaque(Enum):
    """Stands for a value of a policy that no request can equal (an object within an object)."""

    NEVER_EQUAL = "never-equal"


@dataclass(frozen=True, slots=True)
class PolicyNumber:
    """A number written in a policy. No request equals it: the server keeps a request's numbers as text."""

    value: int | float


@dataclass(frozen=True, slots=True)
class Factor:
    """One factor of a control group: who must approve how often. `capabilities` None controls all of them."""

    name: str
    group_names: tuple[str, ...]
    approvals: int
    capabilities: frozenset[str] | None

    def controls(self, capability: str) -> bool:
        """Tell whether a request of this capability waits for this factor."""
        return self.capabilities is None or capability in self.capabilities


@dataclass(frozen=True, slots=True)
class ControlGroup:
    """The stanza `control_group`: all factors that control a capability must approve. `ttl_ns` is in nanoseconds."""

    factors: tuple[Factor, ...]
    ttl_ns: int = 0
    self_authorization: bool = False

    def controls(self, capability: str) -> bool:
        """Tell whether a request of this capability is held for approval."""
        return any(factor.controls(capability) for factor in self.factors)


@dataclass(frozen=True, slots=True)
class Permissions:
    """What a rule, or the merged rules of one path, permit. Wrapping TTLs are in nanoseconds, 0 for none."""

    capabilities: frozenset[str] = frozenset()
    denied: bool = False
    allowed_parameters: Mapping[str, tuple[Any, ...]] | None = None
    denied_parameters: Mapping[str, tuple[Any, ...]] | None = None
    required_parameters: tuple[str, ...] = ()
    min_wrapping_ttl_ns: int = 0
    max_wrapping_ttl_ns: int = 0
    pagination_limit: int = 0
    list_filter_path: str = ""
    mfa_methods: frozenset[str] = frozenset()
    control_group: ControlGroup | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """One `path` stanza. `path` is as written; templates in it are filled in only when a decision is made."""

    path: str
    permissions: Permissions
    line: int = 0
    column: int = 0
    policy: str = ""
    comment: str = ""
    expiration: datetime | None = None

    @property
    def is_templated(self) -> bool:
        """Tell whether the path depends on who asks."""
        return "{{" in self.path

    def __str__(self) -> str:
        """Return `policy:line path "pattern"`, to be read by people."""
        where = f"{self.policy or 'policy'}:{self.line}" if self.line else self.policy or "policy"
        return f'{where} path "{self.path}"'


@dataclass(frozen=True, slots=True)
class Policy:
    """A parsed policy: its name, lower-cased as the server stores it, and its rules in the order written."""

    name: str
    rules: tuple[Rule, ...] = field(default=())

    @property
    def is_root(self) -> bool:
        """Tell whether this is the policy that permits everything, which the server knows by its name alone."""
        return self.name == "root"
