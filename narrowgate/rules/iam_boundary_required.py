"""`iam-boundary-required`: every role and user stands under the environment's permissions boundary.

Source: AWS IAM User Guide, permissions boundaries. A boundary caps what a mistake in a policy can allow, now and later.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from narrowgate.rules.facts import IamIdentity
from narrowgate.rules.rule import Rule, report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from narrowgate.rules.finding import Finding
    from narrowgate.rules.settings import Settings

NAME = "iam-boundary-required"


def judge(subject: IamIdentity, settings: Settings) -> Iterator[Finding]:
    """Yield a finding for a role or user without boundary, or with another one than the environment's."""
    if subject.kind not in {"role", "user"}:
        return
    found = report(NAME, subject)
    wanted = settings.boundary or "the environment's boundary"
    if subject.boundary is None:
        yield found(
            f"{subject.kind} {subject.name!r} has no permissions boundary",
            detail="A policy that somebody attaches to it later, as AdministratorAccess, takes full effect.",
            fix=f"Set permissions_boundary to {wanted}.",
        )
    elif settings.boundary and not _is(subject.boundary, settings.boundary):
        yield found(
            f"{subject.kind} {subject.name!r} has the boundary {subject.boundary}, not the environment's",
            detail="That boundary may permit anything, and whoever owns it can widen it.",
            fix=f"Set permissions_boundary to {wanted}.",
        )


def _is(boundary: str, wanted: str) -> bool:
    return boundary == wanted or ("/" not in wanted and boundary.rsplit("/", 1)[-1] == wanted)


RULE = Rule(NAME, "Every identity stands under the environment's permissions boundary.", (IamIdentity,), judge)
