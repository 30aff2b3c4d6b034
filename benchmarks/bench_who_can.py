"""How long `who_can` takes over a loaded plan of 10,000 workflows, for each kind of question.

Target: 1 s for each question. Judged by processor time (one thread, no waiting); the best of three is taken. The last
line is JSON, for whoever keeps the figures.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from narrowgate.access.query import read_question, who_can
from narrowgate.compile.names import vault_role_name
from narrowgate.declarations import load_environment, load_plan
from narrowgate.plan import ActionAccess, Backend, IamGrant, ToolAccess

if TYPE_CHECKING:
    from narrowgate.plan import AccessPlan, WorkflowAccess

STACKS: Final = Path(__file__).resolve().parents[1] / "stacks"
WORKFLOWS: Final = 10_000
TARGET_SECONDS: Final = 1.0


def make_plan(base: AccessPlan) -> AccessPlan:
    """Return a plan of `WORKFLOWS` workflows, made of the committed ones, each with ARNs of its own."""
    originals = base.workflows
    workflows = [_copy(originals[number % len(originals)], number) for number in range(WORKFLOWS)]
    return replace(base, workflows=tuple(sorted(workflows, key=lambda workflow: workflow.name)))


def _copy(workflow: WorkflowAccess, number: int) -> WorkflowAccess:
    name = f"{workflow.name[:20].strip('-')}-{number}"
    return replace(workflow, name=name, tools=tuple(_copy_tool(tool, name, number) for tool in workflow.tools))


def _copy_tool(tool: ToolAccess, workflow: str, number: int) -> ToolAccess:
    return replace(tool, workflow=workflow, actions=tuple(_copy_action(action, number) for action in tool.actions))


def _copy_action(action: ActionAccess, number: int) -> ActionAccess:
    grants = tuple(
        replace(grant, resources=tuple(arn.replace("/*", f"/{number}/*") for arn in grant.resources))
        if isinstance(grant, IamGrant)
        else grant
        for grant in action.grants
    )
    return replace(action, grants=grants)


def main() -> int:
    """Measure, print, and fail where a target is missed."""
    plan = make_plan(load_plan(STACKS, load_environment(STACKS, "dev")))
    name, tool = next((w.name, t.tool) for w in plan.workflows for t in w.tools if t.backend is Backend.AWS)
    role = vault_role_name(name, tool)
    questions = {
        "one object": ("s3:GetObject", "arn:aws:s3:::acme-dev-documents/runbooks/3000/disk-full.md"),
        "every object": ("s3:GetObject", "arn:aws:s3:::acme-dev-documents/*"),
        "a column": ("select", "tickets.body"),
        "a function": ("execute", "create_vendor"),
        "a credential path": ("read", f"narrowgate-aws/sts/{role}"),
        "a path of every login": ("update", "auth/token/renew-self"),
    }
    worst = 0.0
    for name, (action, resource) in questions.items():
        seconds, holders = measure(plan, action, resource)
        worst = max(worst, seconds)
        print(f"{name:<22} {seconds:6.3f} s  {holders:6} answers")
    verdict = "met" if worst <= TARGET_SECONDS else "MISSED"
    print(f"who-can over {WORKFLOWS} workflows: {worst:.3f} s at most (target {TARGET_SECONDS} s: {verdict})")
    print(json.dumps({"benchmark": "who-can", "workflows": WORKFLOWS, "seconds": round(worst, 3)}))
    return 0 if worst <= TARGET_SECONDS else 1


def measure(plan: AccessPlan, action: str, resource: str) -> tuple[float, int]:
    """Return the seconds of one question, and how many answers it has."""
    question = read_question(action, resource)
    times = []
    holders = 0
    for _ in range(3):
        start = time.process_time()
        holders = len(who_can(plan, question))
        times.append(time.process_time() - start)
    return min(times), holders


if __name__ == "__main__":
    raise SystemExit(main())
