"""`iam-no-wildcard-action`: an identity's policies name each action that they allow.

Source: AWS IAM best practices (grant least privilege); the action allowlist of the permission model. A pattern also
allows what AWS adds to the service next year: nobody has reviewed that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from narrowgate.access.iam import PolicyError
from narrowgate.access.iam.glob import is_literal
from narrowgate.rules.estate import Identity
from narrowgate.rules.finding import Severity
from narrowgate.rules.questions import read_policy
from narrowgate.rules.rule import Rule, report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from narrowgate.rules.finding import Finding
    from narrowgate.rules.settings import Settings

NAME = "iam-no-wildcard-action"


def judge(subject: Identity, _: Settings) -> Iterator[Finding]:
    """Yield a finding for each statement that allows actions by a pattern, or all but some."""
    if subject.is_unattached:
        return
    for number, document in enumerate(subject.documents):
        policy = read_policy(document)
        if isinstance(policy, PolicyError):
            continue  # iam-role-no-admin refuses what can't be read
        for statement in policy.statements:
            if statement.effect != "Allow":
                continue
            found = report(NAME, subject, line=subject.line_of(number, statement.index))
            patterns = [pattern.text for pattern in statement.actions if not is_literal(pattern.tokens)]
            if statement.not_action:
                named = ", ".join(pattern.text for pattern in statement.actions)
                yield found(
                    f"{subject.label} is allowed every action but {named}",
                    detail="It may call any action of any service that is not named, also of services yet to come.",
                    fix="Say Action, and name the actions that the tool needs.",
                    severity=Severity.WARNING,
                )
            elif patterns:
                yield found(
                    f"{subject.label} is allowed actions by a pattern: {', '.join(patterns)}",
                    detail=f"It may call every action that fits {patterns[0]}, also one that AWS adds tomorrow.",
                    fix="Name the actions that the tool needs.",
                    severity=Severity.WARNING,
                )


RULE = Rule(NAME, "Policies name each action that they allow.", (Identity,), judge)
