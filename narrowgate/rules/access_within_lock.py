"""`access-within-lock`: whatever makes a grant, it is one that the reviewed lock states.

Source: the permission model (silent privilege expansion: a wider grant is refused until a reviewer has accepted it).
The program compares its plan with the lock; this rule compares each resource with the documents that the lock compiles
to, so that a grant which no plan knows of (written by hand beside ours, or changed on its way) does not pass either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from narrowgate.access.locked import LockedDocuments
from narrowgate.rules.estate import Identity
from narrowgate.rules.facts import (
    DatabaseGroup,
    VaultAuthMount,
    VaultAuthRole,
    VaultAuthSettings,
    VaultPolicy,
    VaultSecretRole,
    VaultWrite,
    names,
)
from narrowgate.rules.questions import read_policy
from narrowgate.rules.rule import Rule, report

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from narrowgate.access.iam import Policy
    from narrowgate.rules.facts import Fact
    from narrowgate.rules.finding import Finding
    from narrowgate.rules.settings import Settings

NAME = "access-within-lock"

_LATER: Mapping[str, frozenset[str]] = {"identity": frozenset({"template"})}
"""Settings that hold what Vault makes up on deploy: unknown at preview, they are judged before they are made."""


def judge(subject: Any, settings: Settings) -> Iterator[Finding]:  # noqa: ANN401 - one of the types that RULE names
    """Yield a finding for each way in which the subject grants what the lock does not state."""
    lock = settings.lock
    if lock is None:
        return
    found = report(NAME, subject)
    update = f"If it is meant, declare it in a workflow, and run narrowgate access lock --env {settings.environment}."
    if not isinstance(lock, LockedDocuments):
        if _grants(subject, settings):
            yield found(
                f"nobody can tell whether this was reviewed: {lock}",
                detail="It may grant any agent anything, and no reviewer has seen it.",
                fix=lock.hint or update,
            )
        return
    for wrong in _JUDGES[type(subject)](subject, lock, settings):
        yield found(wrong, detail=_LETS[type(subject)](subject), fix=update)


def _grants(subject: Identity | Fact, settings: Settings) -> bool:
    """Tell whether the subject is one that a lock would have to state."""
    return not isinstance(subject, (Identity, VaultAuthMount, VaultWrite)) or (
        isinstance(subject, Identity) and _is_tools(subject, settings, frozenset())
    )


def _judge_identity(subject: Identity, lock: LockedDocuments, settings: Settings) -> Iterator[str]:
    if not _is_tools(subject, settings, frozenset(lock.roles)):
        return
    wrong = [lock.judge_role(subject.name, subject.documents)]
    if subject.fact is not None and subject.name in lock.roles:
        fact = subject.fact
        wrong.append(lock.judge_place(subject.name, fact.path, fact.max_session_seconds))
        if fact.trust is not None:
            wrong.append(lock.judge_trust(subject.name, fact.trust))
    wrong += [f"the IAM role {subject.name} has the managed policy {arn}, the lock none" for arn in subject.missing]
    yield from (text for text in wrong if text)


def _is_tools(subject: Identity, settings: Settings, locked: frozenset[str]) -> bool:
    """Tell whether an identity is a tool's: by its name, its path, or because Vault's broker may assume it."""
    if subject.kind != "role" or not subject.name:
        return False
    fact = subject.fact
    ours = subject.name in locked or (settings.environment and subject.name.startswith(f"ng-{settings.environment}-"))
    return bool(ours) or (
        fact is not None and (fact.path.startswith("/narrowgate/") or _trusts_broker(fact.trust, settings.brokers))
    )


def _trusts_broker(trust: str | None, brokers: tuple[str, ...]) -> bool:
    policy = read_policy(trust) if trust else None
    return any(
        statement.effect == "Allow" and any(principal.value in brokers for principal in statement.principals or ())
        for statement in _statements(policy)
    )


def _statements(policy: Policy | object) -> tuple[Any, ...]:
    return getattr(policy, "statements", ())


def _judge_policy(subject: VaultPolicy, lock: LockedDocuments, _: Settings) -> Iterator[str]:
    yield from _if_any(lock.judge_vault_policy(subject.name, subject.text))


def _judge_login(subject: VaultAuthRole, lock: LockedDocuments, settings: Settings) -> Iterator[str]:
    label = f"the login auth/{subject.mount}/role/{subject.name}"
    if subject.mount in settings.people_mounts:
        agents = [name for name in subject.policies if name in lock.policies]
        yield from (f"{label} lets people use {name}, which is an agent's" for name in agents)
        return
    wrong = lock.judge_auth_role(subject.mount, subject.name, subject.settings)
    yield from _if_any(wrong)
    if wrong is None and subject.unknown:
        yield f"{label} has settings that are not known: {', '.join(sorted(subject.unknown))}"


def _judge_mount(subject: VaultAuthMount, lock: LockedDocuments, settings: Settings) -> Iterator[str]:
    ours = subject.path in lock.auth_mounts or f"{subject.path}/".startswith(f"{settings.auth_prefix}/")
    if not ours:
        return
    wrong = lock.judge_auth_mount(subject.path, subject.method, subject.settings)
    yield from _if_any(wrong)
    unknown = subject.unknown - {"accessor"}
    if wrong is None and unknown:
        yield f"the auth mount auth/{subject.path} has settings that are not known: {', '.join(sorted(unknown))}"


def _judge_settings(subject: VaultAuthSettings, lock: LockedDocuments, settings: Settings) -> Iterator[str]:
    if subject.path not in lock.auth_mounts and not f"{subject.path}/".startswith(f"{settings.auth_prefix}/"):
        return
    wrong = lock.judge_auth_settings(subject.path, subject.method, subject.settings)
    yield from _if_any(wrong)
    if wrong is None and subject.unknown:
        yield f"the settings of auth/{subject.path} are not all known: {', '.join(sorted(subject.unknown))}"


def _judge_secret_role(subject: VaultSecretRole, lock: LockedDocuments, _: Settings) -> Iterator[str]:
    stolen = [arn for arn in names(subject.settings.get("role_arns")) if arn.rsplit("/", 1)[-1] in lock.roles]
    below = any(path.startswith(f"{mount}/") for mount in lock.mounts for path in subject.credentials)
    if not below and not stolen:
        return
    later = subject.unknown & _LATER.get(subject.engine, frozenset())
    wrong = lock.judge_secret_role(subject.credentials, subject.settings, later)
    if wrong is None and subject.unknown - later:
        wrong = f"the role of {subject.credentials[0]} has settings that are not known: {', '.join(subject.unknown)}"
    yield from _if_any(wrong)


def _judge_group(subject: DatabaseGroup, lock: LockedDocuments, _: Settings) -> Iterator[str]:
    yield from _if_any(lock.judge_group(subject.name, subject.inputs))


def _judge_write(subject: VaultWrite, lock: LockedDocuments, _: Settings) -> Iterator[str]:
    yield from _if_any(lock.judge_write(subject.path, subject.data))


def _if_any(wrong: str | None) -> Iterator[str]:
    if wrong is not None:
        yield wrong


_LETS: Mapping[type[Any], Callable[[Any], str]] = {
    Identity: lambda role: f"Who gets a session of {role.name} may do that, and no reviewer has seen it.",
    VaultPolicy: lambda policy: f"Every login with the policy {policy.name} may do that, and no reviewer has seen it.",
    VaultAuthRole: lambda role: (
        f"Who fits the role logs in at auth/{role.mount} and gets {', '.join(role.policies) or 'its token'}."
    ),
    VaultAuthSettings: lambda held: (
        f"Whom auth/{held.path} believes decides who logs in there as the workflow's agent."
    ),
    VaultAuthMount: lambda mount: f"Who signs tokens for auth/{mount.path} logs in there as the workflow's agent.",
    VaultSecretRole: lambda role: f"A read of {role.credentials[0]} mints credentials that no reviewer has seen.",
    DatabaseGroup: lambda group: f"A database login in {group.name} reads or changes what no reviewer has seen.",
    VaultWrite: lambda write: f"A write to {write.path} changes what agents' credentials are, unreviewed.",
}
"""What an attacker gains, by what it is that the lock does not state."""

_JUDGES: Mapping[type[Any], Callable[[Any, LockedDocuments, Settings], Iterator[str]]] = {
    Identity: _judge_identity,
    VaultPolicy: _judge_policy,
    VaultAuthRole: _judge_login,
    VaultAuthMount: _judge_mount,
    VaultAuthSettings: _judge_settings,
    VaultSecretRole: _judge_secret_role,
    DatabaseGroup: _judge_group,
    VaultWrite: _judge_write,
}

RULE = Rule(NAME, "Whatever makes a grant, the access lock states it.", tuple(_JUDGES), judge)
