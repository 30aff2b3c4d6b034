"""A workflow's login: an auth mount of its own with one role, bound to one agent and the users it may act for.

For jwt, the token says both: the user in `user_claim`, the agent in `bound_claims` (RFC 8693's `sub` and `act.sub`).
The other logins carry no user, so they are for workflows that act for nobody: a Kubernetes service account, an IAM
role, or an approle whose secret id is handed over wrapped. This module must not know any tool.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from narrowgate.compile import names
from narrowgate.compile.documents import AuthMount, AuthRole, VaultPolicy
from narrowgate.compile.drafts import proposal_rules
from narrowgate.compile.errors import CompileError
from narrowgate.compile.hcl import PathRule, render_policy
from narrowgate.compile.ledger import agent_rules, compile_ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from narrowgate.plan import Environment, WorkflowAccess

# Clocks may differ by this much; Vault's defaults (60 to 150 s) would let an expired login in for minutes.
LEEWAY_SECONDS: Final = 5

# A wrapped secret id is unwrapped and used at once.
SECRET_ID_SECONDS: Final = 300
# A user is known only where the login's token carries one.
CARRIES_USER: Final = frozenset({"jwt"})

# An agent keeps its own token, and ends it: revoking it ends all its leases. Nothing about others' tokens or leases.
_SELF_RULES: Final = (
    PathRule("auth/token/lookup-self", ("read",), "see how long the login lasts"),
    PathRule("auth/token/renew-self", ("update",), "renew the login up to its maximum"),
    PathRule("auth/token/revoke-self", ("update",), "log out, which ends all credentials of this login"),
)


@dataclass(frozen=True, slots=True)
class Login:
    """One kind of login: Vault's type of auth mount, the bindings it needs, and what mount and role are made of."""

    type: str
    needs: Callable[[str, Environment], Mapping[str, object]]
    mount_config: Callable[[Environment], dict[str, Any]]
    role_settings: Callable[[WorkflowAccess, Environment], dict[str, Any]]


def missing_bindings(kind: str, workflow: str, environment: Environment) -> list[str]:
    """Return what `environment` must still bind so that `workflow` can log in by `kind`."""
    login = LOGINS.get(kind)
    return [] if login is None else [name for name, value in login.needs(workflow, environment).items() if not value]


def compile_identity(
    workflow: WorkflowAccess, environment: Environment, tool_policies: tuple[str, ...]
) -> tuple[AuthMount, AuthRole, VaultPolicy]:
    """Return the auth mount, its one role, and the agent's own policy; `tool_policies` are attached beside it."""
    login = LOGINS.get(workflow.identity)
    if login is None:
        known = ", ".join(sorted(LOGINS))
        raise CompileError(f"no login by `{workflow.identity}`", workflow=workflow.name, hint=f"known: {known}")
    if workflow.requesters and workflow.identity not in CARRIES_USER:
        raise CompileError(f"a login by `{workflow.identity}` carries no user", workflow=workflow.name)
    if missing := missing_bindings(workflow.identity, workflow.name, environment):
        raise CompileError(f"{environment.name} does not bind {', '.join(missing)}", workflow=workflow.name)
    title = f"{workflow.name}: what every agent login may do"
    drafts = proposal_rules(workflow.name) if workflow.proposes else ()
    rules = (*_SELF_RULES, *agent_rules(compile_ledger(workflow.name)), *drafts)
    policy = VaultPolicy(names.agent_policy_name(workflow.name), render_policy(title, rules))
    mount = AuthMount(
        names.auth_mount(environment.vault.auth_prefix, workflow.name), login.type, login.mount_config(environment)
    )
    settings: dict[str, Any] = {
        **login.role_settings(workflow, environment),
        "token_max_ttl": workflow.max_ttl_seconds,
        "token_no_default_policy": True,
        "token_policies": sorted([policy.name, *tool_policies]),
        "token_ttl": workflow.ttl_seconds,
        "token_type": "service",
    }
    return mount, AuthRole(mount.path, names.AUTH_ROLE, dict(sorted(settings.items()))), policy


def _audience(workflow: WorkflowAccess, environment: Environment) -> str:
    return names.audience(environment.identity.audience_prefix, environment.name, workflow.name)


def trust_issuer(environment: Environment) -> dict[str, Any]:
    """Return the settings of an auth mount that believes the environment's identity provider."""
    identity = environment.identity
    if identity.jwks_url is not None:
        return {"bound_issuer": identity.issuer, "jwks_url": identity.jwks_url}
    return {"bound_issuer": identity.issuer, "jwt_validation_pubkeys": list(identity.public_keys)}


