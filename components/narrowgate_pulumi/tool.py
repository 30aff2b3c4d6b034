"""`ToolAccess`: one tool of one workflow, as identities and grants of its own.

It deploys the documents of `narrowgate.compile` as they are: it must not decide what anybody may do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

import pulumi
import pulumi_aws as aws
import pulumi_vault as vault

from narrowgate_pulumi.postgres import PostgresAccess
from narrowgate_pulumi.texts import as_json, thaw

if TYPE_CHECKING:
    from narrowgate.compile.documents import AwsDocuments, PostgresDocuments, ToolDocuments


class ToolAccessArgs(TypedDict):
    """What `ToolAccess` takes."""

    documents: ToolDocuments
    """The tool's compiled documents."""


class ToolAccess(pulumi.ComponentResource):
    """An IAM role and the Vault role that assumes it; or a PostgreSQL group role and the Vault role that logs in to it.

    A tool whose every action is gated makes nothing: no credential path exists for it. Outputs: `credential_path`
    (None for such a tool).
    """

    credential_path: pulumi.Output[str | None]

    def __init__(self, name: str, args: ToolAccessArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("narrowgate:index:ToolAccess", name, {}, opts)
        documents = args["documents"]
        made: list[pulumi.Resource] = []
        if documents.aws is not None:
            made = self._assume_role(name, documents.aws)
        if documents.postgres is not None:
            made = self._join_group(name, documents.postgres)
        if documents.policy is not None:
            vault.Policy(
                f"{name}-policy",
                name=documents.policy.name,
                policy=documents.policy.text,
                # the path comes before the right to read it, and goes after it
                opts=pulumi.ResourceOptions(parent=self, depends_on=made),
            )
        self.credential_path = pulumi.Output.from_input(documents.credential_path)
        self.register_outputs({"credential_path": documents.credential_path})

    def _assume_role(self, name: str, documents: AwsDocuments) -> list[pulumi.Resource]:
        role = aws.iam.Role(
            f"{name}-role",
            name=documents.role.name,
            path=documents.role.path,
            assume_role_policy=as_json(documents.role.trust_policy),
            permissions_boundary=documents.role.boundary_arn,
            max_session_duration=documents.role.max_session_seconds,
            tags=dict(documents.role.tags),
            opts=pulumi.ResourceOptions(parent=self),
        )
        policies = [
            aws.iam.RolePolicy(
                f"{name}-{policy}",
                name=policy,
                role=documents.role.name,
                policy=as_json(document),
                opts=pulumi.ResourceOptions(parent=self, depends_on=[role]),  # its name is known, so no edge tells
            )
            for policy, document in sorted(documents.role.policies.items())
        ]
        vault_role = vault.aws.SecretBackendRole(
            f"{name}-vault-role",
            backend=documents.vault_role.mount,
            name=documents.vault_role.name,
            **thaw(documents.vault_role.settings),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[role, *policies]),
        )
        return [vault_role]

    def _join_group(self, name: str, documents: PostgresDocuments) -> list[pulumi.Resource]:
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
            opts=pulumi.ResourceOptions(parent=self),
        )
        vault_role = vault.database.SecretBackendRole(
            f"{name}-vault-role",
            backend=documents.vault_role.mount,
            name=documents.vault_role.name,
            **thaw(documents.vault_role.settings),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[group]),
        )
        return [vault_role]
