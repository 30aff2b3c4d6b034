"""Whether a role can do more in one catalogue than in another: privileges, rows, functions and power over roles.

Three-valued as all comparisons: False names what is new, None what could not be decided; row conditions are SQL, so
they are compared only as the same or fewer policies, never by what they mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from narrowgate.access.postgres.catalog import COLUMN_PRIVILEGES, TABLE_PRIVILEGES, VIEW_KINDS, Catalog, Function, Table
from narrowgate.access.postgres.decision import (
    Rows,
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

_ALL = ""  # stands for the whole table where a column could stand


@dataclass(frozen=True, slots=True, order=True)
class Access:
    """One thing that a role can do: a privilege on a table or column (`column` empty for the table), or `detail`."""

    privilege: str
    object: str
    column: str = ""
    detail: str = ""

    def __str__(self) -> str:
        """Return the access in words."""
        column = f" ({self.column})" if self.column else ""
        return f"{self.privilege} on {self.object}{column}" + (f": {self.detail}" if self.detail else "")


@dataclass(frozen=True, slots=True)
class Comparison:
    """Whether `new` gives the role nothing that `old` did not. `no_new_access` None: see `reason`."""

    no_new_access: bool | None
    reason: str
    witness: Access | None = None
    new_access: tuple[Access, ...] = ()


def compare(old: Catalog, new: Catalog, role: str) -> Comparison:
    """Compare what `role` can do, SET ROLE included. Raises UnknownRoleError when `new` does not hold the role.

    A role that `old` does not hold could do nothing there.
    """
    find_role(new, role)
    known = role in old.roles_by_name
    before = frozenset(_other_access(old, role)) if known else frozenset()
    found = [access for access in _other_access(new, role) if access not in before]
    doubts = list(_changed_functions(old, new, role)) if known else []
    for table in new.tables:
        found += _new_on_table(old if known else None, new, role, table, doubts)
    if found:
        listed = tuple(sorted(set(found)))
        return Comparison(False, f"new: {listed[0]}", listed[0], listed)  # noqa: FBT003 - the answer
    if doubts:
        return Comparison(None, doubts[0])
    return Comparison(True, f"{role} can do nothing that it could not before")  # noqa: FBT003 - the answer


def _new_on_table(old: Catalog | None, new: Catalog, role: str, table: Table, doubts: list[str]) -> Iterator[Access]:
    known = old is not None and table.key in old.tables_by_key
    old_columns = old.tables_by_key[table.key].columns if old is not None and known else ()
    for privilege in sorted(TABLE_PRIVILEGES):
        for column in (_ALL, *(table.columns if privilege in COLUMN_PRIVILEGES else ())):
            if not evaluate(new, role, privilege, table.key, column or None).allowed:
                continue
            had = (
                old is not None
                and known
                and (not column or column in old_columns)
                and evaluate(old, role, privilege, table.key, column or None).allowed
            )
            if old is None or not had:
                yield Access(privilege, str(table), column)
            elif not _rows_within(old, new, role, privilege, table, column):
                doubts.append(f"{role} may see other rows: {privilege} on {table} has other row policies")
            elif _view(old.tables_by_key[table.key]) != _view(table):
                doubts.append(f"{role} may see more: view {table} has another query or owner")


def _rows_within(  # noqa: PLR0913, PLR0917 - two sides of one question
    old: Catalog, new: Catalog, role: str, privilege: str, table: Table, column: str
) -> bool:
    """Tell whether each role acted as in `new` has a role in `old` that leaves the same rows or more."""
    before = _rows_of(old, role, privilege, old.tables_by_key[table.key], column)
    return all(
        any(_within(mine, theirs) for theirs in before) for mine in _rows_of(new, role, privilege, table, column)
    )


def _rows_of(catalog: Catalog, role: str, privilege: str, table: Table, column: str) -> list[Rows]:
    """Return the rows left to the role and to each role that it may become, where that one has the privilege."""
    return [
        rows_for(catalog, actor, privilege, table)
        for actor in (role, *sorted(settable_roles(catalog, role)))
        if evaluate(catalog, actor, privilege, table.key, column or None, set_role=False).allowed
    ]


def _within(rows: Rows, wider: Rows) -> bool:
    if wider.all or rows == wider:
        return True
    if rows.all:
        return False
    mine = {(policy.using, policy.check) for policy in rows.permissive}
    theirs = {(policy.using, policy.check) for policy in wider.permissive}
    limits = {(policy.using, policy.check) for policy in rows.restrictive}
    return mine <= theirs and {(policy.using, policy.check) for policy in wider.restrictive} <= limits


def _view(table: Table) -> tuple[object, ...] | None:
    """Return what a view shows, and as whom; None for a table."""
    return (table.definition, table.owner, table.security_invoker) if table.kind in VIEW_KINDS else None


def _changed_functions(old: Catalog, new: Catalog, role: str) -> Iterator[str]:
    before = {str(function): function for function in old.functions}
    for function, _ in executable_functions(new, role):
        earlier = before.get(str(function))
        if function.security_definer and earlier is not None and _body(earlier) != _body(function):
            yield f"{role} may do more: function {function} has another body or owner"


def _body(function: Function) -> tuple[str, str]:
    return function.definition, function.owner


def _other_access(catalog: Catalog, role: str) -> Iterator[Access]:
    """Yield what a role can do beside using tables: functions, attributes, and power over objects and roles."""
    for function, _ in executable_functions(catalog, role):
        yield Access("EXECUTE", str(function), detail="as its owner" if function.security_definer else "")
    for actor in (role, *sorted(settable_roles(catalog, role))):
        attributes = find_role(catalog, actor)
        names = ("superuser", "bypass_rls", "create_role")
        yield from (Access("ATTRIBUTE", name) for name in names if getattr(attributes, name))
        yield from _power(catalog, actor)


def _power(catalog: Catalog, actor: str) -> Iterator[Access]:
    having = privileged_roles(catalog, actor)
    yield from (Access("OWN", str(table)) for table in catalog.tables if table.owner in having)
    for schema in catalog.schemas:
        if schema.owner in having:
            yield Access("OWN", schema.name)
        if holds_on_schema(catalog, actor, "CREATE", schema.name):
            yield Access("CREATE", schema.name)
    for grant in catalog.grants:
        if grant.grantable and grant.grantee in having:
            yield Access(f"GRANT {grant.privilege}", f"{grant.schema}.{grant.table}".rstrip("."), grant.column)
    for membership in catalog.memberships:
        if membership.admin and membership.member in having:
            yield Access("GRANT ROLE", membership.role)
