"""`vault-gated-needs-control-group`: what needs an approval can't be had without one.

Source: the permission model (approvals for high-impact actions; gated credentials); trials on OpenBao 2.7, where a
control group fails open in two ways: a capability that the path grants and no factor controls, and the same path in
another policy of the same token that has no control group. So all policies of a login are judged together, by what
`access.vault` says that the server would decide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from narrowgate.access.vault import VaultPolicyError, find_request
from narrowgate.access.vault import parse as parse_vault_policy
from narrowgate.access.vault.policy import ALL_CAPABILITIES
from narrowgate.rules.estate import LoginToken
from narrowgate.rules.facts import VaultPolicy
from narrowgate.rules.rule import Rule, report

if TYPE_CHECKING:
    from collections.abc import Iterator

    from narrowgate.access.vault import Policy
    from narrowgate.rules.finding import Finding
    from narrowgate.rules.settings import Settings

NAME = "vault-gated-needs-control-group"

_STANZA = "control_group"


def judge(subject: VaultPolicy | LoginToken, settings: Settings) -> Iterator[Finding]:
    """Yield a finding for each gated path that some request reaches without an approval."""
    if isinstance(subject, VaultPolicy):
        if _STANZA in subject.text:
            yield from _judge_policy(subject)
        return
    paths = dict.fromkeys(path for _, text in subject.policies if _STANZA in text for path in _gated_paths(text))
    below = tuple(f"{mount}/*" for mount in settings.gated_mounts)
    asked = (*paths, *subject.gated, *below)
    if not asked:
        return
    try:
        policies = [parse_vault_policy(text, name=name) for name, text in subject.policies]
    except VaultPolicyError:
        return  # the rules that read that policy refuse it
    for path in asked:
        yield from _judge_path(path, policies, subject)


def _judge_policy(subject: VaultPolicy) -> Iterator[Finding]:
    """Judge each gated path of one policy: every capability that it grants waits for somebody else."""
    for rule in parse_vault_policy(subject.text).rules:
        group, found = rule.permissions.control_group, report(NAME, subject, line=subject.line + max(rule.line, 1) - 1)
        if group is None:
            continue
        free = sorted(capability for capability in rule.permissions.capabilities if not group.controls(capability))
        if free:
            yield found(
                f"Vault policy {subject.name!r} gates {rule.path}, but not {', '.join(free)}",
                detail=f"Its holder can {free[0]} {rule.path} with nobody's approval.",
                fix=f"Name {', '.join(free)} in controlled_capabilities, or take it out of the capabilities.",
            )
        if group.self_authorization:
            yield found(
                f"Vault policy {subject.name!r} lets who asks for {rule.path} approve it (self_auth_allowed)",
                detail=f"Its holder reads {rule.path} and approves that read.",
                fix="Take self_auth_allowed out.",
            )


def _judge_path(path: str, policies: list[Policy], subject: LoginToken) -> Iterator[Finding]:
    """Judge all policies of a login together: whatever their order, none opens what another one gates."""
    label = f"auth role {subject.role.mount}/{subject.role.name}"
    search = find_request(policies, path, ALL_CAPABILITIES)
    twins = [policy.name for policy in policies if path in _open_paths(policy)]
    if search.found is False and not twins:
        return
    doubt = "" if search.found is not None else f", as far as can be told: {search.reason}"
    opened = f"; {twins[0]} grants it without a control group" if twins else ""
    yield report(NAME, subject)(
        f"a login of {label} reaches the gated path {path} without an approval{doubt}{opened}",
        detail=f"Its token can make this request: {search.witness or path}.",
        fix=f"Let {path} stand in one policy only, with a control group that names every capability it grants.",
    )


def _open_paths(policy: Policy) -> set[str]:
    return {rule.path for rule in policy.rules if rule.permissions.control_group is None}


def _gated_paths(text: str) -> list[str]:
    try:
        rules = parse_vault_policy(text).rules
    except VaultPolicyError:
        return []  # the policy's own judgement refuses it
    return [rule.path for rule in rules if rule.permissions.control_group is not None]


RULE = Rule(NAME, "Nothing gated is reached without an approval.", (VaultPolicy, LoginToken), judge)
