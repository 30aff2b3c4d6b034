"""The Vault paths below `sys/`, `auth/` and `identity/` that any login may use: they reach only the login itself.

One table, which two rules read: a path in it is no shared identity, and no path of root's. The source is what
Vault's and OpenBao's own `default` policy grants, less what lists other things than the login's own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

COMMON_PATHS: Mapping[str, frozenset[str]] = {
    # the login's own token
    "auth/token/lookup-self": frozenset({"read", "update"}),
    "auth/token/renew-self": frozenset({"update"}),
    "auth/token/revoke-self": frozenset({"update"}),
    "sys/capabilities-self": frozenset({"update"}),
    # leases that the caller holds: who does not know a lease's id can't name it
    "sys/leases/lookup": frozenset({"update"}),
    "sys/leases/renew": frozenset({"update"}),
    "sys/leases/revoke": frozenset({"update"}),
    "sys/renew": frozenset({"update"}),
    "sys/revoke": frozenset({"update"}),
    # a wrapping token is a bearer secret of the caller's own
    "sys/wrapping/lookup": frozenset({"update"}),
    "sys/wrapping/unwrap": frozenset({"update"}),
    "sys/wrapping/wrap": frozenset({"update"}),
    # an approver's part of a control group
    "sys/control-group/authorize": frozenset({"update"}),
    "sys/control-group/request": frozenset({"update"}),
    # the login's own entity
    "identity/entity/id/{{identity.entity.id}}": frozenset({"read"}),
    "identity/entity/name/{{identity.entity.name}}": frozenset({"read"}),
    # the public half of identity tokens' keys
    "identity/oidc/.well-known/keys": frozenset({"read"}),
    "identity/oidc/.well-known/openid-configuration": frozenset({"read"}),
}


def is_common_path(path: str, capabilities: Iterable[str]) -> bool:
    """Tell whether `capabilities` on `path` reach nothing but the login itself; `create` on such a path is `update`."""
    allowed = COMMON_PATHS.get(path)
    if allowed is None:
        return False
    extra = set(capabilities) - allowed
    return not extra or (extra == {"create"} and "update" in allowed)
