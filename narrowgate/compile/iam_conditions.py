"""IAM conditions of a grant: known operators, keys that the actions know, values escaped for the operator.

This module must not judge whether a condition is enough; rules do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from narrowgate.compile import iam_catalogue
from narrowgate.compile.errors import PlaceError, ReferenceSyntaxError
from narrowgate.compile.problems import Problem
from narrowgate.compile.references import Reference, Scalar, Value, expand, parse_template
from narrowgate.plan import Condition

When = Mapping[str, Mapping[str, str | bool | int | list[str]]]

_STRING: Final = frozenset({"StringEquals", "StringEqualsIgnoreCase", "StringLike"})
_LITERAL: Final = frozenset(
    {"NumericEquals", "NumericLessThan", "NumericLessThanEquals", "NumericGreaterThan", "NumericGreaterThanEquals"}
    | {"DateLessThan", "DateGreaterThan", "Bool", "IpAddress", "ArnEquals", "ArnLike", "Null"}
)
_ALL: Final = "ForAllValues:"
_QUALIFIERS: Final = (_ALL, "ForAnyValue:")
_ESCAPES: Final = {"*": "${*}", "?": "${?}", "$": "${$}"}
_KEY: Final = re.compile(r"[a-z0-9-]+:[A-Za-z0-9/._-]+")


def _base(operator: str) -> str:
    for qualifier in _QUALIFIERS:
        operator = operator.removeprefix(qualifier)
    return operator


def _listed(value: str | bool | int | list[str]) -> list[str]:  # noqa: FBT001 - a YAML value, not a flag
    if isinstance(value, list):
        return value
    return [str(value).lower() if isinstance(value, bool) else str(value)]


def condition_texts(when: When) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield each value's text with its key path."""
    for operator, keys in when.items():
        for key, value in keys.items():
            for index, text in enumerate(_listed(value)):
                yield (operator, key, index) if isinstance(value, list) else (operator, key), text


def check_conditions(actions: Sequence[str], when: When) -> Iterator[Problem]:
    """Yield unknown operators and keys, and references where only a literal can stand.

    Negated and `IfExists` operators are refused: they hold where the key is missing, so a scope in them is no scope.
    """
    for operator, keys in when.items():
        if _base(operator) not in _STRING | _LITERAL:
            known = ", ".join(sorted(_STRING | _LITERAL))
            yield Problem((operator,), "iam-condition", f"`{operator}` is no accepted operator", known, key=True)
        for key in keys:
            if not _KEY.fullmatch(key):
                yield Problem((operator, key), "iam-condition", f"`{key}` is no condition key", key=True)
                continue
            for problem in iam_catalogue.check_condition_key(actions, key):
                yield problem.under(operator, key)
            if operator.startswith(_ALL) and when.get("Null", {}).get(key) is not False:
                message = f"`{_ALL}` holds where a request has no `{key}` at all"
                hint = f"add `Null: {{{key}: false}}`"
                yield Problem((operator, key), "iam-condition", message, hint, key=True)
    for path, text in condition_texts(when):
        try:
            references = parse_template(text).references
        except ReferenceSyntaxError as error:
            yield Problem(path, error.code, str(error), error.hint)
            continue
        if references and _base(str(path[0])) in _LITERAL:
            yield Problem(path, "reference", f"`{path[0]}` takes no reference", "use a String operator")


def resolve_conditions(when: When, values: Mapping[Reference, Value]) -> tuple[Condition, ...]:
    """Return the conditions for `values`, sorted; raise `PlaceError` for a value that does not fit."""
    conditions = []
    for operator, keys in when.items():
        place = _escape_pattern if _base(operator) == "StringLike" else _escape_variable
        for key, value in keys.items():
            texts: set[str] = set()
            for text in _listed(value):
                template = parse_template(text)
                texts.update(expand(template.placed(place), values))
            conditions.append(Condition(operator, key, tuple(sorted(texts))))
    return tuple(sorted(conditions, key=lambda c: (c.operator, c.key)))


def _escape_pattern(value: Scalar) -> str:
    return "".join(_ESCAPES.get(character, character) for character in _text(value))


def _escape_variable(value: Scalar) -> str:
    return _text(value).replace("$", "${$}")


def _text(value: Scalar) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if not text or not text.isprintable():
        raise PlaceError(f"{text!r} cannot stand in a condition", hint="give printable text")
    return text
