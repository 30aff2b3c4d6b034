"""One value of a lock's text with its place, and the strict ways to read it: each wrong one is an error with a place.

This module must not know what a lock says.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, TypeVar

from narrowgate.access.lock.values import LockError
from narrowgate.declarations.durations import parse_duration
from narrowgate.declarations.errors import suggest
from narrowgate.errors import Location

if TYPE_CHECKING:
    from collections.abc import Iterator

    from narrowgate.declarations.source import KeyPath, Source

Choice = TypeVar("Choice", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class Node:
    """The value at `path` of `source`, whose first line is line `offset` + 1 of the lock."""

    source: Source
    offset: int
    path: KeyPath
    value: object

    def error(self, message: str, hint: str | None = None, *, key: bool = False) -> LockError:
        """Return an error at this value (at its key, if `key`)."""
        place = self.source.locate(self.path, key=key)
        return LockError(message, location=Location(place.path, place.line + self.offset, place.column), hint=hint)

    def child(self, key: str | int, value: object) -> Node:
        """Return the value under `key`."""
        return Node(self.source, self.offset, (*self.path, key), value)

    def entries(self) -> Iterator[tuple[str, Node]]:
        """Yield the keys and values of a mapping."""
        if not isinstance(self.value, dict):
            raise self.error("must be a mapping")
        for key, value in self.value.items():
            yield key, self.child(key, value)

    def fields(self, required: str, optional: str = "") -> dict[str, Node]:
        """Return a mapping's values by key: all of `required` (words), some of `optional`, no others."""
        found = dict(self.entries())
        known = {*required.split(), *optional.split()}
        for key, node in found.items():
            if key not in known:
                raise node.error(f"unknown key `{key}`", suggest(key, known), key=True)
        for key in required.split():
            if key not in found:
                raise self.error(f"the key `{key}` is missing", key=True)
        return found

    def items(self) -> list[Node]:
        """Return the items of a sequence."""
        if not isinstance(self.value, list):
            raise self.error("must be a list")
        return [self.child(index, item) for index, item in enumerate(self.value)]

    def text(self) -> str:
        """Return a text."""
        if not isinstance(self.value, str):
            raise self.error("must be text", "quote it")
        return self.value

    def texts(self) -> tuple[str, ...]:
        """Return a list of texts."""
        return tuple(item.text() for item in self.items())

    def flag(self) -> bool:
        """Return true or false."""
        if not isinstance(self.value, bool):
            raise self.error("must be true or false")
        return self.value

    def count(self) -> int:
        """Return a whole number, not negative."""
        if not isinstance(self.value, int) or isinstance(self.value, bool) or self.value < 0:
            raise self.error("must be a whole number")
        return self.value

    def seconds(self) -> int:
        """Return the seconds of a duration."""
        try:
            return parse_duration(self.text())
        except ValueError as error:
            raise self.error(str(error)) from error

    def choice(self, kind: type[Choice]) -> Choice:
        """Return one of the words of `kind`."""
        text = self.text()
        if text not in {member.value for member in kind}:
            raise self.error(f"`{text}` is not known here", suggest(text, [member.value for member in kind]))
        return kind(text)

    def literals(self) -> tuple[str | int | bool, ...]:
        """Return a list of texts, whole numbers, true and false."""
        values: list[str | int | bool] = []
        for item in self.items():
            if not isinstance(item.value, (str, int, bool)):
                raise item.error("must be text, a whole number, true or false")
            values.append(item.value)
        return tuple(values)
