"""What the compilers make of a plan: plain, frozen documents that components deploy and rules judge as they are.

Every name here is known before deploy, so that no document holds an unknown at preview. Mappings are JSON-ready
dicts with sorted keys; texts are final, byte for byte. This module holds values only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from narrowgate.plan import Environment, ToolAccess, WorkflowAccess

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class VaultPolicy:
    """One Vault ACL policy: its `name` and its HCL `text`."""

    name: str
    text: str


SETTINGS_APART: Final = frozenset({"aws", "kubernetes"})
"""Login methods whose mounts have their settings at a path of their own, and so in a resource of their own."""


@dataclass(frozen=True, slots=True)
class AuthMount:
    """A workflow's own auth mount: `path` (without `auth/`), `type` (jwt, …) and the mount's `config` inputs."""

    path: str
    type: str
    config: Json


@dataclass(frozen=True, slots=True)
class AuthRole:
    """The one role on the workflow's auth mount: `name` and its settings, in Vault's own API field names."""

    mount: str
    name: str
    settings: Json


@dataclass(frozen=True, slots=True)
class IamRole:
    """One IAM role: who may assume it (`trust_policy`) and what it allows (`policies`, by name)."""

    name: str
    path: str
    trust_policy: Json
    policies: Mapping[str, Json]
    boundary_arn: str
    max_session_seconds: int
    tags: Mapping[str, str]

    def arn(self, partition: str, account: str) -> str:
        """Return the role's ARN in `account`."""
        return f"arn:{partition}:iam::{account}:role{self.path}{self.name}"


@dataclass(frozen=True, slots=True)
class VaultSecretRole:
    """A role of a secrets engine: `mount`, `name`, `settings` in Vault's API field names, and the path to read.

    `collection` is what the engine calls its roles in its own paths.
    """

    mount: str
    name: str
    credential_path: str
    settings: Json
    collection: str = "roles"

    @property
    def path(self) -> str:
        """Return the path where the role itself stands."""
        return f"{self.mount}/{self.collection}/{self.name}"


@dataclass(frozen=True, slots=True)
class AwsDocuments:
    """A tool behind AWS: an IAM role of its own and the Vault role that assumes it."""

    role: IamRole
    vault_role: VaultSecretRole


@dataclass(frozen=True, slots=True)
class PostgresDocuments:
    """A tool behind PostgreSQL: the NOLOGIN group role, and the Vault role that makes logins in it.

    `tables` holds each table's grants and row predicates as JSON-ready dicts: the input of `PostgresAccess`, which
    turns them into SQL by `narrowgate.compile.postgres` and keeps the server in step. One dict is one privilege on one
    table: `{"schema", "table", "privilege", "columns": [...], "rows": [{column: [values]}, ...]}`, where `rows` are
    alternatives and `[{}]` is all rows; a function is `{"schema", "function", "arguments": [types]}`. `broker` is
    Vault's login in the database, which makes the logins in the group role.
    """

    group_role: str
    database: str
    host: str
    port: int
    tables: tuple[Json, ...]
    functions: tuple[Json, ...]
    vault_role: VaultSecretRole
    broker: str = "vault_broker"
    sslmode: str = "verify-full"


@dataclass(frozen=True, slots=True)
class BearerDocuments:
    """A tool behind signed tokens: a role of Vault's identity tokens. `settings["template"]` holds the claims.

    In it `accessor_placeholder` stands for the accessor of the workflow's auth mount, which Vault makes up on deploy;
    None where the workflow acts for nobody. `key` names the environment's signing key.
    """

    key: str
    role: VaultSecretRole
    accessor_placeholder: str | None


@dataclass(frozen=True, slots=True)
class KvDocuments:
    """A tool behind a key that cannot be dynamic: one path of a KV v2 mount, which a person fills and rotates.

    `metadata_path` and `custom_metadata` say whose it is and how old it may get.
    """

    mount: str
    credential_path: str
    metadata_path: str
    custom_metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class PkiDocuments:
    """A tool behind client certificates: a PKI role that issues exactly one name, `uri_san`."""

    role: VaultSecretRole
    uri_san: str


@dataclass(frozen=True, slots=True)
class ToolDocuments:
    """All documents of one tool of one workflow; `policy` names the exact credential path and nothing else.

    Only the tool's own backend has documents (`engine` is the role of a backend that needs nothing else); none has
    where every action is gated: then no credential path exists at all and `policy` is None too. `request` is what an
    agent sends to the path beside `ttl`; None means a plain read.
    """

    access: ToolAccess
    policy: VaultPolicy | None
    aws: AwsDocuments | None = None
    postgres: PostgresDocuments | None = None
    bearer: BearerDocuments | None = None
    kv: KvDocuments | None = None
    pki: PkiDocuments | None = None
    engine: VaultSecretRole | None = None
    request: Json | None = None

    @property
    def credential_path(self) -> str | None:
        """Return the one path where the agent fetches this tool's credentials, or None."""
        if self.kv is not None:
            return self.kv.credential_path
        role = next((d.vault_role for d in (self.aws, self.postgres) if d is not None), None)
        role = next((d.role for d in (self.bearer, self.pki) if d is not None), role or self.engine)
        return None if role is None else role.credential_path


@dataclass(frozen=True, slots=True)
class LedgerDocuments:
    """Where a workflow's ledger is vouched for: its signing key (`key_settings` in Vault's names), and its anchors.

    An anchor stands at `<anchor_path>/<entity id>/<name>`.
    """

    key_path: str
    sign_path: str
    anchor_path: str
    key_settings: Json


