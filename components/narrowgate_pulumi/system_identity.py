"""One system identity in AWS and Vault: its IAM role with its policies, its Vault policy and its login.

It deploys compiled documents as they are: it must not decide what anybody may do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pulumi
import pulumi_aws as aws
import pulumi_vault as vault

from narrowgate_pulumi.logins import jwt_arguments
from narrowgate_pulumi.texts import as_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from narrowgate.compile.documents import SystemIdentity


def make_identity(
    name: str,
    identity: SystemIdentity,
    parent: pulumi.Resource,
    mount: pulumi.Resource,
    *,
    after: Sequence[pulumi.Resource] = (),
) -> aws.iam.Role:
    """Make `identity`, which logs in at the auth mount `mount`, once `after` is made; return its IAM role."""
    prefix = f"{name}-{identity.kind}"
    role = aws.iam.Role(
        f"{prefix}-role",
        name=identity.role.name,
        path=identity.role.path,
        assume_role_policy=as_json(identity.role.trust_policy),
        max_session_duration=identity.role.max_session_seconds,
        tags=dict(identity.role.tags),
        # the provider's ARN is known, so no edge tells
        opts=pulumi.ResourceOptions(parent=parent, depends_on=list(after)),
    )
    for policy, document in sorted(identity.role.policies.items()):
        aws.iam.RolePolicy(
            f"{prefix}-{policy}-policy",
            name=policy,
            role=identity.role.name,
            policy=as_json(document),
            opts=pulumi.ResourceOptions(parent=parent, depends_on=[role]),
        )
    granted = vault.Policy(
        f"{prefix}-vault-policy",
        name=identity.policy.name,
        policy=identity.policy.text,
        opts=pulumi.ResourceOptions(parent=parent),
    )
    vault.jwt.AuthBackendRole(
        f"{prefix}-login",
        backend=identity.auth_role.mount,
        role_name=identity.auth_role.name,
        **jwt_arguments(name, identity.auth_role.settings),
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[mount, granted]),
    )
    return role
