"""`iam-no-user`: nothing logs in as an IAM user.

Source: AWS IAM best practices (temporary credentials instead of long-term ones); the time scope of the permission
model. An IAM user exists to hold secrets that do not expire.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from narrowgate.rules.facts import IamIdentity, IamMembership
from narrowgate.rules.rule import Rule, report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from narrowgate.rules.finding import Finding
    from narrowgate.rules.settings import Settings

NAME = "iam-no-user"


def judge(subject: IamIdentity | IamMembership, _: Settings) -> Iterator[Finding]:
    """Yield a finding for each IAM user, and for each user that is put into a group."""
    if isinstance(subject, IamIdentity) and subject.kind != "user":
        return
    name = subject.name if isinstance(subject, IamIdentity) else subject.user
    yield report(NAME, subject)(
        f"IAM user {name!r} is a long-lived identity",
        detail=f"Whoever once copies a key or the password of {name!r} has its access until somebody notices.",
        fix="Make an IAM role that the broker assumes for minutes, and delete the user.",
    )


RULE = Rule(NAME, "Nothing logs in as an IAM user.", (IamIdentity, IamMembership), judge)
