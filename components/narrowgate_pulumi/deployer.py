"""`Deployer`: CI's two identities in AWS and Vault, the one that runs `up` and the one that only looks.

An administrator deploys it with the foundation, so neither identity can change itself. It deploys the documents of
`narrowgate.compile` as they are: it must not decide what anybody may do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

import pulumi
import pulumi_aws as aws
import pulumi_vault as vault

from narrowgate_pulumi.system_identity import make_identity
from narrowgate_pulumi.texts import thaw

if TYPE_CHECKING:
    from narrowgate.compile.documents import DeployerDocuments


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
        role = make_identity(name, documents.deployer, self, mount, after=before)
        preview = make_identity(name, documents.preview, self, mount, after=before)
        self.role_arn = role.arn
        self.preview_role_arn = preview.arn
        self.auth_mount = pulumi.Output.from_input(documents.auth_mount.path)
        self.register_outputs(
            {"role_arn": role.arn, "preview_role_arn": preview.arn, "auth_mount": documents.auth_mount.path}
        )
