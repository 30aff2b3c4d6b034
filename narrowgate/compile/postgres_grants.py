"""Grants of a PostgreSQL tool as they are declared: columns and rows of a table, or one function.

A value stands as an identifier or as a row's value, and is checked for that place. This module must not write SQL.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal

from pydantic import Field

from narrowgate.compile.backends.backend import DeclaredGrant
from narrowgate.compile.errors import PlaceError, ReferenceSyntaxError
from narrowgate.compile.problems import Problem
from narrowgate.compile.references import Reference, Value, expand, lookup, parse_template
from narrowgate.plan import (
    Access,
    FunctionGrant,
    Grant,
    RowPredicate,
    TableGrant,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_$]{0,62}")
_FUNCTION: Final = re.compile(r"(?:([a-z_][a-z0-9_]*)\.)?([a-z_][a-z0-9_]*)\(\s*(.*?)\s*\)")
_TYPE: Final = re.compile(r"[a-z_][a-z0-9_]*([ .][a-z_][a-z0-9_]*)*(\[\])?")
# The access that a declared action must at least say, by privilege.
_LEVELS: Final[dict[str, Access]] = {
    "select": Access.READ,
    "insert": Access.WRITE,
    "update": Access.WRITE,
    "delete": Access.DELETE,
}
_ORDER: Final = (Access.READ, Access.WRITE, Access.DELETE, Access.PERMISSIONS)

RowValue = str | int | bool | list[str | int | bool]


class PostgresTableGrant(DeclaredGrant):
    """`privileges` on `columns` of `table` (schema.table, or one of `public`), in the rows that match all of `rows`."""

    table: str
    """`table` (of `public`) or `schema.table`."""
    privileges: list[Literal["select", "insert", "update", "delete"]] = Field(default_factory=list)
    """What the action may do; `select` for an action that reads."""
    columns: list[str] = Field(default_factory=list)
    """The columns that it may do it with. `delete` takes none."""
    rows: dict[str, RowValue] = Field(default_factory=dict)
    """Only rows where each of these columns has the value, or one of the values."""

    def _privileges(self, access: Access) -> list[str]:
        return list(self.privileges) or (["select"] if access is Access.READ else [])

    def check(self, access: Access) -> Iterator[Problem]:
        """Yield names that are no identifiers, missing columns or privileges, and understated access."""
        privileges = self._privileges(access)
        if not privileges:
            yield Problem(
                (), "missing-key", "a grant that writes must name its `privileges`", "insert, update or delete"
            )
        for index, privilege in enumerate(privileges):
            if _ORDER.index(_LEVELS[privilege]) > _ORDER.index(access):
                needed = _LEVELS[privilege]
                message = f"{privilege} is `{needed}`, the action says `{access}`"
                yield Problem(("privileges", index), "access-understated", message, f"say `{needed}`")
        if not self.columns and set(privileges) - {"delete"}:
            yield Problem((), "missing-key", "a grant must name its `columns`", "name each column that is needed")
        if self.columns and privileges == ["delete"]:
            yield Problem(("columns",), "unknown-key", "DELETE takes no columns", "remove `columns`", key=True)
        yield from self._check_texts()

    def _check_texts(self) -> Iterator[Problem]:
        for path, text in self._identifiers():
            try:
                template = parse_template(text)
            except ReferenceSyntaxError as error:
                yield Problem(path, error.code, str(error), error.hint)
                continue
            for literal in (part for part in template.parts if isinstance(part, str)):
                names_ = literal.split(".") if path == ("table",) else [literal]
                if len(names_) > 2 or not all(_IDENTIFIER.fullmatch(n) for n in names_):  # noqa: PLR2004 - schema.table
                    yield Problem(path, "identifier", f"`{text}` is no SQL identifier", key=path[0] == "rows")
        for column, value in self.rows.items():
            for index, item in enumerate(value if isinstance(value, list) else [value]):
                try:
                    parse_template(str(item))
                except ReferenceSyntaxError as error:
                    path = ("rows", column, index) if isinstance(value, list) else ("rows", column)
                    yield Problem(path, error.code, str(error), error.hint)
            if value == []:
                yield Problem(("rows", column), "empty-list", "no value would match no row", "name at least one")

    def _identifiers(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        yield ("table",), self.table
        for index, column in enumerate(self.columns):
            yield ("columns", index), column
        for column in self.rows:
            yield ("rows", column), column

    def references(self) -> Iterator[tuple[tuple[str | int, ...], Reference]]:
        """Yield the references of table, columns and row values."""
        texts: list[tuple[tuple[str | int, ...], str]] = list(self._identifiers())
        for column, value in self.rows.items():
            items = value if isinstance(value, list) else [value]
            texts += [(("rows", column), item) for item in items if isinstance(item, str)]
        for path, text in texts:
            for reference in parse_template(text).references:
                yield path, reference

    def resolve(self, values: Mapping[Reference, Value]) -> Iterator[Grant]:
        """Yield one grant for each table that the lists expand to."""
        columns = sorted({name for column in self.columns for name in _expand_identifiers(column, values)})
        rows = tuple(RowPredicate(c, _row_values(v, values)) for c, v in sorted(self.rows.items()))
        privileges = tuple(p.upper() for p in sorted(set(self.privileges) or {"select"}))
        for table in _expand_identifiers(self.table, values, dotted=True):
            schema, _, name = table.rpartition(".")
            for group, granted in ((columns, [p for p in privileges if p != "DELETE"]), ([], ["DELETE"])):
                if chosen := tuple(p for p in privileges if p in granted):
                    yield TableGrant(schema or "public", name, chosen, tuple(group), rows)


class PostgresFunctionGrant(DeclaredGrant):
    """EXECUTE on one `function`, written as PostgreSQL identifies it: `close_incident(bigint, text)`."""

    function: str
    """One function, as PostgreSQL identifies it: `close_incident(bigint, text)`."""

    def check(self, access: Access) -> Iterator[Problem]:
        """Yield what is no function signature."""
        match = _FUNCTION.fullmatch(self.function)
        if match is None or not all(_TYPE.fullmatch(argument) for argument in _arguments(match[3])):
            hint = "write name(type, type), in lower case"
            yield Problem(("function",), "identifier", f"`{self.function}` is no function signature", hint)
        if access is Access.READ:
            yield Problem(("function",), "access-understated", "a function may write", "say `write`, or grant columns")

    def references(self) -> Iterator[tuple[tuple[str | int, ...], Reference]]:
        """Yield nothing: a function takes no reference."""
        yield from ()

    def resolve(self, values: Mapping[Reference, Value]) -> Iterator[Grant]:  # noqa: ARG002 - the base's signature
        """Yield the function."""
        match = _FUNCTION.fullmatch(self.function)
        if match is not None:
            yield FunctionGrant(match[1] or "public", match[2], tuple(_arguments(match[3])))


def _arguments(text: str) -> list[str]:
    return [" ".join(argument.split()) for argument in text.split(",")] if text else []


def _identifier(value: str | int | bool) -> str:  # noqa: FBT001 - a value, not a flag
    if not isinstance(value, str) or not _IDENTIFIER.fullmatch(value):
        raise PlaceError(f"{value!r} is no SQL identifier", hint="letters, digits and `_`, 63 at most")
    return value


def _expand_identifiers(text: str, values: Mapping[Reference, Value], *, dotted: bool = False) -> list[str]:
    template = parse_template(text)
    expanded = list(expand(template.placed(_identifier), values))
    for name in expanded:
        for part in name.split(".") if dotted else [name]:
            _identifier(part)
    return expanded


def _row_values(value: RowValue, values: Mapping[Reference, Value]) -> tuple[str | int | bool, ...]:
    found: list[str | int | bool] = []
    for item in value if isinstance(value, list) else [value]:
        template = parse_template(item) if isinstance(item, str) else None
        if template is None:
            found.append(item)
        elif template.sole is not None:
            resolved = lookup(template.sole, values)
            found += resolved if isinstance(resolved, tuple) else (resolved,)
        else:
            found += expand(template.placed(str), values)
    if not found:
        raise PlaceError("an empty list matches no row", hint="name at least one value")
    for item in found:
        if isinstance(item, str) and not item.isprintable():
            raise PlaceError(f"{item!r} cannot be a row's value", hint="give printable text")
    # Python takes True for 1; as row values they are two.
    return tuple(
        value for _, value in sorted({(type(v).__name__, v) for v in found}, key=lambda pair: (pair[0], str(pair[1])))
    )
