"""Compares what stands with what may stand: the lock's judgements of single things, and what no plan contains.

What the lock's judgements let pass, since it allows less, is drift too: somebody changed it. What could not be read is
not judged. This module must not talk to any system.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from narrowgate.access import iam, vault
from narrowgate.access.diff.iam_cover import say_request
from narrowgate.access.iam import PolicyError
from narrowgate.access.locked_settings import ACCESSOR
from narrowgate.access.vault import VaultPolicyError
from narrowgate.audit.drift.facts import Finding, Kind
from narrowgate.audit.drift.grants import find_database_drift
from narrowgate.compile import names
from narrowgate.compile.documents import SETTINGS_APART

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from narrowgate.access.locked import LockedRole
    from narrowgate.audit.drift.expected import Expected
    from narrowgate.audit.drift.facts import Json, Standing, StandingMount, StandingRole
    from narrowgate.compile.documents import IamRole

MOUNT_PREFIX: Final = "narrowgate-"
"""What the secrets mounts that a foundation makes begin with, unless its bindings say otherwise."""
POLICY_PREFIXES: Final = (*names.POLICY_PREFIXES, names.SYSTEM_PREFIX)
_NO_PLAN: Final = "no plan contains it"
_GONE: Final = "the lock states it, and it is not there"


def find_drift(expected: Expected, standing: Standing) -> list[Finding]:
    """Return everything that stands otherwise than `expected`, sorted and each once."""
    found = {
        *_judge_roles(expected, standing),
        *_judge_policies(expected, standing),
        *_judge_auth_mounts(expected, standing),
        *_judge_logins(expected, standing),
        *_judge_secret_mounts(expected, standing),
        *_judge_secret_roles(expected, standing),
        *find_database_drift(expected, standing.databases or {}),
    }
    return sorted(found)


# AWS ------------------------------------------------------------------------------------------------------------------


def _judge_roles(expected: Expected, standing: Standing) -> Iterator[Finding]:
    if standing.roles is None:
        return
    known = expected.locked.roles
    for name, role in standing.roles.items():
        thing = f"IAM role {name}"
        if name not in known:
            aws, path = expected.environment.aws, None if role is None else role.path
            if f"arn:{aws.partition}:iam::{aws.account}:role{path}{name}" not in expected.bound_roles:
                yield Finding("aws", thing, Kind.UNKNOWN, f"{_NO_PLAN}{f' (at {path})' if path else ''}")
        elif role is not None:
            yield from (Finding("aws", thing, Kind.CHANGED, d) for d in _judge_role(expected, known[name], role))
    for name in sorted(known.keys() - standing.roles.keys()):
        yield Finding("aws", f"IAM role {name}", Kind.MISSING, _GONE)


def _judge_role(expected: Expected, known: IamRole, role: StandingRole) -> Iterator[str]:
    locked = expected.locked
    inline = {n: d for n, d in role.policies.items() if n != names.REVOKED_POLICY or not _only_denies(d)}
    wider = locked.judge_place(role.name, role.path, role.max_session_seconds)
    if wider is not None:
        yield wider
    elif role.max_session_seconds != known.max_session_seconds:
        yield f"its sessions last {role.max_session_seconds} s at most, not {known.max_session_seconds}"
    if (role.boundary or "") != known.boundary_arn:
        yield f"its permissions boundary is {role.boundary or 'none'}, not {known.boundary_arn or 'none'}"
    for arn in role.attached:
        yield f"the managed policy {arn} is attached, which no plan contains"
    for name in sorted(inline.keys() - known.policies.keys()):
        yield f"it has an inline policy `{name}`, which no plan contains"
    try:
        yield from _judge_documents(expected, known, role, list(inline.values()))
    except PolicyError as error:
        yield f"its policies could not be compared with the lock's: {error}"


def _judge_documents(expected: Expected, known: IamRole, role: StandingRole, given: list[Json]) -> Iterator[str]:
    whole = list(known.policies.values())
    if wider := expected.locked.judge_role(role.name, given):
        yield wider
    elif _texts(given) != _texts(whole):
        yield from _say_less(iam.compare(given, whole), "its policies allow")
    if wider := expected.locked.judge_trust(role.name, role.trust_policy):
        yield wider
    elif _texts([role.trust_policy]) != _texts([known.trust_policy]):
        yield from _say_less(iam.compare(role.trust_policy, known.trust_policy), "its trust policy allows")


def _say_less(comparison: iam.Comparison, subject: str) -> Iterator[str]:
    """Yield what the lock allows and the standing documents don't; nothing where both mean the same."""
    if comparison.witness is not None:
        yield f"{subject} less than the lock: not {say_request(comparison.witness)}"
    elif comparison.no_new_access is not True:
        yield f"{subject} something else than the lock, perhaps less: {comparison.reason}"