def _jwt_role(workflow: WorkflowAccess, environment: Environment) -> dict[str, Any]:
    identity = environment.identity
    agent = f"{identity.agent_prefix}{workflow.name}"
    if workflow.requesters:
        claims: dict[str, Any] = {identity.agent_claim: agent, identity.groups_claim: sorted(workflow.requesters)}
    else:
        # A scheduled workflow acts for nobody: the token's subject is the agent itself.
        claims = {identity.user_claim: agent}
    return {
        "bound_audiences": [_audience(workflow, environment)],
        "bound_claims": claims,
        "bound_claims_type": "string",
        "clock_skew_leeway": LEEWAY_SECONDS,
        "expiration_leeway": LEEWAY_SECONDS,
        "not_before_leeway": LEEWAY_SECONDS,
        "role_type": "jwt",
        "user_claim": identity.user_claim,
        "user_claim_json_pointer": True,
    }


def _kubernetes_needs(workflow: str, environment: Environment) -> Mapping[str, object]:
    agent = environment.agent(workflow)
    return {
        "kubernetes: host": environment.kubernetes,
        f"workflows: {workflow}: namespace": agent.namespace,
        f"workflows: {workflow}: service_account": agent.service_account,
    }


def _kubernetes_config(environment: Environment) -> dict[str, Any]:
    cluster = environment.kubernetes
    if cluster is None:
        raise CompileError(f"{environment.name} binds no cluster")
    # Vault asks the cluster with the agent's own token: it needs no standing token of its own.
    return {"disable_local_ca_jwt": True, "kubernetes_ca_cert": cluster.ca_pem, "kubernetes_host": cluster.host}


def _kubernetes_role(workflow: WorkflowAccess, environment: Environment) -> dict[str, Any]:
    agent = environment.agent(workflow.name)
    return {
        # The account's uid: an account that is deleted and made again is another agent.
        "alias_name_source": "serviceaccount_uid",
        "audience": _audience(workflow, environment),
        "bound_service_account_names": [agent.service_account],
        "bound_service_account_namespaces": [agent.namespace],
    }


def _approle_role(workflow: WorkflowAccess, environment: Environment) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "bind_secret_id": True,
        # Not a secret, so it may be known before deploy; the secret id is handed over wrapped, and works once.
        "role_id": _audience(workflow, environment),
        "secret_id_num_uses": 1,
        "secret_id_ttl": SECRET_ID_SECONDS,
    }
    if cidrs := environment.agent(workflow.name).cidrs:
        settings["secret_id_bound_cidrs"] = list(cidrs)
        settings["token_bound_cidrs"] = list(cidrs)
    return settings


def _aws_config(environment: Environment) -> dict[str, Any]:
    return {
        "iam_endpoint": environment.aws.endpoint_url or "",
        # The header binds a signed request to this Vault, so that it cannot be replayed to another one.
        "iam_server_id_header_value": server_id(environment),
        # An agent signs for its region's STS; Vault sends the request on, and a request for another host is refused.
        "sts_endpoint": environment.aws.sts_endpoint,
        "sts_region": environment.aws.region,
    }


def server_id(environment: Environment) -> str:
    """Return what a signed request must call this Vault."""
    return str(urlsplit(environment.vault.address).hostname)


def login_parameters(workflow: WorkflowAccess, environment: Environment) -> dict[str, Any]:
    """Return what the agent must know to log in, beside mount and role; nothing of it is secret."""
    if workflow.identity == "approle":
        return {"role_id": _audience(workflow, environment)}
    if workflow.identity == "aws":
        aws = environment.aws
        return {"server_id": server_id(environment), "sts_endpoint": aws.sts_endpoint, "sts_region": aws.region}
    return {}


def _aws_role(workflow: WorkflowAccess, environment: Environment) -> dict[str, Any]:
    return {
        "auth_type": "iam",
        "bound_iam_principal_arn": [environment.agent(workflow.name).principal_arn],
        # By unique id: a role that is deleted and made again is another agent.
        "resolve_aws_unique_ids": True,
    }


LOGINS: Final[dict[str, Login]] = {
    "approle": Login("approle", lambda _w, _e: {}, lambda _: {}, _approle_role),
    "aws": Login(
        "aws",
        lambda workflow, environment: {
            f"workflows: {workflow}: principal_arn": environment.agent(workflow).principal_arn
        },
        _aws_config,
        _aws_role,
    ),
    "jwt": Login("jwt", lambda _w, _e: {}, trust_issuer, _jwt_role),
    "kubernetes": Login("kubernetes", _kubernetes_needs, _kubernetes_config, _kubernetes_role),
}
