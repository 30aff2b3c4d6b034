"""`Deployer`: CI's two identities in AWS and Vault, the one that runs `up` and the one that only looks.

An administrator deploys it with the foundation, so neither identity can change itself. It deploys the documents of
`narrowgate.compile` as they are: it must not decide what anybody may do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

import pulumi
import pulumi_aws as aws
import pulumi_vault as vault

from narrowgate_pulumi.texts import as_json, thaw

if TYPE_CHECKING:
    from narrowgate.compile.documents import DeployerDocuments, SystemIdentity


class DeployerArgs(TypedDict):
    """What `Deployer` takes."""

    documents: DeployerDocuments
    """The compiled documents of CI's identities."""


class Deployer(pulumi.ComponentResource):
    """The deployer and the preview. Outputs: `role_arn`, `preview_role_arn`, `auth_mount`, which CI's jobs need."""

    role_arn: pulumi.Output[str]
    preview_role_arn: pulumi.Output[str]
    auth_mount: pulumi.Output[str]

    def __init__(self, name: str, args: DeployerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("narrowgate:index:Deployer", name, {}, opts)
        documents = args["documents"]
        before: list[pulumi.Resource] = []
        if not documents.adopt_provider:
            before.append(
                aws.iam.OpenIdConnectProvider(
                    f"{name}-provider",
                    url=documents.issuer,
                    client_id_lists=[documents.provider_audience],
                    opts=pulumi.ResourceOptions(parent=self),
                )
            )
        mount = vault.jwt.AuthBackend(
            f"{name}-auth",
            path=documents.auth_mount.path,
            type=documents.auth_mount.type,
            description="Jobs of CI: the deployer and the preview",
            **thaw(documents.auth_mount.config),
            opts=pulumi.ResourceOptions(parent=self),
        )
        role = self._make(name, documents.deployer, before, mount)
        preview = self._make(name, documents.preview, before, mount)
        self.role_arn = role.arn
        self.preview_role_arn = preview.arn
        self.auth_mount = pulumi.Output.from_input(documents.auth_mount.path)
        self.register_outputs(
            {"role_arn": role.arn, "preview_role_arn": preview.arn, "auth_mount": documents.auth_mount.path}
        )

    def _make(
        self, name: str, identity: SystemIdentity, before: list[pulumi.Resource], mount: pulumi.Resource
    ) -> aws.iam.Role:
        prefix = f"{name}-{identity.kind}"
        role = aws.iam.Role(
            f"{prefix}-role",
            name=identity.role.name,
            path=identity.role.path,
            assume_role_policy=as_json(identity.role.trust_policy),
            max_session_duration=identity.role.max_session_seconds,
            tags=dict(identity.role.tags),
            # the provider's ARN is known, so no edge tells
            opts=pulumi.ResourceOptions(parent=self, depends_on=before),
        )
        for policy, document in sorted(identity.role.policies.items()):
            aws.iam.RolePolicy(
                f"{prefix}-{policy}-policy",
                name=policy,
                role=identity.role.name,
                policy=as_json(document),
                opts=pulumi.ResourceOptions(parent=self, depends_on=[role]),
            )
        granted = vault.Policy(
            f"{prefix}-vault-policy",
            name=identity.policy.name,
            policy=identity.policy.text,
            opts=pulumi.ResourceOptions(parent=self),
        )
        vault.jwt.AuthBackendRole(
            f"{prefix}-login",
            backend=identity.auth_role.mount,
            role_name=identity.auth_role.name,
            **thaw(identity.auth_role.settings),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[mount, granted]),
        )
        return role
