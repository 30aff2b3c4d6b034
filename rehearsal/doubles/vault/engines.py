"""The secrets engines that mint agents' credentials, AWS and databases; and the settings of a key-value engine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rehearsal.doubles.vault.mounts import ConfiguredMount, configured_mount, duration_seconds
from rehearsal.doubles.vault.settings import Fields, settings_type

if TYPE_CHECKING:
    from rehearsal.doubles.resource import ResourceType
    from rehearsal.doubles.vault.client import Vault
    from rehearsal.doubles.wire import Values

# Write-only: sent with whatever else is written, and in no answer.
KEY_ONCE: Final = "secretKeyWo"
KEY_VERSION: Final = "secretKeyWoVersion"


@dataclass(frozen=True, slots=True)
class RootFields(Fields):
    """The configuration of the AWS engine; its secret key is written, and never read."""

    def encode(self, old: Values, new: Values) -> Values:
        """Return what to write: the engine forgets a key that a write leaves out."""
        data = Fields.encode(self, old, new)
        data.pop("secret_key_wo_version", None)
        once = data.pop("secret_key_wo", "")
        return {**data, "secret_key": once} if once else data


def keep_key(read: Values, old: Values) -> Values:
    """Return a mount that was read, with the key that the program gave."""
    return {**read, **{name: old[name] for name in ("secretKey", KEY_ONCE, KEY_VERSION) if name in old}}


AWS_BACKEND: Final[ResourceType[Vault]] = configured_mount(
    ConfiguredMount(
        "sys/mounts",
        "{path}/config/root",
        kind="aws",
        fields=RootFields(
            {
                "accessKey": "",
                "iamEndpoint": "",
                "identityTokenAudience": "",
                "identityTokenTtl": 0,
                "maxRetries": -1,
                "region": "",
                "roleArn": "",
                "secretKey": "",
                KEY_ONCE: "",
                KEY_VERSION: 0,
                "stsEndpoint": "",
                "stsFallbackEndpoints": [],
                "stsFallbackRegions": [],
                "stsRegion": "",
                "usernameTemplate": "",
            }
        ),
    ),
    defaults={"path": "aws"},
    secrets=frozenset({"accessKey", "secretKey", KEY_ONCE}),
    equal={KEY_ONCE: lambda _one, _other: True},
    adopt=keep_key,
    provider_only=frozenset({"disableRemount"}),
)
AWS_ROLE: Final[ResourceType[Vault]] = settings_type(
    "{backend}/roles/{name}",
    Fields(
        {
            "credentialType": "",
            "defaultStsTtl": 0,
            "externalId": "",
            "iamGroups": [],
            "iamTags": {},
            "maxStsTtl": 0,
            "mfaSerialNumber": "",
            "permissionsBoundaryArn": "",
            "policyArns": [],
            "policyDocument": "",
            "roleArns": [],
            "sessionTags": {},
            "userPath": "",
        }
    ),
    required=frozenset({"credentialType"}),
    unordered=frozenset({"iamGroups", "policyArns", "roleArns"}),
    documents=frozenset({"policyDocument"}),
)
DATABASE_ROLE: Final[ResourceType[Vault]] = settings_type(
    "{backend}/roles/{name}",
    Fields(
        {
            "creationStatements": [],
            "credentialConfig": {},
            "credentialType": "password",
            "dbName": "",
            "defaultTtl": 0,
            "maxTtl": 0,
            "renewStatements": [],
            "revocationStatements": [],
            "rollbackStatements": [],
        }
    ),
    required=frozenset({"creationStatements", "dbName"}),
)

# The block `postgresql` of a connection, and what the server has where the block says nothing.
POSTGRESQL: Final = Fields(
    {
        "connectionUrl": "",
        "disableEscaping": False,
        "maxConnectionLifetime": 0,
        "maxIdleConnections": 0,
        "maxOpenConnections": 0,
        "password": "",
        "passwordAuthentication": "",
        "username": "",
        "usernameTemplate": "",
    }
)
# Write-only: sent when the connection is made or the version changes, and in no answer.
PASSWORD_ONCE: Final = "passwordWo"  # noqa: S105 -- a property's name
PASSWORD_VERSION: Final = "passwordWoVersion"  # noqa: S105 -- as above
UNANSWERED: Final = ("password", PASSWORD_ONCE, PASSWORD_VERSION)
ROTATION_ANSWER: Final = "root_credentials_rotate_statements"


@dataclass(frozen=True, slots=True)
class ConnectionFields(Fields):
    """The fields of a connection: the API takes the block's content beside the rest, and answers with it apart.

    The API also answers with another name for the rotation statements, and never with the password.
    """

    def encode(self, old: Values, new: Values) -> Values:
        """Return what to write."""
        data = Fields.encode(self, old, new)
        data.pop("postgresql", None)
        before, after = old.get("postgresql") or {}, new.get("postgresql") or {}
        data.update(POSTGRESQL.encode(before, after))
        if PASSWORD_ONCE in after and (not before or before.get(PASSWORD_VERSION) != after.get(PASSWORD_VERSION)):
            data["password"] = after[PASSWORD_ONCE]
        return data

    def decode(self, data: Values) -> Values:
        """Return the properties, the block without what is at its default."""
        properties = Fields.decode(self, {**data, "root_rotation_statements": data.get(ROTATION_ANSWER)})
        block = POSTGRESQL.decode(data.get("connection_details") or {})
        properties["postgresql"] = {name: value for name, value in block.items() if value != POSTGRESQL.absent[name]}
        return properties


def keep_password(read: Values, old: Values) -> Values:
    """Return a connection that was read, with the password that the program gave: the API never answers with it."""
    given = {name: value for name, value in (old.get("postgresql") or {}).items() if name in UNANSWERED}
    return {**read, "postgresql": {**read["postgresql"], **given}}


def same_block(one: Values, other: Values) -> bool:
    """Say whether two blocks mean the same; of a write-only password only its version counts."""
    kept = [{name: value for name, value in block.items() if name != PASSWORD_ONCE} for block in (one, other)]
    return POSTGRESQL.same(*kept)


DATABASE_CONNECTION: Final[ResourceType[Vault]] = settings_type(
    "{backend}/config/{name}",
    ConnectionFields(
        {
            "allowedRoles": [],
            "passwordPolicy": "",
            "pluginName": "",
            "postgresql": {},
            "rootRotationStatements": [],
            "verifyConnection": True,
        }
    ),
    unordered=frozenset({"allowedRoles"}),
    secrets=frozenset({"postgresql.password", f"postgresql.{PASSWORD_ONCE}"}),
    equal={"postgresql": same_block},
    adopt=keep_password,
    defaults={"verifyConnection": True, "pluginName": "postgresql-database-plugin"},
)
KV_SETTINGS: Final[ResourceType[Vault]] = settings_type(
    "{mount}/config",
    Fields({"casRequired": False, "deleteVersionAfter": 0, "maxVersions": 0}),
    equal={"deleteVersionAfter": lambda one, other: duration_seconds(one) == duration_seconds(other)},
    deletable=False,
)
