"""`environment-no-crossing`: nothing of one environment reaches into another.

Source: the permission model (dev and prod have nothing in common: no identity, key, role or data). Judged by AWS
account numbers in documents and role ARNs, and by the stacks that a stack reads.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from narrowgate.access.iam import PolicyError
from narrowgate.rules.estate import Identity
from narrowgate.rules.facts import StackReference, VaultSecretRole, names
from narrowgate.rules.questions import read_policy
from narrowgate.rules.rule import Rule, report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from narrowgate.rules.finding import Finding
    from narrowgate.rules.settings import Settings

NAME = "environment-no-crossing"

_ACCOUNT_OF: Final = re.compile(r"arn:[^:]*:[^:]*:[^:]*:(\d{12}):")


def judge(subject: Identity | VaultSecretRole | StackReference, settings: Settings) -> Iterator[Finding]:
    """Yield a finding for each reference to another environment's account or stack."""
    found = report(NAME, subject)
    if isinstance(subject, StackReference):
        environment = settings.environment
        name = subject.stack.rsplit("/", 1)[-1]
        if environment and name != environment and not name.startswith(f"{environment}-"):
            yield found(
                f"the stack of {environment} reads the stack {subject.stack}",
                detail=f"Who changes {subject.stack} decides what {environment} deploys.",
                fix=f"Read stacks of {environment} alone; bind names in the environment's own configuration.",
            )
        return
    if not settings.account:
        return
    arns = names(subject.settings.get("role_arns")) if isinstance(subject, VaultSecretRole) else _reached(subject)
    others = sorted({account for arn in arns if (account := _account(arn)) not in {"", settings.account}})
    for account in others:
        arn = next(arn for arn in arns if _account(arn) == account)
        label = f"Vault role {subject.mount}/{subject.name}" if isinstance(subject, VaultSecretRole) else subject.label
        yield found(
            f"{label} reaches into AWS account {account}, which is not {settings.environment or 'this environment'}'s",
            detail=f"With it an agent here can use {arn}.",
            fix=f"Name resources of account {settings.account} alone.",
        )


def _reached(subject: Identity) -> tuple[str, ...]:
    arns: list[str] = []
    for document in subject.documents:
        policy = read_policy(document)
        if isinstance(policy, PolicyError):
            continue  # iam-role-no-admin refuses what can't be read
        for statement in policy.statements:
            if statement.effect == "Allow" and not statement.not_resource:
                arns += [pattern.text for pattern in statement.resources or ()]
    return tuple(arns)


def _account(arn: str) -> str:
    match = _ACCOUNT_OF.match(arn)
    return match.group(1) if match else ""


RULE = Rule(NAME, "Nothing reaches into another environment.", (Identity, VaultSecretRole, StackReference), judge)
