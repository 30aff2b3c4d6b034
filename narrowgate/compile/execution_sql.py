"""`sql-function`: one call of the one SQL function that an action grants.

This module must not write SQL.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import Field

from narrowgate.compile.backends.backend import Declared
from narrowgate.compile.errors import PlaceError
from narrowgate.compile.execution import DeclaredExecution, Path, Reversible, Scalar, is_reference
from narrowgate.compile.postgres_grants import PostgresFunctionGrant
from narrowgate.compile.problems import Problem
from narrowgate.plan import FunctionGrant, RowPredicate, TableGrant

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from narrowgate.compile.backends.backend import DeclaredGrant
    from narrowgate.plan import ActionAccess, Execution

_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_$]{0,62}")


class SqlTarget(Declared):
    """The one row that a function changes, as the executor reads it by a login of its own."""

    table: str
    """`table` (of `public`) or `schema.table`."""
    columns: list[str] = Field(min_length=1)
    """What of it is read and shown."""
    key: dict[str, Scalar] = Field(min_length=1)
    """Which row: a value for each of these columns. Values that the workflow's scope gives limit what can be read."""


class SqlFunctionExecution(DeclaredExecution):
    """One call of the one SQL function that the action grants; the function records the digest, once."""

    handler: Literal["sql-function"]
    """How it is carried out."""
    arguments: list[Scalar]
    """The function's arguments, in order; one of them is `${digest}`."""
    target: SqlTarget | None = None
    """The row that it changes; without it, approvers see only what will be called."""
    changes: dict[str, Scalar] = Field(default_factory=dict)
    """What the row's columns will be."""
    reversible: Reversible
    """Whether and how it can be undone, in words, for approvers."""

    def check(self) -> Iterator[Problem]:
        """Yield names that are no identifiers, a missing digest, and changes of columns that are not read."""
        if self.arguments.count("${digest}") != 1:
            message = "exactly one argument must be `${digest}`"
            hint = "the function records it in a unique column, so that the database refuses a second run"
            yield Problem(("arguments",), "missing-digest", message, hint)
        if self.target is None:
            return
        named: list[tuple[Path, str]] = [(("target", "columns", n), name) for n, name in enumerate(self.target.columns)]
        named += [(("target", "key", name), name) for name in self.target.key]
        parts = self.target.table.split(".")
        if len(parts) > 2 or not all(_IDENTIFIER.fullmatch(part) for part in parts):  # noqa: PLR2004 - schema.table
            yield Problem(("target", "table"), "identifier", f"`{self.target.table}` is no SQL identifier")
        for path, name in named:
            if not _IDENTIFIER.fullmatch(name):
                yield Problem(path, "identifier", f"`{name}` is no SQL identifier", key="key" in path)
        for name in self.changes:
            if name not in self.target.columns:
                message = f"`{name}` is changed and not read: approvers would not see what it was"
                yield Problem(("changes", name), "unread-column", message, "add it to `target: columns`", key=True)

    def check_grants(self, grants: Sequence[DeclaredGrant]) -> Iterator[Problem]:
        """Yield where the action grants anything but one function with as many arguments."""
        functions = [grant for each in grants if isinstance(each, PostgresFunctionGrant) for grant in each.resolve({})]
        if len(functions) != 1 or len(grants) != 1 or not isinstance(function := functions[0], FunctionGrant):
            yield Problem((), "bad-value", "its action must grant one function, and nothing else")
        elif len(function.arguments) != len(self.arguments):
            message = f"{function.function} takes {len(function.arguments)} arguments, not {len(self.arguments)}"
            yield Problem(("arguments",), "bad-value", message)

    def early(self) -> Mapping[str, Any]:
        """Return the row and what it will be."""
        return {"target": {"key": dict(self.target.key)} if self.target else {}, "changes": dict(self.changes)}


def function_of(action: ActionAccess) -> FunctionGrant:
    """Return the one function of an action that is carried out by `sql-function`."""
    functions = [grant for grant in action.grants if isinstance(grant, FunctionGrant)]
    if len(functions) != 1 or len(action.grants) != 1:
        raise PlaceError(f"{action.name} must grant one function, and nothing else")
    return functions[0]


def reads_of(execution: Execution) -> TableGrant | None:
    """Return what an executor reads before and after: the target's columns, in the rows that the scope fixes."""
    target = json.loads(execution.call).get("target")
    if not target:
        return None
    schema, _, table = target["table"].rpartition(".")
    columns = tuple(sorted({*target["columns"], *target["key"]}))
    fixed = {column: value for column, value in target["key"].items() if not is_reference(value)}
    rows = tuple(RowPredicate(column, (value,)) for column, value in sorted(fixed.items()))
    return TableGrant(schema or "public", table, ("SELECT",), columns, rows)
