"""Names of everything that is deployed: known before deploy, within each system's limits, never colliding.

A name is a pure function of environment, workflow and tool. A shortened or ambiguous one ends in a hash of its
parts. This module must not look at what the named things hold.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

# A Vault role's name also opens the STS session name, where 24 characters must be left for the user.
VAULT_ROLE_LENGTH: Final = 40
IAM_NAME_LENGTH: Final = 64
SESSION_NAME_LENGTH: Final = 64
# Vault keeps this much of a longer session name, and hashes the rest: the role and its `@` must stand in it.
SESSION_ROLE_LENGTH: Final = SESSION_NAME_LENGTH - 8 - 1
# PostgreSQL cuts names at 63 bytes; a row policy's name is its group role's and `_select` or the like.
GROUP_ROLE_LENGTH: Final = 56
AUTH_ROLE: Final = "agent"
BOUNDARY: Final = "boundary"
DEPLOYER: Final = "deployer"
PREVIEW: Final = "preview"
OPERATOR: Final = "operator"
TRAIL: Final = "trail"
APPROVER: Final = "approver"
EXECUTOR: Final = "executor"
SYSTEM_PREFIX: Final = "system."
SYSTEM_POLICIES: Final = {kind: f"{SYSTEM_PREFIX}{kind}" for kind in (DEPLOYER, PREVIEW, OPERATOR)}
APPROVER_POLICY: Final = f"{SYSTEM_PREFIX}{APPROVER}"
# What the policies of workflows begin with; a system identity's do not.
POLICY_PREFIXES: Final = ("agent.", "gated.", "tool.")
# Where people log in to approve, and executors to execute; the logins of single requests begin with `gated.`.
APPROVERS_MOUNT: Final = "approvers"
EXECUTORS_MOUNT: Final = "executors"
REQUEST_LOGINS: Final = "gated."
# The inline policy by which an operator cuts a role's sessions off: it stays after a restore, and only denies.
REVOKED_POLICY: Final = "narrowgate-revoked"
# The IAM roles that a workflow stack makes.
ROLE_KINDS: Final = ("tool", "gated")

NAME: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
MAX_NAME_LENGTH: Final = 63


def _digest(*parts: str, length: int) -> str:
    # NUL stands in no name, so different parts never join to the same text.
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:length]


def vault_role_name(workflow: str, tool: str) -> str:
    """Return `<workflow>.<tool>`; beyond 40 characters its beginning, `_` (in no name) and ten digits of its hash."""
    name = f"{workflow}.{tool}"
    if len(name) <= VAULT_ROLE_LENGTH:
        return name
    digest = _digest(workflow, tool, length=10)
    return f"{name[: VAULT_ROLE_LENGTH - 11].rstrip('.-')}_{digest}"


def iam_role_name(environment: str, workflow: str, tool: str) -> str:
    """Return `ng-<environment>-<workflow>-<tool>-<hash>`, at most 64 characters.

    The hash is always there: without it, a-b with tool c and a with tool b-c would be one role.
    """
    digest = _digest(environment, workflow, tool, length=8)
    return f"{f'ng-{environment}-{workflow}-{tool}'[: IAM_NAME_LENGTH - 9].rstrip('-')}-{digest}"


def iam_role_path(environment: str, kind: str = "tool") -> str:
    """Return the IAM path of an environment's roles of one kind (tool, gated)."""
    return f"/narrowgate/{environment}/{kind}/"


def group_role_name(environment: str, workflow: str, tool: str) -> str:
    """Return the PostgreSQL group role `ng_<environment>_<workflow>_<tool>_<hash>`, at most 56 characters."""
    digest = _digest(environment, workflow, tool, length=8)
    readable = f"ng_{environment}_{workflow}_{tool}".replace("-", "_")
    return f"{readable[: GROUP_ROLE_LENGTH - 9].rstrip('_')}_{digest}"


def gated_mount(mount: str) -> str:
    """Return the secrets mount of gated credentials beside the one of agents' own."""
    return f"{mount}-gated"


def gated_name(workflow: str, tool: str, action: str) -> str:
    """Return the Vault role of one gated action, `<workflow>.<tool>.<action>`, shortened as `vault_role_name` is."""
    return vault_role_name(workflow, f"{tool}.{action}")


def gated_policy_name(workflow: str, tool: str, action: str) -> str:
    """Return the name of the policy, and of the login, of one request for a gated action."""
    return f"{REQUEST_LOGINS}{workflow}.{tool}.{action}"


