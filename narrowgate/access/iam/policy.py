"""The values that an IAM policy consists of, as `parse` makes them: frozen, checked, with compiled patterns.

Nothing is decided here; see `conditions`, `principals` and `evaluation`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from narrowgate.access.iam.glob import VARIABLE
from narrowgate.errors import NarrowgateError

Effect = Literal["Allow", "Deny"]
Lookup = Callable[[str], str | None]
"""Gives the one value of a context key (lower case), or None where it is missing or has several."""


class PolicyError(NarrowgateError):
    """A document is no policy that IAM would accept, or one whose meaning we can't tell."""

    code = "iam-policy-malformed"

    def __init__(self, message: str, *, place: str = "", hint: str | None = None) -> None:
        super().__init__(f"{place}: {message}" if place else message, hint=hint)
        self.place = place


class RequestError(NarrowgateError):
    """A request to evaluate is not one that could be made."""

    code = "iam-request-malformed"


@dataclass(frozen=True, slots=True)
class Variable:
    """A policy variable `${key, 'default'}`; `key` is in lower case."""

    key: str
    default: str | None = None


@dataclass(frozen=True, slots=True)
class Pattern:
    """A compiled value: `tokens` as `glob` reads them; each `VARIABLE` in them is the next of `variables`."""

    text: str
    tokens: str
    variables: tuple[Variable, ...] = ()

    def resolve(self, lookup: Lookup) -> str | None:
        """Return the tokens with every variable replaced by its value, taken literally; None where one has none."""
        if not self.variables:
            return self.tokens
        pieces = self.tokens.split(VARIABLE)
        resolved = [pieces[0]]
        for variable, piece in zip(self.variables, pieces[1:], strict=True):
            value = lookup(variable.key)
            if value is None:
                value = variable.default
            if value is None:
                return None
            resolved += [value, piece]
        return "".join(resolved)


@dataclass(frozen=True, slots=True)
class Condition:
    """One operator on one context key with its values.

    `operator` is the base operator in AWS's spelling, `key` the context key in lower case (`key_text` as written).
    """

    operator: str
    key: str
    key_text: str
    values: tuple[Pattern, ...]
    quantifier: Literal["", "ForAllValues", "ForAnyValue"] = ""
    if_exists: bool = False


@dataclass(frozen=True, slots=True)
class PrincipalEntry:
    """One principal that a statement names: `kind` is AWS, Service, Federated or CanonicalUser; `*` is everyone."""

    kind: str
    value: str


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. `not_…` says that the element was NotAction, NotResource or NotPrincipal.

    `resources` is None where the statement has neither Resource nor NotResource (a trust policy), `principals`
    where it has neither Principal nor NotPrincipal (an identity policy). `index` counts from 0.
    """

    index: int
    sid: str | None
    effect: Effect
    actions: tuple[Pattern, ...]
    not_action: bool
    resources: tuple[Pattern, ...] | None
    not_resource: bool
    principals: tuple[PrincipalEntry, ...] | None
    not_principal: bool
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """A parsed policy document."""

    version: str
    statements: tuple[Statement, ...]
    id: str | None = field(default=None)
