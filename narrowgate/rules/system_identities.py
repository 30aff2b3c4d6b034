"""What the system identities of an environment may do at most: one fixed table, which stands in place of exceptions.

A tool's identity must keep rules that a system identity can't keep by its nature: the deployer makes roles, the broker
assumes them. So each of them is judged against its own *ceiling*, by comparing what the policies allow, and is refused
for one statement more. The ceilings are written here, not taken from the compilers that they check. Adding an identity
is one entry. This module says what is allowed; `system_identity_fixed` judges.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from narrowgate.compile import names
from narrowgate.rules.estate import Identity
from narrowgate.rules.facts import IamIdentity, VaultAuthRole, VaultPolicy

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from narrowgate.plan import Environment, OperatorBinding
    from narrowgate.rules.estate import Subject
    from narrowgate.rules.settings import Settings

BROKER: Final = "broker"
GATED_BROKER: Final = "gated broker"

# What these ask of a tool's identity is not what a system identity is; all other rules hold for it too.
REPLACED_RULES: Final = frozenset(
    {
        "access-within-lock",
        "iam-boundary-required",
        "iam-no-privilege-escalation",
        "iam-no-wildcard-resource",
        "iam-role-no-admin",
        "vault-policy-no-root-paths",
        "vault-policy-no-sudo",
        "vault-policy-own-paths",
        "workflow-no-shared-identity",
        "workflow-owner-required",
    }
)


@dataclass(frozen=True, slots=True)
class Login:
    """How a system identity logs in to Vault: at `mount`, with a token for `audience` with `claims`.

    Each claim is one text, or several of which the token has one. `redirects` are where a login by a browser comes back
    to; without any it is a login by a token.
    """

    mount: str
    audience: str
    claims: tuple[tuple[str, str | tuple[str, ...]], ...]
    redirects: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The most that one system identity may do and who may be it.

    `arn` is its IAM role or user, `allows` the most that its IAM policies may allow (JSON), `trusts` the most that its
    trust policy may (JSON; empty: it is no role that a stack makes). `policy` names its Vault policy, `paths` is the
    most that this grants (HCL); both empty where it has no login to Vault, as `login` is None then. `browser_login` is
    a second way in for the same people.
    """

    kind: str
    arn: str
    allows: str
    trusts: str = ""
    policy: str = ""
    paths: str = ""
    login: Login | None = None
    browser_login: Login | None = None

    @property
    def name(self) -> str:
        """Return the IAM name."""
        return self.arn.rsplit("/", 1)[-1]

    @property
    def path(self) -> str:
        """Return the IAM path."""
        return "/" + "/".join(self.arn.split("/")[1:-1]) + "/"


