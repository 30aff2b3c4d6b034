"""The Pulumi program deploys nothing that the lock does not state; what would be deployed is recorded, by no engine."""

from __future__ import annotations

import json
import runpy
import shutil
from typing import TYPE_CHECKING

import narrowgate_pulumi
import pulumi
import pytest
from narrowgate_policies import transform
from narrowgate_policies.configuration import read_settings
from ruamel.yaml import YAML

from narrowgate import operations
from narrowgate.access.locked import LockedDocuments
from rehearsal.layout import CHECKOUT

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


@pytest.mark.parametrize(
    ("here", "there", "words"),
    [
        ("https://vault.dev.example.com", "https://vault.prod.example.com", "dev and prod share the Vault"),
        ("acme-dev-documents", "acme-prod-documents", "dev and prod share the bucket acme-prod-documents"),
        ("postgres.dev.example.com", "postgres.prod.example.com", "dev and prod share the database operations"),
    ],
)
def test_what_another_environment_has_deploys_nothing(  # noqa: PLR0913, PLR0917 - three fixtures and a case of three
    deploy: Callable[[], list[str]],
    stacks: Path,
    capfd: pytest.CaptureFixture[str],
    here: str,
    there: str,
    words: str,
) -> None:
    shutil.copy(CHECKOUT / "stacks" / "Pulumi.prod.yaml", stacks)
    assert deploy() == ALL
    file = stacks / "Pulumi.dev.yaml"
    text = file.read_text(encoding="utf-8")
    assert here in text
    file.write_text(text.replace(here, there), encoding="utf-8")
    with pytest.raises(pulumi.RunError):
        deploy()
    shown = "".join(capfd.readouterr())
    assert words in shown
    assert "Pulumi.prod.yaml" in shown


def test_another_environment_that_cannot_be_read_deploys_nothing(
    deploy: Callable[[], list[str]], stacks: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (stacks / "Pulumi.prod.yaml").write_text("config: {}\n", encoding="utf-8")
    with pytest.raises(pulumi.RunError):
        deploy()
    assert "Pulumi.prod.yaml" in "".join(capfd.readouterr())


def test_the_pack_refuses_what_another_environment_has(stacks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(CHECKOUT / "stacks" / "Pulumi.prod.yaml", stacks)
    bindings = YAML(typ="safe").load((stacks / "Pulumi.dev.yaml").read_text(encoding="utf-8"))
    config = bindings["config"]["narrowgate:environment"]

    def read() -> object:
        text = json.dumps(config)
        monkeypatch.setattr(pulumi.Config, "get", lambda *_, **__: text)
        monkeypatch.delenv("NARROWGATE_STACKS", raising=False)
        monkeypatch.setenv("NARROWGATE_STACK_CONFIG_DIR", str(stacks))
        return read_settings(stacks).lock

    assert isinstance(read(), LockedDocuments)
    config["vault"]["address"] = "https://vault.prod.example.com:8200"
    assert "share the Vault https://vault.prod.example.com:8200" in str(read())
