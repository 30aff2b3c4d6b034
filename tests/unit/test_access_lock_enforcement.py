"""A deploy is held to the lock: what is not within it is refused, what is smaller is said."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from narrowgate.access.enforcement import (
    MAX_SHOWN,
    NotWithinLockError,
    Severity,
    enforce_lock,
    require_within_lock,
)
from narrowgate.access.lock import lock_file, write_lock
from narrowgate.declarations import load_environment, load_plan
from narrowgate.plan import TableGrant

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from narrowgate.plan import AccessPlan

COMMAND = "narrowgate access lock --env dev"


@pytest.fixture
def path(stacks: Path) -> Path:
    return lock_file(stacks, "dev")


def load(stacks: Path) -> AccessPlan:
    return load_plan(stacks, load_environment(stacks, "dev"))


def test_the_reviewed_access_passes_without_a_word(stacks: Path, path: Path) -> None:
    assert require_within_lock(load(stacks), path) == []


def test_a_gain_is_refused_with_workflow_access_and_command(
    stacks: Path, path: Path, edit: Callable[[str, str, str], None]
) -> None:
    edit("workflows/ticket-drafting.yaml", "requesters: [service-desk]", "requesters: [service-desk, interns]")
    edit("tools/incidents.yaml", "[id, tenant, title,", "[id, tenant, reporter_email, title,")
    problems = require_within_lock(load(stacks), path)
    assert {problem.severity for problem in problems} == {Severity.ERROR}
    said = [problem.message for problem in problems]
    assert any("ticket-drafting" in text and "people in interns" in text for text in said)
    for workflow in ("ticket-drafting", "incident-summarization"):
        assert any(f"{workflow}: incidents.read" in text and "reporter_email" in text for text in said)
    assert all(COMMAND in problem.hint for problem in problems)
    with pytest.raises(NotWithinLockError, match="reporter_email") as raised:
        enforce_lock(load(stacks), path)
    assert COMMAND in str(raised.value.hint)


def test_less_than_the_lock_is_a_warning(stacks: Path, path: Path) -> None:
    (stacks / "workflows" / "vendor-onboarding.yaml").unlink()
    (problem,) = require_within_lock(load(stacks), path)
    assert problem.severity is Severity.WARNING
    assert "vendor-onboarding" in problem.message
    assert COMMAND in problem.hint
    assert enforce_lock(load(stacks), path) == [str(problem)]


def test_a_missing_lock_is_refused(stacks: Path, path: Path) -> None:
    path.unlink()
    (problem,) = require_within_lock(load(stacks), path)
    assert problem.severity is Severity.ERROR
    assert COMMAND in problem.hint


@pytest.mark.parametrize("text", ["", "version: 1\n", "\xff", "- x\n"])
def test_an_unreadable_lock_is_refused(stacks: Path, path: Path, text: str) -> None:
    path.write_bytes(text.encode("latin-1"))
    (problem,) = require_within_lock(load(stacks), path)
    assert problem.severity is Severity.ERROR


def test_the_lock_of_another_environment_is_refused(stacks: Path, path: Path) -> None:
    plan = load(stacks)
    other = replace(plan, environment=replace(plan.environment, name="prod"))
    path.write_text(write_lock(other), encoding="utf-8")
    (problem,) = require_within_lock(plan, path)
    assert problem.severity is Severity.ERROR
    assert "`prod`, not for `dev`" in problem.message


def test_a_lock_that_states_all_but_one_workflow_refuses_that_one(stacks: Path, path: Path) -> None:
    plan = load(stacks)
    path.write_text(write_lock(replace(plan, workflows=plan.workflows[:-1])), encoding="utf-8")
    assert {p.message.split(":")[0].split(" ")[0] for p in require_within_lock(plan, path)} == {"vendor-onboarding"}


def test_many_gains_are_counted_not_left_out(stacks: Path, path: Path) -> None:
    plan = load(stacks)
    workflow = next(w for w in plan.workflows if w.name == "ticket-drafting")
    tool = next(tool for tool in workflow.tools if tool.tool == "tickets")
    grants = tuple(TableGrant("public", f"t{n}", ("SELECT",), ("id",)) for n in range(MAX_SHOWN + 7))
    actions = (replace(tool.actions[0], grants=(*tool.actions[0].grants, *grants)), *tool.actions[1:])
    tools = tuple(replace(t, actions=actions) if t is tool else t for t in workflow.tools)
    wider = tuple(replace(w, tools=tools) if w is workflow else w for w in plan.workflows)
    changed = replace(plan, workflows=wider)
    problems = require_within_lock(changed, path)
    assert len(problems) == MAX_SHOWN + 1
    assert "7 more" in problems[-1].message


def test_a_changed_address_is_no_change_of_access(stacks: Path, path: Path) -> None:
    plan = load(stacks)
    vault = replace(plan.environment.vault, address="https://127.0.0.1:18200", ca_pem="x")
    aws = replace(plan.environment.aws, endpoint_url="http://127.0.0.1:4566")
    identity = replace(plan.environment.identity, jwks_url=None, public_keys=("key",))
    moved = replace(plan, environment=replace(plan.environment, vault=vault, aws=aws, identity=identity))
    assert require_within_lock(moved, path) == []
