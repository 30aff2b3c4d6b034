"""What the plan says of agents, tools and requesters: where the agents' tests take from what they try.

Not a test module: what the tests of the matrix and of the logins share.
"""

from __future__ import annotations

from narrowgate.compile import compile_plan
from narrowgate.declarations import load_environment, load_plan
from narrowgate.plan import AccessPlan, Backend, TableGrant, ToolAccess
from rehearsal import idp
from rehearsal.layout import CHECKOUT

STACKS = CHECKOUT / "stacks"
PLAN: AccessPlan = load_plan(STACKS, load_environment(STACKS, "dev"))
# Those that act for people; the others log in as themselves, each in its own way.
WORKFLOWS = [workflow.name for workflow in PLAN.workflows if workflow.requesters]
TOOLS = [tool for workflow in PLAN.workflows for tool in workflow.tools]
PATHS = {
    (documents.access.workflow, documents.access.tool): documents.credential_path
    for workflow in compile_plan(PLAN).workflows
    for documents in workflow.tools
}
POSTGRES = [tool for tool in TOOLS if tool.backend is Backend.POSTGRES]
AWS = [tool for tool in TOOLS if tool.backend is Backend.AWS]
TABLES = ("incidents", "tickets", "vendors")
TENANTS = ("emea", "amer")
GATED = [(tool, action.name) for tool in TOOLS for action in tool.gated]


def name_tool(tool: ToolAccess) -> str:
    return f"{tool.workflow}.{tool.tool}"


def find_requester(workflow: str) -> str:
    """Return a person of the directory who may ask this workflow."""
    asked = PLAN.workflow(workflow)
    assert asked is not None
    return next(user for user, groups in idp.DIRECTORY.items() if set(groups) & set(asked.requesters))


def table_grants(tool: ToolAccess, privilege: str) -> list[TableGrant]:
    grants = [grant for action in tool.granted for grant in action.grants if isinstance(grant, TableGrant)]
    return [grant for grant in grants if privilege in grant.privileges]
