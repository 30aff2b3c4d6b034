"""Every binding of an environment is stated in the lock, or left out on purpose: a new one must choose."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest

from narrowgate.access.diff import Kind, compare_plans
from narrowgate.access.lock import read_lock, write_lock
from narrowgate.declarations import load_environment, load_plan
from narrowgate.plan import KubernetesBinding, PageBinding, WorkflowBinding

if TYPE_CHECKING:
    from pathlib import Path

    from _typeshed import DataclassInstance

    from narrowgate.plan import AccessPlan

# A change of these is a change of access, so the lock states them.
STATED = {
    "name",
    "aws.account",
    "aws.broker_arn",
    "aws.gated_broker_arn",
    "approvals.groups",
    "approvals.page.url",
    "approvals.page.client_id",
    "aws.session_tags",
    "vault.namespace",
    "vault.aws_mount",
    "vault.database_mount",
    "vault.auth_prefix",
    "vault.kv_mount",
    "vault.pki_mount",
    "vault.revocations_mount",
    "vault.signing_key",
    "vault.ci_mount",
    "deployer.issuer",
    "deployer.audience",
    "deployer.subject",
    "deployer.claims",
    "deployer.preview_subject",
    "deployer.preview_claims",
    "operator.groups",
    "operator.aws_principal",
    "vault.operator_mount",
    "identity.issuer",
    "identity.user_claim",
    "identity.agent_claim",
    "identity.groups_claim",
    "identity.agent_prefix",
    "identity.audience_prefix",
    "kubernetes.host",
    "workflows",
    "tools",  # their databases; buckets and the like stand in the grants
}
# Addresses, certificates and keys move without a change of access; region and partition stand in the ARNs; the external
# id is a second lock on the broker's door; limits cap what the plan already says; who made a mount opens it to nobody.
LEFT_OUT = {
    "aws.region",
    "aws.partition",
    "aws.external_id",
    "aws.endpoint_url",
    "vault.address",
    "vault.adopt",
    "vault.ca_pem",
    "vault.audit",
    "identity.jwks_url",
    "identity.public_keys",
    "kubernetes.ca_pem",
    "deployer.jwks_url",
    "deployer.public_keys",
    "deployer.adopt_provider",
    "approvals.page.discovery_url",
    "approvals.page.scopes",
    "limits",
    # who is watched how is not who may do what
    "trail.organization_trail_arn",
    "trail.bucket",
    "trail.access_log_bucket",
    "trail.data_events",
    "trail.retention_days",
    "trail.lock_days",
    "trail.lock_mode",
    "trail.notify",
}
WHOLE = {"tools", "workflows", "limits"}


@pytest.fixture
def plan(stacks: Path) -> AccessPlan:
    plan = load_plan(stacks, load_environment(stacks, "dev"))
    assert plan.environment.approvals is not None
    page = PageBinding("https://approvals.example.com", "approvals", "https://idp.example.com")
    return replace(
        plan,
        environment=replace(
            plan.environment,
            kubernetes=KubernetesBinding("https://cluster", "ca"),
            approvals=replace(plan.environment.approvals, page=page),
        ),
    )


def list_fields(value: DataclassInstance, prefix: str = "") -> set[str]:
    found: set[str] = set()
    for field in fields(value):
        inner = getattr(value, field.name)
        name = f"{prefix}{field.name}"
        found |= list_fields(inner, f"{name}.") if is_dataclass(inner) and name not in WHOLE else {name}
    return found


def test_every_binding_is_stated_or_left_out(plan: AccessPlan) -> None:
    assert list_fields(plan.environment) == STATED | LEFT_OUT


def change(bindings: Any, name: str) -> Any:  # noqa: ANN401 - a dataclass of any depth
    key, _, inner = name.partition(".")
    value = getattr(bindings, key)
    other: object = (
        change(value, inner)
        if inner
        else not value
        if isinstance(value, bool)
        else ("elsewhere",)
        if isinstance(value, tuple)
        else "elsewhere"
    )
    return replace(bindings, **{key: other})


def test_a_page_on_the_approvers_own_machine_lets_nobody_in(plan: AccessPlan) -> None:
    approvals = plan.environment.approvals
    assert approvals is not None
    local = replace(approvals, page=PageBinding("http://127.0.0.1:8400", "approvals", "https://idp.example.com"))
    none = replace(approvals, page=None)
    locks = [write_lock(replace(plan, environment=replace(plan.environment, approvals=each))) for each in (local, none)]
    assert locks[0] == locks[1] != write_lock(plan)


@pytest.mark.parametrize("name", sorted((STATED | LEFT_OUT) - WHOLE))
def test_a_change_shows_in_the_lock_exactly_if_it_is_stated(plan: AccessPlan, name: str) -> None:
    changed = replace(plan, environment=change(plan.environment, name))
    assert (write_lock(changed) != write_lock(plan)) is (name in STATED)
    comparison = compare_plans(plan, changed)
    if name == "name":
        assert comparison.notes
    else:
        assert (comparison.no_new_access is not True) is (name in STATED)


def bind(plan: AccessPlan, *agents: WorkflowBinding) -> AccessPlan:
    return replace(plan, environment=replace(plan.environment, workflows=agents))


NAME = "ticket-drafting"
POD = WorkflowBinding(NAME, namespace="agents", service_account="tickets")
ROLE = WorkflowBinding(NAME, principal_arn="arn:aws:iam::111111111111:role/agent")
NETWORK = WorkflowBinding(NAME, cidrs=("10.0.0.0/16",))


@pytest.mark.parametrize("agent", [POD, ROLE, NETWORK])
def test_who_the_agent_is_reads_back(plan: AccessPlan, agent: WorkflowBinding) -> None:
    bound = bind(plan, agent, WorkflowBinding("not-planned", namespace="x"))
    lock = read_lock(write_lock(bound))
    assert lock.agents == (agent,)
    assert compare_plans(lock, bound).changes == ()


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        (POD, replace(POD, service_account="other"), Kind.GAIN),
        (POD, replace(POD, namespace="other"), Kind.GAIN),
        (ROLE, replace(ROLE, principal_arn="arn:aws:iam::111111111111:role/other"), Kind.GAIN),
        (WorkflowBinding(NAME), POD, Kind.GAIN),
        (NETWORK, replace(NETWORK, cidrs=("10.0.3.0/24", "10.0.4.1/32")), Kind.LOSS),
        (NETWORK, replace(NETWORK, cidrs=("10.0.3.0/24", "192.168.0.0/24")), Kind.GAIN),
        (NETWORK, replace(NETWORK, cidrs=("::/0",)), Kind.GAIN),
        (NETWORK, WorkflowBinding(NAME), Kind.GAIN),
        (WorkflowBinding(NAME), NETWORK, Kind.LOSS),
    ],
)
def test_another_agent_is_new_access(plan: AccessPlan, old: WorkflowBinding, new: WorkflowBinding, kind: Kind) -> None:
    comparison = compare_plans(bind(plan, old), bind(plan, new))
    assert [(c.workflow, c.kind) for c in comparison.changes] == [(NAME, kind)]
    assert comparison.no_new_access is (kind is not Kind.GAIN)