@dataclass(frozen=True, slots=True)
class Minted:
    """What mints one kind of credentials at the gate: the documents of exactly one backend."""

    aws: AwsDocuments | None = None
    postgres: PostgresDocuments | None = None
    bearer: BearerDocuments | None = None

    @property
    def credential_path(self) -> str:
        """Return the one path where these credentials are had."""
        if self.bearer is not None:
            return self.bearer.role.credential_path
        return next(d.vault_role for d in (self.aws, self.postgres) if d is not None).credential_path


@dataclass(frozen=True, slots=True)
class GatedDocuments:
    """One gated action that an executor can carry out: what mints its credentials, and who may ask for them.

    `policy` grants reading the path of `minted` under a control group, and ending the token; `login` gives that policy
    to a token for one request of the tool's executor. `reader` is what the executor itself reads of the target, None
    where it reads nothing. `description` is the action's entry in the gate's description.
    """

    action: str
    policy: VaultPolicy
    login: AuthRole
    description: Json
    minted: Minted
    reader: Minted | None = None

    @property
    def credential_path(self) -> str:
        """Return the path that waits for approvals."""
        return self.minted.credential_path

    @property
    def mints(self) -> tuple[tuple[str, Minted], ...]:
        """Return what mints credentials here, each with its kind: `gated`, or `read`."""
        reader = () if self.reader is None else (("read", self.reader),)
        return (("gated", self.minted), *reader)


@dataclass(frozen=True, slots=True)
class WorkflowDocuments:
    """All documents of one workflow. `manifest` is what its agent needs to know; it holds no secret."""

    access: WorkflowAccess
    auth_mount: AuthMount
    auth_role: AuthRole
    agent_policy: VaultPolicy
    tools: tuple[ToolDocuments, ...]
    manifest: Json
    ledger: LedgerDocuments
    gated: tuple[GatedDocuments, ...] = ()


@dataclass(frozen=True, slots=True)
class SystemRole:
    """The IAM role of a system identity: no tool's, so not under the tools' boundary; its policies are its limit."""

    name: str
    path: str
    trust_policy: Json
    policies: Mapping[str, Json]
    max_session_seconds: int
    tags: Mapping[str, str]

    def arn(self, partition: str, account: str) -> str:
        """Return the role's ARN in `account`."""
        return f"arn:{partition}:iam::{account}:role{self.path}{self.name}"


@dataclass(frozen=True, slots=True)
class SystemIdentity:
    """One system identity: its IAM role, its Vault policy, and the role of an auth mount by which it logs in."""

    kind: str
    role: SystemRole
    policy: VaultPolicy
    auth_role: AuthRole


@dataclass(frozen=True, slots=True)
class DeployerDocuments:
    """CI's identities: the OIDC provider in AWS (which may be there already), CI's auth mount, deployer and preview."""

    issuer: str
    provider_audience: str
    provider_arn: str
    adopt_provider: bool
    auth_mount: AuthMount
    deployer: SystemIdentity
    preview: SystemIdentity


@dataclass(frozen=True, slots=True)
class OperatorDocuments:
    """The operator's identity, and the auth mount at which people log in as it."""

    auth_mount: AuthMount
    operator: SystemIdentity


@dataclass(frozen=True, slots=True)
class GateIdentity:
    """A system identity at the gate: its Vault policy, its login, and where its ledger is vouched for.

    Approvers keep no ledger: `ledger` is None.
    """

    kind: str
    policy: VaultPolicy
    login: AuthRole
    ledger: LedgerDocuments | None = None


@dataclass(frozen=True, slots=True)
class ApprovalsDocuments:
    """The gate's foundation: KV mounts (`stores`: path to what they hold), logins, and mounts of gated credentials.

    `groups` are Vault's names of the identity provider's groups; who is in them is never written by a deploy.
    `aws_mount` is None where the environment has no broker for gated roles; `page_login` is how the same approvers log
    in through the page, None where they give it a token.
    """

    stores: Mapping[str, str]
    approvers_mount: AuthMount
    executors_mount: AuthMount
    groups: Mapping[str, str]
    approver: GateIdentity
    executors: tuple[GateIdentity, ...]
    database_mount: str
    aws_mount: str | None
    page_login: AuthRole | None = None


@dataclass(frozen=True, slots=True)
class FoundationDocuments:
    """What an environment needs before its workflows: mounts' paths, the permissions boundary, engine settings.

    `adopted` names what of it exists already and is its owner's. `issuer` is what identity tokens call their issuer's
    address; `signing_key_config` and `pki_root` are settings in Vault's API field names.
    `audit_response_keys` says, by a mount's type, which fields of its answers Vault's audit log shows in the clear.
    """

    boundary_name: str
    boundary_path: str
    boundary_policy: Json
    aws_mount: str
    aws_config: Json
    database_mount: str
    database_connections: tuple[Json, ...]
    kv_mount: str = "narrowgate-kv"
    pki_mount: str = "narrowgate-pki"
    signing_key: str = "narrowgate"
    deployer: DeployerDocuments | None = None
    signing_key_config: Json = field(default_factory=dict)
    pki_root: Json = field(default_factory=dict)
    issuer: str = ""
    adopted: tuple[str, ...] = ()
    anchor_mount: str = "narrowgate-ledger"
    signing_mount: str = "narrowgate-transit"
    audit_response_keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    revocations_mount: str = "narrowgate-revocations"
    operator: OperatorDocuments | None = None
    approvals: ApprovalsDocuments | None = None


@dataclass(frozen=True, slots=True)
class PlanDocuments:
    """All documents of one environment, workflows sorted by name.

    `gate` describes its gate to approvers and executors (`narrowgate.approvals.settings` reads it); None where nothing
    that is gated can be executed.
    """

    environment: Environment
    foundation: FoundationDocuments
    workflows: tuple[WorkflowDocuments, ...]
    gate: Json | None = None
