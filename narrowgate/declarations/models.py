"""The shape of every declaration: strict types, no unknown keys. JSON Schemas for editors come from these models.

What needs more than one file (does the tool exist? does the scope fit it?) is judged in `planning`.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from narrowgate.compile.backends import BACKENDS
from narrowgate.compile.backends.backend import Declared
from narrowgate.compile.names import MAX_NAME_LENGTH, NAME
from narrowgate.declarations.durations import Duration  # noqa: TC001 - pydantic reads annotations at run time

FORMAT_VERSION: Final = 1


def _check_version(value: object) -> object:
    # Python takes True for 1.
    if isinstance(value, bool):
        raise ValueError("a version is a number")  # noqa: TRY004 - pydantic reports a ValueError with its place
    if isinstance(value, int) and value > FORMAT_VERSION:
        raise ValueError(f"version {value} is newer than this Narrowgate, which knows {FORMAT_VERSION}: update it")
    return value


def _check_name(value: object) -> object:
    if isinstance(value, str) and (len(value) > MAX_NAME_LENGTH or not NAME.fullmatch(value)):
        raise ValueError(f"{value!r} is no name: lower-case letters, digits and single `-`, {MAX_NAME_LENGTH} at most")
    return value


def _check_backend(value: str) -> str:
    if value not in BACKENDS:
        raise ValueError(f"no backend {value!r}; known: {', '.join(sorted(BACKENDS))}")
    return value


Version = Annotated[Literal[1], BeforeValidator(_check_version, json_schema_input_type=Literal[1])]
# For schemas only, where a key's length can be said nowhere else than in its pattern.
_NAME_SCHEMA: Final = rf"^(?=.{{1,{MAX_NAME_LENGTH}}}$){NAME.pattern}$"
Name = Annotated[str, BeforeValidator(_check_name, json_schema_input_type=Annotated[str, Field(pattern=_NAME_SCHEMA)])]
BackendName = Annotated[str, AfterValidator(_check_backend), WithJsonSchema({"enum": sorted(BACKENDS)})]
# A group as the identity provider names it: it becomes a bound claim, never syntax.
GroupName = Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]+$")]
Line = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]+$")]
# IAM tag values and Vault metadata carry the owner.
Owner = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9 _.:/=+@-]+$")]
ScopeName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
ScopeScalar = str | int | bool
FieldPattern = Annotated[str, Field(pattern=r"^\*?[A-Za-z0-9][A-Za-z0-9_-]{1,60}\*?$")]


class ActionDeclaration(Declared):
    """One operation of a tool: what it does to data, how much harm it can do, and what it needs."""

    access: Literal["read", "write", "delete", "permissions"]
    """What it does to data. `delete` and `permissions` are always of high impact."""
    impact: Literal["low", "high"]
    """How much harm it can do. `high` is always gated: it needs an approval."""
    description: Line | None = None
    """What it is for, in one line."""
    grants: Annotated[list[dict[str, Any]], Field(min_length=1)]
    """What it needs, in the terms of the tool's backend."""
    inputs: dict[str, Any] | None = None
    """What an agent proposes, where it is gated: a JSON Schema of an object that has no other keys."""
    execute: dict[str, Any] | None = None
    """How an executor carries it out after the approval, in the terms of the `handler` that it names."""


class ToolDeclaration(Declared):
    """One system that agents can call, as its owner describes it."""

    version: Version
    """The version of this format: 1."""
    tool: Name
    """The tool's name; the file is named so."""
    backend: BackendName
    """How its credentials are minted."""
    description: Line
    """What it is, in one line."""
    owner: Owner | None = None
    """Who runs the system behind it."""
    scope: dict[ScopeName, dict[str, Any]] = Field(default_factory=dict)
    """The data scope that a workflow must give: a JSON Schema for each value."""
    secret_fields: list[FieldPattern] = Field(default_factory=list)
    """Fields of inputs, outputs and statements that no record of a call may hold, by name; `*` stands for any text."""
    actions: Annotated[dict[Name, ActionDeclaration], Field(min_length=1)]
    """The operations that agents can be allowed, by name."""


