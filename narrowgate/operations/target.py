"""What a revocation reaches: everything that one workflow's manifest names, for all its users or for one.

It reads the manifest that the deploy exported, so it needs no declarations at hand and no Pulumi state. This module
must not talk to any system.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from narrowgate.compile.names import session_name
from narrowgate.runtime.errors import ManifestError
from narrowgate.runtime.manifest import read_manifest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LEASED: Final = ("aws", "postgres")
"""Backends whose credentials are leases of Vault's: revoking the lease is what ends them, or begins to."""
LASTING: Final = {
    "aws": "an AWS session may go on for the seconds that IAM takes to spread the deny",
    "bearer": "a signed token is accepted until it expires, at most {ttl} s after it was issued",
    "kv": "a key that an agent has read stays known to it: rotate it",
    "pki": "a certificate is accepted until it expires, at most {ttl} s after it was issued",
}
"""What cannot be cut at once, by backend."""
GATED_LASTING: Final = {
    "aws": "a session of AWS that an executor has taken already serves until it expires, in 15 minutes",
    "bearer": "a signed token that an executor has taken already serves until it expires, in a minute",
}
"""What cannot be cut of a gated action: the operator writes no policy into its role, and nobody calls a token back."""


@dataclass(frozen=True, slots=True)
class IamRole:
    """A tool's IAM role, and the name that Vault gives the sessions of the revoked user (None: all sessions)."""

    name: str
    session_name: str | None


@dataclass(frozen=True, slots=True)
class GatedAction:
    """One gated action: the login of each request for it (its role and its policy), and the path that is held back.

    `leased` says whether what the path gives is a lease of Vault's.
    """

    login: str
    path: str
    leased: bool = True


@dataclass(frozen=True, slots=True)
class Target:
    """One workflow, or one `user` of it, and where its logins, leases and sessions are.

    `gated` is what executors may hold for it.
    """

    workflow: str
    user: str | None
    address: str
    ca_pem: str | None
    namespace: str | None
    records: str
    auth_mount: str
    auth_role: str
    lease_paths: tuple[str, ...]
    roles: tuple[IamRole, ...]
    region: str | None
    endpoint_url: str | None
    lasting: tuple[str, ...]
    gated: tuple[GatedAction, ...] = ()

    @property
    def login_path(self) -> str:
        """Return the path whose leases are this workflow's tokens."""
        return f"auth/{self.auth_mount}/login"


def read_target(document: Mapping[str, Any], user: str | None = None) -> Target:
    """Return what the manifest `document` says a revocation must reach.

    Raises:
        ManifestError: it is no manifest, or was exported before revocations were known.

    """
    manifest = read_manifest(document)
    records = document["vault"].get("revocations")
    if not records:
        raise ManifestError(f"The manifest of {manifest.workflow} does not say where revocations are recorded.")
    tools = [tool for _, tool in sorted(manifest.tools.items()) if tool.path]
    behind_aws = [tool for tool in tools if tool.backend == "aws"]
    lasting = {
        f"{tool.name}: {LASTING[tool.backend].format(ttl=document['tools'][tool.name]['max_ttl_seconds'])}": None
        for tool in tools
        if tool.backend in LASTING
    }
    gates = list(_find_gates(document))
    lasting |= {f"{name}: {GATED_LASTING[of]}": None for name, of, _ in gates if of in GATED_LASTING}
    return Target(
        workflow=manifest.workflow,
        user=user,
        address=manifest.address,
        ca_pem=manifest.ca_pem,
        namespace=manifest.namespace,
        records=str(records),
        auth_mount=manifest.auth_mount,
        auth_role=manifest.auth_role,
        lease_paths=tuple(str(tool.path) for tool in tools if tool.backend in LEASED),
        roles=tuple(
            IamRole(
                tool.text("role_arn").rpartition("/")[2],
                None if user is None else session_name(_vault_role(str(tool.path)), manifest.auth_mount, user),
            )
            for tool in behind_aws
        ),
        region=behind_aws[0].text("region") if behind_aws else None,
        endpoint_url=behind_aws[0].connection.get("endpoint_url") if behind_aws else None,
        lasting=tuple(lasting),
        gated=tuple(gated for _, _, gated in gates),
    )


def _find_gates(document: Mapping[str, Any]) -> Iterator[tuple[str, str, GatedAction]]:
    """Yield name and backend of each gated action that an executor can carry out, and what it may hold for it."""
    for tool, described in sorted(document["tools"].items()):
        for action, known in sorted(described["actions"].items()):
            if gate := known.get("gate"):
                backend = str(described["backend"])
                held = GatedAction(str(gate["login"]), str(gate["path"]), backend in LEASED)
                yield f"{tool}.{action}", backend, held


def _vault_role(path: str) -> str:
    return path.rpartition("/")[2]
