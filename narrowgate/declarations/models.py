"""The shape of every declaration: strict types, no unknown keys. JSON Schemas for editors come from these models.

What needs more than one file (does the tool exist? does the scope fit it?) is judged in `planning`.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BeforeValidator, Field

from narrowgate.compile.backends.backend import Declared
from narrowgate.compile.names import MAX_NAME_LENGTH, NAME
from narrowgate.declarations.durations import Duration  # noqa: TC001 - pydantic reads annotations at run time

FORMAT_VERSION: Final = 1


def _check_version(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool) and value > FORMAT_VERSION:
        raise ValueError(f"version {value} is newer than this Narrowgate, which knows {FORMAT_VERSION}: update it")
    return value


def _check_name(value: object) -> object:
    if isinstance(value, str) and (len(value) > MAX_NAME_LENGTH or not NAME.fullmatch(value)):
        raise ValueError(f"{value!r} is no name: lower-case letters, digits and single `-`, {MAX_NAME_LENGTH} at most")
    return value


Version = Annotated[Literal[1], BeforeValidator(_check_version, json_schema_input_type=Literal[1])]
Name = Annotated[
    str,
    BeforeValidator(
        _check_name,
        json_schema_input_type=Annotated[str, Field(pattern=f"^{NAME.pattern}$", max_length=MAX_NAME_LENGTH)],
    ),
]
# A group as the identity provider names it: it becomes a bound claim, never syntax.
GroupName = Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]+$")]
Line = Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00-\x1f\x7f]+$")]
# IAM tag values and Vault metadata carry the owner.
Owner = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9 _.:/=+@-]+$")]
ScopeName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=63)]
ScopeScalar = str | int | bool


class ActionDeclaration(Declared):
    """One operation of a tool: what it does to data, how much harm it can do, and what it needs."""

    access: Literal["read", "write", "delete", "permissions"]
    impact: Literal["low", "high"]
    description: Line | None = None
    grants: Annotated[list[dict[str, Any]], Field(min_length=1)]


class ToolDeclaration(Declared):
    """One system that agents can call, as its owner describes it."""

    version: Version
    tool: Name
    backend: Literal["aws", "postgres", "bearer", "kv", "pki"]
    description: Line
    owner: Owner | None = None
    scope: dict[ScopeName, dict[str, Any]] = Field(default_factory=dict)
    actions: Annotated[dict[Name, ActionDeclaration], Field(min_length=1)]


class Session(Declared):
    """How long a login of the agent lives: `ttl` until it must renew, `max_ttl` at most."""

    ttl: Duration
    max_ttl: Duration


class ToolUse(Declared):
    """A tool as a workflow uses it: these actions, on this data; credentials live as the session or shorter."""

    actions: Annotated[list[Name], Field(min_length=1)]
    scope: dict[ScopeName, ScopeScalar | list[ScopeScalar]] = Field(default_factory=dict)
    ttl: Duration | None = None
    max_ttl: Duration | None = None


class FactorDeclaration(Declared):
    """One further approval factor: `required` distinct people of any of `approvers`."""

    approvers: Annotated[list[GroupName], Field(min_length=1)]
    required: Annotated[int, Field(ge=1, le=10)] = 1


class ApprovalDeclaration(Declared):
    """Who approves a gated action: any of `approvers`, `required` of them; `all_of` adds factors that must hold too."""

    approvers: Annotated[list[GroupName], Field(min_length=1)] | None = None
    required: Annotated[int, Field(ge=1, le=10)] = 1
    all_of: list[FactorDeclaration] = Field(default_factory=list)
    expires: Duration


class WorkflowDeclaration(Declared):
    """One agent identity: one use case, one owner, the users it acts for, and exactly what it may do."""

    version: Version
    workflow: Name
    owner: Owner
    purpose: Line
    environments: Annotated[list[Name], Field(min_length=1)]
    identity: Literal["jwt", "kubernetes", "approle", "aws"]
    requesters: Literal["none"] | Annotated[list[GroupName], Field(min_length=1)]
    session: Session
    tools: Annotated[dict[Name, ToolUse], Field(min_length=1)]
    approvals: dict[str, ApprovalDeclaration] = Field(default_factory=dict)


class AwsDeclaration(Declared):
    """The environment's AWS account, and Vault's broker in it."""

    account: Annotated[str, Field(pattern=r"^[0-9]{12}$")]
    region: Annotated[str, Field(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]$")]
    partition: Literal["aws", "aws-cn", "aws-us-gov"] = "aws"
    broker_arn: Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:iam::[0-9]{12}:(user|role)/[A-Za-z0-9_+=,.@/-]+$")]
    external_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_+=,.@:/-]{2,256}$")]
    endpoint_url: Annotated[str, Field(pattern=r"^https?://[A-Za-z0-9.:\[\]_-]+$")] | None = None
    session_tags: bool = False


class VaultDeclaration(Declared):
    """The environment's Vault or OpenBao, and the paths of our mounts there."""

    address: Annotated[str, Field(pattern=r"^https://[A-Za-z0-9.:\[\]_-]+$")]
    ca_pem: Annotated[str, Field(pattern=r"-----BEGIN CERTIFICATE-----")] | None = None
    namespace: Annotated[str, Field(pattern=r"^[A-Za-z0-9_/-]+$")] | None = None
    aws_mount: Annotated[str, Field(pattern=r"^[a-z0-9_/-]+$")] = "narrowgate-aws"
    database_mount: Annotated[str, Field(pattern=r"^[a-z0-9_/-]+$")] = "narrowgate-database"
    auth_prefix: Name = "agents"
    kv_mount: Annotated[str, Field(pattern=r"^[a-z0-9_/-]+$")] = "narrowgate-kv"
    pki_mount: Annotated[str, Field(pattern=r"^[a-z0-9_/-]+$")] = "narrowgate-pki"
    signing_key: Name = "narrowgate"


