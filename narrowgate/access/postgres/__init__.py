"""What a PostgreSQL database lets a role do, decided offline from its catalogue.

`QUERIES` and `read_catalog` make a `Catalog`; `evaluate` decides one privilege, `compare` whether a role gained
something, `find_widening` what gives a tool's group role more than was declared. Must not connect to a database.
"""

from __future__ import annotations

from narrowgate.access.postgres.catalog import (
    PUBLIC,
    Catalog,
    Function,
    Grant,
    Membership,
    Role,
    RowPolicy,
    Schema,
    Table,
)
from narrowgate.access.postgres.comparison import Access, Comparison, compare
from narrowgate.access.postgres.decision import Decision, Reason, Rows, evaluate
from narrowgate.access.postgres.errors import CatalogError, UnknownRoleError, UnknownTableError
from narrowgate.access.postgres.queries import QUERIES, read_catalog
from narrowgate.access.postgres.widening import Kind, Widening, find_widening

__all__ = [
    "PUBLIC",
    "QUERIES",
    "Access",
    "Catalog",
    "CatalogError",
    "Comparison",
    "Decision",
    "Function",
    "Grant",
    "Kind",
    "Membership",
    "Reason",
    "Role",
    "RowPolicy",
    "Rows",
    "Schema",
    "Table",
    "UnknownRoleError",
    "UnknownTableError",
    "Widening",
    "compare",
    "evaluate",
    "find_widening",
    "read_catalog",
]
