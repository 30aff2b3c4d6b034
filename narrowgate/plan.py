"""The access plan: the one typed, ordered, immutable list of who may do what, where, for how long, gated or not.

Declarations are turned into a plan once (`narrowgate.declarations`); documents, rules, lock, diff and queries read
only the plan. Values are frozen and sequences are sorted tuples, so equal access is an equal plan whatever the order
of files. This module holds values only: it must not read files, compile documents or judge.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Backend(StrEnum):
    """How a tool's credentials are minted."""

    AWS = "aws"
    POSTGRES = "postgres"
    BEARER = "bearer"
    KV = "kv"
    PKI = "pki"


class Access(StrEnum):
    """What an action does to data, from the least to the most."""

    READ = "read"
    WRITE = "write"
    DELETE = "delete"
    PERMISSIONS = "permissions"


class Impact(StrEnum):
    """How much harm an action can do; `high` is always gated."""

    LOW = "low"
    HIGH = "high"


@dataclass(frozen=True, slots=True)
class Condition:
    """One IAM condition: `operator` (as IAM spells it), context `key`, and sorted `values`."""

    operator: str
    key: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class IamGrant:
    """Exact IAM `actions` (no wildcard) on `resources` (ARNs, values already escaped for their place)."""

    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class RowPredicate:
    """Rows where `column` equals one of `values` (typed literals; one value means equality)."""

    column: str
    values: tuple[str | int | bool, ...]


@dataclass(frozen=True, slots=True)
class TableGrant:
    """SQL `privileges` (SELECT, INSERT, UPDATE, DELETE) on `columns` of `schema.table`, in rows that match all `rows`.

    DELETE takes no columns in PostgreSQL; a grant of it has an empty `columns`.
    """

    schema: str
    table: str
    privileges: tuple[str, ...]
    columns: tuple[str, ...]
    rows: tuple[RowPredicate, ...] = ()


@dataclass(frozen=True, slots=True)
class FunctionGrant:
    """EXECUTE on one SQL function; `arguments` are its argument types, as PostgreSQL identifies it."""

    schema: str
    function: str
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ClaimGrant:
    """A signed claim for a bearer tool: the `audience` and the scope (JSON text, canonical) that the token carries."""

    audience: str
    scope: str


@dataclass(frozen=True, slots=True)
class SecretGrant:
    """Read of one KV path, whose value must be rotated every `max_age_seconds`."""

    path: str
    max_age_seconds: int


@dataclass(frozen=True, slots=True)
class CertificateGrant:
    """A client certificate whose only name is `uri_san` (a SPIFFE id)."""

    uri_san: str


Grant = IamGrant | TableGrant | FunctionGrant | ClaimGrant | SecretGrant | CertificateGrant


@dataclass(frozen=True, slots=True)
class Factor:
    """One approval factor: `required` distinct people, each from any of `groups`."""

    groups: tuple[str, ...]
    required: int


@dataclass(frozen=True, slots=True)
class Approval:
    """Who must approve a gated action. Factors are AND; a request expires after `expires_seconds`."""

    factors: tuple[Factor, ...]
    expires_seconds: int


@dataclass(frozen=True, slots=True)
class Execution:
    """How an executor carries out a gated action: by `handler`, with inputs that fit the JSON Schema `inputs`.

    `call` is what the handler is told, the workflow's scope and the environment's names filled in; what stands as
    `${inputs.x}`, `${digest}`, `${request}`, `${requester}` or `${approvers}` is filled in when it executes. `inputs`
    and `call` are canonical JSON text; `description` is the action's.
    """

    handler: str
    inputs: str
    call: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class ActionAccess:
    """One allowed action of a tool, with all that it grants. `gated` actions never reach the agent's credentials.

    A gated action without `execution` can be carried out by nobody: nothing is deployed for it.
    """

    name: str
    access: Access
    impact: Impact
    gated: bool
    grants: tuple[Grant, ...]
    approval: Approval | None = None
    execution: Execution | None = None


