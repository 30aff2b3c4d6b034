"""`workflow-no-shared-identity`: one identity for each workflow and tool, and none that two of them use.

Source: the permission model (one agent identity per workflow; a shared agent account is rejected before deploy).
Judged by what refers to what, so it holds for resources that nobody made with us: two Vault roles that assume one IAM
role, two policies that reach one credential path, two logins with one policy or for one agent, a login that names no
agent, two roles that mint one certificate name or one token, policies that flow from groups and entities into every
member's token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from narrowgate.rules.estate import Sharing
from narrowgate.rules.facts import VaultAuthRole, VaultGroup, VaultSecretRole, names
from narrowgate.rules.logins import (
    CALLERS,
    GROUP_LOGINS,
    SECRET_LOGINS,
    agent_names,
    caller_claims,
    wildcard_claims,
)
from narrowgate.rules.minted_names import open_names
from narrowgate.rules.rule import Reporter, Rule, report

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from narrowgate.rules.finding import Finding
    from narrowgate.rules.settings import Settings

NAME = "workflow-no-shared-identity"

_WHAT_IT_LETS: Mapping[str, tuple[str, str]] = {
    "IAM role": ("sts:AssumeRole on {thing} by way of {user}", "Give each tool an IAM role of its own."),
    "Vault path": (
        "read {thing} with a token of {user}",
        "Let one policy alone grant the path; make a role for each tool.",
    ),
    "Vault policy": (
        "log in through {user} and use all that {thing} grants",
        "Give each workflow a policy of its own.",
    ),
    "agent name": ("log in with one token for {thing} at {user}", "Give each workflow an agent name of its own."),
    "database role": (
        "act in the database as {thing} by way of {user}",
        "Make a group role for each workflow and tool.",
    ),
    "Vault entity": ("log in as {user} and keep what {thing} may do", "Make an entity for each workflow."),
    "certificate name": (
        "call a tool as {thing} with a certificate of {user}",
        "Give each workflow and tool a name of its own in allowed_uri_sans.",
    ),
    "signed token": (
        "call a tool as {thing} with a token of {user}",
        "Put the workflow and the tool into the template's claims.",
    ),
}


def judge(subject: Any, settings: Settings) -> Iterator[Finding]:  # noqa: ANN401 - one of the types that RULE names
    """Yield a finding for each way in which the subject makes two users one identity."""
    found = report(NAME, subject)
    match subject:
        case Sharing():
            yield from _judge_sharing(subject, found)
        case VaultAuthRole():
            if subject.mount not in settings.people_mounts:
                yield from _judge_login(subject, found)
        case VaultSecretRole():
            yield from _judge_secret_role(subject, found)
        case VaultGroup():
            yield from _judge_members(subject, found)


def _judge_sharing(subject: Sharing, found: Reporter) -> Iterator[Finding]:
    users = subject.users
    if len(users) < 2:  # noqa: PLR2004 - sharing takes two
        return
    *others, last = users
    lets, fix = _WHAT_IT_LETS[subject.kind]
    yield found(
        f"{subject.kind} {subject.thing} is used by {last} and by {', '.join(others)}: one identity for {len(users)}",
        detail=f"Whoever is the one can {lets.format(thing=subject.thing, user=last)}, and no log tells them apart.",
        fix=fix,
    )


def _judge_login(role: VaultAuthRole, found: Reporter) -> Iterator[Finding]:
    label = f"auth role {role.mount}/{role.name}"
    if role.method in SECRET_LOGINS:
        if role.settings.get("bind_secret_id") is False:
            yield found(
                f"{label} asks for no secret",
                detail="Anyone who learns its role id, which is no secret, can log in.",
                fix="Leave bind_secret_id on.",
            )
        return
    if role.method in GROUP_LOGINS:
        yield found(
            f"{label} lets a group in, not one workflow",
            detail=f"Each member of {role.name!r} can log in and gets {', '.join(role.policies) or 'its policies'}.",
            fix="Let agents log in by a JWT role that binds the agent's name; name people's mounts in the settings.",
        )
        return
    if role.method == "userpass":
        return
    wild = wildcard_claims(role) if role.method in {"jwt", "oidc"} else _wild_settings(role)
    if wild:
        yield found(
            f"{label} binds a pattern: {', '.join(wild)}",
            detail=f"Any caller whose name fits {wild[0]} can log in, also one that another workflow is called.",
            fix="Bind the one exact name of the workflow's agent.",
        )
    callers = agent_names(role)
    if not callers:
        yield found(
            f"{label} names no agent: " + _what_is_missing(role),
            detail=f"Any token that the mount {role.mount} trusts can log in as this workflow.",
            fix="Bind the claim that names the agent (as bound_claims '/act/sub') to the workflow's own name.",
        )
    elif len(callers) > 1:
        yield found(
            f"{label} lets {len(callers)} callers in: {', '.join(callers)}",
            detail=f"A login of {callers[-1]} gets all that {callers[0]} may do.",
            fix="Make a workflow, with an auth role of its own, for each caller.",
        )


def _wild_settings(role: VaultAuthRole) -> list[str]:
    how = CALLERS.get(role.method)
    if how is None:
        return []
    return [
        f"{setting}={value}"
        for setting in how.settings
        for value in names(role.settings.get(setting))
        if any(sign in value for sign in how.wild)
    ]


def _what_is_missing(role: VaultAuthRole) -> str:
    if role.method in {"jwt", "oidc"}:
        bound = [claim for claim in role.settings.get("bound_claims") or {} if claim not in caller_claims(role)]
        return f"it binds only {', '.join(bound)}" if bound else "it has no bound claims"
    if role.method in CALLERS:
        return f"none of {', '.join(CALLERS[role.method].settings)} is set"
    return f"nobody can tell whom the method {role.method!r} lets in"


def _judge_secret_role(role: VaultSecretRole, found: Reporter) -> Iterator[Finding]:
    arns = names(role.settings.get("role_arns"))
    if len(arns) > 1:
        yield found(
            f"Vault role {role.mount}/{role.name} assumes {len(arns)} IAM roles",
            detail=f"The caller picks: reading {role.mount}/sts/{role.name} with role_arn={arns[-1]} gets that role.",
            fix="Make a Vault role for each IAM role.",
        )
    if role.engine == "database" and (account := role.settings.get("username")):
        yield found(
            f"Vault role {role.mount}/{role.name} hands out the one database account {account!r}",
            detail="All who read it log in to the database as the same account.",
            fix="Use a dynamic role, whose creation_statements make a login for each reader.",
        )
    if role.engine == "pki" and (chosen := open_names(role.settings)):
        yield found(
            f"Vault role {role.mount}/{role.name} lets its caller choose the certificate's name: {', '.join(chosen)}",
            detail="Whoever may ask gets a certificate of any name that fits, also one of another workflow's agent.",
            fix="Name the one exact SPIFFE id in allowed_uri_sans.",
        )


def _judge_members(group: VaultGroup, found: Reporter) -> Iterator[Finding]:
    if group.policies:
        yield found(
            f"Vault group {group.name!r} carries the policies {', '.join(group.policies)}",
            detail=f"All its members hold them as one identity, agents too: any login gets {group.policies[0]}.",
            fix="Hang policies on the auth role of the one workflow (token_policies).",
        )


RULE = Rule(
    NAME,
    "One identity for each workflow and tool; nothing that stands for an identity is used by two.",
    (Sharing, VaultAuthRole, VaultSecretRole, VaultGroup),
    judge,
)