class Session(Declared):
    """How long a login of the agent lives: `ttl` until it must renew, `max_ttl` at most."""

    ttl: Duration
    """How long until it must renew."""
    max_ttl: Duration
    """How long at most."""


class ToolUse(Declared):
    """A tool as a workflow uses it: these actions, on this data; credentials live as the session or shorter."""

    actions: Annotated[list[Name], Field(min_length=1)]
    """The actions that are allowed."""
    scope: dict[ScopeName, ScopeScalar | list[ScopeScalar]] = Field(default_factory=dict)
    """The data that they may touch."""
    ttl: Duration | None = None
    """How long its credentials live; the session's `ttl` otherwise."""
    max_ttl: Duration | None = None
    """How long at most; the session's `max_ttl`, within the environment's cap, otherwise."""


class FactorDeclaration(Declared):
    """One further approval factor: `required` distinct people of any of `approvers`."""

    approvers: Annotated[list[GroupName], Field(min_length=1)]
    """The groups of which any member may approve."""
    required: Annotated[int, Field(ge=1, le=10)] = 1
    """How many distinct people must."""


class ApprovalDeclaration(Declared):
    """Who approves a gated action: any of `approvers`, `required` of them; `all_of` adds factors that must hold too."""

    approvers: Annotated[list[GroupName], Field(min_length=1)] | None = None
    """The groups of which any member may approve."""
    required: Annotated[int, Field(ge=1, le=10)] = 1
    """How many distinct people must."""
    all_of: list[FactorDeclaration] = Field(default_factory=list)
    """Further factors, which must hold too."""
    expires: Duration
    """How long the request waits for its approvals."""


class WorkflowDeclaration(Declared):
    """One agent identity: one use case, one owner, the users it acts for, and exactly what it may do."""

    version: Version
    """The version of this format: 1."""
    workflow: Name
    """The workflow's name; the file is named so."""
    owner: Owner
    """Who answers for it."""
    purpose: Line
    """What it is for, in one line."""
    environments: Annotated[list[Name], Field(min_length=1)]
    """Where it exists. Promotion is one more name here, in a reviewed change."""
    identity: Literal["jwt", "kubernetes", "approle", "aws"]
    """How its agent logs in. Only `jwt` carries a user."""
    requesters: Literal["none"] | Annotated[list[GroupName], Field(min_length=1)]
    """The groups whose members it may act for; `none` for a scheduled workflow."""
    session: Session
    """How long a login lives."""
    tools: Annotated[dict[Name, ToolUse], Field(min_length=1)]
    """The tools that it may call; no others exist for it."""
    approvals: dict[str, ApprovalDeclaration] = Field(default_factory=dict)
    """Who approves its gated actions, by `tool.action`."""


class AwsDeclaration(Declared):
    """The environment's AWS account, and Vault's broker in it."""

    account: Annotated[str, Field(pattern=r"^[0-9]{12}$")]
    """The account's number."""
    region: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$")]
    """The region."""
    partition: Literal["aws", "aws-cn", "aws-us-gov"] = "aws"
    """The partition."""
    broker_arn: Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:iam::[0-9]{12}:(user|role)/[A-Za-z0-9_+=,.@/-]+$")]
    """Vault's own identity in the account, under the environment's path."""
    gated_broker_arn: (
        Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:iam::[0-9]{12}:(user|role)/[A-Za-z0-9_+=,.@/-]+$")] | None
    ) = None
    """Vault's other identity there, which assumes gated actions' roles and no other; needed where there are such."""
    external_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_+=,.@:/-]{2,256}$")]
    """What Vault gives with each AssumeRole; roles ask for it."""
    endpoint_url: Annotated[str, Field(pattern=r"^https?://[A-Za-z0-9.:\[\]_-]+$")] | None = None
    """Only where AWS is not AWS: an emulator, or a VPC endpoint."""
    session_tags: bool = False
    """Whether Vault tags each session with workflow, tool and environment."""


