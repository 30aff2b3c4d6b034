"""What access means for people, in plain words, the same everywhere: in diffs, in answers, in refusals.

A grant's own words are `narrowgate.compile.words`'s; here stands who, when and how long. Values are quoted as they
are: whoever prints them escapes for the medium. This module must not judge.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from narrowgate.compile.words import describe_grant
from narrowgate.declarations.durations import format_duration
from narrowgate.plan import FunctionGrant, TableGrant

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from narrowgate.plan import Approval, Execution, Factor, Grant


def join_words(words: Iterable[str], last: str = "and") -> str:
    """Return `a`, `a and b`, `a, b and c`; nothing is `nothing`."""
    *most, end = list(words) or ["nothing"]
    return f"{', '.join(most)} {last} {end}" if most else end


def say_grant(grant: Grant, database: str | None = None) -> str:
    """Return what one grant allows; a table or function is named with its database where that is known."""
    line = describe_grant(grant)
    return f"{line}, in database {database}" if database and isinstance(grant, (TableGrant, FunctionGrant)) else line


def say_approval(approval: Approval | None) -> str:
    """Return who must approve, and how long a request for it waits."""
    if approval is None:
        return "an approval that nobody can give"
    factors = join_words(_say_factor(factor) for factor in approval.factors)
    return f"an approval by {factors} within {format_duration(approval.expires_seconds)}"


def say_execution(execution: Execution) -> str:
    """Return how a gated action is carried out, and with which inputs."""
    return f"by {execution.handler} with {execution.call} for inputs {execution.inputs}"


def _say_factor(factor: Factor) -> str:
    people = "1 person" if factor.required == 1 else f"{factor.required} people"
    return f"{people} of {join_words(factor.groups, 'or')}"


def say_requesters(requesters: Sequence[str]) -> str:
    """Return who may ask the agent; a workflow without requesters acts for nobody."""
    return f"people in {join_words(requesters, 'or')}" if requesters else "no user: it runs on its own"


def say_times(ttl_seconds: int, max_ttl_seconds: int) -> str:
    """Return how long something lasts, and how long at most if it is renewed."""
    if ttl_seconds == max_ttl_seconds:
        return format_duration(ttl_seconds)
    return f"{format_duration(ttl_seconds)}, {format_duration(max_ttl_seconds)} at most"
