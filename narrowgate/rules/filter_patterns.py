"""What a CloudWatch Logs filter pattern for JSON matches: a rule asks what a filter does, not how it is spelled.

A part of the syntax that is not known here (a regular expression, a pattern for plain text) is an error, never a guess.
A field that an event lacks satisfies no comparison, `!=` included, but `NOT EXISTS`.

Source: Amazon CloudWatch Logs User Guide, filter pattern syntax, JSON log events.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from narrowgate.errors import NarrowgateError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_TOKEN: Final = re.compile(
    r"""\s*(?:
      (?P<sign>\(|\)|\{|\}|&&|\|\||!=|<=|>=|=|<|>)
    | (?P<field>\$(?:\.[A-Za-z0-9_@:-]+|\['[^']+'\]|\[[0-9]+\])+)
    | "(?P<text>(?:[^"\\]|\\.)*)"
    | (?P<word>[A-Za-z0-9_.*:/@+-]+)
    )""",
    re.VERBOSE,
)
_STEP: Final = re.compile(r"\.([A-Za-z0-9_@:-]+)|\['([^']+)'\]|\[([0-9]+)\]")
_MISSING: Final = object()
_ORDER: Final[dict[str, Callable[[float, float], bool]]] = {
    "<": lambda one, other: one < other,
    ">": lambda one, other: one > other,
    "<=": lambda one, other: one <= other,
    ">=": lambda one, other: one >= other,
}


class FilterPatternError(NarrowgateError):
    """A pattern that is wrong, or that uses more of the syntax than is understood here."""

    code = "filter-pattern"
    hint = 'compare fields of the record: { ($.eventName = X) && ($.errorCode = "AccessDenied*") }'


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str


def matches(pattern: str, event: Mapping[str, Any]) -> bool:
    """Return whether `pattern` matches the JSON `event`; raise `FilterPatternError` for a pattern that is not known."""
    return bool(_compile(pattern)(event))


@lru_cache(maxsize=512)
def _compile(pattern: str) -> Callable[[Mapping[str, Any]], bool]:
    parser = _Parser(_tokens(pattern))
    parser.expect("{")
    found = parser.either()
    parser.expect("}")
    parser.end()
    return found


def _tokens(pattern: str) -> list[_Token]:
    tokens, place = [], 0
    text = pattern.rstrip()
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None or match.lastgroup is None:
            raise FilterPatternError(f"nobody can tell what `{text[place : place + 20]}` means in a filter pattern")
        tokens.append(_Token(match.lastgroup, match[match.lastgroup]))
        place = match.end()
    return tokens


class _Parser:
    """Reads a pattern; `&&` binds tighter than `||`."""

    def __init__(self, tokens: list[_Token]) -> None:
        self._tokens = tokens
        self._next = 0

    def expect(self, sign: str) -> None:
        token = self._take()
        if token != _Token("sign", sign):
            raise FilterPatternError(f"a filter pattern has `{token.text}` where `{sign}` must be")

    def end(self) -> None:
        if self._next < len(self._tokens):
            raise FilterPatternError(f"a filter pattern goes on after its end: `{self._tokens[self._next].text}`")

    def either(self) -> Callable[[Mapping[str, Any]], bool]:
        parts = [self._both()]
        while self._accept("||"):
            parts.append(self._both())
        return parts[0] if len(parts) == 1 else lambda event: any(part(event) for part in parts)

    def _both(self) -> Callable[[Mapping[str, Any]], bool]:
        parts = [self._one()]
        while self._accept("&&"):
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else lambda event: all(part(event) for part in parts)

    def _one(self) -> Callable[[Mapping[str, Any]], bool]:
        if self._accept("("):
            inner = self.either()
            self.expect(")")
            return inner
        field = self._take()
        if field.kind != "field":
            raise FilterPatternError(f"a filter pattern has `{field.text}` where a field must be")
        path = [key or quoted or int(index) for key, quoted, index in _STEP.findall(field.text)]
        operator = self._take()
        if operator.kind == "word":
            return self._state(path, operator.text)
        return _comparison(path, operator.text, self._value())

    def _state(self, path: list[str | int], word: str) -> Callable[[Mapping[str, Any]], bool]:
        if word == "EXISTS":
            return lambda event: _read(event, path) is not _MISSING
        second = self._take().text
        if (word, second) == ("NOT", "EXISTS"):
            return lambda event: _read(event, path) is _MISSING
        wanted = {"NULL": None, "TRUE": True, "FALSE": False}
        if word != "IS" or second not in wanted:
            raise FilterPatternError(f"a filter pattern has `{word} {second}` where an operator must be")
        return lambda event: _read(event, path) is wanted[second]

    def _value(self) -> _Token:
        token = self._take()
        if token.kind not in {"text", "word"}:
            raise FilterPatternError(f"a filter pattern has `{token.text}` where a value must be")
        return token

    def _accept(self, sign: str) -> bool:
        if self._next < len(self._tokens) and self._tokens[self._next] == _Token("sign", sign):
            self._next += 1
            return True
        return False

    def _take(self) -> _Token:
        if self._next == len(self._tokens):
            raise FilterPatternError("a filter pattern ends too early")
        self._next += 1
        return self._tokens[self._next - 1]


def _comparison(path: list[str | int], operator: str, value: _Token) -> Callable[[Mapping[str, Any]], bool]:
    if operator in _ORDER:
        try:
            bound = float(value.text)
        except ValueError as error:
            raise FilterPatternError(f"`{operator}` compares with a number, not with `{value.text}`") from error
        return lambda event: isinstance(found := _read(event, path), int | float) and _ORDER[operator](found, bound)
    if operator not in {"=", "!="}:
        raise FilterPatternError(f"`{operator}` is no comparison")
    wild = re.compile(".*".join(re.escape(part) for part in value.text.split("*")), re.DOTALL)

    def same(found: object) -> bool:
        if isinstance(found, bool) or found is None or isinstance(found, dict | list):
            return False
        if isinstance(found, int | float) and value.kind == "word":
            return wild.fullmatch(f"{found:g}") is not None or value.text == str(found)
        return wild.fullmatch(str(found)) is not None

    wanted = operator == "="
    return lambda event: (found := _read(event, path)) is not _MISSING and same(found) is wanted


def _read(event: object, path: list[str | int]) -> object:
    for step in path:
        if isinstance(event, dict) and step in event:
            event = event[step]
            continue
        if not isinstance(event, list) or not isinstance(step, int) or step >= len(event):
            return _MISSING
        event = event[step]
    return event