# path, what the deployer may do there, what the preview may; `+` is one segment
_ALL: Final = "create read update delete"
_DEPLOYED_PATHS: Final = (
    # a workflow's login
    ("sys/auth/{auth_prefix}/+", f"{_ALL} sudo", "read sudo"),
    ("sys/auth/{auth_prefix}/+/tune", "read update sudo", "read sudo"),
    ("sys/mounts/auth/{auth_prefix}/+/tune", "read update", "read"),
    ("auth/{auth_prefix}/+/config", "create read update", "read"),
    ("auth/{auth_prefix}/+/config/client", _ALL, "read"),
    ("auth/{auth_prefix}/+/role/+", _ALL, "read"),
    ("auth/{auth_prefix}/+/role/+/role-id", "create read update", "read"),
    # its policies, by the beginning of their names: no system identity's policy is called so
    ("sys/policies/acl/agent.*", _ALL, "read"),
    ("sys/policies/acl/gated.*", _ALL, "read"),
    ("sys/policies/acl/tool.*", _ALL, "read"),
    # an executor's login for one request; never the executor's own
    ("auth/executors/role/gated.*", _ALL, "read"),
    # how its credentials are minted, never the credentials
    ("{aws_mount}/roles/+", _ALL, "read"),
    ("{database_mount}/roles/+", _ALL, "read"),
    ("{aws_mount}-gated/roles/+", _ALL, "read"),
    ("{database_mount}-gated/roles/+", _ALL, "read"),
    ("{pki_mount}/roles/+", _ALL, "read"),
    ("identity/oidc/role/+", _ALL, "read"),
    ("{kv_mount}/metadata/*", "create read update", "read"),
    # what an operator has revoked, never to be changed by a deploy
    ("{revocations_mount}/config", "read", "read"),
    ("{revocations_mount}/data/+", "read", "read"),
    ("{revocations_mount}/metadata", "list", "list"),
    # the key of its ledger: it can be made, not exported, changed or deleted
    ("narrowgate-transit/keys/+", "create read update", "read"),
    # the login itself
    ("auth/token/lookup-self", "read", "read"),
    ("auth/token/renew-self", "update", "update"),
    ("auth/token/revoke-self", "update", "update"),
    # whether the server has control groups at all
    ("sys/control-group/request", "update", "update"),
)
_PEOPLE_PATHS: Final = (
    ("auth/token/revoke-self", "update"),
    ("identity/entity/id/+", "read"),
    ("identity/group/id/+", "read"),
    ("sys/control-group/request", "update"),
    ("narrowgate-decisions/data/+/+/+", "read"),
    ("narrowgate-decisions/data/_stops/+", "read"),
    ("narrowgate-decisions/metadata/+/+", "list"),
    ("narrowgate-decisions/metadata/_stops", "list"),
)
# an approver reads cases and writes decisions of its own, once each
_APPROVER_PATHS: Final = (
    *_PEOPLE_PATHS,
    ("auth/token/lookup-self", "read"),
    ("sys/control-group/authorize", "update"),
    ("narrowgate-cases/data/+/+", "read"),
    ("narrowgate-cases/metadata/+", "list"),
    ("narrowgate-held/metadata/+/+", "list"),
    ("narrowgate-decisions/data/+/+/{{{{identity.entity.id}}}}", "create read"),
    ("narrowgate-decisions/data/_stops/{{{{identity.entity.id}}}}", "create read"),
    ("narrowgate-records/data/+/+/claim", "read"),
    ("narrowgate-records/data/+/+/outcome", "read"),
)
# an executor makes cases and records, once each, and keeps its own tool's held requests; it authorizes nothing
_EXECUTOR_PATHS: Final = (
    *_PEOPLE_PATHS,
    ("{revocations_mount}/data/+", "read"),
    ("narrowgate-drafts/metadata/+", "list"),
    ("narrowgate-drafts/metadata/+/+", "list"),
    ("narrowgate-drafts/data/+/+/{tool}.*", "read"),
    ("narrowgate-cases/data/+/+", "create read"),
    ("narrowgate-records/data/+/+/claim", "create read"),
    ("narrowgate-records/data/+/+/outcome", "create read"),
    ("narrowgate-records/data/_answers/+/+/+", "create read"),
    ("narrowgate-records/metadata/_answers/+/+", "list"),
    ("narrowgate-decisions/metadata/+", "list"),
    ("narrowgate-transit/sign/executor.{tool}", "update"),
    ("narrowgate-ledger/data/executor.{tool}/{{{{identity.entity.id}}}}/+", "create"),
    ("narrowgate-held/data/+/{tool}/+", "create read"),
    ("narrowgate-held/metadata/+/{tool}/*", "delete list"),
    ("{aws_mount}/sts/executor.{tool}.*", "read"),
    ("{database_mount}/creds/executor.{tool}.*", "read"),
    ("identity/oidc/token/executor.{tool}.*", "read"),
)
# path, what the operator may do there
_OPERATED_PATHS: Final = (
    ("{revocations_mount}/data/+", "create read update"),
    ("{revocations_mount}/metadata", "list"),
    # how many requests wait for approval, never what they are
    ("narrowgate-held/metadata/+/+", "list"),
    # a workflow's login: gone until the next deploy
    ("sys/auth", "read"),
    ("auth/{auth_prefix}/+/role/+", "read delete"),
    # leases and tokens: to count and to end, never to get
    ("sys/leases/lookup/auth/{auth_prefix}/+/login", "list sudo"),
    ("sys/leases/lookup/{aws_mount}/sts/+", "list sudo"),
    ("sys/leases/lookup/{database_mount}/creds/+", "list sudo"),
    ("sys/leases/lookup/{aws_mount}-gated/sts/+", "list sudo"),
    ("sys/leases/lookup/{database_mount}-gated/creds/+", "list sudo"),
    ("sys/leases/revoke-prefix/auth/{auth_prefix}/+/login", "update sudo"),
    ("sys/leases/revoke-prefix/{aws_mount}/sts/+", "update sudo"),
    ("sys/leases/revoke-prefix/{database_mount}/creds/+", "update sudo"),
    ("sys/leases/revoke-prefix/{aws_mount}-gated/sts/+", "update sudo"),
    ("sys/leases/revoke-prefix/{database_mount}-gated/creds/+", "update sudo"),
    ("auth/token/accessors", "list sudo"),
    ("auth/token/lookup-accessor", "update"),
    ("auth/token/revoke-accessor", "update"),
    ("identity/lookup/entity", "update"),
    # the login itself
    ("auth/token/lookup-self", "read"),
    ("auth/token/revoke-self", "update"),
)
_DISABLE: Final = """path "identity/entity/id/+" {
  capabilities = ["update"]
  allowed_parameters = { "disabled" = ["true"] }
  required_parameters = ["disabled"]
}"""
_CHANGES: Final = (
    "iam:CreateRole", "iam:DeleteRole", "iam:DeleteRolePolicy", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy",
    "iam:UpdateAssumeRolePolicy", "iam:UpdateRole",
)  # fmt: skip
_TAGS: Final = ("iam:TagRole", "iam:UntagRole")
_READS: Final = (
    "iam:GetRole", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies", "iam:ListInstanceProfilesForRole",
    "iam:ListRolePolicies", "iam:ListRoleTags",
)  # fmt: skip