MountPath = Annotated[str, Field(pattern=r"^[a-z0-9_-]+(/[a-z0-9_-]+)*$", max_length=128)]


class VaultDeclaration(Declared):
    """The environment's Vault or OpenBao, and the paths of our mounts there."""

    address: Annotated[str, Field(pattern=r"^https://[A-Za-z0-9.:\[\]_-]+$")]
    """Its URL; TLS always."""
    ca_pem: Annotated[str, Field(pattern=r"-----BEGIN CERTIFICATE-----")] | None = None
    """The CA that signed its certificate, as PEM; none for a public one."""
    namespace: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$")] | None = None
    """The namespace in which all of this is."""
    aws_mount: MountPath = "narrowgate-aws"
    """Where the AWS secrets engine is mounted."""
    database_mount: MountPath = "narrowgate-database"
    """Where the database secrets engine is mounted."""
    auth_prefix: Name = "agents"
    """Where the workflows' auth mounts are."""
    kv_mount: MountPath = "narrowgate-kv"
    """Where the KV v2 engine of `kv` tools is mounted."""
    pki_mount: MountPath = "narrowgate-pki"
    """Where the PKI engine of `pki` tools is mounted."""
    signing_key: Name = "narrowgate"
    """The key that signs the tokens of `bearer` tools."""
    audit: MountPath | None = None
    """The audit device that the server's own file declares, by its path; OpenBao takes none by its API."""
    ci_mount: MountPath = "narrowgate-ci"
    """Where CI's own jobs log in: the deployer and the preview."""
    adopt: list[Literal["aws", "database", "issuer", "kv", "pki", "signing_key"]] = Field(default_factory=list)
    """What exists already and stays its owner's: the foundation checks it, and never makes, changes or deletes it."""
    revocations_mount: MountPath = "narrowgate-revocations"
    """Where the records of revoked workflows are kept, outside every stack."""
    operator_mount: MountPath = "narrowgate-operators"
    """Where people log in who may stop workflows."""


Pointer = Annotated[str, Field(pattern=r"^(/[^/\x00-\x1f]+)+$")]


class IdentityDeclaration(Declared):
    """Who signs the tokens with which agents log in, and where user, agent and groups stand in their claims."""

    issuer: Annotated[str, Field(pattern=r"^https?://[^\s]+$")]
    """The `iss` of the tokens."""
    jwks_url: Annotated[str, Field(pattern=r"^https://[^\s]+$")] | None = None
    """Where its keys are published."""
    public_keys: list[Annotated[str, Field(pattern=r"-----BEGIN PUBLIC KEY-----")]] = Field(default_factory=list)
    """Its keys as PEM, where Vault cannot reach it."""
    user_claim: Pointer = "/sub"
    """Where the user stands in the claims (a JSON pointer)."""
    agent_claim: Pointer = "/act/sub"
    """Where the agent stands."""
    groups_claim: Pointer = "/groups"
    """Where the user's groups stand."""
    agent_prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9:/._-]*$")] = "agent:"
    """What stands before the workflow in an agent's name."""
    audience_prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9:/._-]+$")] = "narrowgate"
    """What stands first in an audience: `<prefix>:<environment>:<workflow>`."""


class KubernetesDeclaration(Declared):
    """The cluster whose service accounts log in: its API server, and that server's CA."""

    host: Annotated[str, Field(pattern=r"^https://[A-Za-z0-9.:\[\]_-]+$")]
    """Its API server."""
    ca_pem: Annotated[str, Field(pattern=r"-----BEGIN CERTIFICATE-----")]
    """That server's CA, as PEM."""


KubernetesName = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")]


class WorkflowBindingDeclaration(Declared):
    """Who a workflow's agent is here: a service account, an IAM principal, or the networks that it may call from."""

    namespace: KubernetesName | None = None
    """The Kubernetes namespace of its service account."""
    service_account: KubernetesName | None = None
    """The name of its service account."""
    principal_arn: (
        Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]+$")] | None
    ) = None
    """The ARN of its IAM role."""
    cidrs: list[Annotated[str, Field(pattern=r"^[0-9A-Fa-f.:]+/[0-9]{1,3}$")]] = Field(default_factory=list)
    """The networks from which an approle may log in."""


