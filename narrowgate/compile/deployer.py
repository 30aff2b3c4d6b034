"""CI's two identities: the deployer, which runs `up` of the workflow stacks, and preview, which only looks.

The deployer makes and removes what a workflow stack holds, and nothing of what the foundation holds: not the boundary,
not the broker, no mount of secrets, no audit, not itself. What somebody who took it over could still do is said in
SECURITY.md. This module must not look at any workflow: both identities are the same whatever is deployed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from narrowgate.compile import names
from narrowgate.compile.documents import (
    AuthMount,
    AuthRole,
    DeployerDocuments,
    Json,
    SystemIdentity,
    SystemRole,
    VaultPolicy,
)
from narrowgate.compile.hcl import PathRule, render_policy
from narrowgate.compile.iam_policy import policy_document
from narrowgate.compile.identity import LEEWAY_SECONDS
from narrowgate.compile.ledger import SIGNING_MOUNT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from narrowgate.plan import DeployerBinding, Environment

# A deploy of thousands of resources ends within it; a stolen login ends with it.
SESSION_SECONDS: Final = 3600

# AWS tells each of these the boundary that the role has, or is to get.
ROLE_WRITES: Final = (
    "iam:CreateRole", "iam:DeleteRole", "iam:DeleteRolePolicy", "iam:PutRolePermissionsBoundary", "iam:PutRolePolicy",
    "iam:UpdateAssumeRolePolicy", "iam:UpdateRole",
)  # fmt: skip
ROLE_TAGGING: Final = ("iam:TagRole", "iam:UntagRole")
ROLE_READS: Final = (
    "iam:GetRole", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies", "iam:ListInstanceProfilesForRole",
    "iam:ListRolePolicies", "iam:ListRoleTags",
)  # fmt: skip
# Denied though never allowed: a policy that somebody attaches later must not give them either.
_HANDING_ON: Final = (
    "cloudtrail:*", "iam:AddRoleToInstanceProfile", "iam:AttachRolePolicy", "iam:DeleteRolePermissionsBoundary",
    "iam:PassRole", "sts:AssumeRole", "sts:AssumeRoleWithSAML", "sts:GetFederationToken", "sts:TagSession",
)  # fmt: skip

_ALL: Final = ("create", "delete", "read", "update")
_WRITE: Final = ("create", "read", "update")
_SELF_RULES: Final = (
    PathRule("auth/token/lookup-self", ("read",), "see how long the login lasts"),
    PathRule("auth/token/renew-self", ("update",), "renew the login up to its maximum"),
    PathRule("auth/token/revoke-self", ("update",), "log out at the end of the job"),
    PathRule("sys/control-group/request", ("update",), "see that the server has control groups before gating by them"),
)


def compile_deployer(environment: Environment) -> DeployerDocuments | None:
    """Return the documents of CI's identities; None where the environment binds no deployer."""
    binding = environment.deployer
    if binding is None:
        return None
    host = binding.issuer.removeprefix("https://").rstrip("/")
    provider = f"arn:{environment.aws.partition}:iam::{environment.aws.account}:oidc-provider/{host}"
    keys: dict[str, Any] = {"jwks_url": binding.jwks_url}
    if binding.jwks_url is None:
        keys = {"jwt_validation_pubkeys": list(binding.public_keys)}
    return DeployerDocuments(
        issuer=binding.issuer,
        provider_audience=binding.audience,
        provider_arn=provider,
        adopt_provider=binding.adopt_provider,
        auth_mount=AuthMount(environment.vault.ci_mount, "jwt", {"bound_issuer": binding.issuer, **keys}),
        deployer=_deployer(environment, binding, provider, host),
        preview=_preview(environment, binding, provider, host),
    )


def _deployer(environment: Environment, binding: DeployerBinding, provider: str, host: str) -> SystemIdentity:
    trust = _trust(provider, host, binding.audience, binding.subject)
    rules = [*_SELF_RULES, *workflow_rules(environment)]
    return SystemIdentity(
        kind=names.DEPLOYER,
        role=_role(environment, names.DEPLOYER, trust, {"deploy": policy_document(_deploy_statements(environment))}),
        policy=_policy(names.DEPLOYER, "CI's deployer: what a workflow stack holds, and no credential", rules),
        auth_role=_login(environment, names.DEPLOYER, binding.audience, binding.subject, dict(binding.claims)),
    )


def _preview(environment: Environment, binding: DeployerBinding, provider: str, host: str) -> SystemIdentity:
    trust = _trust(provider, host, binding.audience, binding.preview_subject)
    read = {"Action": list(ROLE_READS), "Effect": "Allow", "Resource": role_arns(environment), "Sid": "ReadRoles"}
    rules = [*_SELF_RULES, *(_look_only(rule) for rule in workflow_rules(environment))]
    return SystemIdentity(
        kind=names.PREVIEW,
        role=_role(environment, names.PREVIEW, trust, {"preview": policy_document([read])}),
        policy=_policy(names.PREVIEW, "CI's preview: reads what a workflow stack holds, and no credential", rules),
        auth_role=_login(
            environment, names.PREVIEW, binding.audience, binding.preview_subject, dict(binding.preview_claims)
        ),
    )


def role_arns(environment: Environment) -> list[str]:
    """Return the ARN patterns of all roles that workflow stacks make."""
    aws = environment.aws
    return [
        f"arn:{aws.partition}:iam::{aws.account}:role{names.iam_role_path(environment.name, kind)}*"
        for kind in sorted(names.ROLE_KINDS)
    ]


