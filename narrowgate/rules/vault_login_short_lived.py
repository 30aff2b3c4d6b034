"""`vault-login-short-lived`: a login ends soon, and can't be renewed for ever.

Source: the time scope of the permission model; Vault's documentation of tokens (periodic tokens have no end). The caps
are the environment's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from narrowgate.rules.durations import seconds
from narrowgate.rules.facts import VaultAuthRole, VaultToken
from narrowgate.rules.rule import Rule, report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from narrowgate.rules.finding import Finding
    from narrowgate.rules.settings import Settings

NAME = "vault-login-short-lived"


def judge(subject: VaultAuthRole | VaultToken, settings: Settings) -> Iterator[Finding]:
    """Yield a finding for a login without an end or with a late one, and for a token that the stack itself makes."""
    found = report(NAME, subject)
    if isinstance(subject, VaultToken):
        yield found(
            f"the stack makes a Vault token with {', '.join(subject.policies) or 'its own policies'}",
            detail="Who reads the stack's state can use the token until it ends.",
            fix="Let the one who needs it log in by an auth role.",
        )
        return
    label = f"auth role {subject.mount}/{subject.name}"
    if seconds(subject.settings.get("token_period")):
        yield found(
            f"{label} gives periodic tokens",
            detail="A stolen token is renewed again and again, without end.",
            fix="Take token_period out; set token_ttl and token_max_ttl.",
        )
    for name in ("token_ttl", "token_max_ttl"):
        value = seconds(subject.settings.get(name))
        if not value:
            yield found(
                f"{label} sets no {name}",
                detail="A stolen token works as long as the server's default says: 32 days.",
                fix=f"Set {name} to at most {settings.max_session_seconds} seconds.",
            )
        elif value > settings.max_session_seconds:
            yield found(
                f"{label} has {name} = {value} seconds, above the cap of {settings.max_session_seconds}",
                detail=f"A stolen token works for up to {value} seconds.",
                fix=f"Set {name} to at most {settings.max_session_seconds} seconds.",
            )


RULE = Rule(NAME, "Logins end soon and can't be renewed for ever.", (VaultAuthRole, VaultToken), judge)