def ceilings_of(environment: Environment) -> tuple[Ceiling, ...]:
    """Return the ceiling of each system identity that `environment` has."""
    aws = environment.aws
    found = [_broker(environment, BROKER, aws.broker_arn, "tool")] if aws.broker_arn else []
    if aws.gated_broker_arn:
        found.append(_broker(environment, GATED_BROKER, aws.gated_broker_arn, "gated"))
    if environment.deployer is not None:
        binding = environment.deployer
        for kind, subject, claims in (
            (names.DEPLOYER, binding.subject, binding.claims),
            (names.PREVIEW, binding.preview_subject, binding.preview_claims),
        ):
            login = Login(environment.vault.ci_mount, binding.audience, (("sub", subject), *claims))
            found.append(_of_ci(environment, kind, login, (binding.issuer, subject)))
    if environment.operator is not None:
        found.append(_operator(environment, environment.operator))
    if environment.trail is not None and environment.trail.organization_trail_arn is None:
        found.append(_trail(environment))
    return (*found, *_of_gate(environment))


def _of_gate(environment: Environment) -> Iterator[Ceiling]:
    """Yield the ceilings of approvers and of each tool's executor, where there is a gate."""
    if environment.approvals is None:
        return
    prefix = f"{environment.identity.audience_prefix}:{environment.name}"
    groups = ((environment.identity.groups_claim, environment.approvals.groups),)
    login = Login(names.APPROVERS_MOUNT, f"{prefix}:approvers", groups)
    page = environment.approvals.page
    browser = None
    if page is not None:
        browser = Login(names.APPROVERS_MOUNT, page.client_id, groups, (f"{page.url}/oidc/callback",))
    paths = _hcl(_APPROVER_PATHS)
    yield Ceiling(names.APPROVER, "", "", policy="system.approver", paths=paths, login=login, browser_login=browser)
    for bound in environment.tools:
        tool = bound.tool
        login = Login(names.EXECUTORS_MOUNT, f"{prefix}:executors:{tool}", (("sub", f"executor:{tool}"),))
        places = environment.vault
        paths = _hcl(
            _EXECUTOR_PATHS,
            tool=tool,
            aws_mount=places.aws_mount,
            database_mount=places.database_mount,
            revocations_mount=places.revocations_mount,
        )
        policy = f"system.executor.{tool}"
        yield Ceiling(f"{names.EXECUTOR}.{tool}", "", "", policy=policy, paths=paths, login=login)


def _hcl(rows: tuple[tuple[str, str], ...], **places: str) -> str:
    return "\n".join(
        f"path {json.dumps(path.format(**places))} {{ capabilities = {json.dumps(granted.split())} }}"
        for path, granted in rows
    )


def _broker(environment: Environment, kind: str, arn: str, roles: str) -> Ceiling:
    """Return a broker's: it assumes roles of one kind, tools' or gated ones, and nothing else."""
    allows = _document(_allow(("sts:AssumeRole", "sts:TagSession"), _roles(environment, roles)))
    return Ceiling(kind, arn, allows)


def _operator(environment: Environment, binding: OperatorBinding) -> Ceiling:
    """Return the operator's: it takes access away; of an entity it can set that it is disabled, and nothing else."""
    aws, identity = environment.aws, environment.identity
    boundary = f"arn:{aws.partition}:iam::{aws.account}:policy/narrowgate/{environment.name}/boundary"
    within = {"StringEquals": {"iam:PermissionsBoundary": boundary}}
    roles = _roles(environment, "tool")
    audience = f"{identity.audience_prefix}:{environment.name}:system:operator"
    return Ceiling(
        kind=names.OPERATOR,
        arn=_system_arn(environment, names.OPERATOR),
        allows=_document(
            _allow(("iam:PutRolePolicy",), roles, Condition=within), _allow(("iam:GetRolePolicy",), roles)
        ),
        trusts=_document({"Effect": "Allow", "Principal": {"AWS": binding.aws_principal}, "Action": "sts:AssumeRole"}),
        policy=names.SYSTEM_POLICIES[names.OPERATOR],
        paths=f"{_render(environment, _OPERATED_PATHS, 1)}\n{_DISABLE}",
        login=Login(environment.vault.operator_mount, audience, ((identity.groups_claim, binding.groups),)),
    )