# A claim's value is bound word for word; Vault's provider takes a comma for several values.
ClaimName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
ClaimValue = Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f,*?]+$")]


class DeployerDeclaration(Declared):
    """Which jobs of CI deploy here and which only look: what the foundation makes of it is CI's identity.

    A subject names one repository, and one protected environment (or protected branch) of CI: never a pull request,
    never a pattern.
    """

    issuer: Annotated[str, Field(pattern=r"^https://[A-Za-z0-9.-]+(/[A-Za-z0-9._~/-]+)?$")]
    """The `iss` of CI's tokens."""
    jwks_url: Annotated[str, Field(pattern=r"^https://[^\s]+$")] | None = None
    """Where CI's keys are published."""
    public_keys: list[Annotated[str, Field(pattern=r"-----BEGIN PUBLIC KEY-----")]] = Field(default_factory=list)
    """Its keys as PEM, where Vault cannot reach it."""
    audience: Annotated[str, Field(pattern=r"^[A-Za-z0-9:/._-]{1,255}$")]
    """The `aud` that a job asks for; another one for each environment."""
    subject: Annotated[str, Field(min_length=1, max_length=512, pattern=r"^[\x21-\x7e]+$")]
    """The `sub` of the job that runs `pulumi up`."""
    preview_subject: Annotated[str, Field(min_length=1, max_length=512, pattern=r"^[\x21-\x7e]+$")]
    """The `sub` of the job that runs `pulumi preview`; another one."""
    claims: dict[ClaimName, ClaimValue] = Field(default_factory=dict)
    """What else Vault asks of the deployer's token, such as `repository_id`; AWS can't."""
    preview_claims: dict[ClaimName, ClaimValue] = Field(default_factory=dict)
    """The same of the preview's token."""
    adopt_provider: bool = False
    """Whether the account already has an OIDC provider for the issuer; then it must know the audience."""


class OperatorDeclaration(Declared):
    """Who may stop a workflow, or one user of it, by `narrowgate revoke`; that identity can grant nothing."""

    groups: Annotated[list[ClaimValue], Field(min_length=1)]
    """The identity provider's groups whose people may, any of them."""
    aws_principal: Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:iam::[0-9]{12}:(role|user)/[A-Za-z0-9_+=,.@/-]+$")]
    """The IAM role (or user) of those people that may assume the operator's role."""


class PageDeclaration(Declared):
    """The approvers' page, where people log in to it by OpenID Connect through Vault."""

    url: Annotated[str, Field(pattern=r"^(https://[a-z0-9][a-z0-9.-]*|http://(localhost|127\.0\.0\.1))(:[0-9]{1,5})?$")]
    """What browsers call it, without a path: over https, or on Vault's own machine."""
    client_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9._:/@-]{1,256}$")]
    """The client that it is at the identity provider; the client's secret is given at a deploy, by a file."""
    discovery_url: Annotated[str, Field(pattern=r"^(https://|http://(localhost|127\.0\.0\.1)[:/])[^\s?#]+$")] | None = (
        None
    )
    """Where the provider's OpenID Connect configuration stands, without `/.well-known/…`; by default its issuer."""
    scopes: list[Annotated[str, Field(pattern=r"^[A-Za-z0-9._:/-]{1,128}$")]] = Field(default=[])
    """What is asked for beside `openid`, so that the token names the person's groups."""


class ApprovalsDeclaration(Declared):
    """Who may approve here. An administrator names the groups; the identity provider says who is in them."""

    groups: Annotated[list[Annotated[GroupName, Field(pattern=r"^[^,*\x00-\x1f\x7f]+$")]], Field(min_length=1)]
    """The groups whose members may be approvers of a workflow."""
    page: PageDeclaration | None = None
    """The page's login by OpenID Connect; without it people give the page a token."""


