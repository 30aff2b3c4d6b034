"""The GitHub workflows keep to the safe order: what runs unasked is the base branch's, and holds no credentials."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

GITHUB = Path(__file__).resolve().parents[2] / ".github"
FILES = sorted((GITHUB / "workflows").glob("*.yml"))


def read(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    return loaded


def list_steps(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def test_there_are_workflows() -> None:
    assert {path.name for path in FILES} >= {"access-review.yml", "deploy.yml", "preview.yml"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_actions_are_pinned_by_hash_with_their_version_beside(path: Path) -> None:
    lines = [line for line in path.read_text().split("\n") if re.match(r"\s*(- )?uses:", line)]
    assert lines
    assert not [line for line in lines if not re.search(r"uses: [\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_permissions_are_given_job_by_job(path: Path) -> None:
    workflow = read(path)
    assert workflow["permissions"] == {}
    assert all(job["permissions"] for job in workflow["jobs"].values())
    assert all(job["timeout-minutes"] for job in workflow["jobs"].values())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_expression_is_put_into_a_script(path: Path) -> None:
    # What an expression holds may come from the proposal (a branch's name): scripts get it by their environment.
    assert not [step["run"] for step in list_steps(read(path)) if "${{" in step.get("run", "")]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_scripts_are_shell(path: Path) -> None:
    for step in list_steps(read(path)):
        if "run" in step:
            done = subprocess.run(["bash", "-n"], input=step["run"], text=True, capture_output=True, check=False)
            assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_checkout_leaves_a_token_behind(path: Path) -> None:
    checkouts = [s for s in list_steps(read(path)) if s.get("uses", "").startswith("actions/checkout@")]
    assert not [step for step in checkouts if step["with"]["persist-credentials"] is not False]


def test_the_review_holds_no_credentials_and_runs_the_base_branch() -> None:
    workflow = read(GITHUB / "workflows" / "access-review.yml")
    text = (GITHUB / "workflows" / "access-review.yml").read_text()
    assert set(workflow["on"]) == {"pull_request_target"}
    assert "secrets." not in text
    jobs = workflow["jobs"]
    assert {name: job["permissions"] for name, job in jobs.items()} == {
        "compare": {"contents": "read"},
        "comment": {"pull-requests": "write"},
    }
    paths = {s["with"]["path"]: s["with"]["ref"] for s in jobs["compare"]["steps"] if "checkout@" in s.get("uses", "")}
    assert "pull_request.base.sha" in paths["base"]
    assert "/head" in paths["proposed"]
    # Every command that runs is the base branch's; the proposal is only ever an argument.
    for step in jobs["compare"]["steps"]:
        assert "proposed" not in str(step.get("working-directory", ""))
        for line in step.get("run", "").split("\n"):
            assert not line.strip().startswith(("proposed", "./proposed", "cd proposed"))
    assert "checkout@" not in str(jobs["comment"])


def test_a_preview_needs_a_person_and_is_never_for_forks() -> None:
    workflow = read(GITHUB / "workflows" / "preview.yml")
    assert set(workflow["on"]) == {"pull_request"}
    (job,) = workflow["jobs"].values()
    assert job["if"] == "github.event.pull_request.head.repo.full_name == github.repository"
    assert job["environment"].endswith("-preview")
    assert job["permissions"] == {"contents": "read", "id-token": "write"}
    assert not re.search(r"AKIA|aws-secret-access-key", str(job))


def test_a_deploy_runs_what_was_merged_in_the_environment_that_is_bound() -> None:
    workflow = read(GITHUB / "workflows" / "deploy.yml")
    assert workflow["on"].keys() == {"push"}
    assert workflow["on"]["push"]["branches"] == ["main"]
    (job,) = workflow["jobs"].values()
    assert job["environment"] == "${{ matrix.stack }}"
    assert job["permissions"] == {"contents": "read", "id-token": "write"}
    assert not re.search(r"AKIA|aws-secret-access-key", str(job))


def test_the_locks_have_owners_in_the_example() -> None:
    rules = [line.split() for line in (GITHUB / "CODEOWNERS.example").read_text().split("\n") if line.startswith("/")]
    owned = {rule[0] for rule in rules if len(rule) > 1}
    assert {"/stacks/locks/", "/stacks/Pulumi.*.yaml", "/stacks/tools/", "/.github/", "/narrowgate/"} <= owned