def _trail(environment: Environment) -> Ceiling:
    """Return the ceiling of the role by which CloudTrail writes to the trail's log group, and nowhere else."""
    aws, name = environment.aws, environment.name
    streams = (
        f"arn:{aws.partition}:logs:{aws.region}:{aws.account}:log-group:/narrowgate/{name}/trail"
        f":log-stream:{aws.account}_CloudTrail_{aws.region}*"
    )
    source = f"arn:{aws.partition}:cloudtrail:{aws.region}:{aws.account}:trail/narrowgate-{name}"
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "cloudtrail.amazonaws.com"},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"aws:SourceAccount": aws.account, "aws:SourceArn": source}},
    }
    return Ceiling(
        kind=names.TRAIL,
        arn=_system_arn(environment, names.TRAIL),
        allows=_document(_allow(("logs:CreateLogStream", "logs:PutLogEvents"), [streams])),
        trusts=_document(trust),
    )


def _system_arn(environment: Environment, kind: str) -> str:
    aws, role = environment.aws, names.system_role_name(environment.name, kind)
    return f"arn:{aws.partition}:iam::{aws.account}:role/narrowgate/{environment.name}/system/{role}"


def _of_ci(environment: Environment, kind: str, login: Login, job: tuple[str, str]) -> Ceiling:
    issuer, subject = job
    aws, host = environment.aws, issuer.removeprefix("https://").rstrip("/")
    roles = _roles(environment, "gated", "tool")
    boundary = f"arn:{aws.partition}:iam::{aws.account}:policy/narrowgate/{environment.name}/boundary"
    statements = [_allow(_READS, roles)]
    if kind == names.DEPLOYER:
        within = {"StringEquals": {"iam:PermissionsBoundary": boundary}}
        statements += [_allow(_CHANGES, roles, Condition=within), _allow(_TAGS, roles)]
    trust = {
        "Effect": "Allow",
        "Principal": {"Federated": f"arn:{aws.partition}:iam::{aws.account}:oidc-provider/{host}"},
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {"StringEquals": {f"{host}:aud": login.audience, f"{host}:sub": subject}},
    }
    return Ceiling(
        kind=kind,
        arn=_system_arn(environment, kind),
        allows=_document(*statements),
        trusts=_document(trust),
        policy=names.SYSTEM_POLICIES[kind],
        paths=_render(environment, _DEPLOYED_PATHS, 1 if kind == names.DEPLOYER else 2),
        login=login,
    )


def _roles(environment: Environment, *kinds: str) -> list[str]:
    aws = environment.aws
    return [f"arn:{aws.partition}:iam::{aws.account}:role/narrowgate/{environment.name}/{kind}/*" for kind in kinds]


def _allow(actions: tuple[str, ...], resources: list[str], **more: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return {"Effect": "Allow", "Action": list(actions), "Resource": resources, **more}


def _document(*statements: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


def _render(environment: Environment, rows: tuple[tuple[str, ...], ...], column: int) -> str:
    vault = environment.vault
    return _hcl(
        tuple((row[0], row[column]) for row in rows),
        auth_prefix=vault.auth_prefix,
        aws_mount=vault.aws_mount,
        database_mount=vault.database_mount,
        kv_mount=vault.kv_mount,
        pki_mount=vault.pki_mount,
        revocations_mount=vault.revocations_mount,
    )


def is_system_identity(subject: Subject, settings: Settings) -> bool:
    """Tell whether `subject` bears the name of a system identity of the environment, hence is judged by the table."""
    return find_kind(subject, settings) is not None


def find_kind(subject: Subject, settings: Settings) -> str | None:
    """Return which system identity `subject` is of, by its name: of an IAM role or user, a Vault policy or a login."""
    match subject:
        case Identity() | IamIdentity():
            known = {}
            if settings.environment:
                kinds = (*names.SYSTEM_POLICIES, names.TRAIL)
                known = {names.system_role_name(settings.environment, kind): kind for kind in kinds}
            known |= {broker.rsplit("/", 1)[-1]: BROKER for broker in settings.brokers}
            known |= {broker.rsplit("/", 1)[-1]: GATED_BROKER for broker in settings.gated_brokers}
            return known.get(subject.name) if subject.kind in {"role", "user"} else None
        case VaultPolicy():
            return _kind_of(subject.name)
        case VaultAuthRole():
            return next((kind for policy in subject.policies if (kind := _kind_of(policy)) is not None), None)
    return None


def _kind_of(policy: str) -> str | None:
    """Return which system identity's policy it is by name, known or not; None for any other policy."""
    return policy.removeprefix(names.SYSTEM_PREFIX) if policy.startswith(names.SYSTEM_PREFIX) else None
