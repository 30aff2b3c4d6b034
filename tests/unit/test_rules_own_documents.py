"""What our compilers make keeps every rule, whatever the backend; and a document changed by hand does not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from narrowgate.access.lock import LockError
from narrowgate.access.locked import LockedDocuments
from narrowgate.compile import compile_plan
from narrowgate.declarations import load_environment, load_plan
from narrowgate.rules import judge, settings_of
from narrowgate.rules.documents import facts_of_documents
from narrowgate.rules.facts import VaultPolicy

if TYPE_CHECKING:
    from narrowgate.compile.documents import PlanDocuments

ROOT = Path(__file__).resolve().parents[2]
PLANS = {"dev": ROOT / "stacks", "test": ROOT / "tests" / "golden" / "catalogue"}


@pytest.fixture(params=PLANS)
def plan(request: pytest.FixtureRequest) -> PlanDocuments:
    folder = PLANS[request.param]
    return compile_plan(load_plan(folder, load_environment(folder, request.param)))


def test_compiled_documents_keep_every_rule(plan: PlanDocuments) -> None:
    facts = facts_of_documents(plan)
    assert len(facts) > 10
    assert judge(facts, settings_of(plan.environment, LockedDocuments.of_documents(plan))) == []


def test_without_a_lock_every_grant_is_refused(plan: PlanDocuments) -> None:
    settings = settings_of(plan.environment, LockError("there is no access lock", hint="write it"))
    found = judge(facts_of_documents(plan), settings)
    assert {finding.rule for finding in found} == {"access-within-lock"}
    assert len(found) > len(plan.workflows) * 3
    assert {finding.fix for finding in found} == {"write it"}


def test_a_workflow_that_the_lock_lacks_is_refused(plan: PlanDocuments) -> None:
    first, *others = plan.workflows
    lock = LockedDocuments.of_documents(replace(plan, workflows=tuple(others)))
    found = judge(facts_of_documents(plan), settings_of(plan.environment, lock))
    assert found
    assert all(first.access.name in finding.resource for finding in found)


def test_a_role_of_one_workflow_given_to_another_is_refused(plan: PlanDocuments) -> None:
    facts = facts_of_documents(plan)
    policies = [fact for fact in facts if isinstance(fact, VaultPolicy) and fact.name.startswith("tool.")]
    stolen = replace(policies[0], at="stolen", name="tool.thief.documents")
    found = {finding.rule for finding in judge([*facts, stolen], settings_of(plan.environment))}
    assert {"workflow-no-shared-identity", "vault-policy-own-paths"} <= found


@pytest.mark.parametrize(
    ("path", "capabilities", "kept"),
    [
        ("narrowgate-ledger/data/{workflow}/{{identity.entity.id}}/+", ["create"], True),
        ("narrowgate-ledger/data/{workflow}/{{identity.entity.id}}/+", ["create", "update"], False),
        ("narrowgate-ledger/data/{workflow}/{{identity.entity.id}}/*", ["create"], False),
        ("narrowgate-ledger/data/{workflow}/+", ["create"], False),
        ("narrowgate-ledger/data/another/{{identity.entity.id}}/+", ["create"], False),
        ("+/data/{workflow}/{{identity.entity.id}}/+", ["create"], False),
    ],
)
def test_a_pattern_is_kept_only_where_a_login_creates_below_its_own_entity(
    plan: PlanDocuments, path: str, capabilities: list[str], *, kept: bool
) -> None:
    workflow = plan.workflows[0].access.name
    quoted = ", ".join(f'"{capability}"' for capability in capabilities)
    text = f'path "{path.replace("{workflow}", workflow)}" {{\n  capabilities = [{quoted}]\n}}\n'
    policy = VaultPolicy(at="here", name=f"agent.{workflow}", text=text)
    found = {finding.rule for finding in judge([policy], settings_of(plan.environment))}
    assert ("vault-policy-own-paths" not in found) == kept
