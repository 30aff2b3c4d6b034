"""Deployed documents are judged by the lock, whatever made them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from narrowgate.access.lock import LockError, lock_file
from narrowgate.access.locked import LockedDocuments
from narrowgate.compile import compile_plan
from narrowgate.declarations import load_environment, load_plan

if TYPE_CHECKING:
    from pathlib import Path

    from narrowgate.compile.documents import PlanDocuments


@pytest.fixture
def documents(stacks: Path) -> PlanDocuments:
    return compile_plan(load_plan(stacks, load_environment(stacks, "dev")))


@pytest.fixture
def locked(stacks: Path) -> LockedDocuments:
    return LockedDocuments.read(load_environment(stacks, "dev"), lock_file(stacks, "dev"))


def test_what_the_declarations_compile_to_is_within(documents: PlanDocuments, locked: LockedDocuments) -> None:
    judged = 0
    for workflow in documents.workflows:
        role = workflow.auth_role
        assert locked.judge_auth_role(role.mount, role.name, role.settings) is None
        assert locked.judge_vault_policy(workflow.agent_policy.name, workflow.agent_policy.text) is None
        for tool in workflow.tools:
            if tool.policy is not None:
                assert locked.judge_vault_policy(tool.policy.name, tool.policy.text) is None
            if tool.aws is not None:
                assert locked.judge_role(tool.aws.role.name, list(tool.aws.role.policies.values())) is None
                assert locked.judge_trust(tool.aws.role.name, tool.aws.role.trust_policy) is None
                judged += 1
    assert judged


def first_role(locked: LockedDocuments) -> str:
    return next(name for name in sorted(locked.roles) if "documents" in name)


def test_less_is_within_and_more_is_not(locked: LockedDocuments) -> None:
    name = first_role(locked)
    policies = [dict(policy) for policy in locked.roles[name].policies.values()]
    assert locked.judge_role(name, []) is None
    more = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*"}
    widened = [*policies, {"Version": "2012-10-17", "Statement": [more]}]
    assert "s3:PutObject" in str(locked.judge_role(name, widened))


def test_an_unknown_name_is_not_within(locked: LockedDocuments) -> None:
    assert locked.judge_role("ng-dev-other", []) is not None
    assert locked.judge_trust("ng-dev-other", {}) is not None
    assert locked.judge_vault_policy("tool.other", "") is not None
    assert locked.judge_auth_role("agents/other", "agent", {}) is not None


def test_another_broker_is_not_within(locked: LockedDocuments) -> None:
    name = first_role(locked)
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "arn:aws:iam::222222222222:root"}}
    assert locked.judge_trust(name, {"Version": "2012-10-17", "Statement": [statement]}) is not None


def test_a_wider_vault_policy_is_not_within(locked: LockedDocuments) -> None:
    name = next(name for name in sorted(locked.policies) if name.startswith("tool."))
    text = locked.policies[name]
    assert locked.judge_vault_policy(name, "") is None
    assert "kv/secret" in str(
        locked.judge_vault_policy(name, text + '\npath "kv/secret" {\n  capabilities = ["read"]\n}\n')
    )


@pytest.mark.parametrize("key", ["token_policies", "bound_audiences", "bound_claims", "token_max_ttl"])
def test_another_login_is_not_within(locked: LockedDocuments, key: str) -> None:
    (mount, name), role = min(locked.auth_roles.items())
    changed = {**role.settings, key: ["other"]}
    assert key in str(locked.judge_auth_role(mount, name, changed))
    assert "policies" in str(locked.judge_auth_role(mount, name, {**role.settings, "policies": ["admin"]}))
    assert locked.judge_auth_role(mount, name, {**role.settings, "policies": []}) is None
    less = {k: v for k, v in role.settings.items() if k != key}
    assert key in str(locked.judge_auth_role(mount, name, less))


def test_without_a_lock_nothing_can_be_judged(stacks: Path) -> None:
    lock_file(stacks, "dev").unlink()
    with pytest.raises(LockError):
        LockedDocuments.read(load_environment(stacks, "dev"), lock_file(stacks, "dev"))
