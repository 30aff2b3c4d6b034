"""A login is bound to one agent of one workflow in one environment, and to the users it may act for."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from narrowgate.compile import CompileError, compile_plan
from narrowgate.compile.identity import compile_identity
from narrowgate.declarations import load_environment, load_plan
from narrowgate.plan import AccessPlan, Environment, KubernetesBinding, WorkflowAccess, WorkflowBinding

STACKS = Path(__file__).resolve().parents[2] / "stacks"


@pytest.fixture(scope="module")
def plan() -> AccessPlan:
    return load_plan(STACKS, load_environment(STACKS, "dev"))


@pytest.fixture
def environment(plan: AccessPlan) -> Environment:
    return plan.environment


@pytest.fixture
def workflow(plan: AccessPlan) -> WorkflowAccess:
    return plan.workflows[0]


def test_a_login_names_agent_user_groups_and_audience(workflow: WorkflowAccess, environment: Environment) -> None:
    mount, role, _ = compile_identity(workflow, environment, ())
    assert (mount.path, mount.type) == ("agents/incident-summarization", "jwt")
    assert role.settings["bound_claims"] == {"/act/sub": "agent:incident-summarization", "/groups": ["on-call"]}
    assert role.settings["bound_audiences"] == ["narrowgate:dev:incident-summarization"]
    assert (role.settings["user_claim"], role.settings["user_claim_json_pointer"]) == ("/sub", True)


def test_a_login_lives_as_declared_and_has_no_default_policy(
    workflow: WorkflowAccess, environment: Environment
) -> None:
    _, role, policy = compile_identity(workflow, environment, ("tool.x.y",))
    assert (role.settings["token_ttl"], role.settings["token_max_ttl"]) == (900, 3600)
    assert role.settings["token_no_default_policy"] is True
    assert role.settings["token_policies"] == [policy.name, "tool.x.y"]
    assert max(role.settings[f"{name}_leeway"] for name in ("clock_skew", "expiration", "not_before")) <= 5


def test_a_scheduled_workflow_is_bound_to_itself_and_acts_for_nobody(
    workflow: WorkflowAccess, environment: Environment
) -> None:
    scheduled = dataclasses.replace(workflow, requesters=())
    _, role, _ = compile_identity(scheduled, environment, ())
    assert role.settings["bound_claims"] == {"/sub": "agent:incident-summarization"}


def test_claims_stand_where_the_environment_says(workflow: WorkflowAccess, environment: Environment) -> None:
    identity = dataclasses.replace(
        environment.identity, user_claim="/user/id", agent_claim="/client", groups_claim="/roles", jwks_url=None,
        public_keys=("-----BEGIN PUBLIC KEY-----",),
    )  # fmt: skip
    mount, role, _ = compile_identity(workflow, dataclasses.replace(environment, identity=identity), ())
    assert role.settings["user_claim"] == "/user/id"
    assert sorted(role.settings["bound_claims"]) == ["/client", "/roles"]
    assert mount.config == {
        "bound_issuer": "https://idp.example.com",
        "jwt_validation_pubkeys": ["-----BEGIN PUBLIC KEY-----"],
    }


def test_an_unknown_kind_of_login_is_refused(workflow: WorkflowAccess, environment: Environment) -> None:
    with pytest.raises(CompileError, match="no login by `password`"):
        compile_identity(dataclasses.replace(workflow, identity="password"), environment, ())


def test_a_gated_action_reaches_no_document_of_the_agent(plan: AccessPlan) -> None:
    documents = compile_plan(plan)
    vendor = next(w for w in documents.workflows if w.access.name == "vendor-onboarding")
    (tool,) = (tool for tool in vendor.tools if tool.access.tool == "vendors")
    assert tool.postgres is not None
    assert tool.postgres.functions == ()
    assert all(table["privilege"] == "SELECT" for table in tool.postgres.tables)
    assert "create_vendor" not in str(tool.postgres) + str(tool.policy)


def test_a_tool_whose_every_action_is_gated_has_no_path_at_all(plan: AccessPlan) -> None:
    vendor = next(w for w in plan.workflows if w.name == "vendor-onboarding")
    only_gated = tuple(
        dataclasses.replace(tool, actions=tool.gated) if tool.tool == "vendors" else tool for tool in vendor.tools
    )
    documents = compile_plan(AccessPlan(plan.environment, (dataclasses.replace(vendor, tools=only_gated),)))
    (workflow,) = documents.workflows
    tool = next(t for t in workflow.tools if t.access.tool == "vendors")
    assert (tool.policy, tool.postgres, tool.aws, tool.credential_path) == (None, None, None, None)
    assert workflow.manifest["tools"]["vendors"]["path"] is None
    assert "connection" not in workflow.manifest["tools"]["vendors"]
    assert workflow.auth_role.settings["token_policies"] == [
        "agent.vendor-onboarding",
        "tool.vendor-onboarding.documents",
    ]


def test_no_document_of_dev_says_anything_of_another_environment(plan: AccessPlan) -> None:
    prod = dataclasses.replace(plan.environment, name="prod")
    ours = {w.access.name: w for w in compile_plan(plan).workflows}
    theirs = {w.access.name: w for w in compile_plan(AccessPlan(prod, plan.workflows)).workflows}
    for name, workflow in ours.items():
        key = "role_id" if workflow.access.identity == "approle" else "bound_audiences"
        assert workflow.auth_role.settings[key] != theirs[name].auth_role.settings[key]
        for tool, other in zip(workflow.tools, theirs[name].tools, strict=True):
            if tool.aws is not None and other.aws is not None:
                assert (tool.aws.role.name, tool.aws.role.path) != (other.aws.role.name, other.aws.role.path)
            if tool.postgres is not None and other.postgres is not None:
                assert tool.postgres.group_role != other.postgres.group_role


def bind(environment: Environment, **values: object) -> Environment:
    binding = WorkflowBinding("incident-summarization", **values)  # type: ignore[arg-type]
    return dataclasses.replace(
        environment, workflows=(binding,), kubernetes=KubernetesBinding("https://10.0.0.1:6443", "CA")
    )


def test_a_service_account_logs_in_for_one_workflow(workflow: WorkflowAccess, environment: Environment) -> None:
    scheduled = dataclasses.replace(workflow, identity="kubernetes", requesters=())
    bound = bind(environment, namespace="agents", service_account="incidents")
    mount, role, _ = compile_identity(scheduled, bound, ())
    assert (mount.type, mount.config["kubernetes_ca_cert"]) == ("kubernetes", "CA")
    assert role.settings["bound_service_account_names"] == ["incidents"]
    assert role.settings["bound_service_account_namespaces"] == ["agents"]
    assert role.settings["audience"] == "narrowgate:dev:incident-summarization"


def test_an_approle_needs_a_secret_id_that_works_once(workflow: WorkflowAccess, environment: Environment) -> None:
    scheduled = dataclasses.replace(workflow, identity="approle", requesters=())
    _, role, _ = compile_identity(scheduled, bind(environment, cidrs=("10.0.0.0/8",)), ())
    assert (role.settings["bind_secret_id"], role.settings["secret_id_num_uses"]) == (True, 1)
    assert role.settings["secret_id_ttl"] <= 300
    assert role.settings["token_bound_cidrs"] == ["10.0.0.0/8"]


def test_an_iam_role_logs_in_to_this_vault_only(workflow: WorkflowAccess, environment: Environment) -> None:
    scheduled = dataclasses.replace(workflow, identity="aws", requesters=())
    arn = "arn:aws:iam::111111111111:role/incidents"
    mount, role, _ = compile_identity(scheduled, bind(environment, principal_arn=arn), ())
    assert mount.config["iam_server_id_header_value"] == "vault.dev.example.com"
    assert mount.config["sts_endpoint"] == "https://sts.eu-central-1.amazonaws.com"
    assert role.settings["bound_iam_principal_arn"] == [arn]
    assert role.settings["resolve_aws_unique_ids"] is True


@pytest.mark.parametrize("kind", ["kubernetes", "aws"])
def test_a_login_that_the_environment_does_not_bind_is_refused(
    workflow: WorkflowAccess, environment: Environment, kind: str
) -> None:
    with pytest.raises(CompileError, match="does not bind"):
        compile_identity(dataclasses.replace(workflow, identity=kind, requesters=()), environment, ())


@pytest.mark.parametrize("kind", ["kubernetes", "approle", "aws"])
def test_a_login_without_a_user_acts_for_nobody(workflow: WorkflowAccess, environment: Environment, kind: str) -> None:
    bound = bind(environment, namespace="a", service_account="b", principal_arn="c")
    with pytest.raises(CompileError, match="carries no user"):
        compile_identity(dataclasses.replace(workflow, identity=kind), bound, ())
