"""What reviewers read: the lock's text, and each kind of change in text, Markdown and JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from narrowgate.access.diff import compare_plans
from narrowgate.access.explain import explain_workflow
from narrowgate.access.lock import write_lock
from narrowgate.access.render import Format, render_comparison, render_lines
from narrowgate.access.show import render_workflow, render_workflows
from narrowgate.declarations import load_environment, load_plan

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from narrowgate.plan import AccessPlan

    Golden = Callable[[str, str], None]
    Edit = Callable[[str, str, str], None]


def load(stacks: Path) -> AccessPlan:
    return load_plan(stacks, load_environment(stacks, "dev"))


def test_the_lock(stacks: Path, golden: Golden) -> None:
    golden("access/lock-dev.yaml", write_lock(load(stacks)))


# What a proposal changes in one of the committed files: the file, a text that stands there once, and its new text. The
# golden file of its name says what that means.
PROPOSALS = {
    "wider-prefix": ("workflows/incident-summarization.yaml", "prefix: runbooks", "prefix: postmortems"),
    "another-tenant": (
        "workflows/ticket-drafting.yaml",
        "actions: [read, draft]\n    scope: {tenant: emea}",
        "actions: [read, draft]\n    scope: {tenant: apac}",
    ),
    "new-column": ("tools/incidents.yaml", "[id, tenant, title,", "[id, tenant, reporter_email, title,"),
    "more-requesters": ("workflows/vendor-onboarding.yaml", "requesters: [", "requesters: [finance, "),
    "longer-sessions": ("workflows/ticket-drafting.yaml", "{ttl: 15m, max_ttl: 1h}", "{ttl: 30m, max_ttl: 4h}"),
    "looser-approval": ("workflows/vendor-onboarding.yaml", "approvers: [", "approvers: [incident-commanders, "),
    "new-gated-action": (
        "workflows/ticket-drafting.yaml",
        "    actions: [read, draft]\n    scope: {tenant: emea}\n",
        (
            "    actions: [read, draft]\n    scope: {tenant: emea}\n  vendors:\n    actions: [create]\n"
            "    scope: {tenant: emea}\n"
            "approvals:\n  vendors.create: {approvers: [vendor-approvers], required: 1, expires: 30m}\n"
        ),
    ),
    "another-execution": ("tools/incidents.yaml", "changes: {status: resolved}", "changes: {status: mitigated}"),
    "new-tool": (
        "workflows/vendor-onboarding.yaml",
        "tools:\n",
        "tools:\n  tickets:\n    actions: [read]\n    scope: {tenant: emea}\n",
    ),
    "another-database": (
        "Pulumi.dev.yaml",
        "vendors: {host: postgres.dev.example.com, port: 5432, database: operations}",
        "vendors: {host: postgres.dev.example.com, port: 5432, database: finance}",
    ),
    "another-issuer": ("Pulumi.dev.yaml", "issuer: https://idp.example.com", "issuer: https://idp.example.net"),
    "less": ("workflows/ticket-drafting.yaml", "actions: [read, draft]", "actions: [draft]"),
    "only-words": ("workflows/ticket-drafting.yaml", "owner: service-desk", "owner: support"),
}


@pytest.mark.parametrize("name", PROPOSALS)
def test_a_proposal_in_words(stacks: Path, edit: Edit, golden: Golden, name: str) -> None:
    before = load(stacks)
    edit(*PROPOSALS[name])
    golden(f"access/diff-{name}.txt", render_comparison(compare_plans(before, load(stacks)), Format.TEXT))


@pytest.mark.parametrize(("form", "suffix"), [(Format.TEXT, "txt"), (Format.MARKDOWN, "md"), (Format.JSON, "json")])
def test_several_changes_at_once(stacks: Path, edit: Edit, golden: Golden, form: Format, suffix: str) -> None:
    before = load(stacks)
    for name in ("wider-prefix", "looser-approval", "less", "only-words"):
        edit(*PROPOSALS[name])
    golden(f"access/diff-several.{suffix}", render_comparison(compare_plans(before, load(stacks)), form))


@pytest.mark.parametrize("way", ["new", "removed"])
def test_whole_workflows(stacks: Path, golden: Golden, way: str) -> None:
    whole = load(stacks)
    (stacks / "workflows" / "vendor-onboarding.yaml").unlink()
    part = load(stacks)
    old, new = (part, whole) if way == "new" else (whole, part)
    golden(f"access/diff-workflow-{way}.txt", render_comparison(compare_plans(old, new), Format.TEXT))


def test_answers(stacks: Path, golden: Golden) -> None:
    plan = load(stacks)
    workflow = plan.workflows[2]
    golden("access/show.txt", render_workflows(plan, Format.TEXT))
    golden("access/show-vendor-onboarding.txt", render_workflow(plan, workflow, Format.TEXT))
    golden("access/show-vendor-onboarding.json", render_workflow(plan, workflow, Format.JSON))
    golden("access/explain-vendor-onboarding.txt", render_lines(explain_workflow(plan, workflow.name)))
