"""What a PostgreSQL database says about access, as plain frozen values. Holds values only; decides nothing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

PUBLIC = ""  # the grantee that stands for every role; no role can have an empty name
COLUMN_PRIVILEGES = frozenset({"SELECT", "INSERT", "UPDATE", "REFERENCES"})
TABLE_PRIVILEGES = COLUMN_PRIVILEGES | {"DELETE", "TRUNCATE", "TRIGGER"}
VIEW_KINDS = frozenset({"v", "m"})


@dataclass(frozen=True, slots=True)
class Role:
    """A role and its attributes, which no membership passes on."""

    name: str
    superuser: bool = False
    bypass_rls: bool = False
    create_role: bool = False
    can_login: bool = False


@dataclass(frozen=True, slots=True)
class Membership:
    """`member` is in `role`, whose privileges it has (`inherit`), which it may become (`set`) and grant (`admin`)."""

    role: str
    member: str
    inherit: bool = True
    set: bool = True
    admin: bool = False


@dataclass(frozen=True, slots=True)
class Schema:
    """A schema and its owner."""

    name: str
    owner: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table, view or the like. `kind` is `r`, `p`, `v`, `m` or `f`, as in `pg_class.relkind`.

    `definition` is a view's query, empty for a table.
    """

    schema: str
    name: str
    owner: str
    columns: tuple[str, ...]
    kind: str = "r"
    row_security: bool = False
    force_row_security: bool = False
    security_invoker: bool = False
    definition: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """Return schema and name."""
        return self.schema, self.name

    def __str__(self) -> str:
        """Return `schema.name`."""
        return f"{self.schema}.{self.name}"


@dataclass(frozen=True, slots=True)
class Grant:
    """One privilege on a table (`column` empty), a column, or a schema (`table` empty). `grantee` may be PUBLIC."""

    schema: str
    table: str
    column: str
    grantee: str
    privilege: str
    grantable: bool = False


@dataclass(frozen=True, slots=True)
class RowPolicy:
    """A row security policy. `roles` may hold PUBLIC; `command` is ALL, SELECT, INSERT, UPDATE or DELETE."""

    schema: str
    table: str
    name: str
    roles: tuple[str, ...]
    command: str = "ALL"
    permissive: bool = True
    using: str = ""
    check: str = ""

    def __str__(self) -> str:
        """Return the policy's name and table."""
        return f"{self.name} on {self.schema}.{self.table}"


@dataclass(frozen=True, slots=True)
class Function:
    """A function, `arguments` as PostgreSQL writes its types, and who may execute it (PUBLIC unless revoked).

    `definition` is a digest of its body and settings, to be compared only.
    """

    schema: str
    name: str
    arguments: str
    owner: str
    security_definer: bool
    executors: tuple[str, ...]
    definition: str = ""

    def __str__(self) -> str:
        """Return `schema.name(arguments)`."""
        return f"{self.schema}.{self.name}({self.arguments})"


@dataclass(frozen=True)
class Catalog:
    """All of the above for one database, without the system's own schemas."""

    roles: tuple[Role, ...] = ()
    memberships: tuple[Membership, ...] = ()
    schemas: tuple[Schema, ...] = ()
    tables: tuple[Table, ...] = ()
    grants: tuple[Grant, ...] = ()
    policies: tuple[RowPolicy, ...] = ()
    functions: tuple[Function, ...] = ()

    @cached_property
    def roles_by_name(self) -> Mapping[str, Role]:
        """Return the roles by name."""
        return {role.name: role for role in self.roles}

    @cached_property
    def memberships_by_member(self) -> Mapping[str, tuple[Membership, ...]]:
        """Return the memberships by who is the member."""
        found: dict[str, list[Membership]] = {}
        for membership in self.memberships:
            found.setdefault(membership.member, []).append(membership)
        return {member: tuple(memberships) for member, memberships in found.items()}

    @cached_property
    def tables_by_key(self) -> Mapping[tuple[str, str], Table]:
        """Return the tables by schema and name."""
        return {table.key: table for table in self.tables}

    @cached_property
    def grants_by_object(self) -> Mapping[tuple[str, str], tuple[Grant, ...]]:
        """Return the grants by schema and table; the table is empty for the grants of the schema itself."""
        found: dict[tuple[str, str], list[Grant]] = {}
        for grant in self.grants:
            found.setdefault((grant.schema, grant.table), []).append(grant)
        return {key: tuple(grants) for key, grants in found.items()}