class LimitsDeclaration(Declared):
    """Caps on time: `max_ttl` for a tool's credentials, `max_session` for an agent's login."""

    max_ttl: Duration = Field(default="1h", validate_default=True)
    """The longest life of a tool's credentials."""
    max_session: Duration = Field(default="8h", validate_default=True)
    """The longest life of an agent's login."""


BucketName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
# Exactly one thing, or with a last `*` all whose ARN begins so; a bucket is always meant with what is in it.
DataEvent = Annotated[
    str,
    Field(
        pattern=r"^arn:aws[a-z-]*:(s3:::[a-z0-9][a-z0-9.-]+/[^*?]*\*"
        r"|dynamodb:[a-z0-9-]+:[0-9]{12}:table/[A-Za-z0-9_.-]*\*?"
        r"|lambda:[a-z0-9-]+:[0-9]{12}:function:[A-Za-z0-9_-]*\*?)$"
    ),
]
# How long CloudWatch Logs keeps a group: it knows these numbers of days only. CIS asks for a year.
RETENTION_DAYS: Final = (365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)


class TrailDeclaration(Declared):
    """Where AWS's own record of every call goes: a trail that the foundation makes, or the organization's.

    Give `organization_trail_arn` alone, or `bucket`, `access_log_bucket` and `data_events`.
    """

    organization_trail_arn: (
        Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:cloudtrail:[a-z0-9-]+:[0-9]{12}:trail/[A-Za-z0-9._-]+$")] | None
    ) = None
    """The organization's trail, which logs this account too: then none is made here."""
    bucket: BucketName | None = None
    """The bucket of the trail's files, made with it: versioned, locked, private, only by TLS."""
    access_log_bucket: BucketName | None = None
    """The bucket of the log of who read those files."""
    data_events: list[DataEvent] | None = None
    """The data whose reads and writes are logged: ARNs of buckets (`arn:aws:s3:::name/*`), tables and functions."""
    retention_days: int = 365
    """How many days CloudWatch Logs keeps the events: 365 at least, in the steps that it knows."""
    lock_days: Annotated[int, Field(ge=365, le=36500)] = 365
    """How many days nobody can delete or change a file of the trail."""
    lock_mode: Literal["governance", "compliance"] = "governance"
    """Whether a few may lift the lock (`governance`), or nobody at all, not even root (`compliance`)."""
    notify: list[Annotated[str, Field(pattern=r"^[^@\s]{1,64}@[A-Za-z0-9.-]{1,190}$")]] = Field(default_factory=list)
    """The mail addresses that the alarms go to; each must confirm once."""


class EnvironmentDeclaration(Declared):
    """One environment: what `narrowgate:environment` holds in `Pulumi.<stack>.yaml`."""

    name: Annotated[Name, Field(max_length=20)]
    """The environment's name."""
    aws: AwsDeclaration
    """The AWS account."""
    vault: VaultDeclaration
    """The Vault or OpenBao."""
    identity: IdentityDeclaration
    """Who signs the tokens that agents log in with."""
    limits: LimitsDeclaration = Field(default_factory=LimitsDeclaration)
    """Caps on time."""
    kubernetes: KubernetesDeclaration | None = None
    """The cluster whose service accounts log in, where a workflow does so."""
    tools: dict[Name, dict[ScopeName, str | int]] = Field(default_factory=dict)
    """The real things behind each tool, by the names that its references use."""
    workflows: dict[Name, WorkflowBindingDeclaration] = Field(default_factory=dict)
    """Who the agents are that log in without a token of the issuer."""
    deployer: DeployerDeclaration | None = None
    """Which jobs of CI deploy here; without it, only people do."""
    operator: OperatorDeclaration | None = None
    """Who may stop a workflow; without it, only administrators can."""
    trail: TrailDeclaration | None = None
    """The audit trail, without which a foundation is refused."""
    approvals: ApprovalsDeclaration | None = None
    """Who may approve; without it, no gated action can be executed here."""
