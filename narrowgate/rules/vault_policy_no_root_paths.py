"""`vault-policy-no-root-paths`: no policy reaches Vault's own administration.

Source: Vault's documentation of policies and of its system backend; the permission model. Paths below `sys/`, `auth/`
and `identity/` write policies, logins, tokens and identities: whoever has them makes himself anybody. Excepted is the
fixed table `common_paths` (what reaches only the login itself) and the login's own identity token, by its exact path.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from narrowgate.rules.common_paths import is_common_path
from narrowgate.rules.facts import VaultPolicy
from narrowgate.rules.questions import vault_rules
from narrowgate.rules.rule import Rule, report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from narrowgate.rules.finding import Finding
    from narrowgate.rules.settings import Settings

NAME = "vault-policy-no-root-paths"

_ROOTS: Final = ("sys", "auth", "identity")
_OWN_TOKEN: Final = re.compile(r"identity/oidc/token/[^/*+]+")
_ATTACKS: Final = (
    ("sys/polic", "write sys/policies/acl/mine with every path, and log in again"),
    ("sys/auth", "mount an auth method that trusts its own issuer"),
    ("sys/mounts", "mount or remove secrets engines"),
    ("auth/token", "create a token with other policies"),
    ("auth/", "write a login that it then uses"),
    ("identity/", "put its own entity into a group with more policies"),
)


def judge(subject: VaultPolicy, settings: Settings) -> Iterator[Finding]:
    """Yield a finding for each path that reaches administration."""
    for rule in vault_rules(subject.text):
        if not reaches_root(rule.path) or is_common_path(rule.path, rule.capabilities):
            continue
        if _OWN_TOKEN.fullmatch(rule.path) and set(rule.capabilities) <= {"read"}:
            continue
        yield report(NAME, subject, line=subject.line + rule.line - 1)(
            f"Vault policy {subject.name!r} grants {', '.join(rule.capabilities)} on {rule.path}, a path of root's",
            detail=f"Its holder can {_attack(rule.path)}.",
            fix=f"Take {rule.path} out; in {settings.environment or 'each environment'} the deployer alone manages it.",
        )


def reaches_root(path: str) -> bool:
    """Tell whether the pattern `path` covers anything below sys/, auth/ or identity/."""
    first, slash, _ = path.partition("/")
    if first == "+" or first in _ROOTS:
        return True
    if first.endswith("*") and not slash:
        return any(root.startswith(first[:-1]) for root in _ROOTS)
    return False


def _attack(path: str) -> str:
    for prefix, attack in _ATTACKS:
        if path.startswith(prefix):
            return attack
    return "write sys/policies/acl/mine with every path" if path[:1] in "*+" else "read or change how Vault is run"


RULE = Rule(NAME, "No Vault policy reaches Vault's own administration.", (VaultPolicy,), judge)
