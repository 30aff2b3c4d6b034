"""IAM documents within IAM's limits: statements are split over inline policies, never shortened or widened.

Sizes are counted as IAM counts them, without white space. This module must not decide what a statement grants.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from narrowgate.compile.errors import CompileError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from narrowgate.compile.documents import Json

# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
INLINE_TOTAL: Final = 10_240
MANAGED_SIZE: Final = 6_144
# A policy of its own for each few thousand characters keeps a changed statement's diff short.
_POLICY_SIZE: Final = 6_000


def document_size(document: Json) -> int:
    """Return the size of a policy as IAM counts it: characters without white space."""
    return len(json.dumps(document, separators=(",", ":"), ensure_ascii=False))


def policy_document(statements: Sequence[Json]) -> dict[str, Any]:
    """Return an IAM policy of `statements`."""
    return {"Statement": list(statements), "Version": "2012-10-17"}


def split_statements(statements: Sequence[Json], *, workflow: str, tool: str) -> Mapping[str, Json]:
    """Return inline policies by name that together hold exactly `statements`, in order.

    Raise `CompileError` where they do not fit a role's inline limit of 10,240 characters.
    """
    chunks: list[list[Json]] = [[]]
    for statement in (part for whole in statements for part in _halve(whole)):
        if chunks[-1] and document_size(policy_document([*chunks[-1], statement])) > _POLICY_SIZE:
            chunks.append([])
        chunks[-1].append(statement)
    policies = {f"grants-{number}": policy_document(chunk) for number, chunk in enumerate(chunks, 1)}
    total = sum(document_size(policy) for policy in policies.values())
    if total > INLINE_TOTAL:
        raise CompileError(
            f"the grants take {total} characters; a role's inline policies hold {INLINE_TOTAL}",
            workflow=workflow,
            tool=tool,
            hint="name fewer objects in the scope, group them under one prefix, or split the tool or the workflow",
        )
    return policies


def _halve(statement: Json) -> list[Json]:
    """Return `statement`, or two halves of its resources (again halved) where it alone is too large for a policy."""
    resources = statement["Resource"]
    if document_size(policy_document([statement])) <= _POLICY_SIZE or len(resources) < 2:  # noqa: PLR2004 - one is whole
        return [statement]
    middle = len(resources) // 2
    halves = ({**statement, "Resource": resources[:middle]}, {**statement, "Resource": resources[middle:]})
    return [part for half in halves for part in _halve(half)]