@dataclass(frozen=True, slots=True)
class ToolAccess:
    """One tool as one workflow may use it. `scope` is the declared data scope, as canonical JSON text.

    `secret_fields` are names of fields that no record of a call holds: no access, so they count in no comparison.
    """

    workflow: str
    tool: str
    backend: Backend
    scope: str
    actions: tuple[ActionAccess, ...]
    ttl_seconds: int
    max_ttl_seconds: int
    secret_fields: tuple[str, ...] = field(default=(), compare=False)

    @property
    def granted(self) -> tuple[ActionAccess, ...]:
        """Return the actions whose credentials the agent itself may hold."""
        return tuple(action for action in self.actions if not action.gated)

    @property
    def gated(self) -> tuple[ActionAccess, ...]:
        """Return the actions that only the executor can carry out, after approval."""
        return tuple(action for action in self.actions if action.gated)

    @property
    def executable(self) -> tuple[ActionAccess, ...]:
        """Return the gated actions that an executor knows how to carry out."""
        return tuple(action for action in self.gated if action.execution is not None and action.approval is not None)


@dataclass(frozen=True, slots=True)
class WorkflowAccess:
    """One agent identity: one use case, one owner, the users it may act for and the tools it may call."""

    name: str
    owner: str
    purpose: str
    identity: str
    requesters: tuple[str, ...]
    ttl_seconds: int
    max_ttl_seconds: int
    tools: tuple[ToolAccess, ...]

    @property
    def proposes(self) -> bool:
        """Return whether its agent may draft anything for people to approve."""
        return any(tool.executable for tool in self.tools)


@dataclass(frozen=True, slots=True)
class AwsBinding:
    """The environment's AWS account. `endpoint_url` is set only where AWS is not AWS (an emulator, a VPC endpoint).

    With `session_tags`, Vault tags each session with workflow, tool and environment, for resource policies to look at.
    `gated_broker_arn` is the broker of gated actions' roles alone; empty where no such action is behind AWS.
    """

    account: str
    region: str
    partition: str = "aws"
    broker_arn: str = ""
    gated_broker_arn: str = ""
    external_id: str = ""
    endpoint_url: str | None = None
    session_tags: bool = False

    @property
    def sts_endpoint(self) -> str:
        """Return the URL of the region's STS."""
        suffix = "amazonaws.com.cn" if self.partition == "aws-cn" else "amazonaws.com"
        return self.endpoint_url or f"https://sts.{self.region}.{suffix}"


@dataclass(frozen=True, slots=True)
class VaultBinding:
    """The environment's Vault: `address`, its CA (`ca_pem`, None for a public one), `namespace`, our mounts' paths.

    `adopt` says what of the foundation somebody else made and keeps: it is neither made nor changed nor deleted.
    `audit` is the audit device that the server's own file declares; None where nobody said that there is one.
    """

    address: str
    ca_pem: str | None = None
    namespace: str | None = None
    aws_mount: str = "narrowgate-aws"
    database_mount: str = "narrowgate-database"
    auth_prefix: str = "agents"
    kv_mount: str = "narrowgate-kv"
    pki_mount: str = "narrowgate-pki"
    signing_key: str = "narrowgate"
    audit: str | None = None
    ci_mount: str = "narrowgate-ci"
    adopt: tuple[str, ...] = ()
    revocations_mount: str = "narrowgate-revocations"
    operator_mount: str = "narrowgate-operators"


@dataclass(frozen=True, slots=True)
class IdentityBinding:
    """Who signs the JWTs with which agents log in: `issuer`, and either `jwks_url` or `public_keys` (PEM).

    The pointers (RFC 6901) say where the user, the agent and the user's groups stand in the claims; the defaults
    are RFC 8693's `sub` and `act.sub`. Agents are named `agent_prefix` + workflow.
    """

    issuer: str
    jwks_url: str | None = None
    public_keys: tuple[str, ...] = ()
    user_claim: str = "/sub"
    agent_claim: str = "/act/sub"
    groups_claim: str = "/groups"
    agent_prefix: str = "agent:"
    audience_prefix: str = "narrowgate"


@dataclass(frozen=True, slots=True)
class KubernetesBinding:
    """The cluster whose service accounts log in: its API server, and that server's CA."""

    host: str
    ca_pem: str


@dataclass(frozen=True, slots=True)
class WorkflowBinding:
    """Who a workflow's agent is in one environment, where the login is no JWT: what its platform calls it."""

    workflow: str
    namespace: str | None = None
    service_account: str | None = None
    principal_arn: str | None = None
    cidrs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolBinding:
    """The real things behind a tool in one environment, by name (bucket, host, port, database, …), sorted."""

    tool: str
    values: tuple[tuple[str, str | int], ...]

    def get(self, name: str) -> str | int | None:
        """Return the bound value of `name`, or None."""
        return dict(self.values).get(name)


@dataclass(frozen=True, slots=True)
class Limits:
    """The environment's caps on time, in seconds."""

    max_ttl_seconds: int = 3600
    max_session_seconds: int = 28800


