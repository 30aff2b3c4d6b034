"""Judges deployed documents by the access lock: whatever made them, they may allow no more than the lock compiles to.

The policy pack asks this of each resource, so that no other way of making a grant passes. Comparing is by meaning: a
document that allows less is within. This module must not know Pulumi and must not read anything but the lock.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from narrowgate.access import iam, vault
from narrowgate.access.diff.iam_cover import say_request
from narrowgate.access.enforcement import load_lock
from narrowgate.compile import compile_plan

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from narrowgate.compile.documents import AuthRole, IamRole
    from narrowgate.plan import Environment

_UNPROVEN = "could not be proven to be within the lock"


@dataclass(frozen=True, slots=True)
class LockedDocuments:
    """What the lock of one environment compiles to, by name. Each question returns what is wrong, or None."""

    roles: Mapping[str, IamRole]
    policies: Mapping[str, str]
    auth_roles: Mapping[tuple[str, str], AuthRole]

    @classmethod
    def read(cls, environment: Environment, lock_path: Path) -> LockedDocuments:
        """Compile the lock at `lock_path`; raise `LockError` where it is missing, wrong, or another environment's."""
        lock = load_lock(lock_path, environment=environment.name)
        workflows = compile_plan(lock.plan(environment)).workflows
        tools = [tool for workflow in workflows for tool in workflow.tools]
        vault_policies = [w.agent_policy for w in workflows] + [t.policy for t in tools if t.policy is not None]
        return cls(
            roles={tool.aws.role.name: tool.aws.role for tool in tools if tool.aws is not None},
            policies={policy.name: policy.text for policy in vault_policies},
            auth_roles={(w.auth_role.mount, w.auth_role.name): w.auth_role for w in workflows},
        )

    def judge_role(self, name: str, policies: Sequence[str | Mapping[str, Any]]) -> str | None:
        """Judge all policies of the IAM role `name` together, as JSON text or dicts."""
        role = self.roles.get(name)
        if role is None:
            return f"the lock has no IAM role {name}"
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
        found = iam.compare(role.trust_policy, document)
        if found.no_new_access:
            return None
        if found.witness is None:
            return f"who may assume the IAM role {name} {_UNPROVEN}: {found.reason}"
        caller = found.witness.principal
        return f"the IAM role {name} may be assumed by more than the lock says: {caller or 'anybody'}"

    def judge_vault_policy(self, name: str, text: str) -> str | None:
        """Judge the Vault policy `name`."""
        locked = self.policies.get(name)
        if locked is None:
            return f"the lock has no Vault policy {name}"
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
        wrong = sorted(k for k in role.settings if _canonical(role.settings[k]) != _canonical(settings.get(k)))
        wrong += sorted(key for key, value in settings.items() if value and key not in role.settings)
        return f"the login auth/{mount}/role/{name} differs from the lock in {', '.join(wrong)}" if wrong else None


def _canonical(value: object) -> str:
    """Return a value as text that is equal for equal settings; lists of names have no order."""
    if isinstance(value, (list, tuple)):
        value = sorted(value, key=str)
    return json.dumps(value, sort_keys=True, default=str)
