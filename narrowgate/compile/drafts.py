"""Where everything about a proposed action stands in Vault, and what lets an agent propose one.

An agent creates drafts below its own entity, which it can neither read, change nor delete: workflow and user are told
by the path. This module must not know any action.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from narrowgate.compile.hcl import PathRule

if TYPE_CHECKING:
    from collections.abc import Mapping

DRAFTS: Final = "narrowgate-drafts"
CASES: Final = "narrowgate-cases"
DECISIONS: Final = "narrowgate-decisions"
RECORDS: Final = "narrowgate-records"
HELD: Final = "narrowgate-held"
STORES: Final[Mapping[str, str]] = {
    "drafts": DRAFTS,
    "cases": CASES,
    "decisions": DECISIONS,
    "records": RECORDS,
    "held": HELD,
}
"""The KV v2 mounts: what agents write, what executors make of it, what people decide, what came of it, and the tokens
of requests that Vault holds."""


def proposal_places(workflow: str) -> dict[str, str]:
    """Return where a workflow's agent drafts, and where it learns what came of that, each below its own entity."""
    return {"answers": f"{RECORDS}/data/_answers/{workflow}", "drafts": f"{DRAFTS}/data/{workflow}"}


def proposal_rules(workflow: str) -> tuple[PathRule, PathRule]:
    """Return what lets a workflow's agent draft, and learn how its drafts ended."""
    places = proposal_places(workflow)
    return (
        PathRule(
            places["drafts"], ("create",), "draft high-impact actions, for people to approve", below_own_entity=True
        ),
        PathRule(places["answers"], ("read",), "learn what came of them", below_own_entity=True),
    )