def _only_denies(policy: Json) -> bool:
    statements = policy.get("Statement")
    statements = [statements] if isinstance(statements, dict) else statements
    return bool(statements) and all(statement.get("Effect") == "Deny" for statement in statements or ())


def _texts(documents: list[Json]) -> list[str]:
    return sorted(json.dumps(document, sort_keys=True) for document in documents)


# Vault ----------------------------------------------------------------------------------------------------------------


def _judge_policies(expected: Expected, standing: Standing) -> Iterator[Finding]:
    if standing.vault_policies is None:
        return
    known = expected.locked.policies
    for name, text in standing.vault_policies.items():
        thing = f"policy {name}"
        if name not in known:
            if name.startswith(POLICY_PREFIXES):
                yield Finding("vault", thing, Kind.UNKNOWN, _NO_PLAN)
        elif text is not None and (wrong := _judge_policy(expected, name, text)):
            yield Finding("vault", thing, Kind.CHANGED, wrong)
    for name in sorted(known.keys() - standing.vault_policies.keys()):
        yield Finding("vault", f"policy {name}", Kind.MISSING, _GONE)


def _judge_policy(expected: Expected, name: str, text: str) -> str | None:
    known = expected.locked.policies[name]
    if text.strip() == known.strip():
        return None
    try:
        wider = expected.locked.judge_vault_policy(name, text)
        found = vault.compare([text], [known])
    except VaultPolicyError as error:
        return f"it could not be compared with the lock's: {error}"
    if wider is not None:
        return wider
    if found.no_new_access:
        return None
    return f"it allows less than the lock, or something else: {found.witness or found.reason}"


def _judge_auth_mounts(expected: Expected, standing: Standing) -> Iterator[Finding]:
    if standing.auth_mounts is None:
        return
    known, prefix = expected.locked.auth_mounts, f"{expected.environment.vault.auth_prefix}/"
    for path, mount in standing.auth_mounts.items():
        thing = f"auth mount auth/{path}"
        if path not in known:
            if path.startswith(prefix):
                yield Finding("vault", thing, Kind.UNKNOWN, _NO_PLAN)
        else:
            yield from (Finding("vault", thing, Kind.CHANGED, d) for d in _judge_auth_mount(expected, path, mount))
    for path in sorted(known.keys() - standing.auth_mounts.keys()):
        yield Finding("vault", f"auth mount auth/{path}", Kind.MISSING, _GONE)


def _judge_auth_mount(expected: Expected, path: str, mount: StandingMount) -> Iterator[str]:
    locked = expected.locked
    known = locked.auth_mounts[path]
    if mount.type != known.type:
        yield f"it is of type {mount.type}, not {known.type}"
    elif mount.settings is not None:
        # Vault answers a PEM text without its last line's end
        given = {
            name: known.config[name] if _strip(value) == _strip(known.config.get(name)) else value
            for name, value in mount.settings.items()
        }
        judge = locked.judge_auth_settings if mount.type in SETTINGS_APART else locked.judge_auth_mount
        if wrong := judge(path, mount.type, given):
            yield wrong


def _strip(value: object) -> object:
    if isinstance(value, str):
        return value.strip()
    return [_strip(part) for part in value] if isinstance(value, (list, tuple)) else value


