"""Asks `narrowgate.access.iam` whether IAM grants cover another one. This module must not decide by itself."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from narrowgate.access import iam

if TYPE_CHECKING:
    from narrowgate.plan import Condition, IamGrant


@dataclass(frozen=True, slots=True)
class Verdict:
    """`within`: True is proven, False has a `witness` (a request), None could not be decided."""

    within: bool | None
    witness: str | None = None


@lru_cache(maxsize=65536)
def judge_iam(having: tuple[IamGrant, ...], wanted: IamGrant) -> Verdict:
    """Say whether every request that `wanted` allows is allowed by the grants of `having` together."""
    comparison = iam.compare([_policy(having)] if having else [], [_policy((wanted,))])
    return Verdict(comparison.no_new_access, None if comparison.witness is None else say_request(comparison.witness))


def say_request(request: iam.Request) -> str:
    """Return a request in words: action, resource, and the context that it needs."""
    context = " and ".join(f"{key} = {value}" for key, value in request.context.items())
    return f"{request.action} on {request.resource}{f' with {context}' if context else ''}"


@lru_cache(maxsize=65536)
def _policy(grants: tuple[IamGrant, ...]) -> iam.Policy:
    return iam.parse({"Version": "2012-10-17", "Statement": [statement_of(grant) for grant in grants]})


def statement_of(grant: IamGrant) -> dict[str, Any]:
    """Return the IAM statement that a grant means."""
    statement: dict[str, Any] = {
        "Effect": "Allow",
        "Action": list(grant.actions),
        "Resource": list(grant.resources),
    }
    if grant.conditions:
        statement["Condition"] = _conditions_of(grant.conditions)
    return statement


def _conditions_of(conditions: tuple[Condition, ...]) -> dict[str, dict[str, list[str]]]:
    block: dict[str, dict[str, list[str]]] = {}
    for condition in conditions:
        block.setdefault(condition.operator, {})[condition.key] = list(condition.values)
    return block
