"""Judges deployed documents by the access lock: whatever made them, they may allow no more than the lock compiles to.

The policy pack asks this of each resource, so that no other way of making a grant passes. Comparing is by meaning: a
document that allows less is within. This module must not know Pulumi and must not read anything but the lock.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from narrowgate.access import iam, vault
from narrowgate.access.diff import compare_plans
from narrowgate.access.diff.iam_cover import say_request
from narrowgate.access.enforcement import load_lock
from narrowgate.access.lock import LockError
from narrowgate.access.locked_settings import differing, wider_table
from narrowgate.compile import compile_plan, names
from narrowgate.compile.documents import SETTINGS_APART

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from narrowgate.compile.documents import (
        AuthMount,
        AuthRole,
        IamRole,
        KvDocuments,
        Minted,
        PlanDocuments,
        PostgresDocuments,
        ToolDocuments,
        VaultSecretRole,
    )
    from narrowgate.plan import Environment, RuleException

_UNPROVEN = "could not be proven to be within the lock"


@dataclass(frozen=True, slots=True)
class LockedRole:
    """A secrets engine's role as the lock has it; `placeholder` stands in its texts for an auth mount's accessor."""

    engine: str
    role: VaultSecretRole
    placeholder: str | None = None


@dataclass(frozen=True, slots=True)
class LockedDocuments:
    """What the lock of one environment compiles to, by name. Each question returns what is wrong, or None.

    `secret_roles` are found by the path that mints, `secrets` (KV) by the path of their metadata. `exceptions` are
    those from rules.
    """

    environment: Environment
    roles: Mapping[str, IamRole]
    policies: Mapping[str, str]
    auth_roles: Mapping[tuple[str, str], AuthRole]
    auth_mounts: Mapping[str, AuthMount]
    secret_roles: Mapping[str, LockedRole]
    groups: Mapping[str, PostgresDocuments]
    secrets: Mapping[str, KvDocuments]
    exceptions: tuple[RuleException, ...] = ()

    @classmethod
    def read(cls, environment: Environment, lock_path: Path) -> LockedDocuments:
        """Compile the lock at `lock_path`.

        Raise `LockError` where it is missing, wrong, another environment's, or was reviewed for other bindings.
        """
        lock = load_lock(lock_path, environment=environment.name)
        plan = lock.plan(environment)
        gains = compare_plans(lock, plan).gains
        if gains:
            raise LockError(f"the lock at {lock_path} was reviewed for other bindings: {gains[0].words}")
        return replace(cls.of_documents(compile_plan(plan)), exceptions=lock.exceptions)

    @classmethod
    def of_documents(cls, documents: PlanDocuments) -> LockedDocuments:
        """Take `documents` as those of the lock."""
        workflows = documents.workflows
        tools = [tool for workflow in workflows for tool in workflow.tools]
        gated = [each for workflow in workflows for each in workflow.gated]
        vault_policies = [w.agent_policy for w in workflows] + [t.policy for t in tools if t.policy is not None]
        vault_policies += [each.policy for each in gated]
        logins = [workflow.auth_role for workflow in workflows] + [each.login for each in gated]
        mints = [minted for each in gated for _, minted in each.mints]
        holders: list[Minted | ToolDocuments] = [*tools, *mints]
        sql = [each.postgres for each in holders]
        roles = [role for tool in tools if (role := _secret_role(tool)) is not None]
        roles += [role for minted in mints if (role := _minting_role(minted)) is not None]
        iam_roles = [each.aws.role for each in holders if each.aws is not None]
        return cls(
            environment=documents.environment,
            roles={role.name: role for role in iam_roles},
            policies={policy.name: policy.text for policy in vault_policies},
            auth_roles={(login.mount, login.name): login for login in logins},
            auth_mounts={w.auth_mount.path: w.auth_mount for w in workflows},
            secret_roles={role.role.credential_path: role for role in roles},
            groups={documents.group_role: documents for documents in sql if documents is not None},
            secrets={tool.kv.metadata_path: tool.kv for tool in tools if tool.kv is not None},
        )

    @property
    def mounts(self) -> tuple[str, ...]:
        """Return the paths below which only what the lock has may mint or hold credentials."""
        bound = self.environment.vault
        gated = (names.gated_mount(bound.aws_mount), names.gated_mount(bound.database_mount))
        return (bound.aws_mount, bound.database_mount, bound.kv_mount, bound.pki_mount, "identity/oidc", *gated)

    def judge_role(self, name: str, policies: Sequence[str | Mapping[str, Any]]) -> str | None:
        """Judge all policies of the IAM role `name` together, as JSON text or dicts."""
        role = self.roles.get(name)
        if role is None:
            return f"the lock has no IAM role {name}"
        locked = [json.dumps(policy, sort_keys=True) for policy in role.policies.values()]
        if {_same_text(policy) for policy in policies} <= set(locked):
            return None
        found = iam.compare(list(role.policies.values()), list(policies))
        if found.no_new_access:
            return None
        if found.witness is None:
            return f"the IAM role {name} {_UNPROVEN}: {found.reason}"
        return f"the IAM role {name} allows what the lock does not: {say_request(found.witness)}"

    def judge_trust(self, name: str, document: str | Mapping[str, Any]) -> str | None:
        """Judge who may assume the IAM role `name`."""
        role = self.roles.get(name)
        if role is None:
            return f"the lock has no IAM role {name}"
        if _same_text(document) == json.dumps(role.trust_policy, sort_keys=True):
            return None
        found = iam.compare(role.trust_policy, document)
        if found.no_new_access:
            return None
        if found.witness is None:
            return f"who may assume the IAM role {name} {_UNPROVEN}: {found.reason}"
        caller = found.witness.principal
        return f"the IAM role {name} may be assumed by more than the lock says: {caller or 'anybody'}"

    def judge_place(self, name: str, path: str, max_session_seconds: int) -> str | None:
        """Judge where the IAM role `name` stands and how long its sessions may last."""
        role = self.roles.get(name)
        if role is None:
            return f"the lock has no IAM role {name}"
        if path != role.path:
            return f"the IAM role {name} stands under {path}, not under {role.path}"
        if max_session_seconds > role.max_session_seconds:
            return (
                f"the IAM role {name} allows sessions of {max_session_seconds} s, the lock {role.max_session_seconds}"
            )
        return None

    def judge_vault_policy(self, name: str, text: str) -> str | None:
        """Judge the Vault policy `name`."""
        locked = self.policies.get(name)
        if locked is None:
            return f"the lock has no Vault policy {name}"
        if text == locked:
            return None
        found = vault.compare([locked], [text])
        if found.no_new_access:
            return None
        if found.witness is None:
            return f"the Vault policy {name} {_UNPROVEN}: {found.reason}"
        return f"the Vault policy {name} allows what the lock does not: {found.witness}"

    def judge_auth_role(self, mount: str, name: str, settings: Mapping[str, Any]) -> str | None:
        """Judge who may log in at `auth/<mount>` as `name`: its settings must be the lock's, and no further one set."""
        role = self.auth_roles.get((mount, name))
        if role is None:
            return f"the lock has no login auth/{mount}/role/{name}"
        wrong = differing(role.settings, self._at_home(settings), "login")
        return f"the login auth/{mount}/role/{name} differs from the lock in {', '.join(wrong)}" if wrong else None

    def judge_auth_mount(self, path: str, method: str, settings: Mapping[str, Any]) -> str | None:
        """Judge whose logins the auth mount at `auth/<path>` accepts."""
        mount = self.auth_mounts.get(path)
        if mount is None:
            return f"the lock has no auth mount auth/{path}"
        given = {key: value for key, value in self._at_home(settings).items() if key not in _SAYS_NOTHING}
        wrong = differing({} if method in SETTINGS_APART else mount.config, given, "mount")
        if method != mount.type:
            wrong.append(f"type ({method} rather than {mount.type})")
        return f"the auth mount auth/{path} differs from the lock in {', '.join(wrong)}" if wrong else None

    def judge_auth_settings(self, path: str, method: str, settings: Mapping[str, Any]) -> str | None:
        """Judge what the auth mount at `auth/<path>` believes, where its settings are a resource of their own."""
        mount = self.auth_mounts.get(path)
        if mount is None:
            return f"the lock has no auth mount auth/{path}"
        wrong = differing(mount.config, self._at_home(settings), "mount")
        if method != mount.type:
            wrong.append(f"type ({method} rather than {mount.type})")
        return f"the settings of auth/{path} differ from the lock in {', '.join(wrong)}" if wrong else None

    def judge_secret_role(
        self, credentials: Sequence[str], settings: Mapping[str, Any], unknown: frozenset[str] = frozenset()
    ) -> str | None:
        """Judge a secrets engine's role that mints at one of `credentials`; `unknown` settings are judged later."""
        locked = next((self.secret_roles[path] for path in credentials if path in self.secret_roles), None)
        if locked is None:
            return f"the lock has no credentials at {' or '.join(credentials)}"
        given = self._at_home(settings)
        wrong = differing(locked.role.settings, given, locked.engine, unknown=unknown, placeholder=locked.placeholder)
        return (
            f"the role of {locked.role.credential_path} differs from the lock in {', '.join(wrong)}" if wrong else None
        )

    def judge_group(self, name: str, inputs: Mapping[str, Any]) -> str | None:
        """Judge a PostgreSQL group role: where it is, and each table and function that it grants."""
        locked = self.groups.get(name)
        if locked is None:
            return f"the lock has no PostgreSQL group role {name}"
        place = {"database": locked.database, "host": locked.host, "port": locked.port, "broker": locked.broker}
        wrong = [key for key, value in place.items() if str(inputs.get(key)) != str(value)]
        if wrong:
            return f"the group role {name} differs from the lock in {', '.join(wrong)}"
        for table in inputs.get("tables") or ():
            wider = wider_table(locked.tables, table)
            if wider is not None:
                return f"the group role {name} gets what the lock does not grant: {wider}"
        functions = [json.dumps(function, sort_keys=True) for function in locked.functions]
        for function in inputs.get("functions") or ():
            if json.dumps(function, sort_keys=True) not in functions:
                return (
                    f"the group role {name} gets what the lock does not grant: "
                    f"EXECUTE on {function.get('schema')}.{function.get('function')}"
                )
        return None

    def judge_write(self, path: str, data: Mapping[str, Any]) -> str | None:
        """Judge a raw write to `path` of Vault: below our mounts only a secret's metadata, as the lock has it."""
        if not any(path == mount or path.startswith(f"{mount}/") for mount in self.mounts):
            return None
        secret = self.secrets.get(path)
        if secret is None:
            return f"the lock has nothing that is written to {path}"
        wrong = sorted(key for key in data if key not in {"custom_metadata", "cas_required", "max_versions"})
        if dict(data.get("custom_metadata") or {}) != dict(secret.custom_metadata):
            wrong.append("custom_metadata")
        return f"what is written to {path} differs from the lock in {', '.join(wrong)}" if wrong else None

    def _at_home(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return the settings without the namespace, where it is the environment's own."""
        if settings.get("namespace") == self.environment.vault.namespace:
            return {key: value for key, value in settings.items() if key != "namespace"}
        return dict(settings)


_SAYS_NOTHING = frozenset({"accessor", "description", "disable_remount", "namespace_in_state", "type"})
"""Settings of an auth mount that do not say who gets in."""


def _minting_role(minted: Minted | ToolDocuments) -> LockedRole | None:
    if minted.aws is not None:
        return LockedRole("aws", minted.aws.vault_role)
    if minted.postgres is not None:
        return LockedRole("database", minted.postgres.vault_role)
    if minted.bearer is not None:
        return LockedRole("identity", minted.bearer.role, minted.bearer.accessor_placeholder)
    return None


def _secret_role(tool: ToolDocuments) -> LockedRole | None:
    if (role := _minting_role(tool)) is not None:
        return role
    if tool.pki is not None:
        return LockedRole("pki", tool.pki.role)
    return None if tool.engine is None else LockedRole("other", tool.engine)


def _same_text(document: str | Mapping[str, Any]) -> str:
    """Return a document as text that is equal for equal JSON; what is no JSON stays as it is."""
    try:
        return json.dumps(json.loads(document) if isinstance(document, str) else document, sort_keys=True)
    except ValueError:
        return str(document)
