"""The foundation's part in Vault: what `Environment` makes there, or adopts where somebody else made it.

What is adopted is read and checked, and never changed or deleted, with all that the foundation would have put in it:
the engine's settings, a database's connections. The check is about what others rely on: the right kind of mount, and
names of sessions and logins that tell the user and can't become syntax.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pulumi
import pulumi_vault as vault

from narrowgate_pulumi.texts import thaw

if TYPE_CHECKING:
    from collections.abc import Mapping

    from narrowgate.compile.documents import FoundationDocuments, Json

# What stands in the SDK's block `postgresql` of a connection; the rest belongs to every kind of database.
POSTGRESQL_BLOCK = ("connection_url", "password_authentication", "username", "username_template")


class VaultFoundation:
    """Makes or adopts each part of the foundation in Vault; its resources are children of `parent`."""

    def __init__(self, name: str, documents: FoundationDocuments, parent: pulumi.Resource) -> None:
        self._name = name
        self._documents = documents
        self._parent = parent

    def build(self, passwords: Mapping[str, pulumi.Input[str]], password_version: int) -> None:
        """Build all parts: whatever tools come later, none of them changes the foundation."""
        adopted = self._documents.adopted
        (self._adopt_aws if "aws" in adopted else self._make_aws)()
        if "database" in adopted:
            self._adopt_database()
        else:
            self._make_database(passwords, password_version)
        (self._adopt_kv if "kv" in adopted else self._make_kv)()
        (self._adopt_pki if "pki" in adopted else self._make_pki)()
        (self._adopt_issuer if "issuer" in adopted else self._make_issuer)()
        (self._adopt_signing_key if "signing_key" in adopted else self._make_signing_key)()
        self._make_revocations()

    def _opts(self, *after: pulumi.Resource) -> pulumi.ResourceOptions:
        # Paths are known before deploy, so no edge tells what comes first.
        return pulumi.ResourceOptions(parent=self._parent, depends_on=list(after))

    def _shown(self, kind: str) -> list[str]:
        """Return what of an engine's answers Vault's audit log shows in the clear."""
        return list(self._documents.audit_response_keys.get(kind, ()))

    def _make_aws(self) -> None:
        vault.aws.SecretBackend(
            f"{self._name}-aws",
            path=self._documents.aws_mount,
            description="Short-lived AWS credentials of agents' tools",
            audit_non_hmac_response_keys=self._shown("aws"),
            **thaw(self._documents.aws_config),
            opts=self._opts(),
        )

    def _adopt_aws(self) -> None:
        path, wanted = self._documents.aws_mount, self._documents.aws_config["username_template"]
        backend = vault.aws.SecretBackend.get(f"{self._name}-aws", path, opts=self._opts())
        expect(f"the AWS engine at {path}", "username_template", backend.username_template, wanted)

    def _make_database(self, passwords: Mapping[str, pulumi.Input[str]], password_version: int) -> None:
        mount = vault.Mount(
            f"{self._name}-database",
            path=self._documents.database_mount,
            type="database",
            description="Short-lived database logins of agents' tools",
            audit_non_hmac_response_keys=self._shown("database"),
            opts=self._opts(),
        )
        for connection in self._documents.database_connections:
            connect_database(f"{self._name}-database", connection, passwords, password_version, mount, self._parent)

    def _adopt_database(self) -> None:
        path = self._documents.database_mount
        self._adopt_mount("database", path, "database")
        for connection in self._documents.database_connections:
            found = vault.database.SecretBackendConnection.get(
                f"{self._name}-database-{connection['name']}", f"{path}/config/{connection['name']}", opts=self._opts()
            )
            # A login's name holds the user's, so the template that keeps it from becoming SQL is not optional.
            expect(
                f"the connection {path}/config/{connection['name']}",
                "username_template",
                found.postgresql.apply(lambda block: block.username_template if block else None),
                connection["username_template"],
            )

    def _make_kv(self) -> None:
        path = self._documents.kv_mount
        mount = vault.Mount(
            f"{self._name}-kv",
            path=path,
            type="kv",
            options={"version": "2"},
            description="Keys of systems that know no short-lived credentials; people fill and rotate them",
            opts=self._opts(),
        )
        # Two people who rotate a key at once must not overwrite each other.
        vault.kv.SecretBackendV2(f"{self._name}-kv-settings", mount=path, cas_required=True, opts=self._opts(mount))

    def _adopt_kv(self) -> None:
        path = self._documents.kv_mount
        mount = self._adopt_mount("kv", path, "kv")
        version = mount.options.apply(lambda options: (options or {}).get("version"))
        expect(f"the KV engine at {path}", "version", version, "2")

    def _make_pki(self) -> None:
        path, root = self._documents.pki_mount, thaw(self._documents.pki_root)
        mount = vault.Mount(
            f"{self._name}-pki",
            path=path,
            type="pki",
            description="Client certificates of agents' tools",
            audit_non_hmac_response_keys=self._shown("pki"),
            # The CA can live no longer than its mount's leases.
            max_lease_ttl_seconds=int(root["ttl"].removesuffix("s")),
            opts=self._opts(),
        )
        vault.pkisecret.SecretBackendRootCert(
            f"{self._name}-pki-root",
            backend=path,
            type="internal",  # the key is made in Vault and never leaves it
            **root,
            opts=self._opts(mount),
        )

    def _adopt_pki(self) -> None:
        self._adopt_mount("pki", self._documents.pki_mount, "pki")

    def _make_issuer(self) -> None:
        vault.identity.Oidc(f"{self._name}-issuer", issuer=self._documents.issuer, opts=self._opts())

    def _adopt_issuer(self) -> None:
        found = vault.identity.Oidc.get(f"{self._name}-issuer", "identity/oidc/config", opts=self._opts())
        expect("Vault's identity tokens", "issuer", found.issuer, self._documents.issuer)

    def _make_signing_key(self) -> None:
        vault.identity.OidcKey(
            f"{self._name}-signing-key",
            name=self._documents.signing_key,
            **thaw(self._documents.signing_key_config),
            opts=self._opts(),
        )

    def _adopt_signing_key(self) -> None:
        key = self._documents.signing_key
        found = vault.identity.OidcKey.get(f"{self._name}-signing-key", key, opts=self._opts())
        clients = found.allowed_client_ids.apply(lambda names: sorted(names or ()))
        expect(f"the signing key {key}", "allowed_client_ids", clients, ["*"])

    def _make_revocations(self) -> None:
        vault.Mount(
            f"{self._name}-revocations",
            path=self._documents.revocations_mount,
            type="kv",
            options={"version": "2"},
            description="Which workflows an operator has revoked; deploys keep to it",
            opts=self._opts(),
        )

    def _adopt_mount(self, part: str, path: str, kind: str) -> vault.Mount:
        mount = vault.Mount.get(f"{self._name}-{part}", path, opts=self._opts())
        expect(f"the mount {path}", "type", mount.type, kind)
        return mount


def connect_database(  # noqa: PLR0913, PLR0917 - a connection has this many sides
    prefix: str,
    connection: Json,
    passwords: Mapping[str, pulumi.Input[str]],
    password_version: int,
    mount: vault.Mount,
    parent: pulumi.Resource,
) -> None:
    """Make one connection of a database `mount`, called `<prefix>-<connection>`."""
    settings = thaw(connection)
    block: Any = {
        **{key: settings.pop(key) for key in POSTGRESQL_BLOCK if key in settings},
        # write-only: Vault gets it when it is made or the version is raised, and never gives it back
        "password_wo": pulumi.Output.secret(passwords[settings["name"]]),
        "password_wo_version": password_version,
    }
    vault.database.SecretBackendConnection(
        f"{prefix}-{settings['name']}",
        backend=mount.path,
        postgresql=block,
        **settings,
        opts=pulumi.ResourceOptions(parent=parent, depends_on=[mount]),
    )


def expect(what: str, setting: str, found: pulumi.Output[Any], wanted: object) -> None:
    """End the program, in preview too, where something adopted is not as workflows rely on it."""

    def compare(value: object) -> None:
        if value != wanted:
            raise pulumi.RunError(
                f"{what} cannot be adopted: its {setting} is {value!r}, and workflows rely on {wanted!r}. "
                "Have its owner set that, or take it out of `vault: adopt:` and name another path."
            )

    found.apply(compare)
