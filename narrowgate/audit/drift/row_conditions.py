"""Reads the conditions of row policies as PostgreSQL writes them back, as far as ours go: columns that equal values.

PostgreSQL keeps a parsed condition and writes it with casts and parentheses of its own (`pg_get_expr`), so texts can't
be compared. What is not of the form that Narrowgate writes is None, which nobody may take for equal.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Alternatives, each with a set of values for each of its columns; one without columns is all rows.
Rows = frozenset[frozenset[tuple[str, frozenset[str]]]]

ALL_ROWS: Final[Rows] = frozenset({frozenset()})
NO_ROWS: Final[Rows] = frozenset()
_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<text>E?'(?:[^']|'')*')|(?P<quoted>"(?:[^"]|"")*")|(?P<number>-?\d+)|(?P<word>[A-Za-z_][\w$]*)
    |(?P<mark>::|[()\[\],=.]))""",
    re.VERBOSE,
)
_KEYWORDS: Final = frozenset({"AND", "OR", "ANY", "ARRAY"})
Token = tuple[str, str]


class _UnknownFormError(Exception):
    """The condition is none that Narrowgate writes."""


def declared_rows(rows: Sequence[Mapping[str, Sequence[Any]]]) -> Rows:
    """Return the declared alternatives, `[{column: [values]}, …]`, to be compared with a condition that was read."""
    return frozenset(
        frozenset((column, frozenset(_say(value) for value in values)) for column, values in alternative.items())
        for alternative in rows
    )


def read_rows(condition: str) -> Rows | None:
    """Return which rows a condition admits, as `pg_get_expr` writes it; None where it is of another form than ours."""
    try:
        reader = _Reader(_drop_casts(_split(condition)))
        rows = reader.read_alternatives()
        reader.expect_end()
    except _UnknownFormError:
        return None
    return rows


def _say(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _split(text: str) -> list[Token]:
    tokens, at = [], 0
    text = text.rstrip()
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None or found.lastgroup is None:
            raise _UnknownFormError
        tokens.append((found.lastgroup, found[found.lastgroup]))
        at = found.end()
    return [("keyword", value) if kind == "word" and value in _KEYWORDS else (kind, value) for kind, value in tokens]


def _drop_casts(tokens: list[Token]) -> list[Token]:
    """Leave out `::type`: a cast of a column or of a literal to the other's type changes no equality of ours."""
    kept, at = [], 0
    while at < len(tokens):
        if tokens[at] != ("mark", "::"):
            kept.append(tokens[at])
            at += 1
            continue
        at += 1
        start = at
        while at < len(tokens) and (tokens[at][0] in {"word", "quoted"} or tokens[at] == ("mark", ".")):
            at += 1
        if at == start:
            raise _UnknownFormError
        if tokens[at : at + 1] == [("mark", "(")]:
            at = tokens.index(("mark", ")"), at) + 1 if ("mark", ")") in tokens[at:] else len(tokens)
        if tokens[at : at + 2] == [("mark", "["), ("mark", "]")]:
            at += 2
    return kept


class _Reader:
    """Reads alternatives of equalities from tokens, parentheses anywhere."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._at = 0

    def expect_end(self) -> None:
        if self._at != len(self._tokens):
            raise _UnknownFormError

    def read_alternatives(self) -> Rows:
        """Read terms joined by OR."""
        rows = self._read_terms()
        while self._take("keyword", "OR"):
            rows |= self._read_terms()
        return rows

    def _read_terms(self) -> Rows:
        rows = self._read_term()
        while self._take("keyword", "AND"):
            rows = frozenset(_join(mine, other) for other in self._read_term() for mine in rows)
        return rows

    def _read_term(self) -> Rows:
        start = self._at
        if self._take("mark", "("):
            try:
                rows = self.read_alternatives()
                self._need("mark", ")")
            except _UnknownFormError:
                self._at = start  # it may open a column or a value: `((tenant)::text = …)`
            else:
                if self._peek() != ("mark", "="):
                    return rows
                self._at = start
        for word, rows in (("true", ALL_ROWS), ("false", NO_ROWS)):
            if self._peek() == ("word", word):
                self._at += 1
                return rows
        return self._read_equality()

    def _read_equality(self) -> Rows:
        column = self._read_column()
        self._need("mark", "=")
        values = self._read_values() if self._take("keyword", "ANY") else frozenset({self._read_value()})
        return frozenset({frozenset({(column, values)})})

    def _read_column(self) -> str:
        if self._take("mark", "("):
            column = self._read_column()
            self._need("mark", ")")
            return column
        kind, value = self._next()
        if kind == "quoted":
            return value[1:-1].replace('""', '"')
        if kind == "word":
            return value
        raise _UnknownFormError

    def _read_values(self) -> frozenset[str]:
        if self._take("mark", "("):
            values = self._read_values()
            self._need("mark", ")")
            return values
        self._need("keyword", "ARRAY")
        self._need("mark", "[")
        found = {self._read_value()}
        while self._take("mark", ","):
            found.add(self._read_value())
        self._need("mark", "]")
        return frozenset(found)

    def _read_value(self) -> str:
        if self._take("mark", "("):
            value = self._read_value()
            self._need("mark", ")")
            return value
        kind, value = self._next()
        if kind == "text":
            escaped = value.startswith("E")
            inner = value[2 if escaped else 1 : -1].replace("''", "'")
            return inner.replace("\\\\", "\\") if escaped else inner
        if kind == "number" or (kind == "word" and value in {"true", "false"}):
            return value
        raise _UnknownFormError

    def _peek(self) -> Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _next(self) -> Token:
        token = self._peek()
        if token is None:
            raise _UnknownFormError
        self._at += 1
        return token

    def _take(self, kind: str, value: str) -> bool:
        if self._peek() != (kind, value):
            return False
        self._at += 1
        return True

    def _need(self, kind: str, value: str) -> None:
        if not self._take(kind, value):
            raise _UnknownFormError


def _join(one: frozenset[tuple[str, frozenset[str]]], other: frozenset[tuple[str, frozenset[str]]]) -> Any:  # noqa: ANN401
    """Return both alternatives as one; a column that stands in both is not of our form."""
    if {column for column, _ in one} & {column for column, _ in other}:
        raise _UnknownFormError
    return one | other