def _judge_logins(expected: Expected, standing: Standing) -> Iterator[Finding]:
    workflow_of = {path: workflow for workflow, path in expected.workflow_mounts.items()}
    known = expected.locked.auth_roles
    for mount, roles in (standing.auth_roles or {}).items():
        if roles is None:
            continue
        revoked = standing.revoked is not None and workflow_of.get(mount) in standing.revoked
        for name, settings in roles.items():
            thing = f"login auth/{mount}/role/{name}"
            if (mount, name) not in known:
                yield Finding("vault", thing, Kind.UNKNOWN, _NO_PLAN)
            elif revoked:
                yield Finding("vault", thing, Kind.CHANGED, f"{workflow_of[mount]} is revoked, and its login stands")
            elif settings is not None and (wrong := expected.locked.judge_auth_role(mount, name, settings)):
                yield Finding("vault", thing, Kind.CHANGED, wrong)
        if revoked or (standing.revoked is None and mount in workflow_of):
            continue  # a revoked workflow has no login
        for _, name in sorted(key for key in known if key[0] == mount and key[1] not in roles):
            yield Finding("vault", f"login auth/{mount}/role/{name}", Kind.MISSING, _GONE)


def _judge_secret_mounts(expected: Expected, standing: Standing) -> Iterator[Finding]:
    if standing.secret_mounts is None:
        return
    known = expected.secret_mounts
    for path, mount in standing.secret_mounts.items():
        thing = f"secrets mount {path}"
        if path not in known:
            if path.startswith(MOUNT_PREFIX):
                yield Finding("vault", thing, Kind.UNKNOWN, _NO_PLAN)
        elif mount.type != known[path]:
            yield Finding("vault", thing, Kind.CHANGED, f"it is of type {mount.type}, not {known[path]}")
    for path in sorted(known.keys() - standing.secret_mounts.keys()):
        yield Finding("vault", f"secrets mount {path}", Kind.MISSING, "the foundation makes it, and it is not there")


def _judge_secret_roles(expected: Expected, standing: Standing) -> Iterator[Finding]:
    known = {role.role.path: role for role in expected.locked.secret_roles.values()}
    listed = standing.secret_roles or {}
    for collection, roles in listed.items():
        for name, settings in (roles or {}).items():
            path = f"{collection}/{name}"
            if path not in known:
                if collection not in expected.shared or settings is None or _is_ours(expected, settings):
                    yield Finding("vault", f"role {path}", Kind.UNKNOWN, _NO_PLAN)
            elif settings is not None:
                for wrong in _judge_secret_role(expected, standing, known[path], settings):
                    yield Finding("vault", f"role {path}", Kind.CHANGED, wrong)
    for path in sorted(known):
        collection, _, name = path.rpartition("/")
        roles = listed.get(collection)
        if roles is not None and name not in roles:
            yield Finding("vault", f"role {path}", Kind.MISSING, _GONE)


def _judge_secret_role(
    expected: Expected, standing: Standing, known: LockedRole, settings: Mapping[str, Any]
) -> Iterator[str]:
    if wrong := expected.locked.judge_secret_role((known.role.credential_path,), settings):
        yield wrong
    if known.placeholder is None or standing.auth_mounts is None:
        return
    mount = expected.token_mounts.get(known.role.path, "")
    accessor = standing.auth_mounts[mount].accessor if mount in standing.auth_mounts else ""
    if strangers := sorted(set(re.findall(ACCESSOR, str(settings.get("template")))) - {accessor}):
        yield f"its claims name logins of {', '.join(strangers)}, not of auth/{mount} ({accessor or 'which is gone'})"


def _is_ours(expected: Expected, settings: Mapping[str, Any]) -> bool:
    """Tell whether a role among others' refers to something of this environment's."""
    name, text = expected.environment.name, json.dumps(settings, default=str)
    ours = (names.boundary_path(name), f'"key": "{expected.environment.vault.signing_key}"', expected.group_prefix)
    return any(mark in text for mark in ours)
