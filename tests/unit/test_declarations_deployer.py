"""Which jobs of CI an environment may bind as its deployer and its preview."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from ruamel.yaml import YAML

from narrowgate.compile.subjects import check_subject
from narrowgate.declarations import DeclarationErrors, load_environment

if TYPE_CHECKING:
    from pathlib import Path

JOB = "repo:acme/agents:environment:prod"
PROTECTED = {"ref_protected": "true"}


@pytest.mark.parametrize(
    ("subject", "claims"),
    [
        (JOB, {}),
        ("repo:acme/agents:environment:prod-preview", {}),
        ("repo:acme/agents:ref:refs/heads/main", PROTECTED),
        ("project_path:acme/agents:ref_type:branch:ref:main", PROTECTED),
    ],
)
def test_a_protected_job_may_deploy(subject: str, claims: dict[str, str]) -> None:
    assert check_subject(subject, "prod", claims) is None


@pytest.mark.parametrize(
    ("subject", "code"),
    [
        ("repo:acme/agents:*", "subject-open"),
        ("repo:acme/*:environment:prod", "subject-open"),
        ("repo:acme/agents:environment:pro?", "subject-open"),
        ("repo:acme/agents:pull_request", "subject-open"),
        ("repo:acme/agents:ref:refs/pull/7/merge", "subject-open"),
        ("repo:acme/agents:ref:refs/heads/main", "subject-open"),
        ("project_path:acme/agents:ref_type:branch:ref:main", "subject-open"),
        ("repo:acme/agents:ref:refs/tags/v1", "bad-format"),
        ("repo:acme/agents:environment:dev", "foreign-environment"),
        ("repo:acme/agents:environment:production", "foreign-environment"),
        ("repo:acme/agents", "bad-format"),
        ("repo:acme/agents:environment:prod:x", "bad-format"),
        ("acme", "bad-format"),
    ],
)
def test_any_other_subject_is_refused(subject: str, code: str) -> None:
    problem = check_subject(subject, "prod", {})
    assert problem is not None
    assert problem.code == code
    assert problem.hint


def bind(stacks: Path, **changes: Any) -> None:  # noqa: ANN401 - YAML
    file, yaml = stacks / "Pulumi.dev.yaml", YAML(typ="safe")
    content = yaml.load(file.read_text(encoding="utf-8"))
    environment = content["config"]["narrowgate:environment"]
    for key, value in changes.items():
        target = environment["vault"] if key == "ci_mount" else environment["deployer"]
        if value is None:
            del target[key]
        else:
            target[key] = value
    with file.open("w", encoding="utf-8") as stream:
        yaml.dump(content, stream)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"subject": "repo:acme/agents:pull_request"}, "lets any pull request in"),
        ({"preview_subject": "repo:acme/agents:pull_request"}, "lets any pull request in"),
        ({"preview_subject": "repo:acme/agents:environment:dev"}, "are the same job"),
        ({"subject": "repo:acme/agents:environment:prod"}, "is CI's environment `prod`"),
        ({"jwks_url": None}, "exactly one of `jwks_url` and `public_keys`"),
        ({"issuer": "http://ci.example.com"}, "string should match pattern"),
        ({"audience": "*"}, "string should match pattern"),
        ({"claims": {"repository_id": "*"}}, "string should match pattern"),
        ({"ci_mount": "agents/ci"}, "so its own can't be there"),
        ({"ci_mount": "agents"}, "so its own can't be there"),
        ({"role": "admin"}, "unknown key `role`"),
    ],
)
def test_a_wrong_binding_is_an_error_with_its_place(stacks: Path, changes: dict[str, Any], message: str) -> None:
    bind(stacks, **changes)
    with pytest.raises(DeclarationErrors) as caught:
        load_environment(stacks, "dev")
    (error,) = caught.value.errors
    assert message in str(error)
    assert "Pulumi.dev.yaml:" in str(error)


def test_claims_are_read_in_order(stacks: Path) -> None:
    bind(stacks, claims={"repository_id": "7", "ref_protected": "true"})
    deployer = load_environment(stacks, "dev").deployer
    assert deployer is not None
    assert deployer.claims == (("ref_protected", "true"), ("repository_id", "7"))
