"""Gated actions that an executor can carry out: their credentials, the control group before them, and the gate's page.

For each action: a role of its own on a mount of its own, which does exactly what the action grants; a policy that lets
a token read it only after the approvals; a login that makes such a token for one request; what the executor reads of
the target. `describe_gate` tells approvers and executors where all that is; nothing of it is secret. This module must
not approve anything, and knows no executor's code.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from narrowgate.compile import gate_aws, gate_http, gate_sql, names
from narrowgate.compile.documents import AuthRole, GatedDocuments, VaultPolicy
from narrowgate.compile.drafts import STORES
from narrowgate.compile.errors import CompileError
from narrowgate.compile.gate_credentials import GatedCredentials
from narrowgate.compile.hcl import ControlGroup, PathRule, render_policy
from narrowgate.compile.identity import LEEWAY_SECONDS
from narrowgate.compile.ledger import compile_ledger
from narrowgate.plan import ActionAccess, Backend, Environment, ToolAccess, WorkflowAccess

if TYPE_CHECKING:
    from collections.abc import Iterable

    from narrowgate.compile.documents import Json, WorkflowDocuments
    from narrowgate.plan import Approval

VERSION: Final = 1
GROUP_PREFIX: Final = "approvers."
APPROVER_ROLE: Final = "approver"
PAGE_ROLE: Final = "approver-page"
# A request's login outlives the wait for its approvals by as much as its execution may take.
EXECUTION_SECONDS: Final = 300

_Compiler = Callable[[WorkflowAccess, ToolAccess, ActionAccess, Environment], GatedCredentials]

_CREDENTIALS: Final[dict[Backend, _Compiler]] = {
    Backend.AWS: gate_aws.compile_credentials,
    Backend.BEARER: gate_http.compile_credentials,
    Backend.POSTGRES: gate_sql.compile_credentials,
}
"""What makes the credentials of a backend's gated actions."""


def compile_gated(
    workflow: WorkflowAccess, tool: ToolAccess, environment: Environment, auth_mount: str
) -> tuple[GatedDocuments, ...]:
    """Return the documents of a tool's executable gated actions; `auth_mount` is where their agent logs in."""
    return tuple(_compile_action(workflow, tool, action, environment, auth_mount) for action in tool.executable)


def _compile_action(
    workflow: WorkflowAccess, tool: ToolAccess, action: ActionAccess, environment: Environment, auth_mount: str
) -> GatedDocuments:
    if action.approval is None or action.execution is None:
        raise CompileError(f"{action.name} has no approval or no execution", workflow=tool.workflow, tool=tool.tool)
    if environment.approvals is None:
        raise CompileError(f"{environment.name} does not say who may approve", workflow=tool.workflow, tool=tool.tool)
    if tool.backend not in _CREDENTIALS:
        raise CompileError(
            f"no gated action of `{tool.backend}` can be executed", workflow=tool.workflow, tool=tool.tool
        )
    made = _CREDENTIALS[tool.backend](workflow, tool, action, environment)
    name = names.gated_policy_name(tool.workflow, tool.tool, action.name)
    path = made.minted.credential_path
    described = {
        "workflow": tool.workflow,
        "tool": tool.tool,
        "action": action.name,
        "backend": tool.backend.value,
        "description": action.execution.description,
        "path": path,
        "login_role": name,
        "num_uses": made.uses,
        "factors": [{"groups": list(f.groups), "required": f.required} for f in action.approval.factors],
        "expires_seconds": action.approval.expires_seconds,
        "credential_seconds": made.seconds,
        "inputs": json.loads(action.execution.inputs),
        "execute": {"handler": action.execution.handler, **made.call},
        "connection": made.connection,
        "requester_mount": auth_mount,
        "secret_fields": list(tool.secret_fields),
        "reader_path": None if made.reader is None else made.reader.credential_path,
    }
    return GatedDocuments(
        action=action.name,
        policy=VaultPolicy(name, _render_gate(tool, action, action.approval, path)),
        login=_compile_login(tool, name, action.approval, environment, made.uses),
        description=described,
        minted=made.minted,
        reader=made.reader,
    )