Pointer = Annotated[str, Field(pattern=r"^(/[^/\x00-\x1f]+)+$")]


class IdentityDeclaration(Declared):
    """Who signs the tokens with which agents log in, and where user, agent and groups stand in their claims."""

    issuer: Annotated[str, Field(pattern=r"^https?://[^\s]+$")]
    jwks_url: Annotated[str, Field(pattern=r"^https://[^\s]+$")] | None = None
    public_keys: list[Annotated[str, Field(pattern=r"-----BEGIN PUBLIC KEY-----")]] = Field(default_factory=list)
    user_claim: Pointer = "/sub"
    agent_claim: Pointer = "/act/sub"
    groups_claim: Pointer = "/groups"
    agent_prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9:/._-]*$")] = "agent:"
    audience_prefix: Annotated[str, Field(pattern=r"^[A-Za-z0-9:/._-]+$")] = "narrowgate"


class KubernetesDeclaration(Declared):
    """The cluster whose service accounts log in: its API server, and that server's CA."""

    host: Annotated[str, Field(pattern=r"^https://[A-Za-z0-9.:\[\]_-]+$")]
    ca_pem: Annotated[str, Field(pattern=r"-----BEGIN CERTIFICATE-----")]


KubernetesName = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")]


class WorkflowBindingDeclaration(Declared):
    """Who a workflow's agent is here: a service account, an IAM principal, or the networks that it may call from."""

    namespace: KubernetesName | None = None
    service_account: KubernetesName | None = None
    principal_arn: (
        Annotated[str, Field(pattern=r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9_+=,.@/-]+$")] | None
    ) = None
    cidrs: list[Annotated[str, Field(pattern=r"^[0-9A-Fa-f.:]+/[0-9]{1,3}$")]] = Field(default_factory=list)


class LimitsDeclaration(Declared):
    """Caps on time: `max_ttl` for a tool's credentials, `max_session` for an agent's login."""

    max_ttl: Duration = Field(default="1h", validate_default=True)
    max_session: Duration = Field(default="8h", validate_default=True)


class EnvironmentDeclaration(Declared):
    """One environment: what `narrowgate:environment` holds in `Pulumi.<stack>.yaml`."""

    name: Annotated[Name, Field(max_length=20)]
    aws: AwsDeclaration
    vault: VaultDeclaration
    identity: IdentityDeclaration
    limits: LimitsDeclaration = Field(default_factory=LimitsDeclaration)
    kubernetes: KubernetesDeclaration | None = None
    tools: dict[Name, dict[ScopeName, str | int]] = Field(default_factory=dict)
    workflows: dict[Name, WorkflowBindingDeclaration] = Field(default_factory=dict)
