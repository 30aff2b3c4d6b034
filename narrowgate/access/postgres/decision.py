"""Whether a role may use a privilege on a table or column, through whom, and on which rows.

Source of the rules: PostgreSQL 16's manual on privileges, role membership and row security, each checked against a
running server. Attributes (superuser, BYPASSRLS) are never inherited; privileges flow over memberships WITH INHERIT;
`SET ROLE` goes over memberships WITH SET and then counts as that role.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from narrowgate.access.postgres.catalog import (
    COLUMN_PRIVILEGES,
    PUBLIC,
    TABLE_PRIVILEGES,
    Catalog,
    Function,
    Grant,
    Membership,
    Role,
    RowPolicy,
    Table,
)
from narrowgate.access.postgres.errors import UnknownRoleError, UnknownTableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# The predefined roles that stand for privileges on everything.
_DATA_ROLES = {
    "pg_read_all_data": frozenset({"SELECT"}),
    "pg_write_all_data": frozenset({"INSERT", "UPDATE", "DELETE"}),
}

_ROW_COMMANDS = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"})


class Reason(StrEnum):
    """Why a privilege is held or not."""

    SUPERUSER = "Superuser"
    GRANTED = "Granted"
    PREDEFINED_ROLE = "PredefinedRole"
    NOT_GRANTED = "NotGranted"
    SCHEMA_NOT_USABLE = "SchemaNotUsable"
    NO_ROWS = "NoRows"


@dataclass(frozen=True, slots=True)
class Rows:
    """Which rows row security leaves: all, or those that any of `permissive` and all of `restrictive` admit."""

    all: bool
    permissive: tuple[RowPolicy, ...] = ()
    restrictive: tuple[RowPolicy, ...] = ()

    @property
    def none(self) -> bool:
        """Tell whether no row at all is left: row security with no permissive policy."""
        return not self.all and not self.permissive


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer. `acting_as` is the role that holds the privilege: the role asked for, or one it may become.

    `grant` is the deciding grant (None for a superuser or a predefined role); `rows` what row security leaves.
    """

    allowed: bool
    reason: Reason
    acting_as: str
    grant: Grant | None = None
    rows: Rows = Rows(all=True)


def evaluate(  # noqa: PLR0913 - the question has this many sides; the last three are named
    catalog: Catalog,
    role: str,
    privilege: str,
    table: str | tuple[str, str],
    column: str | None = None,
    *,
    set_role: bool = True,
    schema_usage: bool = True,
    row_security: bool = True,
) -> Decision:
    """Decide whether `role` may use `privilege` on `table` (`schema.name`, or a pair), as a whole or on `column`.

    With `set_role` the roles count that the role may become. Without `schema_usage` the table's schema need not be
    usable, and without `row_security` a table with no rows left is still allowed: so the answer is that of
    `has_column_privilege` and `has_table_privilege`.

    Raises UnknownRoleError or UnknownTableError for what the catalogue does not hold.
    """
    target = find_table(catalog, table)
    _check_privilege(privilege, target, column)
    denied: Decision | None = None
    for actor in [role, *(sorted(settable_roles(catalog, role)) if set_role else ())]:
        decision = _decide_as(catalog, actor, privilege, target, column, schema_usage=schema_usage)
        if decision.allowed and row_security and decision.rows.none:
            decision = Decision(False, Reason.NO_ROWS, actor, decision.grant, decision.rows)  # noqa: FBT003 - the answer
        if decision.allowed:
            return decision
        denied = denied or decision
    return denied or Decision(False, Reason.NOT_GRANTED, role)  # noqa: FBT003 - the answer


def find_table(catalog: Catalog, table: str | tuple[str, str]) -> Table:
    """Return a table by `schema.name` or a pair; raise UnknownTableError."""
    key = table if isinstance(table, tuple) else tuple(table.split(".", 1))
    found = catalog.tables_by_key.get(key) if len(key) == 2 else None  # noqa: PLR2004 - schema and name
    if found is None:
        raise UnknownTableError(f"no table {'.'.join(key)!r}", hint="Name it as schema.table, as the database has it.")
    return found


def find_role(catalog: Catalog, role: str) -> Role:
    """Return a role by name; raise UnknownRoleError."""
    found = catalog.roles_by_name.get(role)
    if found is None:
        raise UnknownRoleError(f"no role {role!r}", hint="Name it as the database has it; names are case-sensitive.")
    return found


def privileged_roles(catalog: Catalog, role: str) -> frozenset[str]:
    """Return the roles whose privileges `role` has: itself and those over memberships WITH INHERIT."""
    find_role(catalog, role)
    return _closure(catalog, role, lambda membership: membership.inherit)


def settable_roles(catalog: Catalog, role: str) -> frozenset[str]:
    """Return the other roles that `role` may become by SET ROLE; for a superuser, all of them."""
    if find_role(catalog, role).superuser:
        return frozenset(catalog.roles_by_name) - {role}
    return _closure(catalog, role, lambda membership: membership.set) - {role}


