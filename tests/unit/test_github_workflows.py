"""What the workflows for GitHub promise: pinned actions, least permissions, no word of a proposal in a shell."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import pytest
from ruamel.yaml import YAML

FOLDER: Final = Path(__file__).parents[2] / ".github" / "workflows"
FILES: Final = sorted(FOLDER.glob("*.yml"))
PINNED: Final = re.compile(r"uses: [a-z-]+/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
# Numbers and names that GitHub or the repository's owners choose. What a proposal's author can write is none of them.
TRUSTED: Final = re.compile(
    r"github\.(token|repository|run_id|event\.pull_request\.(number|base\.sha))|vars\.\w+|matrix\.\w+"
)
PERMISSIONS: Final = {
    ("access-review.yml", "compare"): {"contents": "read"},
    ("access-review.yml", "comment"): {"pull-requests": "write"},
    ("deploy.yml", "deploy"): {"contents": "read", "id-token": "write"},
    ("preview.yml", "preview"): {"contents": "read", "id-token": "write"},
}


def read(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = YAML(typ="safe").load(file.read_text(encoding="utf-8"))
    return content


def test_there_are_workflows() -> None:
    assert [file.name for file in FILES] == ["access-review.yml", "deploy.yml", "preview.yml"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_action_is_pinned_by_its_full_hash_beside_its_version(file: Path) -> None:
    used = [
        line.strip().removeprefix("- ") for line in file.read_text(encoding="utf-8").splitlines() if "uses:" in line
    ]
    assert used
    assert [line for line in used if not PINNED.fullmatch(line)] == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_job_has_the_permissions_that_it_needs_and_no_others(file: Path) -> None:
    workflow = read(file)
    assert workflow["permissions"] == {}
    given = {(file.name, name): job.get("permissions") for name, job in workflow["jobs"].items()}
    assert given == {key: value for key, value in PERMISSIONS.items() if key[0] == file.name}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_no_expression_is_put_into_a_script(file: Path) -> None:
    for job in read(file)["jobs"].values():
        for step in job["steps"]:
            assert "${{" not in step.get("run", ""), step


def test_what_the_review_of_a_proposal_runs_is_the_base_branch() -> None:
    workflow = read(FOLDER / "access-review.yml")
    assert list(workflow["on"]) == ["pull_request_target"]
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    heads = [step for step in steps if "/head" in str(step.get("with", {}).get("ref", ""))]
    assert [(step["with"]["path"], step["with"]["sparse-checkout"]) for step in heads] == [("proposed", "stacks")]
    assert all(step["with"]["persist-credentials"] is False for step in steps if "ref" in step.get("with", {}))
    assert not any(step.get("working-directory", "").startswith("proposed") for step in steps)
    expressions = re.findall(r"\$\{\{\s*(.+?)\s*\}\}", (FOLDER / "access-review.yml").read_text(encoding="utf-8"))
    assert {e for e in expressions if not TRUSTED.fullmatch(e)} == {"!cancelled()"}


def test_a_preview_runs_a_proposals_code_only_after_a_persons_approval_and_never_for_forks() -> None:
    workflow = read(FOLDER / "preview.yml")
    job = workflow["jobs"]["preview"]
    assert "pull_request_target" not in workflow["on"]
    assert "preview" in str(job["environment"])
    assert "github.event.pull_request.head.repo.full_name == github.repository" in job["if"]
