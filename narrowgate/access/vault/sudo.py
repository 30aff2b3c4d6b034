"""The built-in paths of the server that need `sudo` beside the capability.

Source: the root paths that OpenBao 2.7 and Vault 1.18 declare for their system backend, token store and identity
store, checked against a running OpenBao. Secrets engines may declare more; callers that know say `sudo_required`.
"""

from __future__ import annotations

import re

from narrowgate.access.vault.policy import Server

# Written as the server writes them: `*` at the end is any rest.
_BOTH = (
    "auth/token/accessors",
    "auth/token/accessors/",
    "sys/audit",
    "sys/audit/*",
    "sys/auth/*",
    "sys/config/auditing/*",
    "sys/config/cors",
    "sys/config/ui/headers/*",
    "sys/internal/inspect/*",
    "sys/leases",
    "sys/leases/",
    "sys/leases/lookup/*",
    "sys/leases/revoke-force/*",
    "sys/leases/revoke-prefix/*",
    "sys/plugins/catalog/*",
    "sys/plugins/runtimes/catalog/*",
    "sys/raw",
    "sys/raw/*",
    "sys/remount",
    "sys/revoke-force/*",
    "sys/revoke-prefix/*",
    "sys/rotate",
    "sys/seal",
    "sys/step-down",
)
_OPENBAO_ONLY = ("sys/rotate/keyring", "sys/rotate/root")
_VAULT_ONLY = (
    "auth/token/revoke-orphan",
    "sys/internal/counters/activity/export",
    "sys/replication/dr/primary/secondary-token",
    "sys/replication/dr/reindex",
    "sys/replication/performance/primary/secondary-token",
    "sys/replication/performance/reindex",
    "sys/replication/primary/secondary-token",
    "sys/replication/reindex",
    "sys/storage/raft/snapshot-auto/config/*",
)


def _to_regex(pattern: str) -> str:
    return re.escape(pattern.removesuffix("*")) + (".*" if pattern.endswith("*") else "")


def _compile(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(_to_regex(pattern) for pattern in patterns), re.DOTALL)


_SUDO = {
    Server.OPENBAO: _compile(_BOTH + _OPENBAO_ONLY),
    Server.ANY: _compile(_BOTH + _OPENBAO_ONLY),
    Server.VAULT: _compile(_BOTH + _VAULT_ONLY),
}


def requires_sudo(path: str, server: Server = Server.ANY) -> bool:
    """Tell whether the server asks for `sudo` on a path of its own."""
    return _SUDO[server].fullmatch(path.lstrip("/")) is not None
