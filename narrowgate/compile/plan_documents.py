"""From the access plan to all documents of an environment.

The same plan gives the same bytes. This module must not read files or talk to any system.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

from narrowgate.compile.backends import BACKENDS
from narrowgate.compile.collector import collector_paused
from narrowgate.compile.documents import GatedDocuments, PlanDocuments, ToolDocuments, WorkflowDocuments
from narrowgate.compile.errors import CompileError
from narrowgate.compile.foundation import compile_foundation
from narrowgate.compile.gate import compile_gated, describe_gate
from narrowgate.compile.identity import compile_identity
from narrowgate.compile.ledger import compile_ledger
from narrowgate.compile.manifest import compile_manifest
from narrowgate.compile.trail import find_unlogged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from narrowgate.plan import AccessPlan, Environment, WorkflowAccess


def compile_plan(plan: AccessPlan) -> PlanDocuments:
    """Return all documents of `plan`, workflows sorted by name.

    Raise `CompileError` for a plan that cannot be carried out as it says: a limit of IAM, a union of grants that would
    be more than its parts, two tools that would share a name.
    """
    ordered = sorted(plan.workflows, key=lambda workflow: workflow.name)
    with collector_paused():
        workflows = tuple(compile_workflow(workflow, plan.environment) for workflow in ordered)
    _check_names(workflows)
    _check_logged(plan)
    gate = describe_gate(plan.environment, workflows)
    return PlanDocuments(plan.environment, compile_foundation(plan.environment), workflows, gate)


def compile_workflow(workflow: WorkflowAccess, environment: Environment) -> WorkflowDocuments:
    """Return all documents of one workflow."""
    tools = []
    for tool in sorted(workflow.tools, key=lambda entry: entry.tool):
        if tool.backend not in BACKENDS:
            raise CompileError(f"no backend `{tool.backend}`", workflow=workflow.name, tool=tool.tool)
        tools.append(BACKENDS[tool.backend].compile_tool(workflow, tool, environment))
    policies = tuple(tool.policy.name for tool in tools if tool.policy is not None)
    mount, role, agent_policy = compile_identity(workflow, environment, policies)
    gated = [
        each
        for tool in sorted(workflow.tools, key=lambda entry: entry.tool)
        for each in compile_gated(workflow, tool, environment, mount.path)
    ]
    documents = WorkflowDocuments(
        workflow, mount, role, agent_policy, tuple(tools), {}, compile_ledger(workflow.name), tuple(gated)
    )
    manifest = compile_manifest(workflow, environment, mount, role, documents.tools, documents.ledger, documents.gated)
    return replace(documents, manifest=manifest)


def _check_logged(plan: AccessPlan) -> None:
    """Refuse access to data whose reads and writes would stand in no trail."""
    for found in find_unlogged(plan):
        hint = f"add `{found.entry}` to the environment's `trail.data_events`, and have its foundation deployed"
        message = f"the trail does not log {found.resource}"
        raise CompileError(message, workflow=found.workflow, tool=found.tool, hint=hint)


def _deployed_names(tool: ToolDocuments) -> list[str]:
    names = [f"credential path {tool.credential_path}"] if tool.credential_path else []
    if tool.aws is not None:
        names.append(f"IAM role {tool.aws.role.name.lower()}")
    if tool.postgres is not None:
        names.append(f"group role {tool.postgres.group_role}")
    return names


def _gated_names(gated: GatedDocuments) -> Iterator[str]:
    for _, minted in gated.mints:
        yield f"credential path {minted.credential_path}"
        if minted.aws is not None:
            yield f"IAM role {minted.aws.role.name.lower()}"
        if minted.postgres is not None:
            yield f"group role {minted.postgres.group_role}"


def _check_names(workflows: tuple[WorkflowDocuments, ...]) -> None:
    """Refuse two tools of one name: hashed names differ but by a chance of one in billions, which must not pass."""
    counts = Counter(name for workflow in workflows for tool in workflow.tools for name in _deployed_names(tool))
    counts.update(name for workflow in workflows for gated in workflow.gated for name in _gated_names(gated))
    shared = sorted(name for name, count in counts.items() if count > 1)
    if shared:
        raise CompileError(f"two tools would share the {shared[0]}", hint="rename one of the workflows")