def gated_iam_name(environment: str, workflow: str, tool: str, action: str, kind: str) -> str:
    """Return the IAM role of one gated action; `kind` is `gated`, or `reads` for its executor's read."""
    digest = _digest(environment, workflow, tool, action, kind, length=8)
    return f"{f'ng-{environment}-{kind}-{workflow}-{tool}-{action}'[: IAM_NAME_LENGTH - 9].rstrip('-')}-{digest}"


def gated_group_name(environment: str, workflow: str, tool: str, action: str, kind: str) -> str:
    """Return the PostgreSQL group role of one gated action; `kind` is `gated`, or `reads` for its executor's read."""
    digest = _digest(environment, workflow, tool, action, kind, length=8)
    readable = f"ng_{environment}_{kind}_{workflow}_{tool}_{action}".replace("-", "_")
    return f"{readable[: GROUP_ROLE_LENGTH - 9].rstrip('_')}_{digest}"


def reader_name(tool: str, workflow: str, action: str) -> str:
    """Return the Vault role of what a tool's executor reads for one gated action.

    The tool stands first, so that one pattern covers exactly one executor's; no tool of a workflow is called so, since
    those names have one dot.
    """
    return f"{EXECUTOR}.{tool}.{workflow}.{action}"


def session_reader_name(tool: str, workflow: str, action: str) -> str | None:
    """Return `reader_name` so short that an AWS session's name still tells it, or None where the tool's is too long."""
    name = reader_name(tool, workflow, action)
    if len(name) > SESSION_ROLE_LENGTH:
        name = f"{EXECUTOR}.{tool}._{_digest(tool, workflow, action, length=10)}"
    return name if len(name) <= SESSION_ROLE_LENGTH else None


def executor_policy_name(tool: str) -> str:
    """Return the name of the Vault policy of a tool's executor."""
    return f"{SYSTEM_PREFIX}{EXECUTOR}.{tool}"


def executor_login_name(tool: str) -> str:
    """Return the name of a tool's executor at the executors' auth mount."""
    return f"{EXECUTOR}.{tool}"


def executor_subject(tool: str) -> str:
    """Return what the identity provider calls a tool's executor."""
    return f"{EXECUTOR}:{tool}"


def connection_name(database: str, host: str, port: int, *, ambiguous: bool) -> str:
    """Return the name of Vault's connection to one database: the database's own name, hashed where two share it."""
    safe = re.sub(r"[^a-z0-9_-]", "-", database.lower())
    if not ambiguous and safe == database:
        return safe
    return f"{safe[:40]}-{_digest(host, str(port), database, length=8)}"


def operator_audience(prefix: str, environment: str) -> str:
    """Return the audience of operators' tokens; no workflow's is so: a name holds no colon."""
    return f"{prefix}:{environment}:system:{OPERATOR}"


def system_role_name(environment: str, kind: str) -> str:
    """Return the IAM role of a system identity; no tool's role is named so: it ends in a hash."""
    return f"ng-{environment}-{kind}"


def session_name(vault_role: str, auth_mount: str, user: str) -> str:
    """Return the name that Vault gives an AWS session of `user`'s login, by the engine's username template.

    It is `<vault role>@<login's display name>`, with `_` for what no session name holds; beyond 64 characters the last
    8 are the beginning of a hash (Vault's `truncate_sha256`).
    """
    display = re.sub(r"[^a-zA-Z0-9+=,.@_-]", "_", f"{auth_mount.replace('/', '-')}-{user}")
    name = f"{vault_role}@{display}"
    if len(name) <= SESSION_NAME_LENGTH:
        return name
    kept = SESSION_NAME_LENGTH - 8
    return name[:kept] + hashlib.sha256(name[kept:].encode()).hexdigest()[:8]


def boundary_path(environment: str) -> str:
    """Return the IAM path of the environment's own policies."""
    return f"/narrowgate/{environment}/"


def boundary_arn(partition: str, account: str, environment: str) -> str:
    """Return the ARN of the environment's permissions boundary."""
    return f"arn:{partition}:iam::{account}:policy{boundary_path(environment)}{BOUNDARY}"


def auth_mount(prefix: str, workflow: str) -> str:
    """Return the path of a workflow's auth mount, without `auth/`."""
    return f"{prefix}/{workflow}"


def agent_policy_name(workflow: str) -> str:
    """Return the name of the Vault policy of a workflow's agent."""
    return f"agent.{workflow}"


def tool_policy_name(workflow: str, tool: str) -> str:
    """Return the name of the Vault policy of one tool of a workflow."""
    return f"tool.{workflow}.{tool}"


def audience(prefix: str, environment: str, workflow: str) -> str:
    """Return the audience that a workflow's login tokens must carry."""
    return f"{prefix}:{environment}:{workflow}"
