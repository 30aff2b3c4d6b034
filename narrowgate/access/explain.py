"""Explains one workflow to somebody who reads neither IAM nor SQL: who asks, what the agent may do, what it may not.

It says all of the plan and nothing but the plan. This module must not print.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from narrowgate.access.words import join_words, say_approval, say_grant, say_requesters, say_times
from narrowgate.compile.executions import find_reads
from narrowgate.declarations.errors import suggest
from narrowgate.errors import NarrowgateError
from narrowgate.plan import Access, Backend

if TYPE_CHECKING:
    from collections.abc import Iterator

    from narrowgate.plan import AccessPlan, ActionAccess, ToolAccess, WorkflowAccess

_VERBS = {
    Access.READ: "read",
    Access.WRITE: "write",
    Access.DELETE: "delete",
    Access.PERMISSIONS: "change permissions",
}
_CREDENTIALS = {
    Backend.AWS: "AWS credentials of an IAM role of its own",
    Backend.POSTGRES: "a PostgreSQL login of its own",
    Backend.BEARER: "a signed token",
    Backend.KV: "a stored secret",
    Backend.PKI: "a client certificate",
}


class UnknownWorkflowError(NarrowgateError):
    """A question about a workflow that the environment does not have."""

    code = "unknown-workflow"


def find_workflow(plan: AccessPlan, name: str) -> WorkflowAccess:
    """Return the workflow called `name`; raise `UnknownWorkflowError` with the closest name."""
    workflow = plan.workflow(name)
    if workflow is None:
        hint = suggest(name, [w.name for w in plan.workflows])
        raise UnknownWorkflowError(f"no workflow `{name}` in {plan.environment.name}", hint=hint)
    return workflow


def explain_workflow(plan: AccessPlan, name: str) -> tuple[str, ...]:
    """Return paragraphs about the workflow `name`; lines of a list begin with two spaces."""
    workflow = find_workflow(plan, name)
    return (
        f"{workflow.name} in {plan.environment.name}: {workflow.purpose} {workflow.owner} owns it.",
        _explain_login(workflow),
        *(line for tool in workflow.tools for line in _explain_tool(plan, tool)),
        _explain_rest(workflow),
    )


def _explain_login(workflow: WorkflowAccess) -> str:
    times = say_times(workflow.ttl_seconds, workflow.max_ttl_seconds)
    return (
        f"It acts for {say_requesters(workflow.requesters)}. It logs in by {workflow.identity}; a login lasts {times}."
    )


def _explain_tool(plan: AccessPlan, tool: ToolAccess) -> Iterator[str]:
    database = plan.environment.binding(tool.tool).get("database")
    place = None if database is None else str(database)
    if tool.granted:
        times = say_times(tool.ttl_seconds, tool.max_ttl_seconds)
        yield f"Tool {tool.tool}: by {_CREDENTIALS[tool.backend]}, for {times}, it may"
        for action in tool.granted:
            yield from _explain_action(action, place)
    for action in tool.gated:
        yield f"Tool {tool.tool}, only after {say_approval(action.approval)}, and never with credentials of its own:"
        yield from _explain_action(action, place)
        for grant in find_reads(action):
            yield f"    its executor reads, before and after: {say_grant(grant, place)}"


def _explain_action(action: ActionAccess, database: str | None) -> Iterator[str]:
    yield f"  {action.name} ({_VERBS[action.access]}, {action.impact} impact):"
    for grant in action.grants:
        yield f"    {say_grant(grant, database)}"


def _explain_rest(workflow: WorkflowAccess) -> str:
    gated = [f"{tool.tool}.{action.name}" for tool in workflow.tools for action in tool.gated]
    first = f"Needs a person's approval: {join_words(gated)}." if gated else "Nothing of it needs an approval."
    return f"{first} Everything that is not said here is refused."
