"""`environment-no-crossing`: nothing of one environment reaches into another.

Source: the permission model (dev and prod have nothing in common: no identity, key, role or data). Judged by AWS
account numbers in documents and role ARNs, by the names of what other environments are bound to (in whatever resource,
and by the buckets that a policy's pattern matches), and by the stacks that a stack reads.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from narrowgate.access.iam import PolicyError
from narrowgate.access.iam.glob import matches
from narrowgate.rules.estate import Identity
from narrowgate.rules.facts import ResourceTexts, StackReference, VaultSecretRole, names
from narrowgate.rules.questions import read_policy
from narrowgate.rules.rule import Rule, report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from narrowgate.access.iam.policy import Pattern
    from narrowgate.plan import ForeignName
    from narrowgate.rules.finding import Finding
    from narrowgate.rules.settings import Settings

NAME = "environment-no-crossing"

_ACCOUNT_OF: Final = re.compile(r"arn:[^:]*:[^:]*:[^:]*:(\d{12}):")


def judge(
    subject: Identity | VaultSecretRole | StackReference | ResourceTexts, settings: Settings
) -> Iterator[Finding]:
    """Yield a finding for each reference to another environment's account, data, Vault or stack."""
    if isinstance(subject, StackReference):
        yield from _judge_reference(subject, settings)
        return
    if isinstance(subject, ResourceTexts):
        yield from _judge_texts(subject, settings)
        return
    yield from _judge_accounts(subject, settings)
    if isinstance(subject, Identity) and not subject.is_unattached:
        yield from _judge_buckets(subject, settings)


def _judge_reference(subject: StackReference, settings: Settings) -> Iterator[Finding]:
    environment = settings.environment
    name = subject.stack.rsplit("/", 1)[-1]
    if environment and name != environment and not name.startswith(f"{environment}-"):
        yield report(NAME, subject)(
            f"the stack of {environment} reads the stack {subject.stack}",
            detail=f"Who changes {subject.stack} decides what {environment} deploys.",
            fix=f"Read stacks of {environment} alone; bind names in the environment's own configuration.",
        )


def _judge_texts(subject: ResourceTexts, settings: Settings) -> Iterator[Finding]:
    if not settings.foreign:
        return
    spelled = _spelling(settings.foreign)
    known = {foreign.name.lower(): foreign for foreign in settings.foreign}
    for name, texts in subject.texts.items():
        found = {match.group().lower(): None for text in texts for match in spelled.finditer(text)}
        for foreign in map(known.__getitem__, found):
            yield report(NAME, subject)(
                f"{name} of {subject.kind} names {foreign.name}: {foreign.what} is {foreign.environment}'s",
                detail=f"With it {settings.environment or 'this environment'} reaches what {foreign.environment} owns.",
                fix="Name what this environment is bound to in its own configuration.",
            )


@lru_cache(maxsize=8)
def _spelling(foreign: tuple[ForeignName, ...]) -> re.Pattern[str]:
    """Return what finds each name where it stands alone, the longest first: `docs` is not in `my-docs`."""
    ordered = sorted((re.escape(each.name) for each in foreign), key=len, reverse=True)
    return re.compile(rf"(?<![A-Za-z0-9-])(?:{'|'.join(ordered)})(?![A-Za-z0-9-])", re.IGNORECASE)


def _judge_accounts(subject: Identity | VaultSecretRole, settings: Settings) -> Iterator[Finding]:
    if not settings.account:
        return
    if isinstance(subject, VaultSecretRole):
        arns, label = names(subject.settings.get("role_arns")), f"Vault role {subject.mount}/{subject.name}"
    else:
        arns, label = tuple(pattern.text for pattern in _reached(subject)), subject.label
    others = sorted({account for arn in arns if (account := _account(arn)) not in {"", settings.account}})
    for account in others:
        arn = next(arn for arn in arns if _account(arn) == account)
        yield report(NAME, subject)(
            f"{label} reaches into AWS account {account}, which is not {settings.environment or 'this environment'}'s",
            detail=f"With it an agent here can use {arn}.",
            fix=f"Name resources of account {settings.account} alone.",
        )


def _judge_buckets(subject: Identity, settings: Settings) -> Iterator[Finding]:
    """Yield a finding for each bucket of another environment that a pattern matches: a bucket's ARN has no account."""
    arns = [(foreign, f"arn:{settings.partition}:s3:::{foreign.name}") for foreign in settings.foreign]
    for pattern in _reached(subject):
        for foreign, arn in arns:
            if pattern.text.startswith("arn:") and any(matches(pattern.tokens, text) for text in (arn, f"{arn}/x")):
                yield report(NAME, subject)(
                    f"{subject.label} reaches {foreign.what}, which is {foreign.environment}'s, by {pattern.text}",
                    detail=f"With it an agent here can use {arn}.",
                    fix="Name what this environment is bound to in its own configuration.",
                )


def _reached(subject: Identity) -> Iterator[Pattern]:
    """Yield what the statements of an identity's policies allow something on."""
    for document in subject.documents:
        policy = read_policy(document)
        if isinstance(policy, PolicyError):
            continue  # iam-role-no-admin refuses what can't be read
        for statement in policy.statements:
            if statement.effect == "Allow" and not statement.not_resource:
                yield from statement.resources or ()


def _account(arn: str) -> str:
    match = _ACCOUNT_OF.match(arn)
    return match.group(1) if match else ""


RULE = Rule(
    NAME,
    "Nothing reaches into another environment.",
    (Identity, VaultSecretRole, StackReference, ResourceTexts),
    judge,
)
