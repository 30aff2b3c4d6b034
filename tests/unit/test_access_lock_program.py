"""The Pulumi program deploys nothing that the lock does not state; what would be deployed is recorded, by no engine."""

from __future__ import annotations

import runpy
from typing import TYPE_CHECKING

import narrowgate_pulumi
import pulumi
import pytest
from narrowgate_policies import transform

from narrowgate import operations

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from narrowgate.compile.documents import PlanDocuments
    from narrowgate.declarations import Shard


@pytest.fixture
def deploy(stacks: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """Return a function that runs the program of the copied stacks: the workflows that it would deploy."""
    deployed: list[str] = []

    def record(documents: PlanDocuments, revocations: dict[str, object], shard: Shard) -> None:
        assert revocations == {}
        deployed.extend(workflow.access.name for workflow in documents.workflows if shard.holds(workflow.access.name))

    monkeypatch.setattr(narrowgate_pulumi, "deploy_workflows", record)
    monkeypatch.setattr(transform, "judge_every_resource", lambda *_: None)  # there is no engine to ask it
    monkeypatch.setattr(narrowgate_pulumi, "find_stack_config_dir", lambda: stacks)
    monkeypatch.setattr(pulumi, "get_stack", lambda: "dev")
    monkeypatch.setattr(operations, "read_revocations", lambda _: {})

    def run() -> list[str]:
        deployed.clear()
        runpy.run_path(str(stacks / "__main__.py"))
        return list(deployed)

    return run


ALL = ["incident-summarization", "nightly-reconciliation", "ticket-drafting", "vendor-onboarding"]


def test_what_is_reviewed_is_deployed(deploy: Callable[[], list[str]]) -> None:
    assert deploy() == ALL


def test_new_access_deploys_nothing_and_names_the_command(
    deploy: Callable[[], list[str]], edit: Callable[[str, str, str], None], capfd: pytest.CaptureFixture[str]
) -> None:
    edit("workflows/ticket-drafting.yaml", "requesters: [service-desk]", "requesters: [service-desk, interns]")
    with pytest.raises(pulumi.RunError):
        deploy()
    shown = "".join(capfd.readouterr())
    assert "ticket-drafting is not within the lock: may be asked by people in interns" in shown
    assert "narrowgate access lock --env dev" in shown


def test_a_missing_lock_deploys_nothing(deploy: Callable[[], list[str]], stacks: Path) -> None:
    (stacks / "locks" / "dev.yaml").unlink()
    with pytest.raises(pulumi.RunError):
        deploy()


def test_less_is_deployed_with_a_warning(
    deploy: Callable[[], list[str]], stacks: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (stacks / "workflows" / "vendor-onboarding.yaml").unlink()
    assert deploy() == ALL[:-1]
    assert "vendor-onboarding" in "".join(capfd.readouterr())
