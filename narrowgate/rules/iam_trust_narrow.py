"""`iam-trust-narrow`: a role lets in one caller, known exactly.

Source: AWS IAM User Guide (the confused deputy problem, external ids; OIDC providers: audience and subject); the
permission model. A tool's role trusts Vault's broker alone, a gated action's the broker of gated roles alone. Anywhere:
not everyone, not a whole account, not another account without an external id, no web identity whose audience or subject
is left open.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from narrowgate.access.iam import PolicyError
from narrowgate.rules.facts import IamIdentity, IamTrust
from narrowgate.rules.finding import Severity
from narrowgate.rules.questions import read_policy
from narrowgate.rules.rule import Reporter, Rule, report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from narrowgate.access.iam.policy import PrincipalEntry, Statement
    from narrowgate.rules.finding import Finding
    from narrowgate.rules.settings import Settings

NAME = "iam-trust-narrow"

_WHOLE_ACCOUNT: Final = re.compile(r"(?:arn:[\w-]+:iam::)?(\d{12})(?::root)?")
_ACCOUNT: Final = re.compile(r"arn:[\w-]+:(?:iam|sts)::(\d{12}):")
_POSITIVE: Final = frozenset({"StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnEquals", "ArnLike"})
_SUBJECTS: Final = (":sub", ":job_workflow_ref", ":amr", "saml:sub", "saml:namequalifier")
_AUDIENCES: Final = (":aud", ":azp", "saml:aud", ":appid")


@dataclass(frozen=True, slots=True)
class _Kind:
    """One kind of role that Vault assumes: `whose` it is and which `broker` (in words) alone may."""

    whose: str
    broker: str
    past: str
    brokers: Callable[[Settings], tuple[str, ...]]


_KINDS: Final = {
    "tool": _Kind("a tool's", "Vault's broker", "Vault, without a lease and without a user", lambda s: s.brokers),
    "gated": _Kind(
        "a gated action's",
        "Vault's broker of gated roles",
        "the control group, without an approval",
        lambda s: s.gated_brokers,
    ),
}
"""By the last part of the role's path."""


def _kind_of(subject: IamIdentity | IamTrust) -> _Kind | None:
    if not isinstance(subject, IamIdentity) or not subject.path.startswith("/narrowgate/"):
        return None
    return next((kind for name, kind in _KINDS.items() if f"/{name}/" in subject.path), None)


def judge(subject: IamIdentity | IamTrust, settings: Settings) -> Iterator[Finding]:
    """Yield a finding for each way in which somebody else than one known caller gets in."""
    text = subject.document if isinstance(subject, IamTrust) else subject.trust
    if text is None:
        return
    label = f"role {subject.name!r}" if isinstance(subject, IamIdentity) else "the trust policy"
    found = report(NAME, subject)
    policy = read_policy(text)
    if isinstance(policy, PolicyError):
        yield found(
            f"{label}: nobody can tell whom it trusts: {policy}",
            detail="It may let anybody in.",
            fix="Write a trust policy that IAM accepts.",
        )
        return
    kind = _kind_of(subject)
    for statement in policy.statements:
        if statement.effect != "Allow":
            continue
        line = subject.line
        if isinstance(subject, IamTrust) and statement.index < len(subject.statement_lines):
            line = subject.statement_lines[statement.index]
        yield from _judge_statement(statement, label, report(NAME, subject, line=line), settings, kind=kind)


def _judge_statement(
    statement: Statement, label: str, found: Reporter, settings: Settings, *, kind: _Kind | None
) -> Iterator[Finding]:
    if statement.not_principal or statement.principals is None:
        yield found(
            f"{label} lets in all but some (NotPrincipal)" if statement.not_principal else f"{label} names no caller",
            detail="Anybody in any AWS account who is not named can call sts:AssumeRole.",
            fix="Name the one caller in Principal.",
        )
        return
    for principal in statement.principals:
        if "*" in principal.value:
            yield found(
                f"{label} trusts everyone ({principal.value})",
                detail="Anybody with any AWS account can call sts:AssumeRole on it, if only the conditions are met.",
                fix="Name the one caller in Principal.",
            )
        elif principal.kind == "AWS":
            yield from _judge_aws(principal, statement, label, found, settings, kind=kind)
        elif principal.kind == "Federated":
            yield from _judge_federated(principal, statement, label, found)
        elif kind is not None and (brokers := kind.brokers(settings)):
            yield found(
                f"{label} is {kind.whose}, and trusts {principal.value} beside {kind.broker}",
                detail=f"Who can use {principal.value} in the account gets its credentials past Vault.",
                fix=f"Trust {brokers[0]} alone.",
            )


def _judge_aws(  # noqa: PLR0913 - a principal is judged by its statement, the role and the settings
    principal: PrincipalEntry,
    statement: Statement,
    label: str,
    found: Reporter,
    settings: Settings,
    *,
    kind: _Kind | None,
) -> Iterator[Finding]:
    whole = _WHOLE_ACCOUNT.fullmatch(principal.value)
    known = _ACCOUNT.match(principal.value) or whole
    account = known.group(1) if known else ""
    brokers = () if kind is None else kind.brokers(settings)
    if kind is not None and brokers and principal.value not in brokers:
        yield found(
            f"{label} is {kind.whose}, and trusts {principal.value} instead of {kind.broker}",
            detail=f"{principal.value} can call sts:AssumeRole on it past {kind.past}.",
            fix=f"Trust {brokers[0]} alone.",
        )
    elif whole:
        yield found(
            f"{label} trusts the whole account {account}",
            detail=f"Every identity of {account} that may call sts:AssumeRole can become it.",
            fix="Name the one role of that account that needs it.",
            severity=Severity.WARNING,
        )
    if settings.account and account and account != settings.account and not _requires(statement, ("sts:externalid",)):
        yield found(
            f"{label} trusts {principal.value} of another account without an external id",
            detail=f"Another customer of {account} can make it assume this role (the confused deputy).",
            fix="Add a condition StringEquals sts:ExternalId.",
        )


def _judge_federated(principal: PrincipalEntry, statement: Statement, label: str, found: Reporter) -> Iterator[Finding]:
    for keys, what in ((_AUDIENCES, "audience"), (_SUBJECTS, "subject")):
        if not _requires(statement, keys):
            yield found(
                f"{label} takes any {what} of {principal.value}",
                detail=f"Any token that {principal.value} issues, to anybody, assumes the role.",
                fix=f"Add a condition StringEquals on the token's {what}.",
            )


def _requires(statement: Statement, keys: tuple[str, ...]) -> bool:
    """Tell whether a condition demands a value, not just any, of a context key that ends in one of `keys`."""
    return any(
        condition.operator in _POSITIVE
        and not condition.if_exists
        and condition.quantifier != "ForAllValues"
        and any(condition.key.endswith(key) for key in keys)
        and all(value.text.strip("*?:") for value in condition.values)
        for condition in statement.conditions
    )


RULE = Rule(NAME, "A role lets in one caller, known exactly.", (IamIdentity, IamTrust), judge)
