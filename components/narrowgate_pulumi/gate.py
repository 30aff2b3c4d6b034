"""The foundation's part of the gate: where drafts, cases and decisions stand, and who logs in to make and decide them.

An administrator deploys it, so a deploy of workflows can change neither approvers nor executors. Groups are the
identity provider's: Vault learns at each login who is in them, and nothing here writes a member.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pulumi
import pulumi_vault as vault

from narrowgate.errors import NarrowgateError
from narrowgate_pulumi.ledger import make_signing_key
from narrowgate_pulumi.logins import jwt_arguments
from narrowgate_pulumi.mounts import connect_database
from narrowgate_pulumi.texts import thaw

if TYPE_CHECKING:
    from collections.abc import Mapping

    from narrowgate.compile.documents import (
        ApprovalsDocuments,
        AuthMount,
        AuthRole,
        FoundationDocuments,
        GateIdentity,
        Json,
    )
    from narrowgate_pulumi.access_keys import AccessKey


class BrokerKeyMissingError(NarrowgateError):
    """The environment binds a broker of gated roles, and its key was not given."""

    code = "gated-broker-key-missing"
    hint = "name an AWS credentials file that holds it in NARROWGATE_GATED_BROKER_FILE"


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """The secret of the page's client at the identity provider; raise `version` to have Vault take it anew."""

    value: pulumi.Input[str]
    version: int = 1


def secret_arguments(config: Json, secret: ClientSecret | None) -> dict[str, Any]:
    """Return how the mount with `config` gets its client's secret: written, and read by nobody.

    Vault forgets a secret that a write of other settings leaves out, so the version follows the settings too.
    """
    if secret is None:
        raise pulumi.RunError("the approvers' page has no client secret: nobody could log in to it")
    state = json.dumps([secret.version, thaw(config)], sort_keys=True)
    return {
        "oidc_client_secret_wo": pulumi.Output.secret(secret.value),
        "oidc_client_secret_wo_version": int(hashlib.sha256(state.encode()).hexdigest()[:7], 16),
    }


class GateFoundation:
    """Makes the gate's stores, logins and mounts of gated credentials; its resources are children of `parent`."""

    def __init__(
        self, name: str, foundation: FoundationDocuments, documents: ApprovalsDocuments, parent: pulumi.Resource
    ) -> None:
        self._name = name
        self._foundation = foundation
        self._documents = documents
        self._parent = parent

    def build(
        self,
        passwords: Mapping[str, pulumi.Input[str]],
        password_version: int,
        transit: pulumi.Resource,
        client_secret: ClientSecret | None,
    ) -> None:
        """Build all parts; `transit` is the mount of signing keys, `client_secret` the page's at the provider."""
        for path, description in self._documents.stores.items():
            self._make_store(path, description)
        page = self._documents.page_login
        given = {} if page is None else secret_arguments(self._documents.approvers_mount.config, client_secret)
        approvers = self._open_mount(self._documents.approvers_mount, "People who approve gated actions", **given)
        executors = self._open_mount(self._documents.executors_mount, "Executors of gated actions")
        for name, group in self._documents.groups.items():
            self._name_group(name, group, approvers)
        self._admit(self._documents.approver, approvers, *([] if page is None else [page]))
        for executor in self._documents.executors:
            self._admit(executor, executors)
            if executor.ledger is not None:
                make_signing_key(f"{self._name}-{executor.login.name}", executor.ledger, self._parent, transit)
        self._make_database(passwords, password_version)

    def _opts(self, *after: pulumi.Resource) -> pulumi.ResourceOptions:
        # Paths are known before deploy, so no edge tells what comes first.
        return pulumi.ResourceOptions(parent=self._parent, depends_on=list(after))

    def _make_store(self, path: str, description: str) -> None:
        kind = path.rpartition("-")[2]
        mount = vault.Mount(
            f"{self._name}-{kind}",
            path=path,
            type="kv",
            options={"version": "2"},
            description=description,
            opts=self._opts(),
        )
        # Creates of one entry that race each other could write twice without it.
        vault.kv.SecretBackendV2(f"{self._name}-{kind}-settings", mount=path, cas_required=True, opts=self._opts(mount))

    def _open_mount(self, mount: AuthMount, description: str, **secret: Any) -> vault.jwt.AuthBackend:  # noqa: ANN401 - the SDK's
        return vault.jwt.AuthBackend(
            f"{self._name}-{mount.path}-auth",
            path=mount.path,
            type=mount.type,
            description=description,
            **thaw(mount.config),
            **secret,
            opts=self._opts(),
        )

    def _name_group(self, name: str, group: str, mount: vault.jwt.AuthBackend) -> None:
        made = vault.identity.Group(f"{self._name}-{name}", name=name, type="external", opts=self._opts())
        vault.identity.GroupAlias(
            f"{self._name}-{name}-alias",
            name=group,
            mount_accessor=mount.accessor,
            canonical_id=made.id,
            opts=self._opts(),
        )

    def _admit(self, identity: GateIdentity, mount: vault.jwt.AuthBackend, *more: AuthRole) -> None:
        name = identity.login.name
        policy = vault.Policy(
            f"{self._name}-{name}-policy", name=identity.policy.name, policy=identity.policy.text, opts=self._opts()
        )
        for login in (identity.login, *more):
            vault.jwt.AuthBackendRole(
                f"{self._name}-{login.name}-login",
                backend=login.mount,
                role_name=login.name,
                **jwt_arguments(login.name, login.settings),
                opts=self._opts(mount, policy),
            )

    def _make_database(self, passwords: Mapping[str, pulumi.Input[str]], password_version: int) -> None:
        mount = vault.Mount(
            f"{self._name}-database-gated",
            path=self._documents.database_mount,
            type="database",
            description="Database logins of gated actions: each waits for an approval",
            audit_non_hmac_response_keys=list(self._foundation.audit_response_keys.get("database", ())),
            opts=self._opts(),
        )
        for connection in self._foundation.database_connections:
            prefix = f"{self._name}-database-gated"
            connect_database(prefix, connection, passwords, password_version, mount, self._parent)

    def open_aws(self, broker: AccessKey | None, version: int) -> None:
        """Make the engine of gated roles, with a broker of its own, where the environment has one.

        Raises:
            BrokerKeyMissingError: it has one, and nobody gives its key.

        """
        path = self._documents.aws_mount
        if path is None:
            return
        if broker is None:
            raise BrokerKeyMissingError("Vault needs the key of the broker of gated roles, and no file gives it.")
        vault.aws.SecretBackend(
            f"{self._name}-aws-gated",
            path=path,
            description="AWS credentials of gated actions: each waits for an approval",
            audit_non_hmac_response_keys=list(self._foundation.audit_response_keys.get("aws", ())),
            access_key=broker.id,
            # write-only: Vault gets it when it is made or the version is raised, and never gives it back
            secret_key_wo=pulumi.Output.secret(broker.secret),
            secret_key_wo_version=version,
            **thaw(self._foundation.aws_config),
            opts=self._opts(),
        )
