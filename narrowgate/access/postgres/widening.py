"""What gives a tool's group role more than was declared: PUBLIC, other roles, policies, views, definer functions.

Declared tables and functions are the JSON-ready dicts that the compiler makes: `{"schema", "table", "privilege",
"columns", "rows"}` and `{"schema", "function", "arguments"}`. Must not change or connect to anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias

from narrowgate.access.postgres.catalog import COLUMN_PRIVILEGES, PUBLIC, TABLE_PRIVILEGES, VIEW_KINDS, Catalog, Table
from narrowgate.access.postgres.decision import (
    Decision,
    Reason,
    evaluate,
    executable_functions,
    find_role,
    holds_on_schema,
    privileged_roles,
    rows_for,
    settable_roles,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

Json: TypeAlias = Mapping[str, Any]


class Kind(StrEnum):
    """How a role gets more than was declared."""

    ATTRIBUTE = "role-attribute"
    MEMBERSHIP = "membership"
    OWNERSHIP = "ownership"
    PRIVILEGE = "privilege"
    PUBLIC_PRIVILEGE = "public-privilege"
    GRANT_OPTION = "grant-option"
    SCHEMA_CREATE = "schema-create"
    NO_ROW_SECURITY = "no-row-security"
    ROW_POLICY = "row-policy"
    VIEW = "view-as-owner"
    FUNCTION = "definer-function"


@dataclass(frozen=True, slots=True, order=True)
class Widening:
    """One finding: `object` is what the role reaches, `detail` how, in words."""

    kind: Kind
    object: str
    detail: str

    def __str__(self) -> str:
        """Return the finding in words."""
        return f"{self.object}: {self.detail}"


def find_widening(
    catalog: Catalog, group_role: str, table_grants: Sequence[Json], functions: Sequence[Json] = ()
) -> list[Widening]:
    """Return all that gives `group_role` more than the declared grants, sorted; empty when there is nothing.

    Raises UnknownRoleError. A row policy is judged by whom it is for, not by its condition.
    """
    found = [
        *_from_role(catalog, group_role),
        *(each for table in catalog.tables for each in _from_table(catalog, group_role, table, table_grants)),
        *_from_functions(catalog, group_role, functions),
    ]
    return sorted(set(found))


def _from_role(catalog: Catalog, group_role: str) -> Iterator[Widening]:
    role = find_role(catalog, group_role)
    for name, words in (("superuser", "SUPERUSER"), ("bypass_rls", "BYPASSRLS"), ("create_role", "CREATEROLE")):
        if getattr(role, name):
            yield Widening(Kind.ATTRIBUTE, group_role, f"the role has {words}")
    having = privileged_roles(catalog, group_role)
    for other in sorted((having | settable_roles(catalog, group_role)) - {group_role}):
        how = "has the privileges of" if other in having else "may become"
        yield Widening(Kind.MEMBERSHIP, group_role, f"the role {how} {other}")
    for membership in catalog.memberships:
        if membership.admin and membership.member in having:
            yield Widening(Kind.MEMBERSHIP, group_role, f"the role may grant {membership.role}")
    for schema in catalog.schemas:
        grant = holds_on_schema(catalog, group_role, "CREATE", schema.name)
        if grant is not None:
            yield Widening(Kind.SCHEMA_CREATE, schema.name, f"{_through(grant.grantee)} may create objects in it")
        if schema.owner in having:
            yield Widening(Kind.OWNERSHIP, schema.name, f"{schema.owner} owns the schema")


def _from_table(catalog: Catalog, group_role: str, table: Table, declared: Sequence[Json]) -> Iterator[Widening]:
    mine = [grant for grant in declared if (grant["schema"], grant["table"]) == table.key]
    having = privileged_roles(catalog, group_role)
    if table.owner in having:
        yield Widening(Kind.OWNERSHIP, str(table), f"{table.owner} owns it")
    yield from _extra_privileges(catalog, group_role, table, mine)
    for grant in catalog.grants_by_object.get(table.key, ()):
        if grant.grantable and grant.grantee in having:
            yield Widening(Kind.GRANT_OPTION, str(table), f"{grant.grantee} may pass {grant.privilege} on")
    used = [p for p in sorted(TABLE_PRIVILEGES) if _any_use(catalog, group_role, p, table)]
    if table.kind in VIEW_KINDS:
        if used and not table.security_invoker:
            yield Widening(Kind.VIEW, str(table), f"reads as its owner {table.owner}, past row security of the caller")
        return
    yield from _open_rows(catalog, group_role, table, mine, used)


def _extra_privileges(catalog: Catalog, group_role: str, table: Table, declared: Sequence[Json]) -> Iterator[Widening]:
    for privilege in sorted(TABLE_PRIVILEGES):
        allowed = [grant for grant in declared if grant["privilege"] == privilege]
        columns = {column for grant in allowed for column in grant["columns"]}
        whole = evaluate(catalog, group_role, privilege, table.key, row_security=False)
        if privilege not in COLUMN_PRIVILEGES:
            if whole.allowed and not allowed:
                yield _privilege(whole, privilege, str(table))
        elif whole.allowed:
            # A grant on the table also covers columns that are added later, so it is more than any list of columns.
            yield _privilege(whole, privilege, str(table))
        else:
            for column in table.columns:
                decision = evaluate(catalog, group_role, privilege, table.key, column, row_security=False)
                if decision.allowed and column not in columns:
                    yield _privilege(decision, privilege, f"{table}.{column}")


def _open_rows(
    catalog: Catalog, group_role: str, table: Table, declared: Sequence[Json], used: Sequence[str]
) -> Iterator[Widening]:
    if not used:
        return
    limited = any(list(grant["rows"]) != [{}] for grant in declared) or not declared
    if limited and not table.row_security:
        yield Widening(Kind.NO_ROW_SECURITY, str(table), "row security is off, so the declared rows are not kept")
    elif limited and not table.force_row_security:
        yield Widening(Kind.NO_ROW_SECURITY, str(table), "row security is not forced on the owner and its definers")
    for privilege in used:
        for policy in rows_for(catalog, group_role, privilege, table).permissive:
            if set(policy.roles) != {group_role}:
                whom = ", ".join(_through(name) for name in policy.roles)
                yield Widening(Kind.ROW_POLICY, str(table), f"policy {policy.name} admits further rows to {whom}")


def _any_use(catalog: Catalog, role: str, privilege: str, table: Table) -> bool:
    places = ("", *table.columns) if privilege in COLUMN_PRIVILEGES else ("",)
    return any(evaluate(catalog, role, privilege, table.key, c or None, row_security=False).allowed for c in places)


def _privilege(decision: Decision, privilege: str, name: str) -> Widening:
    if decision.grant is None:
        how = "as superuser" if decision.reason is Reason.SUPERUSER else "by a predefined role"
        return Widening(Kind.PRIVILEGE, name, f"{privilege} {how} ({decision.acting_as})")
    kind = Kind.PUBLIC_PRIVILEGE if decision.grant.grantee == PUBLIC else Kind.PRIVILEGE
    return Widening(kind, name, f"{privilege} granted to {_through(decision.grant.grantee)}")


def _from_functions(catalog: Catalog, group_role: str, declared: Sequence[Json]) -> Iterator[Widening]:
    known = {(each["schema"], each["function"], tuple(each["arguments"])) for each in declared}
    for function, grantee in executable_functions(catalog, group_role):
        types = tuple(part.strip() for part in function.arguments.split(",") if part.strip())
        named = (function.schema, function.name)
        if not function.security_definer or any(k[:2] == named and _same_types(types, k[2]) for k in known):
            continue
        yield Widening(Kind.FUNCTION, str(function), f"{_through(grantee)} may execute it as {function.owner}")


def _same_types(written: Sequence[str], declared: Sequence[str]) -> bool:
    """Tell whether argument types agree; the catalogue writes a name before the type where the argument has one."""
    return len(written) == len(declared) and all(
        mine == theirs or mine.endswith(f" {theirs}") for mine, theirs in zip(written, declared, strict=True)
    )


def _through(grantee: str) -> str:
    return grantee or "PUBLIC"
