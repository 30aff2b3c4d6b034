"""Who a Vault auth role lets in: the agent's name that it binds, by auth method.

One table says, for each auth method, which settings name one caller. What is bound beside the caller (groups of the
user, an audience) narrows a login but names nobody. This module reads settings; it must not judge.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice, product
from typing import Any

from narrowgate.rules.facts import VaultAuthRole, names

_NOT_A_CALLER = frozenset({"groups", "roles", "scope", "scp", "aud", "iss", "hd", "tid", "tenant", "act"})
"""Claims (by their last segment) that say something of a caller but do not tell callers apart."""

_MOST_NAMES = 256


@dataclass(frozen=True, slots=True)
class CallerSettings:
    """How an auth method names callers: all of `settings` together name one, and `wild` texts in them match many."""

    settings: tuple[str, ...]
    wild: tuple[str, ...] = ("*",)


CALLERS: Mapping[str, CallerSettings] = {
    "kubernetes": CallerSettings(("bound_service_account_namespaces", "bound_service_account_names")),
    "aws": CallerSettings(("bound_iam_principal_arn",)),
    "azure": CallerSettings(("bound_service_principal_ids",)),
    "gcp": CallerSettings(("bound_service_accounts",)),
    "oci": CallerSettings(("ocid_list",)),
    "spiffe": CallerSettings(("workload_id_patterns",), ("*", "+")),
    "cert": CallerSettings(("allowed_uri_sans", "allowed_common_names", "allowed_dns_sans", "allowed_email_sans")),
    "saml": CallerSettings(("bound_subjects",)),
    "cf": CallerSettings(("bound_application_ids",)),
}
"""Auth methods whose roles name their callers by lists; jwt and oidc bind claims instead."""

SECRET_LOGINS = frozenset({"approle"})
"""Methods whose role is itself one identity: whoever holds its own secret is it."""

GROUP_LOGINS = frozenset({"ldap", "okta", "github", "radius", "kerberos"})
"""Methods that map people, or groups of people, to policies."""


def bound_claims(role: VaultAuthRole) -> dict[str, tuple[str, ...]]:
    """Return the claims that a JWT role binds, each with its accepted values (`bound_subject` is the claim `sub`)."""
    claims: dict[str, tuple[str, ...]] = {}
    given = role.settings.get("bound_claims")
    if isinstance(given, Mapping):
        claims = {str(claim): names(value) for claim, value in given.items()}
    if subject := role.settings.get("bound_subject"):
        claims["sub"] = (str(subject),)
    return claims


def caller_claims(role: VaultAuthRole) -> dict[str, tuple[str, ...]]:
    """Return the bound claims that tell callers apart."""
    return {
        claim: values for claim, values in bound_claims(role).items() if _last(claim) not in _NOT_A_CALLER and values
    }


def wildcard_claims(role: VaultAuthRole) -> list[str]:
    """Return `claim=value` for each bound claim whose value is a pattern."""
    if role.settings.get("bound_claims_type") != "glob":
        return []
    return [
        f"{claim}={value}"
        for claim, values in bound_claims(role).items()
        if not (claim == "sub" and role.settings.get("bound_subject"))
        for value in values
        if "*" in value
    ]


def agent_names(role: VaultAuthRole) -> tuple[str, ...]:
    """Return the names of the callers that the role lets in, comparable between roles; empty where it names none."""
    if role.method in {"jwt", "oidc"}:
        claims = caller_claims(role)
    elif role.method in CALLERS:
        claims = {s: names(role.settings.get(s)) for s in CALLERS[role.method].settings if role.settings.get(s)}
    else:
        return ()
    if not claims:
        return ()
    combined = product(*([f"{claim}={value}" for value in values] for claim, values in sorted(claims.items())))
    return tuple(" ".join(parts) for parts in islice(combined, _MOST_NAMES))


def token_settings(role: VaultAuthRole) -> Mapping[str, Any]:
    """Return the role's settings of the token that a login gets."""
    return {name: value for name, value in role.settings.items() if name.startswith("token_")}


def _last(claim: str) -> str:
    return claim.replace(".", "/").rsplit("/", 1)[-1].lower()
