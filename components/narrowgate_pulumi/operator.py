"""`Operator`: the identity of people who stop workflows, and the auth mount at which they log in.

An administrator deploys it with the foundation, so it can't change itself. It deploys the documents of
`narrowgate.compile` as they are: it must not decide what anybody may do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

import pulumi
import pulumi_vault as vault

from narrowgate_pulumi.system_identity import make_identity
from narrowgate_pulumi.texts import thaw

if TYPE_CHECKING:
    from narrowgate.compile.documents import OperatorDocuments


class OperatorArgs(TypedDict):
    """What `Operator` takes."""

    documents: OperatorDocuments
    """The compiled documents of the operator."""


class Operator(pulumi.ComponentResource):
    """The operator. Outputs: `role_arn` and `auth_mount`, which those people need to log in."""

    role_arn: pulumi.Output[str]
    auth_mount: pulumi.Output[str]

    def __init__(self, name: str, args: OperatorArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("narrowgate:index:Operator", name, {}, opts)
        documents = args["documents"]
        path = documents.auth_mount.path
        mount = vault.jwt.AuthBackend(
            f"{name}-auth",
            path=path,
            type=documents.auth_mount.type,
            description="People who may stop workflows",
            **thaw(documents.auth_mount.config),
            opts=pulumi.ResourceOptions(parent=self),
        )
        role = make_identity(name, documents.operator, self, mount)
        self.role_arn = role.arn
        self.auth_mount = pulumi.Output.from_input(path)
        self.register_outputs({"role_arn": role.arn, "auth_mount": path})
