"""Which rules may be excepted, and where: the one table that declarations, lock and rules go by.

A rule that stands in no set may be excepted outside production only, so a new rule is strict until somebody decides.
This module must not read files and must not judge resources.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from narrowgate.plan import RuleException

NEVER: Final = frozenset(
    {
        "access-within-lock",  # the lock is itself what reviewers accept
        "document-known",
        "environment-no-crossing",
        "system-identity-fixed",
    }
)
"""Rules that nobody can be excepted from."""

ANYWHERE: Final = frozenset(
    {
        "credential-time-capped",
        "vault-audit-required",
        "vault-login-short-lived",
        "vault-role-dynamic-only",
        "workflow-owner-required",
    }
)
"""Rules that are neither about admin nor about sharing: an exception from them may stand in production too."""

NOT_PRODUCTION: Final = ("dev", "sandbox", "staging", "test")
"""First words of the names of environments that are not production; any other name is taken for production."""

OURS: Final = "narrowgate:"
"""How the types of our own components begin: what Narrowgate makes keeps every rule."""


def is_production(environment: str) -> bool:
    """Tell whether the environment called `environment` is taken for production."""
    return environment.split("-", 1)[0] not in NOT_PRODUCTION


def refuse_exception(rule: str, resource: str, environment: str) -> str | None:
    """Return why `resource` can't be excepted from `rule` in `environment`, in words; None where it can."""
    if rule in NEVER:
        return f"nothing can be excepted from {rule}"
    if rule not in ANYWHERE and is_production(environment):
        return f"nothing can be excepted from {rule} in {environment}, which is taken for production"
    if resource.startswith(OURS):
        return "what Narrowgate makes keeps every rule: change its declaration"
    return None


def today() -> dt.date:
    """Return the day that expiry dates are compared with (UTC)."""
    return dt.datetime.now(dt.UTC).date()


def in_force(exceptions: Iterable[RuleException], day: dt.date) -> tuple[RuleException, ...]:
    """Return the exceptions that hold on `day`; the date of expiry is the last day on which one does."""
    return tuple(exception for exception in exceptions if dt.date.fromisoformat(exception.expires) >= day)


def address_of(urn: str) -> str:
    """Return how an exception names a resource: the part of its URN behind stack and project."""
    parts = urn.split("::", 2)
    return parts[2] if urn.startswith("urn:pulumi:") and len(parts) > 2 else ""  # noqa: PLR2004 - stack, project, rest


def is_excepted(rule: str, urn: str, environment: str, exceptions: Iterable[RuleException]) -> bool:
    """Tell whether one of `exceptions`, all in force, excepts the resource `urn` from `rule`."""
    address = address_of(urn)
    return (
        bool(address)
        and any(exception.rule == rule and exception.resource == address for exception in exceptions)
        and refuse_exception(rule, address, environment) is None
    )