@dataclass(frozen=True, slots=True)
class DeployerBinding:
    """Which jobs of CI are the environment's deployer (`subject`) and its read-only preview (`preview_subject`).

    CI's `issuer` signs their tokens for `audience`; its keys are at `jwks_url`, or are `public_keys` (PEM). `claims`
    and `preview_claims` are what else a token must say, word for word, where it can be asked (Vault, not AWS).
    `adopt_provider` says that the account already has an OIDC provider for the issuer.
    """

    issuer: str
    audience: str
    subject: str
    preview_subject: str
    jwks_url: str | None = None
    public_keys: tuple[str, ...] = ()
    claims: tuple[tuple[str, str], ...] = ()
    preview_claims: tuple[tuple[str, str], ...] = ()
    adopt_provider: bool = False


@dataclass(frozen=True, slots=True)
class OperatorBinding:
    """Who may stop workflows: the identity provider's `groups` (any of them), and `aws_principal`, an IAM ARN."""

    groups: tuple[str, ...]
    aws_principal: str


@dataclass(frozen=True, slots=True)
class TrailBinding:
    """The environment's audit trail: an organization's, by its ARN, or one that the foundation makes.

    `data_events` are the ARNs (or beginnings of ARNs, ending in `*`) of the data whose reads and writes are logged.
    """

    organization_trail_arn: str | None = None
    bucket: str = ""
    access_log_bucket: str = ""
    data_events: tuple[str, ...] = ()
    retention_days: int = 365
    lock_days: int = 365
    lock_mode: str = "governance"
    notify: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PageBinding:
    """The approvers' page: the `url` that browsers open, and the client that it is at the identity provider.

    `discovery_url` is where Vault finds the provider's OpenID Connect configuration, `scopes` what it asks for beside
    `openid`. The client's secret is no binding: it is given to Vault at a deploy.
    """

    url: str
    client_id: str
    discovery_url: str
    scopes: tuple[str, ...] = ()

    @property
    def callback(self) -> str:
        """Return the one address to which the identity provider may send a browser back."""
        return f"{self.url}/oidc/callback"


@dataclass(frozen=True, slots=True)
class ApprovalsBinding:
    """Who may approve here: `groups` of the identity provider, sorted; no login of anybody else reads a case.

    `page` is None where people give the page a token, or there is none.
    """

    groups: tuple[str, ...]
    page: PageBinding | None = None


@dataclass(frozen=True, slots=True)
class Environment:
    """One environment: one Pulumi stack, one AWS account, one Vault (or namespace), and what names mean there."""

    name: str
    aws: AwsBinding
    vault: VaultBinding
    identity: IdentityBinding
    tools: tuple[ToolBinding, ...] = ()
    limits: Limits = field(default_factory=Limits)
    kubernetes: KubernetesBinding | None = None
    workflows: tuple[WorkflowBinding, ...] = ()
    deployer: DeployerBinding | None = None
    operator: OperatorBinding | None = None
    trail: TrailBinding | None = None
    approvals: ApprovalsBinding | None = None

    def agent(self, workflow: str) -> WorkflowBinding:
        """Return the binding of `workflow`; an unbound one has an empty one."""
        return next((b for b in self.workflows if b.workflow == workflow), WorkflowBinding(workflow))

    def binding(self, tool: str) -> ToolBinding:
        """Return the binding of `tool`; an unbound tool has an empty one."""
        return next((b for b in self.tools if b.tool == tool), ToolBinding(tool, ()))


@dataclass(frozen=True, slots=True)
class ForeignName:
    """A text that means `what` (in words) of the environment `environment`, which is another one than that judged."""

    name: str
    what: str
    environment: str


@dataclass(frozen=True, slots=True, order=True)
class RuleException:
    """A resource that need not keep a rule, for `reason`, until the end of the day `expires` (as in 2026-12-31).

    `resource` is its Pulumi URN without stack and project; `owner` answers for it.
    """

    rule: str
    resource: str
    reason: str
    owner: str
    expires: str


@dataclass(frozen=True, slots=True)
class AccessPlan:
    """All access of one environment: its workflows, sorted by name, and its exceptions from rules, sorted."""

    environment: Environment
    workflows: tuple[WorkflowAccess, ...]
    exceptions: tuple[RuleException, ...] = ()

    def workflow(self, name: str) -> WorkflowAccess | None:
        """Return the workflow called `name`, or None."""
        return next((w for w in self.workflows if w.name == name), None)
