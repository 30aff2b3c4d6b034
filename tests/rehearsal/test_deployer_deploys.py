"""The deployer runs the whole life of the workflow stack in the real engine; the preview looks and changes nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from ci_job import Job, start_job

from narrowgate.access.lock import write_lock
from narrowgate.declarations import load_environment, load_plan
from rehearsal import ci

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rehearsal.live import LiveRehearsal

WORKFLOW = "ticket-drafting"
NO_CHANGES = ("preview", "--refresh", "--run-program", "--expect-no-changes")


@pytest.fixture(scope="module")
def deployer(rehearsal: LiveRehearsal) -> Job:
    return start_job(rehearsal, ci.describe_ci(rehearsal.layout).deployer)


@pytest.fixture(scope="module")
def preview(rehearsal: LiveRehearsal) -> Job:
    return start_job(rehearsal, ci.describe_ci(rehearsal.layout).preview)


def succeed(job: Job, *arguments: str) -> str:
    done = job.pulumi(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def workflow(rehearsal: LiveRehearsal, deployer: Job) -> Iterator[Path]:
    """Give a workflow's file to edit; afterwards it is as before, and so is what is deployed."""
    file = rehearsal.layout.stacks / "workflows" / f"{WORKFLOW}.yaml"
    before = file.read_text(encoding="utf-8")
    yield file
    file.write_text(before, encoding="utf-8")
    write_own_lock(rehearsal)
    succeed(deployer, "up", "--yes", "--skip-preview")


def write_own_lock(rehearsal: LiveRehearsal) -> None:
    """Have the changed declarations reviewed."""
    stacks = rehearsal.layout.stacks
    plan = load_plan(stacks, load_environment(stacks, "dev"))
    (stacks / "locks" / "dev.yaml").write_text(write_lock(plan), encoding="utf-8")


def shorten_session(rehearsal: LiveRehearsal, workflow: Path) -> None:
    text = workflow.read_text(encoding="utf-8")
    assert "max_ttl: 1h" in text
    workflow.write_text(text.replace("max_ttl: 1h", "max_ttl: 45m", 1), encoding="utf-8")
    write_own_lock(rehearsal)


def read_login(rehearsal: LiveRehearsal) -> int:
    found = rehearsal.vault().read(f"auth/agents/{WORKFLOW}/role/agent")
    assert found is not None
    return int(found["data"]["token_max_ttl"])


def test_the_rehearsal_was_deployed_by_the_deployer(rehearsal: LiveRehearsal) -> None:
    events = [json.loads(line) for line in rehearsal.layout.cloudtrail.read_text().splitlines()]
    first: dict[str, Any] = {}
    for event in events:
        if event["eventName"] == "CreateRole":
            first.setdefault(event["requestParameters"]["roleName"], event)
    roles = rehearsal.aws("iam").list_roles(PathPrefix="/narrowgate/dev/tool/")["Roles"]
    made = [first[role["RoleName"]] for role in roles]
    assert made
    assert {e["userIdentity"]["sessionContext"]["sessionIssuer"]["userName"] for e in made} == {"ng-dev-deployer"}
    assert not [e for e in made if "errorCode" in e]


def test_neither_sees_anything_to_do(deployer: Job, preview: Job) -> None:
    succeed(deployer, *NO_CHANGES)
    succeed(preview, *NO_CHANGES)


def test_the_deployer_refreshes_and_changes(rehearsal: LiveRehearsal, deployer: Job, workflow: Path) -> None:
    succeed(deployer, "refresh", "--yes", "--run-program")
    shorten_session(rehearsal, workflow)
    succeed(deployer, "up", "--yes")
    assert read_login(rehearsal) == 45 * 60
    succeed(deployer, *NO_CHANGES)


def test_the_deployer_removes_and_makes_a_workflow(rehearsal: LiveRehearsal, deployer: Job, workflow: Path) -> None:
    text = workflow.read_text(encoding="utf-8")
    workflow.unlink()
    write_own_lock(rehearsal)
    succeed(deployer, "up", "--yes")
    assert f"agents/{WORKFLOW}/" not in rehearsal.vault().sys.list_auth_methods()["data"]
    workflow.write_text(text, encoding="utf-8")
    write_own_lock(rehearsal)
    succeed(deployer, "up", "--yes")
    assert f"agents/{WORKFLOW}/" in rehearsal.vault().sys.list_auth_methods()["data"]


def test_the_preview_shows_a_change_and_can_not_make_it(rehearsal: LiveRehearsal, preview: Job, workflow: Path) -> None:
    before = read_login(rehearsal)
    shorten_session(rehearsal, workflow)
    assert f"{WORKFLOW}-auth-role" in succeed(preview, "preview", "--diff")
    done = preview.pulumi("up", "--yes", "--skip-preview")
    assert done.returncode != 0
    assert "permission denied" in done.stdout + done.stderr
    assert read_login(rehearsal) == before


def test_the_deployer_can_not_deploy_the_foundation(deployer: Job) -> None:
    iam = deployer.rehearsal.aws("iam")
    before = [role["RoleName"] for role in iam.list_roles(PathPrefix="/narrowgate/dev/system/")["Roles"]]
    assert before
    text = deployer.pulumi("preview", "--refresh", "--run-program", "--stack", "dev-foundation")
    assert text.returncode != 0
    destroyed = deployer.pulumi("destroy", "--yes", "--skip-preview", "--stack", "dev-foundation")
    assert destroyed.returncode != 0
    mounts = deployer.rehearsal.vault().sys.list_mounted_secrets_engines()["data"]
    assert {"narrowgate-aws/", "narrowgate-database/"} <= mounts.keys()
    roles = iam.list_roles(PathPrefix="/narrowgate/dev/system/")["Roles"]
    assert [role["RoleName"] for role in roles] == before
    # what it could not destroy is still in the state
    deployer.rehearsal.run("pulumi", *NO_CHANGES, "--stack", "dev-foundation", "--non-interactive", "--color", "never")


def test_the_deployer_destroys_and_makes_all_again(rehearsal: LiveRehearsal, deployer: Job) -> None:
    try:
        succeed(deployer, "destroy", "--yes", "--skip-preview")
        assert rehearsal.aws("iam").list_roles(PathPrefix="/narrowgate/dev/tool/")["Roles"] == []
        assert not [path for path in rehearsal.vault().sys.list_auth_methods()["data"] if path.startswith("agents/")]
    finally:
        succeed(deployer, "up", "--yes", "--skip-preview")
    succeed(deployer, *NO_CHANGES)
