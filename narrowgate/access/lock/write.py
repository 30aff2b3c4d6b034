"""Writes the access lock: the text that a reviewer reads and git compares, the same for the same access.

One fact stands on one line, in the words of declarations; names sort, and what a plan has sorted stays in its order.
This module must not read files and must not judge.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from narrowgate.access.lock.facts import FACTS
from narrowgate.access.lock.text import Value, write_block
from narrowgate.access.lock.values import VERSION, AccessLock, LockError, lock_of
from narrowgate.declarations.durations import format_duration
from narrowgate.plan import (
    AccessPlan,
    ActionAccess,
    Approval,
    CertificateGrant,
    ClaimGrant,
    Execution,
    FunctionGrant,
    Grant,
    IamGrant,
    SecretGrant,
    TableGrant,
    ToolAccess,
    WorkflowAccess,
    WorkflowBinding,
)


def write_lock(access: AccessPlan | AccessLock) -> str:
    """Return the lock's text; raise `LockError` for access that no lock can state unambiguously."""
    lock = access if isinstance(access, AccessLock) else lock_of(access)
    workflows = "".join(write_workflow(workflow) for workflow in lock.workflows)
    return write_header(lock) + ("workflows:\n" + workflows if workflows else "workflows: {}\n")


def write_header(lock: AccessLock) -> str:
    """Return all that stands above the workflows."""
    comment = (
        f"# All access that a deploy of {lock.environment} may grant. A change here is a change of access: review it.\n"
        f"# Written by `narrowgate access lock --env {lock.environment}`, not by hand.\n"
    )
    facts: dict[str, Any] = {}
    for fact, (_, value) in zip(FACTS, lock.facts, strict=True):
        (facts.setdefault(fact.section, {}) if fact.section else facts)[fact.key] = value
    return comment + write_block(
        {
            "version": VERSION,
            "environment": lock.environment,
            **facts,
            "agents": {agent.workflow: _describe_agent(agent) for agent in lock.agents},
            "databases": dict(lock.databases),
            **({"exceptions": [asdict(exception) for exception in lock.exceptions]} if lock.exceptions else {}),
        }
    )


def _describe_agent(agent: WorkflowBinding) -> dict[str, Value]:
    return {
        "namespace": agent.namespace or "",
        "service_account": agent.service_account or "",
        "principal_arn": agent.principal_arn or "",
        "cidrs": list(agent.cidrs),
    }


def write_workflow(workflow: WorkflowAccess) -> str:
    """Return one workflow's lines, as they stand under `workflows:`."""
    return write_block({workflow.name: _describe_workflow(workflow)}, indent=2)


def _describe_workflow(workflow: WorkflowAccess) -> dict[str, Value]:
    tools = sorted(workflow.tools, key=lambda tool: tool.tool)
    _refuse_twice((tool.tool for tool in tools), f"workflow `{workflow.name}`", "tool")
    return {
        "owner": workflow.owner,
        "purpose": workflow.purpose,
        "identity": workflow.identity,
        "requesters": list(workflow.requesters),
        "ttl": format_duration(workflow.ttl_seconds),
        "max_ttl": format_duration(workflow.max_ttl_seconds),
        "tools": {tool.tool: _describe_tool(tool) for tool in tools},
    }


def _describe_tool(tool: ToolAccess) -> dict[str, Value]:
    where = f"workflow `{tool.workflow}`, tool `{tool.tool}`"
    actions = sorted(tool.actions, key=lambda action: action.name)
    _refuse_twice((action.name for action in actions), where, "action")
    return {
        "backend": tool.backend.value,
        "ttl": format_duration(tool.ttl_seconds),
        "max_ttl": format_duration(tool.max_ttl_seconds),
        "scope": _read_json(tool.scope, where),
        **({"secret_fields": list(tool.secret_fields)} if tool.secret_fields else {}),
        "actions": {action.name: _describe_action(action, f"{where}, action `{action.name}`") for action in actions},
    }


def _describe_action(action: ActionAccess, where: str) -> dict[str, Value]:
    approval: dict[str, Value] = {"approval": _describe_approval(action.approval)} if action.approval else {}
    return {
        "access": action.access.value,
        "impact": action.impact.value,
        "gated": action.gated,
        **approval,
        "grants": [_describe_grant(grant, where) for grant in action.grants],
        **({"execution": _describe_execution(action.execution, where)} if action.execution else {}),
    }


def _describe_execution(execution: Execution, where: str) -> dict[str, Value]:
    return {
        "handler": execution.handler,
        "description": execution.description,
        "call": _read_json(execution.call, where),
        "inputs": _read_json(execution.inputs, where),
    }


def _describe_approval(approval: Approval) -> dict[str, Value]:
    return {
        "expires": format_duration(approval.expires_seconds),
        "all_of": [{"required": factor.required, "any_of": list(factor.groups)} for factor in approval.factors],
    }


def _describe_grant(grant: Grant, where: str) -> dict[str, Value]:
    match grant:
        case IamGrant():
            return _describe_iam(grant, where)
        case TableGrant():
            return _describe_table(grant, where)
        case FunctionGrant():
            name = _join_name(grant.schema, grant.function, where)
            return {"execute": name, "arguments": list(grant.arguments)}
        case ClaimGrant():
            return {"audience": grant.audience, "claims": _read_json(grant.scope, where)}
        case SecretGrant():
            return {"secret": grant.path, "max_age": format_duration(grant.max_age_seconds)}
        case CertificateGrant():
            return {"certificate": grant.uri_san}


def _describe_iam(grant: IamGrant, where: str) -> dict[str, Value]:
    keys = [f"{condition.operator} {condition.key}" for condition in grant.conditions]
    _refuse_twice(keys, where, "condition")
    when: dict[str, Value] = dict(zip(keys, (list(c.values) for c in grant.conditions), strict=True))
    described: dict[str, Value] = {"allow": list(grant.actions), "resources": list(grant.resources)}
    return described | ({"when": when} if when else {})


def _describe_table(grant: TableGrant, where: str) -> dict[str, Value]:
    _refuse_twice((row.column for row in grant.rows), where, "row condition on column")
    described: dict[str, Value] = {
        "table": _join_name(grant.schema, grant.table, where),
        "privileges": list(grant.privileges),
        "columns": list(grant.columns),
    }
    rows: dict[str, Value] = {row.column: list(row.values) for row in grant.rows}
    return described | ({"rows": rows} if rows else {})


def _join_name(schema: str, name: str, where: str) -> str:
    if "." in schema:
        raise LockError(f"{where}: the schema `{schema}` has a dot in its name, which a lock cannot state")
    return f"{schema}.{name}"


def _read_json(text: str, where: str) -> Any:  # noqa: ANN401 - any JSON value
    value = json.loads(text)
    if write_json(value) != text:
        raise LockError(f"{where}: its scope is not canonical JSON")
    return value


def write_json(value: object) -> str:
    """Return the canonical JSON text of a scope: keys sorted, no white space."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _refuse_twice(names: Any, where: str, kind: str) -> None:  # noqa: ANN401 - an iterable of text
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise LockError(f"{where}: the {kind} `{name}` stands twice, which a lock cannot state")
        seen.add(name)
