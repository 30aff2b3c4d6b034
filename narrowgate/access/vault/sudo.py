"""The built-in paths of the server that need `sudo` beside the capability.

Source: the root paths that OpenBao 2.7 and Vault 1.18 declare for their system backend, token store and identity
store, checked against a running OpenBao. Secrets engines may declare more; callers that know say `sudo_required`.
"""

from __future__ import annotations

import re

# Written as the server writes them: `*` at the end is any rest, `+` is one segment.
SUDO_PATHS = (
    "auth/token/accessors",
    "auth/token/accessors/",
    "auth/token/create-orphan",
    "auth/token/revoke-orphan",
    "sys/audit",
    "sys/audit/*",
    "sys/auth/*",
    "sys/config/auditing/*",
    "sys/config/cors",
    "sys/config/ui/headers",
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
    "sys/storage/raft/snapshot-auto/config/*",
)


def _to_regex(pattern: str) -> str:
    body = pattern.removesuffix("*")
    middle = "/".join("[^/]+" if part == "+" else re.escape(part) for part in body.split("/"))
    return middle + (".*" if pattern.endswith("*") else "")


_SUDO = re.compile("|".join(_to_regex(pattern) for pattern in SUDO_PATHS), re.DOTALL)


def requires_sudo(path: str) -> bool:
    """Tell whether the server asks for `sudo` on a path of its own."""
    return _SUDO.fullmatch(path.lstrip("/")) is not None
