"""Lists what an environment's workflows may do: one line each, or all of one. This module must not judge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from narrowgate.access.render import JSON_VERSION, Format, plain, write_json
from narrowgate.access.words import say_approval, say_grant, say_requesters, say_times

if TYPE_CHECKING:
    from collections.abc import Iterator

    from narrowgate.plan import AccessPlan, ActionAccess, ToolAccess, WorkflowAccess


def render_workflows(plan: AccessPlan, form: Format) -> str:
    """Return the workflows of `plan`, one a line with its actions; gated ones in brackets."""
    if form is Format.JSON:
        names = [_summarize(workflow) for workflow in plan.workflows]
        return write_json({"version": JSON_VERSION, "environment": plan.environment.name, "workflows": names})
    if not plan.workflows:
        return f"{plan.environment.name} has no workflow.\n"
    width = max(len(workflow.name) for workflow in plan.workflows)
    lines = [f"{workflow.name:<{width}}  {' '.join(_list_actions(workflow))}" for workflow in plan.workflows]
    return "".join(f"{plain(line)}\n" for line in lines)


def _list_actions(workflow: WorkflowAccess) -> list[str]:
    names = [(f"{tool.tool}.{action.name}", action.gated) for tool in workflow.tools for action in tool.actions]
    return [f"[{name}]" if gated else name for name, gated in names]


def _summarize(workflow: WorkflowAccess) -> dict[str, Any]:
    return {
        "workflow": workflow.name,
        "owner": workflow.owner,
        "requesters": list(workflow.requesters),
        "granted": [f"{tool.tool}.{action.name}" for tool in workflow.tools for action in tool.granted],
        "gated": [f"{tool.tool}.{action.name}" for tool in workflow.tools for action in tool.gated],
    }


def render_workflow(plan: AccessPlan, workflow: WorkflowAccess, form: Format) -> str:
    """Return all of one workflow's access."""
    if form is Format.JSON:
        return write_json({"version": JSON_VERSION, **_describe(plan, workflow)})
    return "".join(f"{plain(line)}\n" for line in _lines(plan, workflow))


def _database(plan: AccessPlan, tool: ToolAccess) -> str | None:
    value = plan.environment.binding(tool.tool).get("database")
    return None if value is None else str(value)


def _describe(plan: AccessPlan, workflow: WorkflowAccess) -> dict[str, Any]:
    return {
        "environment": plan.environment.name,
        **_summarize(workflow),
        "purpose": workflow.purpose,
        "identity": workflow.identity,
        "ttl_seconds": workflow.ttl_seconds,
        "max_ttl_seconds": workflow.max_ttl_seconds,
        "tools": [_describe_tool(plan, tool) for tool in workflow.tools],
    }


def _describe_tool(plan: AccessPlan, tool: ToolAccess) -> dict[str, Any]:
    return {
        "tool": tool.tool,
        "backend": tool.backend.value,
        "ttl_seconds": tool.ttl_seconds,
        "max_ttl_seconds": tool.max_ttl_seconds,
        "actions": [_describe_action(action, _database(plan, tool)) for action in tool.actions],
    }


def _describe_action(action: ActionAccess, database: str | None) -> dict[str, Any]:
    return {
        "action": action.name,
        "access": action.access.value,
        "impact": action.impact.value,
        "gated": action.gated,
        "approval": say_approval(action.approval) if action.gated else None,
        "grants": [say_grant(grant, database) for grant in action.grants],
    }


def _lines(plan: AccessPlan, workflow: WorkflowAccess) -> Iterator[str]:
    yield f"workflow    {workflow.name} ({plan.environment.name})"
    yield f"owner       {workflow.owner}"
    yield f"acts for    {say_requesters(workflow.requesters)}"
    yield f"login       {workflow.identity}, {say_times(workflow.ttl_seconds, workflow.max_ttl_seconds)}"
    for tool in workflow.tools:
        yield f"{tool.tool} ({tool.backend}, {say_times(tool.ttl_seconds, tool.max_ttl_seconds)})"
        for action in tool.actions:
            gate = f", only after {say_approval(action.approval)}" if action.gated else ""
            yield f"  {action.name} ({action.access}, {action.impact} impact{gate})"
            for grant in action.grants:
                yield f"    {say_grant(grant, _database(plan, tool))}"
