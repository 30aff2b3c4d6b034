"""`Environment`: what an environment needs before its workflows: boundary, mounts, connections, CA, signing key.

An administrator deploys it, seldom; no workflow changes it, so each part is made whether or not a tool uses it yet, or
adopted where it exists already. It deploys the documents of `narrowgate.compile` as they are. Vault's AWS engine gets
no key here: its plugin finds the broker's credentials as a program on its host does. The engine of gated roles does: a
program on a host has one identity, and this engine needs another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NotRequired, TypedDict

import pulumi
import pulumi_aws as aws

from narrowgate_pulumi.gate import ClientSecret, GateFoundation
from narrowgate_pulumi.ledger import found_ledger
from narrowgate_pulumi.mounts import VaultFoundation
from narrowgate_pulumi.texts import as_json

if TYPE_CHECKING:
    from collections.abc import Mapping

    from narrowgate import plan
    from narrowgate.compile.documents import FoundationDocuments
    from narrowgate_pulumi.access_keys import AccessKey


class EnvironmentArgs(TypedDict):
    """What `Environment` takes."""

    environment: plan.Environment
    """The environment and its bindings."""
    documents: FoundationDocuments
    """The foundation's compiled documents."""
    passwords: Mapping[str, pulumi.Input[str]]
    """The password of Vault's login for each connection, by the connection's name. Marked as secret here.

    Not read where the database mount is adopted and there is no gate.
    """
    password_version: NotRequired[int]
    """Raise it to have Vault take the passwords anew; without that they are written once. Default 1."""
    client_secret: NotRequired[ClientSecret | None]
    """The secret of the approvers' page at the identity provider; needed where the environment binds a page."""

    gated_broker: NotRequired[AccessKey]
    """The access key of the broker of gated roles; needed where the environment binds one."""
    gated_broker_version: NotRequired[int]
    """Raise it to have Vault take that key anew. Default 1."""


class Environment(pulumi.ComponentResource):
    """The foundation of one environment. Outputs: `boundary_arn`, `aws_mount`, `database_mount`, `connections`."""

    boundary_arn: pulumi.Output[str]
    aws_mount: pulumi.Output[str]
    database_mount: pulumi.Output[str]
    connections: pulumi.Output[list[str]]

    def __init__(self, name: str, args: EnvironmentArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("narrowgate:index:Environment", name, {}, opts)
        documents = args["documents"]
        child = pulumi.ResourceOptions(parent=self)
        boundary = aws.iam.Policy(
            f"{name}-boundary",
            name=documents.boundary_name,
            path=documents.boundary_path,
            description=f"The most that any tool of an agent may do in {args['environment'].name}",
            policy=as_json(documents.boundary_policy),
            opts=child,
        )
        version = args.get("password_version", 1)
        VaultFoundation(name, documents, self).build(args["passwords"], version)
        transit = found_ledger(name, documents, self)
        if documents.approvals is not None:
            gate = GateFoundation(name, documents, documents.approvals, self)
            gate.build(args["passwords"], version, transit, args.get("client_secret"))
            gate.open_aws(args.get("gated_broker"), args.get("gated_broker_version", 1))
        self.boundary_arn = boundary.arn
        self.aws_mount = pulumi.Output.from_input(documents.aws_mount)
        self.database_mount = pulumi.Output.from_input(documents.database_mount)
        names = [str(connection["name"]) for connection in documents.database_connections]
        self.connections = pulumi.Output.from_input(names)
        self.register_outputs(
            {
                "boundary_arn": boundary.arn,
                "aws_mount": documents.aws_mount,
                "database_mount": documents.database_mount,
                "connections": names,
            }
        )