def rows_for(catalog: Catalog, role: str, command: str, table: Table) -> Rows:
    """Return which rows row security leaves to `role` for a command (a privilege's name).

    TRUNCATE, REFERENCES and TRIGGER are not subject to it.
    """
    attributes = find_role(catalog, role)
    having = privileged_roles(catalog, role)
    owned = table.owner in having and not table.force_row_security
    if command not in _ROW_COMMANDS or not table.row_security or attributes.superuser or attributes.bypass_rls or owned:
        return Rows(all=True)
    applying = [
        policy
        for policy in catalog.policies
        if (policy.schema, policy.table) == table.key
        and policy.command in ("ALL", command)
        and (PUBLIC in policy.roles or having & set(policy.roles))
    ]
    return Rows(
        all=False,
        permissive=tuple(policy for policy in applying if policy.permissive),
        restrictive=tuple(policy for policy in applying if not policy.permissive),
    )


def executable_functions(catalog: Catalog, role: str, *, set_role: bool = True) -> Iterator[tuple[Function, str]]:
    """Yield each function that `role` may execute in a schema it may use, with the grantee that lets it."""
    for actor in [role, *(sorted(settable_roles(catalog, role)) if set_role else ())]:
        having = privileged_roles(catalog, actor) | {PUBLIC}
        for function in catalog.functions:
            superuser = find_role(catalog, actor).superuser
            grantee = next((name for name in function.executors if name in having), actor if superuser else None)
            if grantee is not None and (superuser or _may_use_schema(catalog, actor, function.schema)):
                yield function, grantee


def holds_on_schema(catalog: Catalog, role: str, privilege: str, schema: str) -> Grant | None:
    """Return the grant by which `role` holds USAGE or CREATE on a schema, if it does."""
    having = privileged_roles(catalog, role) | {PUBLIC}
    grants = catalog.grants_by_object.get((schema, ""), ())
    return next((grant for grant in grants if grant.privilege == privilege and grant.grantee in having), None)


def _check_privilege(privilege: str, table: Table, column: str | None) -> None:
    if privilege not in TABLE_PRIVILEGES:
        raise UnknownTableError(f"no table privilege {privilege!r}", hint=", ".join(sorted(TABLE_PRIVILEGES)))
    if column is not None and column not in table.columns:
        raise UnknownTableError(f"table {table} has no column {column!r}", hint=", ".join(table.columns))
    if column is not None and privilege not in COLUMN_PRIVILEGES:
        raise UnknownTableError(f"{privilege} is no privilege on columns", hint=", ".join(sorted(COLUMN_PRIVILEGES)))


def _decide_as(  # noqa: PLR0913 - as evaluate
    catalog: Catalog, role: str, privilege: str, table: Table, column: str | None, *, schema_usage: bool
) -> Decision:
    if find_role(catalog, role).superuser:
        return Decision(True, Reason.SUPERUSER, role)  # noqa: FBT003 - the answer
    having = privileged_roles(catalog, role)
    grant = _find_grant(catalog, having, privilege, table, column)
    predefined = any(name in having and privilege in held for name, held in _DATA_ROLES.items())
    if grant is None and not predefined:
        return Decision(False, Reason.NOT_GRANTED, role)  # noqa: FBT003 - the answer
    if schema_usage and not _may_use_schema(catalog, role, table.schema):
        return Decision(False, Reason.SCHEMA_NOT_USABLE, role, grant)  # noqa: FBT003 - the answer
    reason = Reason.GRANTED if grant is not None else Reason.PREDEFINED_ROLE
    return Decision(True, reason, role, grant, rows_for(catalog, role, privilege, table))  # noqa: FBT003 - the answer


def _find_grant(
    catalog: Catalog, having: frozenset[str], privilege: str, table: Table, column: str | None
) -> Grant | None:
    """Return the grant that gives the privilege, one of a role before one of PUBLIC, of the table before a column's."""
    places = ("", column) if column is not None else ("",)
    grants = [
        grant
        for grant in catalog.grants_by_object.get(table.key, ())
        if grant.privilege == privilege and grant.column in places and (grant.grantee in having or not grant.grantee)
    ]
    return min(grants, key=lambda grant: (grant.grantee == PUBLIC, grant.column, grant.grantee), default=None)


def _may_use_schema(catalog: Catalog, role: str, schema: str) -> bool:
    if find_role(catalog, role).superuser or privileged_roles(catalog, role) & set(_DATA_ROLES):
        return True
    return holds_on_schema(catalog, role, "USAGE", schema) is not None


def _closure(catalog: Catalog, role: str, follows: Callable[[Membership], bool]) -> frozenset[str]:
    found = {role}
    waiting = [role]
    while waiting:
        member = waiting.pop()
        for membership in catalog.memberships_by_member.get(member, ()):
            if membership.role not in found and follows(membership):
                found.add(membership.role)
                waiting.append(membership.role)
    return frozenset(found)
