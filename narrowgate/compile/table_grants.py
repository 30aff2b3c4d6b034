"""Joins the table grants of a tool's actions into one grant for each table and privilege, and never widens them.

PostgreSQL holds columns and rows apart: a role that is granted columns A in rows R and columns B in rows S can read A
and B in R and S. So a union is made only where it is exactly the sum of its parts, and refused otherwise. One action's
SELECT and another's UPDATE stay apart: what an UPDATE reads is judged by the SELECT grant and policy. This module must
not write SQL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from narrowgate.compile.errors import CompileError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from narrowgate.plan import RowPredicate, TableGrant

Value = str | int | bool
# One alternative: columns with their values, sorted. Each value goes with its type's name, since Python's True is 1.
Rows = tuple[tuple[str, tuple[tuple[str, Value], ...]], ...]
_ALL_COLUMNS: Final = ""


def join_table_grants(grants: Iterable[TableGrant]) -> tuple[dict[str, Any], ...]:
    """Return one dict for each (table, privilege): schema, table, privilege, columns, rows; sorted.

    `rows` is a list of alternatives, each a mapping from column to values. Raise `CompileError` where the union of
    two grants would be more than both.
    """
    parts: dict[tuple[str, str, str], list[tuple[tuple[str, ...], Rows]]] = {}
    for grant in grants:
        for privilege in grant.privileges:
            columns = () if privilege == "DELETE" else grant.columns
            parts.setdefault((grant.schema, grant.table, privilege), []).append((columns, normalize(grant.rows)))
    return tuple(_join(key, parts[key]) for key in sorted(parts))


def _join(key: tuple[str, str, str], parts: list[tuple[tuple[str, ...], Rows]]) -> dict[str, Any]:
    schema, table, privilege = key
    by_column: dict[str, set[Rows]] = {}
    for columns, rows in parts:
        # DELETE has no columns: its rows are all there is to it.
        for column in columns or (_ALL_COLUMNS,):
            by_column.setdefault(column, set()).add(rows)
    largest = {column: _largest(alternatives) for column, alternatives in by_column.items()}
    union = _largest({rows for alternatives in largest.values() for rows in alternatives})
    for column, alternatives in sorted(largest.items()):
        if alternatives != union:
            raise CompileError(
                f"two actions grant {privilege} on {schema}.{table} with other columns in other rows: together they "
                f"would give `{column}` in rows that no action grants it in",
                hint="give both the same columns or the same rows, or put one of them in a tool of its own",
            )
    return {
        "schema": schema,
        "table": table,
        "privilege": privilege,
        "columns": sorted(column for column in by_column if column != _ALL_COLUMNS),
        "rows": [
            {column: [value for _, value in values] for column, values in rows} for rows in sorted(union, key=_order)
        ],
    }


def normalize(predicates: Iterable[RowPredicate]) -> Rows:
    """Return predicates sorted by column, values sorted and unique; two predicates on one column are refused."""
    columns: dict[str, tuple[tuple[str, Value], ...]] = {}
    for predicate in predicates:
        if predicate.column in columns:
            raise CompileError(f"two predicates on one column, {predicate.column}")
        typed = {(type(value).__name__, value) for value in predicate.values}
        columns[predicate.column] = tuple(sorted(typed, key=lambda pair: (pair[0], str(pair[1]))))
    return tuple(sorted(columns.items()))


def rows_within(inner: Rows, outer: Rows) -> bool:
    """Return whether every row that matches `inner` matches `outer`; False where that cannot be told."""
    known = dict(inner)
    return all(column in known and set(known[column]) <= set(values) for column, values in outer)


def _largest(alternatives: Iterable[Rows]) -> frozenset[Rows]:
    """Return the alternatives that no other one contains."""
    every = set(alternatives)
    return frozenset(a for a in every if not any(a != b and rows_within(a, b) for b in every))


def _order(rows: Rows) -> list[tuple[str, list[tuple[str, str]]]]:
    return [(column, [(kind, str(value)) for kind, value in values]) for column, values in rows]
