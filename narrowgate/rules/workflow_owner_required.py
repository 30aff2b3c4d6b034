"""`workflow-owner-required`: every tool's role says whose it is.

Source: the permission model (auditable scope: one use case, one owner). Without a workflow and an owner on the role,
nobody can tell from AWS whom to ask before it is cut off.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from narrowgate.rules.facts import IamIdentity
from narrowgate.rules.rule import Rule, report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from narrowgate.rules.finding import Finding
    from narrowgate.rules.settings import Settings

NAME = "workflow-owner-required"

_TAGS: Final = ("environment", "owner", "tool", "workflow")


def judge(subject: IamIdentity, settings: Settings) -> Iterator[Finding]:
    """Yield a finding for a role under our path without one of the tags, or with another environment's."""
    if subject.kind != "role" or not subject.path.startswith("/narrowgate/"):
        return
    found = report(NAME, subject)
    missing = [tag for tag in _TAGS if not subject.tags.get(tag)]
    if missing:
        yield found(
            f"role {subject.name!r} has no tag {', '.join(missing)}",
            detail="In an incident nobody can tell whose access this is, so nobody dares to cut it off.",
            fix=f"Tag the role with {', '.join(missing)}.",
        )
    tagged = subject.tags.get("environment")
    if settings.environment and tagged and tagged != settings.environment:
        yield found(
            f"role {subject.name!r} is tagged as of environment {tagged!r}, not {settings.environment!r}",
            detail="An audit by environment misses it.",
            fix=f"Tag it environment={settings.environment}.",
        )


RULE = Rule(NAME, "Every tool's role names its workflow, tool, owner and environment.", (IamIdentity,), judge)
