"""Two shards of one environment side by side, in the real engine: their union is the plan, and neither sees the other.

What is deployed moves between the stacks' states, so that going from one stack to two shards replaces nothing.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from narrowgate.declarations import Shard
from narrowgate.runtime import login

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rehearsal.live import LiveRehearsal

FIRST, SECOND = "dev", "dev-second"
SHARDS = {FIRST: Shard(1, 2), SECOND: Shard(2, 2)}
WORKFLOWS = {"incident-summarization", "nightly-reconciliation", "ticket-drafting", "vendor-onboarding"}
PLAIN = ("--non-interactive", "--color", "never")


def pulumi(rehearsal: LiveRehearsal, *arguments: str, check: bool = True) -> str:
    done = rehearsal.run("pulumi", *arguments, *PLAIN, check=check)
    return done.stdout + done.stderr


def up(rehearsal: LiveRehearsal, stack: str, *more: str) -> None:
    pulumi(rehearsal, "up", "--yes", "--skip-preview", "--stack", stack, *more)


def export(rehearsal: LiveRehearsal, stack: str) -> list[dict[str, Any]]:
    text = rehearsal.run("pulumi", "stack", "export", "--stack", stack).stdout
    resources: list[dict[str, Any]] = json.loads(text)["deployment"].get("resources", [])
    return resources


def workflows(resources: list[dict[str, Any]]) -> dict[str, str]:
    """The component of each workflow in a stack: its name and URN."""
    return {r["urn"].rsplit("::", 1)[-1]: r["urn"] for r in resources if r["type"] == "narrowgate:index:AgentWorkflow"}


def real(resources: list[dict[str, Any]]) -> set[tuple[str, str]]:
    """What stands behind a stack's resources, as the servers know it."""
    return {(r["type"], r["id"]) for r in resources if r.get("id") and not r["type"].startswith("pulumi:")}


@pytest.fixture(scope="module")
def shards(rehearsal: LiveRehearsal) -> Iterator[dict[str, list[dict[str, Any]]]]:
    """Split the deployed environment in two; afterwards it is one again. Gives what was deployed before."""
    config = {stack: rehearsal.layout.project / f"Pulumi.{stack}.yaml" for stack in SHARDS}
    before = config[FIRST].read_text(encoding="utf-8")
    whole = export(rehearsal, FIRST)
    config[FIRST].write_text(before.replace("config:\n", "config:\n  narrowgate:shard: 1/2\n", 1), encoding="utf-8")
    config[SECOND].write_text("config:\n  narrowgate:environment: dev\n  narrowgate:shard: 2/2\n", encoding="utf-8")
    pulumi(rehearsal, "stack", "init", SECOND)
    try:
        move(rehearsal, FIRST, SECOND, {name for name in WORKFLOWS if SHARDS[SECOND].holds(name)})
        for stack in SHARDS:
            up(rehearsal, stack)
        yield {FIRST: whole}
    finally:
        move(rehearsal, SECOND, FIRST, set(workflows(export(rehearsal, SECOND))))
        config[FIRST].write_text(
            config[FIRST].read_text(encoding="utf-8").replace("  narrowgate:shard: 1/2\n", ""), encoding="utf-8"
        )
        config[SECOND].unlink()
        pulumi(rehearsal, "stack", "rm", "--yes", "--force", SECOND)
        up(rehearsal, FIRST)


def move(rehearsal: LiveRehearsal, source: str, target: str, names: set[str]) -> None:
    urns = [urn for name, urn in workflows(export(rehearsal, source)).items() if name in names]
    pulumi(rehearsal, "state", "move", "--yes", "--source", source, "--dest", target, *urns)


Shards = dict[str, list[dict[str, Any]]]


def test_the_union_of_the_shards_is_the_plan_and_nothing_is_in_both(rehearsal: LiveRehearsal, shards: Shards) -> None:
    first, second = (export(rehearsal, stack) for stack in SHARDS)
    for stack, resources in ((FIRST, first), (SECOND, second)):
        assert set(workflows(resources)) == {name for name in WORKFLOWS if SHARDS[stack].holds(name)} != set()
    assert not real(first) & real(second)
    assert real(first) | real(second) == real(shards[FIRST]), "splitting an environment makes and replaces nothing"


@pytest.mark.parametrize("stack", SHARDS)
def test_a_shard_has_nothing_to_do_twice(rehearsal: LiveRehearsal, shards: Shards, stack: str) -> None:
    assert shards
    up(rehearsal, stack, "--expect-no-changes", "--refresh")


def test_each_shard_exports_the_manifests_of_its_workflows(rehearsal: LiveRehearsal, shards: Shards) -> None:
    assert shards
    exported = {}
    for stack, shard in SHARDS.items():
        output = json.loads(rehearsal.run("pulumi", "stack", "output", "--json", "--stack", stack).stdout)
        assert set(output["manifests"]) == {name for name in WORKFLOWS if shard.holds(name)}
        exported.update(output["manifests"])
    assert set(exported) == WORKFLOWS
    for name, manifest in exported.items():
        assert json.loads(rehearsal.manifest(name).read_text()) == manifest


def test_agents_of_both_shards_work(rehearsal: LiveRehearsal, shards: Shards) -> None:
    assert shards
    for workflow, user in (("incident-summarization", "alice"), ("ticket-drafting", "sam")):
        with (
            login(rehearsal.manifest(workflow), rehearsal.token(user, workflow)) as agent,
            agent.postgres("incidents") as connection,
        ):
            assert connection.execute("SELECT 1").fetchone() == (1,)


def test_changing_one_workflow_touches_its_shard_alone(rehearsal: LiveRehearsal, shards: Shards) -> None:
    assert shards
    file = rehearsal.layout.stacks / "workflows" / "ticket-drafting.yaml"
    before = file.read_text(encoding="utf-8")
    file.write_text(before.replace("actions: [read, draft]", "actions: [read]"), encoding="utf-8")
    try:
        steps = {stack: changes(rehearsal, stack) for stack in SHARDS}
    finally:
        file.write_text(before, encoding="utf-8")
    own = next(stack for stack, shard in SHARDS.items() if shard.holds("ticket-drafting"))
    assert {"ticket-drafting.tickets-group", "ticket-drafting.tickets-policy"} <= set(steps.pop(own))
    assert list(steps.values()) == [{}]


def changes(rehearsal: LiveRehearsal, stack: str) -> dict[str, str]:
    done = rehearsal.run("pulumi", "preview", "--json", "--stack", stack)
    steps = json.loads(done.stdout)["steps"]
    return {step["urn"].rsplit("::", 1)[-1]: step["op"] for step in steps if step["op"] not in ("same", "read")}


def test_shards_that_do_not_fit_together_deploy_nothing(rehearsal: LiveRehearsal, shards: Shards) -> None:
    assert shards
    file = rehearsal.layout.project / f"Pulumi.{SECOND}.yaml"
    before = file.read_text(encoding="utf-8")
    file.write_text(before.replace("2/2", "2/3"), encoding="utf-8")
    try:
        for stack in SHARDS:
            shown = pulumi(rehearsal, "preview", "--stack", stack, check=False)
            assert "Pulumi.dev.yaml" in shown
            assert "dev is one of 2 shards, others of dev are of 3" in shown
            assert "Traceback" not in shown
    finally:
        file.write_text(before, encoding="utf-8")
