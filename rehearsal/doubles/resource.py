"""What a double knows of one resource type, and the pure half of its life cycle: check, diff, refresh.

A type is a row of a table: names of properties, and four functions that call the server. This module calls no server.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from narrowgate.errors import NarrowgateError
from rehearsal.doubles.wire import UNKNOWN, Values, has_unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

C = TypeVar("C")
DEFAULTS: Final = "__defaults"  # the inputs that check made up, as the real providers record them
NAME_SEED_DIGITS: Final = 7
NOTHING: Final[tuple[object, ...]] = (None, "", {}, [], False, 0)


class DoubleError(NarrowgateError):
    """A double was asked for something that it, or the server, can't do."""

    code = "rehearsal-double"


@dataclass(frozen=True, slots=True)
class Live:
    """What a server holds: `inputs` as a program would write them, and computed `outputs`."""

    inputs: Values
    outputs: Values = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Failure:
    """A property that check refuses, and why."""

    property: str
    reason: str


@dataclass(frozen=True, slots=True)
class Change:
    """A property that differs: `kind` is ADD, UPDATE or DELETE; `replace` says that it can't be changed in place."""

    property: str
    kind: str
    replace: bool


@dataclass(frozen=True, slots=True)
class ResourceType(Generic[C]):
    """One resource type over a client `C`.

    `create` returns id and outputs; `read` returns None where the resource is gone; `update` takes the old and the
    new inputs (None: every change replaces); `delete` takes the state and tolerates that the resource is gone.
    """

    create: Callable[[C, Values], tuple[str, Values]]
    read: Callable[[C, str], Live | None]
    delete: Callable[[C, str, Values], None]
    update: Callable[[C, str, Values, Values], Values] | None = None
    required: frozenset[str] = frozenset()
    replace: frozenset[str] = frozenset()
    identity: frozenset[str] = frozenset()  # inputs that name it on the server: two of one identity can't coexist
    computed: frozenset[str] = frozenset()
    secrets: frozenset[str] = frozenset()  # secret even if a program does not say so; `a.b` is inside `a`
    documents: frozenset[str] = frozenset()  # JSON texts: compared by what they mean
    unordered: frozenset[str] = frozenset()  # lists whose order means nothing
    only_if_set: frozenset[str] = frozenset()  # what others may add to: no drift where the program says nothing
    known: frozenset[str] | None = None  # every input it understands; any other is refused, not ignored
    absent: Mapping[str, Any] = field(default_factory=dict)  # what a server has where a program says nothing
    equal: Mapping[str, Callable[[Any, Any], bool]] = field(default_factory=dict)  # by property
    adopt: Callable[[Values, Values], Values] | None = None  # what a server said, completed by what a program said
    named_by: str | None = None  # the input that gets a generated name
    defaults: Mapping[str, Any] = field(default_factory=dict)
    checks: tuple[Callable[[Values], Iterable[Failure]], ...] = ()

    def check(self, name: str, seed: bytes, old: Values, new: Values) -> tuple[Values, list[Failure]]:
        """Return the inputs with defaults and generated name, and what is wrong with them.

        A name that was generated before is kept, else every `up` would replace the resource.
        """
        inputs = {**self.defaults, **new}
        made: list[str] = [key for key in self.defaults if key not in new]
        if self.named_by and self.named_by not in inputs:
            made.append(self.named_by)
            prefix = inputs.get(f"{self.named_by}Prefix")
            kept = old.get(self.named_by) if self.named_by in old.get(DEFAULTS, ()) else None
            inputs[self.named_by] = kept or generate_name(prefix or f"{name}-", seed)
        inputs[DEFAULTS] = made
        for key in self.documents & inputs.keys():
            if isinstance(inputs[key], dict | list) and not has_unknown(inputs[key]):
                inputs[key] = json.dumps(inputs[key], sort_keys=True)
        failures = [
            Failure(key, f"Missing required property '{key}'") for key in sorted(self.required) if key not in inputs
        ]
        failures += [
            failure for check in (self._check_known, self._check_documents, *self.checks) for failure in check(inputs)
        ]
        return inputs, failures

    def diff(self, old: Values, new: Values, ignored: Iterable[str] = ()) -> list[Change]:
        """Return what differs between two inputs, by property, sorted."""
        changes = []
        for key in sorted((old.keys() | new.keys()) - {DEFAULTS} - set(ignored)):
            if key in old and key in new and self.same(key, old[key], new[key]):
                continue
            kind = "ADD" if key not in old else "DELETE" if key not in new else "UPDATE"
            changes.append(Change(key, kind, self.update is None or key in self.replace))
        return changes

    def same(self, key: str, one: object, other: object) -> bool:
        """Say whether two values of property `key` mean the same."""
        if has_unknown(one) or has_unknown(other):
            return False
        if key in self.equal:
            return self.equal[key](one, other)
        if key in self.unordered and isinstance(one, list) and isinstance(other, list):
            return sorted(map(_text, one)) == sorted(map(_text, other))
        if key in self.documents and isinstance(one, str) and isinstance(other, str):
            try:
                return bool(json.loads(one) == json.loads(other))
            except ValueError:
                return one == other
        return one == other

    def refresh(self, live: Live, old: Values) -> Values:
        """Return the inputs that the server now has, as the program spells them where they mean the same.

        What the program does not set and the server has at its default is left out, so that a refresh is no change;
        anything else that the server has is drift. With no `old` inputs (an import) all that is not default counts.
        """
        read = self.adopt(live.inputs, old) if self.adopt else live.inputs
        inputs = {key: value for key, value in read.items() if self._counts(key, value, old)}
        for key in old:
            # What the server does not speak of at all is as the program says (passwords, settings of the provider).
            if key not in read or (key in inputs and self.same(key, old[key], inputs[key])):
                inputs[key] = old[key]
        return inputs

    def _counts(self, key: str, value: object, old: Values) -> bool:
        if key in old:
            return value is not None
        if key in self.only_if_set and old:
            return False
        return value not in NOTHING and not any(
            self.same(key, value, usual[key]) for usual in (self.defaults, self.absent) if key in usual
        )

    def _check_known(self, inputs: Values) -> Iterable[Failure]:
        for key in sorted(inputs.keys() - (self.known or inputs.keys()) - {DEFAULTS}):
            yield Failure(key, f"the rehearsal's double of this resource type has no property '{key}'")

    def _check_documents(self, inputs: Values) -> Iterable[Failure]:
        for key in sorted(self.documents & inputs.keys()):
            text = inputs[key]
            if isinstance(text, str) and UNKNOWN not in text:
                try:
                    json.loads(text)
                except ValueError as error:
                    yield Failure(key, f"contains an invalid JSON policy: {error}")


def generate_name(prefix: str, seed: bytes) -> str:
    """Return `prefix` with a few hexadecimal digits, the same ones for the same seed."""
    digits = seed.hex() or secrets.token_hex(NAME_SEED_DIGITS)
    return prefix + digits[:NAME_SEED_DIGITS]


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True)