def _deploy_statements(environment: Environment) -> list[Json]:
    roles = role_arns(environment)
    boundary = names.boundary_arn(environment.aws.partition, environment.aws.account, environment.name)
    with_boundary = {"StringEquals": {"iam:PermissionsBoundary": boundary}}
    without = {"StringNotEquals": {"iam:PermissionsBoundary": boundary}}
    return [
        {
            "Action": list(ROLE_WRITES),
            "Condition": with_boundary,
            "Effect": "Allow",
            "Resource": roles,
            "Sid": "ChangeRolesUnderBoundary",
        },
        {"Action": list(ROLE_TAGGING), "Effect": "Allow", "Resource": roles, "Sid": "TagRoles"},
        {"Action": list(ROLE_READS), "Effect": "Allow", "Resource": roles, "Sid": "ReadRoles"},
        {"Action": "iam:*", "Effect": "Deny", "NotResource": roles, "Sid": "NowhereElse"},
        {
            "Action": list(ROLE_WRITES),
            "Condition": without,
            "Effect": "Deny",
            "Resource": "*",
            "Sid": "NoOtherBoundary",
        },
        {"Action": list(_HANDING_ON), "Effect": "Deny", "Resource": "*", "Sid": "NoHandingOn"},
    ]


def _trust(provider: str, host: str, audience: str, subject: str) -> Json:
    return policy_document(
        [
            {
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {"StringEquals": {f"{host}:aud": audience, f"{host}:sub": subject}},
                "Effect": "Allow",
                "Principal": {"Federated": provider},
            }
        ]
    )


def _role(environment: Environment, kind: str, trust: Json, policies: Mapping[str, Json]) -> SystemRole:
    return SystemRole(
        name=names.system_role_name(environment.name, kind),
        path=names.iam_role_path(environment.name, "system"),
        trust_policy=trust,
        policies=policies,
        max_session_seconds=SESSION_SECONDS,
        tags={"environment": environment.name, "managed-by": "narrowgate", "system-identity": kind},
    )


def workflow_rules(environment: Environment) -> list[PathRule]:
    """Return the Vault paths that a workflow stack writes: workflows' logins, policies and roles, no credential."""
    vault = environment.vault
    agents = f"auth/{vault.auth_prefix}/+"
    gated = (names.gated_mount(vault.aws_mount), names.gated_mount(vault.database_mount))
    engines = (vault.aws_mount, *gated, vault.database_mount, vault.pki_mount)
    return [
        # Vault asks for sudo on these paths, whoever comes.
        PathRule(f"sys/{agents}", (*_ALL, "sudo"), "a workflow's auth mount"),
        PathRule(f"sys/{agents}/tune", ("read", "sudo", "update"), "its times and audited fields"),
        PathRule(f"sys/mounts/{agents}/tune", ("read", "update"), "the same, by its other path"),
        PathRule(f"{agents}/config", _WRITE, "whose tokens it believes"),
        PathRule(f"{agents}/config/client", _ALL, "the same, of a login by AWS"),
        PathRule(f"{agents}/role/+", _ALL, "the agent's login"),
        PathRule(f"{agents}/role/+/role-id", _WRITE, "the public half of a login by approle"),
        PathRule(
            f"auth/{names.EXECUTORS_MOUNT}/role/{names.REQUEST_LOGINS}*", _ALL, "an executor's login for one request"
        ),
        *(PathRule(f"sys/policies/acl/{prefix}*", _ALL, "workflows' policies") for prefix in names.POLICY_PREFIXES),
        *(PathRule(f"{mount}/roles/+", _ALL, "how a tool's credentials are minted") for mount in engines),
        PathRule("identity/oidc/role/+", _ALL, "how a tool's signed tokens are minted"),
        # Deleting metadata would delete the secret too.
        PathRule(f"{SIGNING_MOUNT}/keys/+", _WRITE, "a workflow's key for its ledger"),
        PathRule(f"{vault.kv_mount}/metadata/*", _WRITE, "whose a stored secret is and how old it may get"),
        PathRule(f"{vault.revocations_mount}/config", ("read",), "whether revocations are on record at all"),
        PathRule(f"{vault.revocations_mount}/data/+", ("read",), "what an operator has revoked"),
        PathRule(f"{vault.revocations_mount}/metadata", ("list",), "which workflows have a record"),
    ]


def _look_only(rule: PathRule) -> PathRule:
    kept = tuple(capability for capability in rule.capabilities if capability in {"list", "read", "sudo"})
    return PathRule(rule.path, kept, rule.reason)


def _policy(kind: str, title: str, rules: list[PathRule]) -> VaultPolicy:
    return VaultPolicy(names.SYSTEM_POLICIES[kind], render_policy(title, rules, patterns=True))


def _login(environment: Environment, kind: str, audience: str, subject: str, claims: Mapping[str, str]) -> AuthRole:
    settings: dict[str, Any] = {
        "bound_audiences": [audience],
        "bound_claims": dict(sorted(claims.items())),
        "bound_claims_type": "string",
        "bound_subject": subject,
        "clock_skew_leeway": LEEWAY_SECONDS,
        "expiration_leeway": LEEWAY_SECONDS,
        "not_before_leeway": LEEWAY_SECONDS,
        "role_type": "jwt",
        "token_max_ttl": SESSION_SECONDS,
        "token_no_default_policy": True,
        "token_policies": [names.SYSTEM_POLICIES[kind]],
        "token_ttl": SESSION_SECONDS,
        "token_type": "service",
        "user_claim": "sub",
    }
    return AuthRole(environment.vault.ci_mount, kind, {k: v for k, v in settings.items() if v != {}})
