"""What mints credentials behind AWS and PostgreSQL: a role there, and the Vault role that hands out sessions of it.

Agents' tools and gated actions are made alike; only who may ask for the credentials differs. This module must not
decide what a role allows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws
import pulumi_vault as vault

from narrowgate_pulumi.postgres import PostgresAccess
from narrowgate_pulumi.texts import as_json, thaw

if TYPE_CHECKING:
    from narrowgate.compile.documents import AwsDocuments, PostgresDocuments


def assume_role(name: str, documents: AwsDocuments, parent: pulumi.Resource) -> vault.aws.SecretBackendRole:
    """Make an IAM role with its policies, and the Vault role that assumes it."""
    role = aws.iam.Role(
        f"{name}-role",
        name=documents.role.name,
        path=documents.role.path,
        assume_role_policy=as_json(documents.role.trust_policy),
        permissions_boundary=documents.role.boundary_arn,
        max_session_duration=documents.role.max_session_seconds,
        tags=dict(documents.role.tags),
        opts=pulumi.ResourceOptions(parent=parent),
    )
    policies = [
        aws.iam.RolePolicy(
            f"{name}-{policy}",
            name=policy,
            role=documents.role.name,
            policy=as_json(document),
            opts=pulumi.ResourceOptions(parent=parent, depends_on=[role]),  # its name is known, so no edge tells
        )
        for policy, document in sorted(documents.role.policies.items())
    ]
    return vault.aws.SecretBackendRole(
        f"{name}-vault-role",
        backend=documents.vault_role.mount,
        name=documents.vault_role.name,
        **thaw(documents.vault_role.settings),
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[role, *policies]),
    )


def join_group(name: str, documents: PostgresDocuments, parent: pulumi.Resource) -> vault.database.SecretBackendRole:
    """Make a PostgreSQL group role with its grants, and the Vault role that makes logins in it."""
    group = PostgresAccess(
        f"{name}-group",
        {
            "group": documents.group_role,
            "broker": documents.broker,
            "host": documents.host,
            "port": documents.port,
            "database": documents.database,
            "sslmode": documents.sslmode,
            "tables": thaw(documents.tables),
            "functions": thaw(documents.functions),
        },
        opts=pulumi.ResourceOptions(parent=parent),
    )
    return vault.database.SecretBackendRole(
        f"{name}-vault-role",
        backend=documents.vault_role.mount,
        name=documents.vault_role.name,
        **thaw(documents.vault_role.settings),
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[group]),
    )
