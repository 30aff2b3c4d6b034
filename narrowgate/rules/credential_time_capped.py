"""`credential-time-capped`: every credential ends within the environment's caps.

Source: the time scope of the permission model; AWS (MaxSessionDuration); Vault's secrets engines, whose defaults are
the mount's (32 days), and 24 hours for identity tokens, which can't be revoked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from narrowgate.rules.durations import seconds
from narrowgate.rules.facts import IamIdentity, VaultSecretRole
from narrowgate.rules.rule import Rule, report

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from narrowgate.rules.finding import Finding
    from narrowgate.rules.settings import Settings

NAME = "credential-time-capped"

SESSION_FLOOR_SECONDS: Final = 3600
"""IAM takes no smaller MaxSessionDuration; a session itself is as short as its lease asks for."""

_TIMES: Final[Mapping[str, tuple[str, ...]]] = {
    "aws": ("default_sts_ttl", "max_sts_ttl"),
    "database": ("default_ttl", "max_ttl"),
    "identity": ("ttl",),
    "pki": ("ttl", "max_ttl"),
    "ssh": ("ttl", "max_ttl"),
    "kubernetes": ("token_default_ttl", "token_max_ttl"),
}
"""The settings that say how long a credential of an engine lives."""


def judge(subject: IamIdentity | VaultSecretRole, settings: Settings) -> Iterator[Finding]:
    """Yield a finding for each time that is not set or above the cap."""
    found = report(NAME, subject)
    if isinstance(subject, IamIdentity):
        cap = max(settings.max_ttl_seconds, SESSION_FLOOR_SECONDS)
        if subject.max_session_seconds > cap:
            yield found(
                f"role {subject.name!r} allows sessions of {subject.max_session_seconds} seconds,"
                f" above the cap of {cap}",
                detail="A stolen session works until it ends, whatever happens to its lease.",
                fix=f"Set max_session_duration to at most {cap}.",
            )
        return
    if subject.static or subject.engine not in _TIMES:
        return
    for name in _TIMES[subject.engine]:
        value = seconds(subject.settings.get(name))
        label = f"Vault role {subject.mount}/{subject.name}"
        if not value:
            yield found(
                f"{label} sets no {name}",
                detail="Its credentials live as long as the mount's default says: up to 32 days.",
                fix=f"Set {name} to at most {settings.max_ttl_seconds} seconds.",
            )
        elif value > settings.max_ttl_seconds:
            yield found(
                f"{label} has {name} = {value} seconds, above the cap of {settings.max_ttl_seconds}",
                detail=f"A stolen credential works for up to {value} seconds.",
                fix=f"Set {name} to at most {settings.max_ttl_seconds} seconds.",
            )


RULE = Rule(NAME, "Credentials end within the environment's caps.", (IamIdentity, VaultSecretRole), judge)
