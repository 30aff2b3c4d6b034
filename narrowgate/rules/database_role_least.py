"""`database-role-least`: a database login has no rights but those of its group role, and no group role has all.

Source: PostgreSQL's documentation of role attributes and GRANT; the permission model. SUPERUSER and BYPASSRLS pass by
every grant and row policy, CREATEROLE makes more roles; GRANT ALL and PUBLIC grant what nobody named to whom nobody
named.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from narrowgate.rules.facts import DatabaseGrant, DatabaseRole, VaultSecretRole
from narrowgate.rules.rule import Reporter, Rule, report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from narrowgate.rules.finding import Finding
    from narrowgate.rules.settings import Settings

NAME = "database-role-least"

_ATTRIBUTES: Final = ("SUPERUSER", "CREATEROLE", "CREATEDB", "REPLICATION", "BYPASSRLS")
_ATTRIBUTE: Final = re.compile(r"\b(SUPERUSER|CREATEROLE|CREATEUSER|CREATEDB|REPLICATION|BYPASSRLS)\b", re.IGNORECASE)
_ALL: Final = re.compile(r"\bGRANT\s+ALL\b", re.IGNORECASE)
_PUBLIC: Final = re.compile(r"\bGRANT\b[^;]*\bTO\s+(?:GROUP\s+)?PUBLIC\b", re.IGNORECASE)
_PASS_ON: Final = re.compile(r"\bWITH\s+(?:GRANT|ADMIN)\s+(?:OPTION|TRUE)\b", re.IGNORECASE)
_POWERFUL: Final = re.compile(
    r"\b(pg_read_all_data|pg_write_all_data|pg_execute_server_program|pg_read_server_files|pg_write_server_files|"
    r"rds_superuser|cloudsqlsuperuser)\b",
    re.IGNORECASE,
)
_LITERAL: Final = re.compile(r"'(?:[^']|'')*'")


def judge(subject: VaultSecretRole | DatabaseRole | DatabaseGrant, _: Settings) -> Iterator[Finding]:
    """Yield a finding for each right that is too wide."""
    found = report(NAME, subject)
    if isinstance(subject, VaultSecretRole):
        statements = subject.settings.get("creation_statements") or ()
        text = statements if isinstance(statements, str) else ";".join(map(str, statements))
        yield from _judge_sql(_LITERAL.sub("''", text), f"Vault role {subject.mount}/{subject.name}", found)
    elif isinstance(subject, DatabaseRole):
        for attribute in subject.attributes:
            if attribute.upper() in _ATTRIBUTES:
                yield _too_wide(found, f"database role {subject.name!r}", f"is {attribute.upper()}")
        for group in subject.member_of:
            if _POWERFUL.fullmatch(group):
                yield _too_wide(found, f"database role {subject.name!r}", f"stands in {group}")
    else:
        label = f"database role {subject.role!r}"
        if any(privilege.upper().startswith("ALL") for privilege in subject.privileges):
            yield _too_wide(found, label, f"has every privilege on {subject.target}")
        if subject.role.upper() == "PUBLIC":
            yield _too_wide(found, "everyone (PUBLIC)", f"has {', '.join(subject.privileges)} on {subject.target}")
        if subject.grantable:
            yield _too_wide(found, label, f"may pass its privileges on {subject.target} on to others")


def _judge_sql(text: str, label: str, found: Reporter) -> Iterator[Finding]:
    for attribute in dict.fromkeys(match.group(1).upper() for match in _ATTRIBUTE.finditer(text)):
        yield _too_wide(found, f"the login that {label} makes", f"is {attribute}")
    for pattern, what in (
        (_ALL, "gets ALL privileges"),
        (_PUBLIC, "grants to PUBLIC"),
        (_PASS_ON, "may pass its privileges on to others"),
    ):
        if pattern.search(text):
            yield _too_wide(found, f"the login that {label} makes", what)
    for role in dict.fromkeys(match.group(1).lower() for match in _POWERFUL.finditer(text)):
        yield _too_wide(found, f"the login that {label} makes", f"stands in {role}")


def _too_wide(found: Reporter, who: str, what: str) -> Finding:
    return found(
        f"{who} {what}",
        detail="With it an agent reads or changes rows and columns that no action of its tools grants.",
        fix="Put the login IN ROLE the tool's own group role, which has only the columns that its actions need.",
    )


RULE = Rule(
    NAME, "Database logins have only what their group role has.", (VaultSecretRole, DatabaseRole, DatabaseGrant), judge
)
