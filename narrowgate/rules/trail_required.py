"""`trail-required`: an environment has an audit trail, made by its foundation or an organization's by reference.

Source: CIS Amazon Web Services Foundations Benchmark v3.0.0, 3.1; the permission model (every tool call is logged).
CloudTrail is the witness that no agent, executor or deployer writes itself: without it, what was done with a stolen
session is not known. Whether the stack of a foundation holds a trail is known only when all of it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from narrowgate.rules.estate import AuditLog
from narrowgate.rules.facts import VaultAuthRole
from narrowgate.rules.rule import Rule, report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from narrowgate.rules.finding import Finding
    from narrowgate.rules.settings import Settings

NAME: Final = "trail-required"
_DETAIL: Final = "Who steals an agent's session calls s3:GetObject with it, and no record of AWS's own tells of it."


def judge(subject: AuditLog | VaultAuthRole, settings: Settings) -> Iterator[Finding]:
    """Yield a finding for a foundation without a trail or with another than bound, and for a login without one."""
    found = report(NAME, subject)
    bound = settings.bindings.trail if settings.bindings is not None else None
    if isinstance(subject, VaultAuthRole):
        if settings.bindings is not None and bound is None:
            yield found(
                f"agents log in at {subject.mount}, and {settings.environment} has no audit trail",
                detail=_DETAIL,
                fix="Set `trail` in the environment's bindings, and have its foundation deployed.",
            )
        return
    if subject.foundation and not subject.trails and not subject.references:
        yield found(
            "this foundation has no audit trail: it makes none, and names none of an organization's",
            detail=_DETAIL,
            fix="Set `trail` in the environment's bindings, or add the component AuditTrail.",
        )
    named = {reference.arn for reference in subject.references}
    if bound is not None and bound.organization_trail_arn and named and bound.organization_trail_arn not in named:
        yield found(
            f"the environment is bound to the trail {bound.organization_trail_arn}, and its foundation names another",
            detail=_DETAIL,
            fix=f"Refer to {bound.organization_trail_arn}.",
        )


RULE = Rule(NAME, "An environment has an audit trail, its own or its organization's.", (AuditLog, VaultAuthRole), judge)
