"""The auditor's read-only identity: what verifying ledgers and looking for drift needs, and no credential.

An administrator gives these policies to the auditors' own login; no stack does, since auditors are people, not agents.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from narrowgate.compile.ledger import ANCHOR_MOUNT, SIGNING_MOUNT

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
    folders = (
        f"auth/{vault.auth_prefix}/+/role",
        f"{vault.aws_mount}/roles",
        f"{vault.database_mount}/roles",
        f"{vault.pki_mount}/roles",
    )
    reads = [
        *_READS,
        (f"auth/{vault.auth_prefix}/+/config", READ),
        *((f"{folder}/+", READ) for folder in folders),
        *((f"{folder}/", LIST) for folder in folders),
    ]
    lines = [f"# Auditors of {environment.name}: settings, anchors and public keys, and no credential", ""]
    for path, capabilities in sorted(reads):
        quoted = ", ".join(f'"{capability}"' for capability in capabilities)
        lines += [f'path "{path}" {{', f"  capabilities = [{quoted}]", "}", ""]
    return "\n".join(lines)


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
