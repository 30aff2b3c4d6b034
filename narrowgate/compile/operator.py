"""The operator: the system identity of people who stop workflows (`narrowgate revoke`). It can cut, and grant nothing.

People log in with the environment's own identity provider, in groups that the environment binds. In Vault the identity
disables what exists and never enables it. IAM can't limit what an inline policy says, so in AWS its bounds are the
tools' roles and their boundary: SECURITY.md says what that means. This module must not look at any workflow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from narrowgate.compile import names
from narrowgate.compile.documents import AuthMount, AuthRole, OperatorDocuments, SystemIdentity, SystemRole, VaultPolicy
from narrowgate.compile.hcl import PathRule, render_policy
from narrowgate.compile.iam_policy import policy_document
from narrowgate.compile.identity import LEEWAY_SECONDS, trust_issuer

if TYPE_CHECKING:
    from narrowgate.compile.documents import Json
    from narrowgate.plan import Environment, OperatorBinding

SESSION_SECONDS: Final = 3600
# Denied though never allowed: a policy that somebody attaches later must not give them either.
_HANDING_ON: Final = (
    "cloudtrail:*", "iam:PassRole", "sts:AssumeRole", "sts:AssumeRoleWithSAML", "sts:GetFederationToken",
    "sts:TagSession",
)  # fmt: skip


def compile_operator(environment: Environment) -> OperatorDocuments | None:
    """Return the operator's documents; None where the environment binds no operator."""
    binding = environment.operator
    if binding is None:
        return None
    mount = AuthMount(environment.vault.operator_mount, "jwt", trust_issuer(environment))
    rules = render_policy("The operator: takes access away, and gives none", _rules(environment), patterns=True)
    return OperatorDocuments(
        auth_mount=mount,
        operator=SystemIdentity(
            kind=names.OPERATOR,
            role=_role(environment, binding),
            policy=VaultPolicy(names.SYSTEM_POLICIES[names.OPERATOR], rules),
            auth_role=AuthRole(mount.path, names.OPERATOR, _login(environment, binding)),
        ),
    )


def _rules(environment: Environment) -> list[PathRule]:
    vault = environment.vault
    login = f"auth/{vault.auth_prefix}/+/login"
    minted = (f"{vault.aws_mount}/sts/+", f"{vault.database_mount}/creds/+")
    gated = (f"{names.gated_mount(vault.aws_mount)}/sts/+", f"{names.gated_mount(vault.database_mount)}/creds/+")
    leased = (login, *minted, *gated)
    return [
        PathRule("auth/token/lookup-self", ("read",), "see how long the login lasts"),
        PathRule("auth/token/revoke-self", ("update",), "log out"),
        PathRule(f"{vault.revocations_mount}/data/+", ("create", "read", "update"), "what is revoked, and why"),
        PathRule(f"{vault.revocations_mount}/metadata", ("list",), "which workflows have a record"),
        PathRule("narrowgate-held/metadata/+/+", ("list",), "how many requests wait for approval"),
        PathRule("sys/auth", ("read",), "the accessor of a workflow's auth mount"),
        PathRule(f"auth/{vault.auth_prefix}/+/role/+", ("delete", "read"), "refuse logins: a deploy makes it anew"),
        # Vault asks for sudo on leases and on the list of tokens, whoever comes.
        *(PathRule(f"sys/leases/lookup/{path}", ("list", "sudo"), "count what is left") for path in leased),
        *(PathRule(f"sys/leases/revoke-prefix/{path}", ("sudo", "update"), "end all of it") for path in leased),
        PathRule("auth/token/accessors", ("list", "sudo"), "find one user's tokens"),
        PathRule("auth/token/lookup-accessor", ("update",), "see whose a token is"),
        PathRule("auth/token/revoke-accessor", ("update",), "end one user's tokens"),
        PathRule("identity/lookup/entity", ("update",), "find one user of one workflow"),
        PathRule(
            "identity/entity/id/+",
            ("update",),
            "refuse one user; nothing else of an entity can be set, and nobody is let in again",
            allowed_parameters={"disabled": ("true",)},
            required_parameters=("disabled",),
        ),
    ]


def _role(environment: Environment, binding: OperatorBinding) -> SystemRole:
    aws = environment.aws
    trust = {"Action": "sts:AssumeRole", "Effect": "Allow", "Principal": {"AWS": binding.aws_principal}}
    return SystemRole(
        name=names.system_role_name(environment.name, names.OPERATOR),
        path=names.iam_role_path(environment.name, "system"),
        trust_policy=policy_document([trust]),
        policies={"cut": policy_document(_statements(environment, f"arn:{aws.partition}:iam::{aws.account}:role"))},
        max_session_seconds=SESSION_SECONDS,
        tags={"environment": environment.name, "managed-by": "narrowgate", "system-identity": names.OPERATOR},
    )


def _statements(environment: Environment, prefix: str) -> list[Json]:
    roles = [f"{prefix}{names.iam_role_path(environment.name)}*"]
    boundary = names.boundary_arn(environment.aws.partition, environment.aws.account, environment.name)
    within = {"StringEquals": {"iam:PermissionsBoundary": boundary}}
    return [
        {"Action": "iam:PutRolePolicy", "Condition": within, "Effect": "Allow", "Resource": roles, "Sid": "Cut"},
        {"Action": "iam:GetRolePolicy", "Effect": "Allow", "Resource": roles, "Sid": "SeeTheCut"},
        {"Action": "iam:*", "Effect": "Deny", "NotResource": roles, "Sid": "NowhereElse"},
        {"Action": list(_HANDING_ON), "Effect": "Deny", "Resource": "*", "Sid": "NoHandingOn"},
    ]


def _login(environment: Environment, binding: OperatorBinding) -> dict[str, Any]:
    identity = environment.identity
    return {
        "bound_audiences": [names.operator_audience(identity.audience_prefix, environment.name)],
        "bound_claims": {identity.groups_claim: sorted(binding.groups)},
        "bound_claims_type": "string",
        "clock_skew_leeway": LEEWAY_SECONDS,
        "expiration_leeway": LEEWAY_SECONDS,
        "not_before_leeway": LEEWAY_SECONDS,
        "role_type": "jwt",
        "token_max_ttl": SESSION_SECONDS,
        "token_no_default_policy": True,
        "token_policies": [names.SYSTEM_POLICIES[names.OPERATOR]],
        "token_ttl": SESSION_SECONDS,
        "token_type": "service",
        "user_claim": identity.user_claim,
        "user_claim_json_pointer": True,
    }
