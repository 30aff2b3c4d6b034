"""`iam-role-no-admin`: no identity may do everything, or change permissions.

Source: the permission model ("the agent is an admin" stops being the default); AWS IAM best practices (grant least
privilege). An action that changes permissions is high-impact, so it belongs to the executor behind an approval, never
into credentials that an agent can hold.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from narrowgate.rules.estate import Identity
from narrowgate.rules.finding import Finding, Severity
from narrowgate.rules.permission_actions import PERMISSION_ACTIONS
from narrowgate.rules.questions import find_iam_request, line_of
from narrowgate.rules.rule import Rule, report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from narrowgate.rules.settings import Settings

NAME = "iam-role-no-admin"

UNHEARD_OF = ("narrowgate-no-such-service:DoAnything",)
"""An action that no policy names: only a policy for everything allows it."""

ADMIN_POLICIES = frozenset({"AdministratorAccess", "IAMFullAccess", "PowerUserAccess"})


def judge(subject: Identity, settings: Settings) -> Iterator[Finding]:
    """Yield a finding where the identity is an admin or may be one."""
    found = report(NAME, subject)
    documents = list(subject.documents)
    for arn in subject.missing:
        text = settings.managed_policies.get(arn)
        if text is not None:
            documents.append(text)
            continue
        yield found(
            f"{subject.label} has the managed policy {arn}, whose text is not at hand, so it counts as admin",
            detail=_managed_detail(arn),
            fix="Write the needed actions as a policy of the identity's own, or give that policy's text as a setting.",
        )
    policies = tuple(documents)
    everything = find_iam_request(policies, UNHEARD_OF, boundary=subject.boundary)
    if everything.possible:
        yield report(NAME, subject, line=line_of(subject, everything))(
            f"{subject.label} may do everything" + everything.doubt,
            detail=f"An attacker could call {everything.example}; the same policy allows any other action there.",
            fix="Name the exact actions and resources that the tool needs.",
        )
        return
    change = find_iam_request(policies, PERMISSION_ACTIONS, boundary=subject.boundary)
    if change.possible:
        yield report(NAME, subject, line=line_of(subject, change))(
            f"{subject.label} may change permissions" + change.doubt,
            detail=f"An attacker could call {change.example}.",
            fix="Remove the action; declare it as a gated action of a tool if people shall approve each use of it.",
            severity=Severity.WARNING,
        )


def _managed_detail(arn: str) -> str:
    name = arn.rsplit("/", 1)[-1]
    if name in ADMIN_POLICIES:
        return f"{name} allows, for instance, iam:PassRole and with it any role of the account."
    return "The owner of that policy can make it allow iam:AttachRolePolicy on * without this stack changing."


RULE = Rule(NAME, "No identity may do everything or change permissions.", (Identity,), judge)
