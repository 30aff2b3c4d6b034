"""What can be wrong with a question about a database. Must not import anything but the project's root of errors."""

from __future__ import annotations

from narrowgate.errors import NarrowgateError


class CatalogError(NarrowgateError):
    """Rows that do not make a catalogue, or a question about what the catalogue does not hold."""

    code = "postgres-catalog"
    hint = "Run every statement of narrowgate.access.postgres.QUERIES on the same database and give all rows."


class UnknownRoleError(CatalogError):
    """A role that the catalogue does not hold."""

    code = "postgres-role-unknown"


class UnknownTableError(CatalogError):
    """A table, column or privilege that the catalogue does not hold."""

    code = "postgres-table-unknown"
