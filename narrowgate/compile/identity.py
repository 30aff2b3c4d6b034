"""A workflow's login: an auth mount of its own with one role, bound to one agent and the users it may act for.

For jwt, the token says both: the user in `user_claim`, the agent in `bound_claims` (RFC 8693's `sub` and `act.sub`).
This module must not know any tool.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from narrowgate.compile import names
from narrowgate.compile.documents import AuthMount, AuthRole, VaultPolicy
from narrowgate.compile.errors import CompileError
from narrowgate.compile.hcl import PathRule, render_policy

if TYPE_CHECKING:
    from collections.abc import Callable

    from narrowgate.plan import Environment, WorkflowAccess

# Clocks may differ by this much; Vault's defaults (60 to 150 s) would let an expired login in for minutes.
LEEWAY_SECONDS: Final = 5

# An agent keeps its own token, and ends it: revoking it ends all its leases. Nothing about others' tokens or leases.
_SELF_RULES: Final = (
    PathRule("auth/token/lookup-self", ("read",), "see how long the login lasts"),
    PathRule("auth/token/renew-self", ("update",), "renew the login up to its maximum"),
    PathRule("auth/token/revoke-self", ("update",), "log out, which ends all credentials of this login"),
)


def compile_identity(
    workflow: WorkflowAccess, environment: Environment, tool_policies: tuple[str, ...]
) -> tuple[AuthMount, AuthRole, VaultPolicy]:
    """Return the auth mount, its one role, and the agent's own policy; `tool_policies` are attached beside it."""
    if workflow.identity not in _KINDS:
        raise CompileError(
            f"no login by `{workflow.identity}`", workflow=workflow.name, hint=f"known: {', '.join(sorted(_KINDS))}"
        )
    title = f"{workflow.name}: what every agent login may do"
    policy = VaultPolicy(names.agent_policy_name(workflow.name), render_policy(title, _SELF_RULES))
    mount, settings = _KINDS[workflow.identity](workflow, environment)
    token: dict[str, Any] = {
        "token_max_ttl": workflow.max_ttl_seconds,
        "token_no_default_policy": True,
        "token_policies": sorted([policy.name, *tool_policies]),
        "token_ttl": workflow.ttl_seconds,
        "token_type": "service",
    }
    return mount, AuthRole(mount.path, names.AUTH_ROLE, dict(sorted({**settings, **token}.items()))), policy


def _compile_jwt(workflow: WorkflowAccess, environment: Environment) -> tuple[AuthMount, dict[str, Any]]:
    identity = environment.identity
    config: dict[str, Any] = {"bound_issuer": identity.issuer}
    if identity.jwks_url is not None:
        config["jwks_url"] = identity.jwks_url
    else:
        config["jwt_validation_pubkeys"] = list(identity.public_keys)
    agent = f"{identity.agent_prefix}{workflow.name}"
    if workflow.requesters:
        claims: dict[str, Any] = {identity.agent_claim: agent, identity.groups_claim: sorted(workflow.requesters)}
    else:
        # A scheduled workflow acts for nobody: the token's subject is the agent itself.
        claims = {identity.user_claim: agent}
    settings: dict[str, Any] = {
        "bound_audiences": [names.audience(identity.audience_prefix, environment.name, workflow.name)],
        "bound_claims": claims,
        "bound_claims_type": "string",
        "clock_skew_leeway": LEEWAY_SECONDS,
        "expiration_leeway": LEEWAY_SECONDS,
        "not_before_leeway": LEEWAY_SECONDS,
        "role_type": "jwt",
        "user_claim": identity.user_claim,
        "user_claim_json_pointer": True,
    }
    return AuthMount(names.auth_mount(environment.vault.auth_prefix, workflow.name), "jwt", config), settings


_KINDS: Final[dict[str, Callable[[WorkflowAccess, Environment], tuple[AuthMount, dict[str, Any]]]]] = {
    "jwt": _compile_jwt,
}
