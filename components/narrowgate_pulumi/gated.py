"""`GatedAction`: one gated action of one workflow, which an executor carries out after people have approved it.

It deploys the documents of `narrowgate.compile` as they are: it must not decide who approves, nor what is allowed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

import pulumi
import pulumi_vault as vault

from narrowgate_pulumi.groups import assume_role, join_group
from narrowgate_pulumi.texts import thaw
from narrowgate_pulumi.tool import sign_tokens

if TYPE_CHECKING:
    from narrowgate.compile.documents import GatedDocuments


class GatedActionArgs(TypedDict):
    """What `GatedAction` takes."""

    documents: GatedDocuments
    """The action's compiled documents."""


class GatedAction(pulumi.ComponentResource):
    """The credentials of a gated action, the control group before them, and the login of one request for them.

    For a program that builds one action; `AgentWorkflow` gates its actions as its own children. Outputs:
    `credential_path`.
    """

    credential_path: pulumi.Output[str]

    def __init__(self, name: str, args: GatedActionArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("narrowgate:index:GatedAction", name, {}, opts)
        documents = args["documents"]
        gate_action(name, documents, self)
        self.credential_path = pulumi.Output.from_input(documents.credential_path)
        self.register_outputs({"credential_path": documents.credential_path})


def gate_action(name: str, documents: GatedDocuments, parent: pulumi.Resource) -> pulumi.Resource:
    """Make a gated action's credentials, its control group and the login for them; return the login.

    The login comes last and goes first: nobody can ask before the control group is in force.
    """
    made: list[pulumi.Resource] = []
    for kind, minted in documents.mints:
        label = name if kind == "gated" else f"{name}-reader"
        if minted.aws is not None:
            made.append(assume_role(label, minted.aws, parent))
        if minted.postgres is not None:
            made.append(join_group(label, minted.postgres, parent))
        if minted.bearer is not None:
            made.append(sign_tokens(label, minted.bearer, parent))
    policy = vault.Policy(
        f"{name}-policy",
        name=documents.policy.name,
        policy=documents.policy.text,
        opts=pulumi.ResourceOptions(parent=parent, depends_on=made),
    )
    return vault.jwt.AuthBackendRole(
        f"{name}-login",
        backend=documents.login.mount,
        role_name=documents.login.name,
        **thaw(documents.login.settings),
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[policy]),
    )
