"""`iam-no-access-key`: no AWS credential that does not expire.

Source: AWS IAM best practices; the time scope of the permission model (short-lived tokens, never long-lived keys). A
key that the stack makes also stands in its state.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from narrowgate.rules.facts import IamLongLivedKey
from narrowgate.rules.rule import Rule, report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from narrowgate.rules.finding import Finding
    from narrowgate.rules.settings import Settings

NAME = "iam-no-access-key"


def judge(subject: IamLongLivedKey, _: Settings) -> Iterator[Finding]:
    """Yield a finding for each long-lived secret."""
    yield report(NAME, subject)(
        f"the {subject.kind} of IAM user {subject.user!r} does not expire",
        detail=f"Who reads the stack's state, or a log that it got into, is {subject.user!r} until it is rotated.",
        fix="Let Vault assume a role for a few minutes instead (credential_type assumed_role).",
    )


RULE = Rule(NAME, "No AWS credential lives on.", (IamLongLivedKey,), judge)
