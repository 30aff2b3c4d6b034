"""Statements as boxes: for each dimension of a request the set of values that the statement accepts.

A comparison looks for a request inside some boxes and outside others. Policy variables are either numbered (a
variable is then a value of its own that only itself, or a star, matches) or replaced by values.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from narrowgate.access.iam.glob import STAR, VARIABLE, bound_variable, is_variable
from narrowgate.access.iam.policy import Condition, Pattern, Policy, PrincipalEntry, Statement, Variable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Undecidable(Exception):  # noqa: N818 - no failure: the search stops here and says why
    """A bound is reached; the message says which, for `Comparison.reason`. Never leaves this package."""


Numbering = dict[Variable, int]


@dataclass(frozen=True, slots=True)
class Box:
    """One statement, its patterns as tokens with numbered variables."""

    actions: tuple[str, ...]
    not_action: bool
    resources: tuple[str, ...] | None
    not_resource: bool
    statement: Statement

    @property
    def principals(self) -> tuple[PrincipalEntry, ...] | None:
        """Whom the statement names, None where it says nothing of principals."""
        return self.statement.principals

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Return the statement's conditions."""
        return self.statement.conditions


def make_boxes(statements: Iterable[Statement], numbering: Numbering) -> list[Box]:
    """Make boxes of statements; the same variable has the same number everywhere."""
    return [
        Box(
            tuple(pattern.tokens for pattern in one.actions),
            one.not_action,
            None if one.resources is None else number_variables(one.resources, numbering),
            one.not_resource,
            one,
        )
        for one in statements
    ]


def number_variables(patterns: tuple[Pattern, ...], numbering: Numbering) -> tuple[str, ...]:
    """Return the patterns' tokens with every variable as its number's character."""
    found: list[str] = []
    for pattern in patterns:
        tokens = pattern.tokens
        for variable in pattern.variables:
            number = numbering.setdefault(variable, len(numbering))
            tokens = tokens.replace(VARIABLE, bound_variable(number), 1)
        found.append(tokens)
    return tuple(found)


def has_variables(tokens: str) -> bool:
    """Say whether numbered variables stand in the tokens."""
    return any(is_variable(character) for character in tokens)


def widen_variables(tokens: str) -> str:
    """Let every variable be anything."""
    return "".join(STAR if is_variable(character) else character for character in tokens)


def allows(policies: Iterable[Policy]) -> list[Statement]:
    """Return all statements that allow."""
    return [one for policy in policies for one in policy.statements if one.effect == "Allow"]


def denies(policies: Iterable[Policy]) -> list[Statement]:
    """Return all statements that deny."""
    return [one for policy in policies for one in policy.statements if one.effect == "Deny"]


def meaning(statement: Statement) -> tuple[object, ...]:
    """Return what makes two statements the same but for their place and name."""
    return (
        statement.effect,
        frozenset(pattern.tokens for pattern in statement.actions),
        statement.not_action,
        None if statement.resources is None else frozenset(statement.resources),
        statement.not_resource,
        None if statement.principals is None else frozenset(statement.principals),
        statement.not_principal,
        frozenset(replace(condition, key_text="") for condition in statement.conditions),
    )


def variables_of(statements: Iterable[Statement]) -> set[str]:
    """Return the keys of all policy variables in the statements."""
    return {
        variable.key
        for one in statements
        for patterns in ((one.resources or ()), *(condition.values for condition in one.conditions))
        for pattern in patterns
        for variable in pattern.variables
    }


def substitute(statement: Statement, values: Mapping[str, str | None]) -> Statement:
    """Replace every variable by its value; a pattern with a variable that has none matches nothing and goes."""
    if not variables_of([statement]):
        return statement
    return replace(
        statement,
        resources=None if statement.resources is None else _substitute_all(statement.resources, values),
        conditions=tuple(
            replace(condition, values=_substitute_all(condition.values, values)) for condition in statement.conditions
        ),
    )


def _substitute_all(patterns: tuple[Pattern, ...], values: Mapping[str, str | None]) -> tuple[Pattern, ...]:
    resolved = ((pattern.text, pattern.resolve(values.get)) for pattern in patterns)
    return tuple(Pattern(text, tokens) for text, tokens in resolved if tokens is not None)
