"""`vault-role-dynamic-only`: Vault mints a credential for each use and hands out none that lives on.

Source: the time scope of the permission model. A static role hands one secret to all who ask; an `iam_user` role makes
a user with keys; a stored value also stands in the stack's state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from narrowgate.rules.facts import VaultSecretRole, VaultStoredSecret
from narrowgate.rules.rule import Rule, report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from narrowgate.rules.finding import Finding
    from narrowgate.rules.settings import Settings

NAME = "vault-role-dynamic-only"


def judge(subject: VaultSecretRole | VaultStoredSecret, _: Settings) -> Iterator[Finding]:
    """Yield a finding for a static role, a role that makes IAM users, and a stored secret."""
    found = report(NAME, subject)
    if isinstance(subject, VaultStoredSecret):
        yield found(
            f"the stack stores a secret at {subject.path}",
            detail="Who reads the stack's state has it, and so has everyone who once read the path.",
            fix="Let a secrets engine mint the credential, or write the value by a person's own login.",
        )
        return
    label = f"Vault role {subject.mount}/{subject.name}"
    if subject.static:
        yield found(
            f"{label} hands out a static secret",
            detail="Everyone who read it since the last rotation can use it, and no lease ends that.",
            fix="Use the engine's dynamic role.",
        )
    kind = subject.settings.get("credential_type") or subject.settings.get("credential_types")
    if kind == "iam_user" or (isinstance(kind, (list, tuple)) and "iam_user" in kind):
        yield found(
            f"{label} makes an IAM user with an access key for each reader",
            detail="The key works until the lease is revoked; if Vault loses the lease, for ever.",
            fix="Set credential_type to assumed_role and name the one role in role_arns.",
        )


RULE = Rule(NAME, "Vault mints each credential for its use.", (VaultSecretRole, VaultStoredSecret), judge)
