"""Typed references `${env.x}`, `${scope.x}`, `${binding.x}`: found once, resolved when the plan is made.

A template is never text with holes that somebody fills: each reference keeps its place, and each value passes the
check and the escaping of that place before it becomes part of a name. A list gives one result for each item. This
module must not know any backend's syntax; backends bring the places.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Final

from narrowgate.compile.errors import PlaceError, ReferenceSyntaxError

MAX_EXPANSIONS: Final = 1000

Scalar = str | int | bool
Value = Scalar | tuple[Scalar, ...]
Place = Callable[[Scalar], str]

# Kinds that a declaration may write; `workflow` (name, tool) is known to backends only.
KINDS: Final = ("env", "scope", "binding")
_REFERENCE: Final = re.compile(r"\$\{([a-z]+)\.([a-z][a-z0-9_]*)\}")


@dataclass(frozen=True, slots=True, order=True)
class Reference:
    """One reference: `kind` is env, scope or binding; `name` is what it names there."""

    kind: str
    name: str

    def __str__(self) -> str:
        """Return the reference as it is written."""
        return f"${{{self.kind}.{self.name}}}"


# A literal stands as it is; a reference stands in a place, which checks and escapes its value.
Piece = str | tuple[Reference, Place]


@dataclass(frozen=True, slots=True)
class Template:
    """A text with typed references in it; `parts` are its literals and references in order."""

    text: str
    parts: tuple[str | Reference, ...]

    @property
    def references(self) -> tuple[Reference, ...]:
        """Return the references, in order."""
        return tuple(part for part in self.parts if isinstance(part, Reference))

    @property
    def sole(self) -> Reference | None:
        """Return the reference that is the whole template, or None."""
        return self.parts[0] if len(self.parts) == 1 and isinstance(self.parts[0], Reference) else None

    def placed(self, place: Place) -> tuple[Piece, ...]:
        """Return the pieces, with every reference in the same `place`."""
        return tuple(part if isinstance(part, str) else (part, place) for part in self.parts)


def parse_template(text: str) -> Template:
    """Split `text` into literals and references; raise `ReferenceSyntaxError` for any other `${`."""
    parts: list[str | Reference] = []
    position = 0
    for match in _REFERENCE.finditer(text):
        if match.start() > position:
            parts.append(text[position : match.start()])
        kind, name = match.groups()
        if kind not in KINDS:
            raise ReferenceSyntaxError(f"`{match.group()}` is of no known kind", hint=f"kinds: {', '.join(KINDS)}")
        parts.append(Reference(kind, name))
        position = match.end()
    if position < len(text) or not parts:
        parts.append(text[position:])
    if any("${" in part for part in parts if isinstance(part, str)):
        raise ReferenceSyntaxError(
            f"`{text}` holds a `${{` that is no reference", hint="write ${env.name}, ${scope.name} or ${binding.name}"
        )
    return Template(text, tuple(parts))


def lookup(reference: Reference, values: Mapping[Reference, Value]) -> Value:
    """Return the value of `reference`; raise `PlaceError` where there is none."""
    if reference not in values:
        raise PlaceError(f"{reference} has no value", reference=str(reference))
    return values[reference]


def expand(pieces: Sequence[Piece], values: Mapping[Reference, Value]) -> Iterator[str]:
    """Yield one text for each combination of list items; a reference that stands twice has the same item in both.

    Raise `PlaceError` for a value that does not fit its place, an
    empty list, or more than `MAX_EXPANSIONS` combinations.
    """
    references = sorted({piece[0] for piece in pieces if not isinstance(piece, str)})
    choices = [_items(reference, values) for reference in references]
    count = 1
    for items in choices:
        count *= len(items)
    if count > MAX_EXPANSIONS:
        raise PlaceError(f"{count} combinations are more than {MAX_EXPANSIONS}", hint="give shorter lists")
    for combination in product(*choices):
        chosen = dict(zip(references, combination, strict=True))
        yield "".join(
            piece if isinstance(piece, str) else _fit(piece[0], chosen[piece[0]], piece[1]) for piece in pieces
        )


def _items(reference: Reference, values: Mapping[Reference, Value]) -> tuple[Scalar, ...]:
    value = lookup(reference, values)
    items = value if isinstance(value, tuple) else (value,)
    if not items:
        raise PlaceError(f"{reference} is an empty list", reference=str(reference), hint="name at least one item")
    return items


def _fit(reference: Reference, value: Scalar, place: Place) -> str:
    try:
        return place(value)
    except PlaceError as error:
        raise PlaceError(f"{reference}: {error}", reference=str(reference), hint=error.hint) from error
