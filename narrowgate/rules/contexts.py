"""The context of an attacker's request, and policies seen in it.

An attacker calls AWS directly, now, as somebody. A condition that such a call can never meet (a date in the past, a
call by way of another service) makes a statement void; one that it always meets makes it unconditional. This module
replaces what is known; what is not known stays a condition, to be met in whatever way makes a request possible.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from narrowgate.access.iam.conditions import holds
from narrowgate.access.iam.policy import Condition, Pattern, Policy, Statement

if TYPE_CHECKING:
    from collections.abc import Mapping

FixedContext = tuple[tuple[str, str | None], ...]
"""Context keys (lower case; `prefix/*` for all keys of a prefix) with their one value, None where missing."""

SELF: Final = "zq7-the-caller"
_NOW: Final = datetime.now(UTC).replace(microsecond=0)

DIRECT_CALL: Final[FixedContext] = (
    ("aws:calledvia", None),
    ("aws:calledviafirst", None),
    ("aws:calledvialast", None),
    ("aws:currenttime", _NOW.isoformat().replace("+00:00", "Z")),
    ("aws:epochtime", str(int(_NOW.timestamp()))),
    ("aws:principalisawsservice", "false"),
    ("aws:securetransport", "true"),
    ("aws:tokenissuetime", _NOW.isoformat().replace("+00:00", "Z")),
    ("aws:username", SELF),
    ("aws:viaawsservice", "false"),
    # Only calls about Data Catalog tables and databases have it, and no path is one.
    ("glue:lakeformationpermissions", None),
)
"""A call that somebody makes now, directly and over TLS."""

UNTAGGED: Final[FixedContext] = (
    ("aws:resourcetag/*", None),
    ("ec2:managedresourceoperator", None),
    ("ec2:resourcetag/*", None),
    ("iam:resourcetag/*", None),
    ("ssm:resourcetag/*", None),
)
"""An arbitrary resource bears none of the tags that a policy asks for, and no service of AWS manages it."""


def with_values(context: FixedContext, more: Mapping[str, str | None]) -> FixedContext:
    """Return `context` with the values of `more`."""
    return tuple(sorted({**dict(context), **more}.items()))


def bind(policy: Policy, context: Mapping[str, str | None]) -> Policy:
    """Return `policy` as `context` makes it: void statements and met conditions gone, variables filled in."""
    statements = (_bind_statement(statement, context) for statement in policy.statements)
    return replace(policy, statements=tuple(statement for statement in statements if statement is not None))


def _bind_statement(statement: Statement, context: Mapping[str, str | None]) -> Statement | None:
    rest: list[Condition] = []
    for condition in statement.conditions:
        met = _is_met(condition, context)
        if met is False:
            return None
        if met is None:
            rest.append(condition)
    resources = statement.resources
    if resources is not None:
        resources = tuple(_fill(pattern, context) for pattern in resources)
    return replace(statement, conditions=tuple(rest), resources=resources)


def _is_met(condition: Condition, context: Mapping[str, str | None]) -> bool | None:
    """Tell whether the condition holds, None where that is not known."""
    key = condition.key
    if key not in context:
        key = f"{key.split('/', 1)[0]}/*"
        if key not in context:
            return None
    value = context[key]
    variables = (variable.key for pattern in condition.values for variable in pattern.variables)
    if value is not None and not all(variable in context for variable in variables):
        return None
    return holds(condition, None if value is None else (value,), context.get)


def _fill(pattern: Pattern, context: Mapping[str, str | None]) -> Pattern:
    if not pattern.variables or any(variable.key not in context for variable in pattern.variables):
        return pattern
    tokens = pattern.resolve(context.get)
    return pattern if tokens is None else Pattern(pattern.text, tokens)
