"""The auditor's read-only identity: what verifying ledgers and looking for drift needs, and no credential.

An administrator gives these policies to the auditors' own login; no stack does, since auditors are people, not agents.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from narrowgate.compile import names
from narrowgate.compile.approvals import compile_approvals
from narrowgate.compile.deployer import compile_deployer
from narrowgate.compile.ledger import ANCHOR_MOUNT, SIGNING_MOUNT
from narrowgate.compile.operator import compile_operator

if TYPE_CHECKING:
    from narrowgate.plan import Environment

READ: Final = ("read",)
LIST: Final = ("list",)
_READS: Final = (
    ("auth/token/lookup-self", READ),
    ("auth/token/revoke-self", ("update",)),
    (f"{ANCHOR_MOUNT}/data/+/+/+", READ),
    (f"{ANCHOR_MOUNT}/metadata/*", LIST),
    (f"{SIGNING_MOUNT}/keys/+", READ),
    (f"{SIGNING_MOUNT}/keys/", LIST),
    ("identity/entity/id/+", READ),
    ("identity/oidc/role/+", READ),
    ("identity/oidc/role/", LIST),
    ("sys/auth", READ),
    ("sys/mounts", READ),
    ("sys/policies/acl", LIST),
    ("sys/policies/acl/+", READ),
)


def vault_policy(environment: Environment) -> str:
    """Return the Vault policy of `environment`'s auditors, as HCL. It reads settings, anchors and public keys."""
    vault = environment.vault
    logins = [f"auth/{vault.auth_prefix}/+", *(f"auth/{path}" for path in _system_mounts(environment))]
    gated = (names.gated_mount(vault.aws_mount), names.gated_mount(vault.database_mount))
    engines = [f"{mount}/roles" for mount in (vault.aws_mount, vault.database_mount, vault.pki_mount, *gated)]
    engines += [f"{mount}/static-roles" for mount in (vault.database_mount, gated[1])]
    folders = [f"{mount}/role" for mount in logins] + engines
    reads = [
        *_READS,
        *((f"{mount}/config", READ) for mount in logins),
        (f"{logins[0]}/config/client", READ),
        (f"{logins[0]}/role/+/role-id", READ),
        *((f"{folder}/+", READ) for folder in folders),
        *((f"{folder}/", LIST) for folder in folders),
        # which workflows are revoked: their missing logins are no drift
        (f"{vault.revocations_mount}/config", READ),
        (f"{vault.revocations_mount}/data/+", READ),
        (f"{vault.revocations_mount}/metadata/", LIST),
    ]
    lines = [f"# Auditors of {environment.name}: settings, anchors and public keys, and no credential", ""]
    for path, capabilities in sorted(reads):
        quoted = ", ".join(f'"{capability}"' for capability in capabilities)
        lines += [f'path "{path}" {{', f"  capabilities = [{quoted}]", "}", ""]
    return "\n".join(lines)


def _system_mounts(environment: Environment) -> list[str]:
    """Return the auth mounts of system identities: CI's, operators', approvers' and executors'."""
    deployer, operator = compile_deployer(environment), compile_operator(environment)
    mounts = [documents.auth_mount.path for documents in (deployer, operator) if documents is not None]
    gate = compile_approvals(environment)
    return mounts if gate is None else [*mounts, gate.approvers_mount.path, gate.executors_mount.path]


def iam_policy(environment: Environment) -> dict[str, Any]:
    """Return the IAM policy of `environment`'s auditors: it reads roles and policies below the environment's path."""
    aws = environment.aws
    prefix = f"arn:{aws.partition}:iam::{aws.account}"
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "iam:ListRoles", "Resource": "*"},
            {
                "Effect": "Allow",
                "Action": [
                    "iam:GetRole",
                    "iam:GetRolePolicy",
                    "iam:ListAttachedRolePolicies",
                    "iam:ListRolePolicies",
                ],
                "Resource": f"{prefix}:role/narrowgate/{environment.name}/*",
            },
            {
                "Effect": "Allow",
                "Action": ["iam:GetPolicy", "iam:GetPolicyVersion"],
                "Resource": f"{prefix}:policy/narrowgate/{environment.name}/*",
            },
        ],
    }
