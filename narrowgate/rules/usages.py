"""Who uses which identity: what the rule against shared identities counts.

A *thing* is what stands for one identity of one workflow or tool: an IAM role, a credential path, a Vault policy, an
agent's name in its token, a database role, an entity, a certificate's name, the claims of a signed token. A *user* is
what reaches it. How a thing is told from its user follows from what refers to what, so that it holds for resources
which nobody made with us.
This module reads facts; it must not judge.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from narrowgate.compile.names import APPROVERS_MOUNT, EXECUTORS_MOUNT, SYSTEM_PREFIX
from narrowgate.rules.common_paths import is_common_path
from narrowgate.rules.facts import Fact, VaultAuthRole, VaultEntityAlias, VaultPolicy, VaultSecretRole, names
from narrowgate.rules.logins import agent_names
from narrowgate.rules.minted_names import certificate_names, signed_claims
from narrowgate.rules.questions import granted_paths

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

IAM_ROLE = "IAM role"
VAULT_PATH = "Vault path"
VAULT_POLICY = "Vault policy"
AGENT_NAME = "agent name"
DATABASE_ROLE = "database role"
ENTITY = "Vault entity"
CERTIFICATE = "certificate name"
SIGNED_TOKEN = "signed token"  # noqa: S105 - a kind of thing

_IN_ROLE = re.compile(
    r'\b(?:IN\s+ROLE|IN\s+GROUP|GRANT)\s+((?:"(?:[^"]|"")+"|[a-z_][\w$]*)(?:\s*,\s*(?:"(?:[^"]|"")+"|[a-z_][\w$]*))*)',
    re.IGNORECASE,
)
_IDENTIFIER = re.compile(r'"((?:[^"]|"")+)"|([a-z_][\w$]*)', re.IGNORECASE)
_WILDCARD = re.compile(r"[+*]")
_GRANT_ON = re.compile(r"\bGRANT\b[^;]*?\bON\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Usage:
    """`user` reaches the thing `thing` of the kind `kind`."""

    kind: str
    thing: str
    user: str


def usages_of(fact: Fact) -> Iterator[Usage]:
    """Yield all that `fact` uses."""
    read = _READERS.get(type(fact))
    if read is not None:
        yield from read(fact)


def is_pattern(usage: Usage) -> bool:
    """Tell whether the thing is a pattern of Vault paths rather than one path."""
    return usage.kind == VAULT_PATH and ("*" in usage.thing or "+" in usage.thing.split("/"))


def pattern_covers(pattern: str, path: str) -> bool:
    """Tell whether a Vault policy's path with `+` segments and a trailing `*` covers `path` (or another pattern)."""
    prefix = pattern.endswith("*")
    want = pattern.removesuffix("*").split("/")
    have = path.split("/")
    if prefix:
        *want, last = want
        if len(have) <= len(want) or not have[len(want)].startswith(last):
            return False
        have = have[: len(want)]
    return len(want) == len(have) and all(w in ("+", h) for w, h in zip(want, have, strict=True))


def literal_start(pattern: str) -> str:
    """Return the part of a pattern before its first wildcard, with which all that it covers begins."""
    return _WILDCARD.split(pattern, maxsplit=1)[0]


def database_roles(statements: str) -> tuple[str, ...]:
    """Return the database roles that SQL statements put a login in (`IN ROLE x`, `GRANT x TO login`)."""
    found: dict[str, None] = {}
    for match in _IN_ROLE.finditer(_GRANT_ON.sub(" ", statements)):
        for quoted, bare in _IDENTIFIER.findall(match.group(1)):
            found[quoted.replace('""', '"') if quoted else bare.lower()] = None
    return tuple(found)


def _secret_role_usages(fact: Fact) -> Iterator[Usage]:
    if not isinstance(fact, VaultSecretRole):
        return
    user = f"Vault role {fact.mount}/{fact.name}"
    for arn in names(fact.settings.get("role_arns")):
        yield Usage(IAM_ROLE, arn, user)
    if fact.engine == "database":
        database = fact.settings.get("db_name", "")
        statements = fact.settings.get("creation_statements") or ()
        text = statements if isinstance(statements, str) else ";".join(map(str, statements))
        for role in database_roles(text):
            yield Usage(DATABASE_ROLE, f"{role} of {database}", user)
        if fact.settings.get("username"):
            yield Usage(DATABASE_ROLE, f"{fact.settings['username']} of {database}", user)
    if fact.engine == "pki":
        for name in certificate_names(fact.settings):
            yield Usage(CERTIFICATE, name, user)
    if fact.engine == "identity" and (claims := signed_claims(fact.settings)):
        yield Usage(SIGNED_TOKEN, claims, user)


def _policy_usages(fact: Fact) -> Iterator[Usage]:
    # A system identity's policy is judged by its ceiling, which covers paths of roles, never a credential's.
    if isinstance(fact, VaultPolicy) and not fact.name.startswith(SYSTEM_PREFIX):
        for path, capabilities in granted_paths(fact.text):
            if not is_common_path(path, capabilities):
                yield Usage(VAULT_PATH, path, f"Vault policy {fact.name}")


def _login_usages(fact: Fact) -> Iterator[Usage]:
    if not isinstance(fact, VaultAuthRole):
        return
    # Approvers log in by a token or through the page: both are the same people, whom the entity tells apart.
    user = f"auth mount {fact.mount}" if fact.mount == APPROVERS_MOUNT else f"auth role {fact.mount}/{fact.name}"
    for policy in fact.policies:
        yield Usage(VAULT_POLICY, policy, user)
    if fact.mount == EXECUTORS_MOUNT:
        return  # an executor logs in anew for each request, by a role for that action: they are one identity's
    for name in agent_names(fact):
        yield Usage(AGENT_NAME, name, user)


def _alias_usages(fact: Fact) -> Iterator[Usage]:
    if isinstance(fact, VaultEntityAlias):
        yield Usage(ENTITY, fact.entity, f"login {fact.name} at {fact.mount}")


_READERS: dict[type[Fact], Callable[[Fact], Iterator[Usage]]] = {
    VaultSecretRole: _secret_role_usages,
    VaultPolicy: _policy_usages,
    VaultAuthRole: _login_usages,
    VaultEntityAlias: _alias_usages,
}