def _render_gate(tool: ToolAccess, action: ActionAccess, approval: Approval, path: str) -> str:
    """Return the one policy in which a gated path stands: it is read after the approvals, for one digest."""
    group = ControlGroup(
        tuple((tuple(f"{GROUP_PREFIX}{name}" for name in f.groups), f.required) for f in approval.factors),
        approval.expires_seconds,
    )
    rules = [
        PathRule(
            path,
            ("read",),
            f"credentials for: {action.name}, after an approval",
            {"digest": []},
            ("digest",),
            control_group=group,
        ),
        PathRule("auth/token/revoke-self", ("update",), "end this request, and the credentials with it"),
    ]
    return render_policy(f"{tool.workflow}: one request for {tool.tool}.{action.name}", rules)


def _compile_login(tool: ToolAccess, policy: str, approval: Approval, environment: Environment, uses: int) -> AuthRole:
    seconds = approval.expires_seconds + EXECUTION_SECONDS
    settings = executor_login(tool.tool, environment, policy, seconds)
    return AuthRole(names.EXECUTORS_MOUNT, policy, {**settings, "token_num_uses": uses})


def executor_login(tool: str, environment: Environment, policy: str, seconds: int) -> dict[str, Any]:
    """Return the settings of a login of a tool's executor that gets `policy` for `seconds`."""
    identity = environment.identity
    return {
        "bound_audiences": [executor_audience(tool, environment)],
        "bound_subject": names.executor_subject(tool),
        "clock_skew_leeway": LEEWAY_SECONDS,
        "expiration_leeway": LEEWAY_SECONDS,
        "not_before_leeway": LEEWAY_SECONDS,
        "role_type": "jwt",
        "token_max_ttl": seconds,
        "token_no_default_policy": True,
        "token_policies": [policy],
        "token_ttl": seconds,
        "token_type": "service",
        "user_claim": identity.user_claim,
        "user_claim_json_pointer": True,
    }


def executor_audience(tool: str, environment: Environment) -> str:
    """Return the audience of the tokens of a tool's executor."""
    return names.audience(environment.identity.audience_prefix, environment.name, f"{names.EXECUTORS_MOUNT}:{tool}")


def approver_audience(environment: Environment) -> str:
    """Return the audience of the tokens with which people log in to approve."""
    return names.audience(environment.identity.audience_prefix, environment.name, names.APPROVERS_MOUNT)


# -- the gate's page


def _describe_ledger(tool: str) -> Json:
    places = compile_ledger(names.executor_login_name(tool))
    return {"anchors": places.anchor_path, "sign": places.sign_path}


def _describe_page(environment: Environment) -> dict[str, str]:
    page = None if environment.approvals is None else environment.approvals.page
    return {} if page is None else {"page_role": PAGE_ROLE, "page_url": page.url}


def describe_gate(environment: Environment, workflows: Iterable[WorkflowDocuments]) -> Json | None:
    """Return what approvers and executors must know of the environment's gate, None where nothing can be executed."""
    actions = [dict(gated.description) for workflow in workflows for gated in workflow.gated]
    if not actions:
        return None
    vault = environment.vault
    tools = sorted({str(action["tool"]) for action in actions})
    return {
        "version": VERSION,
        "environment": environment.name,
        "vault": {
            "address": vault.address,
            "ca_pem": vault.ca_pem,
            "namespace": vault.namespace,
            "revocations": vault.revocations_mount,
        },
        "mounts": dict(STORES),
        "group_prefix": GROUP_PREFIX,
        "approvers": {
            "mount": names.APPROVERS_MOUNT,
            "role": APPROVER_ROLE,
            "audience": approver_audience(environment),
            **_describe_page(environment),
        },
        "executors": {
            tool: {
                "mount": names.EXECUTORS_MOUNT,
                "role": names.executor_login_name(tool),
                "audience": executor_audience(tool, environment),
                "ledger": _describe_ledger(tool),
            }
            for tool in tools
        },
        "actions": actions,
    }
