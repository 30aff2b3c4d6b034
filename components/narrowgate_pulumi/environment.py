"""`Environment`: what an environment needs before its workflows: boundary, secrets mounts, database connections.

An administrator deploys it, seldom; no workflow changes it. It deploys the documents of `narrowgate.compile` as they
are. Vault's AWS engine gets no key here: its plugin finds the broker's credentials as a program on its host does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

import pulumi
import pulumi_aws as aws
import pulumi_vault as vault

from narrowgate_pulumi.texts import as_json, thaw

if TYPE_CHECKING:
    from collections.abc import Mapping

    from narrowgate import plan
    from narrowgate.compile.documents import FoundationDocuments, Json

# What stands in the SDK's block `postgresql` of a connection; the rest belongs to every kind of database.
POSTGRESQL_BLOCK = ("connection_url", "password_authentication", "username", "username_template")


class EnvironmentArgs(TypedDict):
    """What `Environment` takes."""

    environment: plan.Environment
    """The environment and its bindings."""
    documents: FoundationDocuments
    """The foundation's compiled documents."""
    passwords: Mapping[str, pulumi.Input[str]]
    """The password of Vault's login for each connection, by the connection's name. Marked as secret here."""
    password_version: NotRequired[int]
    """Raise it to have Vault take the passwords anew; without that they are written once. Default 1."""


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
        vault.aws.SecretBackend(
            f"{name}-aws",
            path=documents.aws_mount,
            description="Short-lived AWS credentials of agents' tools",
            **thaw(documents.aws_config),
            opts=child,
        )
        vault.Mount(
            f"{name}-revocations",
            path=documents.revocations_mount,
            type="kv",
            options={"version": "2"},
            description="Which workflows an operator has revoked; deploys keep to it",
            opts=child,
        )
        mount = vault.Mount(
            f"{name}-database",
            path=documents.database_mount,
            type="database",
            description="Short-lived database logins of agents' tools",
            opts=child,
        )
        for connection in documents.database_connections:
            self._connect_database(name, connection, args, mount)
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

    def _connect_database(self, name: str, connection: Json, args: EnvironmentArgs, mount: vault.Mount) -> None:
        settings = thaw(connection)
        block: Any = {
            **{key: settings.pop(key) for key in POSTGRESQL_BLOCK if key in settings},
            # write-only: Vault gets it when it is made or the version is raised, and never gives it back
            "password_wo": pulumi.Output.secret(args["passwords"][settings["name"]]),
            "password_wo_version": args.get("password_version", 1),
        }
        vault.database.SecretBackendConnection(
            f"{name}-database-{settings['name']}",
            backend=args["documents"].database_mount,
            postgresql=block,
            **settings,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[mount]),  # the path is known, so no edge tells
        )
