"""What the components register, seen through Pulumi's mocks: types, names, documents, order, secrets."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pulumi
import pytest
from component_mocks import list_earlier, run
from narrowgate_pulumi import AgentWorkflow, Deployer, Environment, GatedAction, ToolAccess
from narrowgate_pulumi.access_keys import AccessKey
from narrowgate_pulumi.gate import BrokerKeyMissingError

from narrowgate.compile import compile_plan
from narrowgate.declarations import load_environment, load_plan

if TYPE_CHECKING:
    from component_mocks import Monitor, Recorder

    from narrowgate.compile.documents import PlanDocuments, WorkflowDocuments

STACKS = Path(__file__).resolve().parents[2] / "stacks"
STACK = "narrowgate-dev"  # the stack of the mocks, which registers outputs too


def drop_nulls(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Outputs hold no nulls inside mappings."""
    if isinstance(value, dict):
        return {key: drop_nulls(part) for key, part in value.items() if part is not None}
    return [drop_nulls(part) for part in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def documents() -> PlanDocuments:
    environment = load_environment(STACKS, "dev")
    return compile_plan(load_plan(STACKS, environment))


def build(workflow: WorkflowDocuments) -> tuple[Recorder, Monitor]:
    return run(lambda: AgentWorkflow(workflow.access.name, {"documents": workflow}) and None)


def find(documents: PlanDocuments, name: str) -> WorkflowDocuments:
    return next(w for w in documents.workflows if w.access.name == name)


def test_a_workflow_registers_its_documents_as_they_are(documents: PlanDocuments) -> None:
    workflow = find(documents, "incident-summarization")
    recorder, _ = build(workflow)
    logs = next(tool for tool in workflow.tools if tool.access.tool == "logs")
    role = recorder.made["aws:iam/role:Role", "incident-summarization.logs-role"]
    assert json.loads(role["assumeRolePolicy"]) == logs.aws.role.trust_policy
    assert (role["name"], role["path"]) == (logs.aws.role.name, logs.aws.role.path)
    assert role["permissionsBoundary"] == logs.aws.role.boundary_arn
    for name, document in logs.aws.role.policies.items():
        inline = recorder.made["aws:iam/rolePolicy:RolePolicy", f"incident-summarization.logs-{name}"]
        assert json.loads(inline["policy"]) == document
        assert inline["role"] == logs.aws.role.name
    texts = {r["name"]: r["policy"] for (t, _), r in recorder.made.items() if t == "vault:index/policy:Policy"}
    declared = (workflow.agent_policy, *(tool.policy for tool in workflow.tools), *(g.policy for g in workflow.gated))
    assert texts == {p.name: p.text for p in declared}


def test_every_tool_has_identities_of_its_own(documents: PlanDocuments) -> None:
    recorder, _ = run(lambda: [AgentWorkflow(w.access.name, {"documents": w}) for w in documents.workflows] and None)
    minted = [m for w in documents.workflows for g in w.gated for _, m in g.mints]
    holders = [*(t for w in documents.workflows for t in w.tools), *minted]
    for kind, key, wanted in (
        ("aws:iam/role:Role", "name", [h.aws for h in holders if h.aws]),
        ("pulumi-python:dynamic/narrowgate:PostgresAccess", "group", [h.postgres for h in holders if h.postgres]),
    ):
        names = [inputs[key] for (typ, _), inputs in recorder.made.items() if typ == kind]
        assert len(names) == len(set(names)) == len(wanted) > 0


def test_a_gated_action_is_asked_for_only_once_its_control_group_is_in_force(documents: PlanDocuments) -> None:
    """Deletion runs the other way: the login of a request goes first."""
    workflow = find(documents, "vendor-onboarding")
    recorder, monitor = build(workflow)
    needs = {name: {d.rsplit("::", 1)[-1] for d in r.dependencies} for name, r in monitor.requests.items()}
    name = "vendor-onboarding.vendors.create"
    assert needs[f"{name}-login"] == {f"{name}-policy"}
    assert needs[f"{name}-policy"] >= {f"{name}-vault-role", f"{name}-reader-vault-role"}
    gated = workflow.gated[0]
    login = recorder.made["vault:jwt/authBackendRole:AuthBackendRole", f"{name}-login"]
    assert (login["tokenPolicies"], login["tokenNumUses"]) == ([gated.policy.name], 3)
    group = recorder.made["pulumi-python:dynamic/narrowgate:PostgresAccess", f"{name}-group"]
    assert (group["tables"], group["functions"]) == ([], list(gated.minted.postgres.functions))


def arguments_of(documents: PlanDocuments, passwords: dict[str, str]) -> Any:  # noqa: ANN401 - a typed dict
    key = AccessKey("AKIAEXAMPLE", "sesame-1234")
    arguments = {"environment": documents.environment, "documents": documents.foundation, "passwords": passwords}
    return {**arguments, "gated_broker": key}


def test_the_gates_foundation_writes_no_member_of_a_group(documents: PlanDocuments) -> None:
    foundation = documents.foundation
    passwords = {str(c["name"]): "swordfish-1234" for c in foundation.database_connections}
    arguments = arguments_of(documents, passwords)
    recorder, _ = run(lambda: Environment("dev", arguments) and None)
    groups = [r for (typ, _), r in recorder.made.items() if typ == "vault:identity/group:Group"]
    assert {g["name"] for g in groups} == set(foundation.approvals.groups)
    assert all(g["type"] == "external" and g.keys() <= {"name", "type"} for g in groups)
    stores = {
        r["mount"]: r for (typ, _), r in recorder.made.items() if typ == "vault:kv/secretBackendV2:SecretBackendV2"
    }
    assert all(stores[path]["casRequired"] is True for path in foundation.approvals.stores)


def test_the_login_opens_last(documents: PlanDocuments) -> None:
    """Deletion runs the other way: the mount goes first, and takes logins and leases with it."""
    workflow = find(documents, "ticket-drafting")
    _, monitor = build(workflow)
    earlier = list_earlier(monitor)
    tools = {f"ticket-drafting.{tool}" for tool in ("incidents", "tickets")}
    assert "ticket-drafting-auth" in earlier["ticket-drafting-auth-role"]
    assert earlier["ticket-drafting-auth"] >= {f"{tool}-vault-role" for tool in tools}
    assert earlier["ticket-drafting-auth"] >= {f"{tool}-policy" for tool in tools} | {"ticket-drafting-policy"}
    for tool in tools:
        assert earlier[f"{tool}-vault-role"] == {f"{tool}-group"}
        assert earlier[f"{tool}-policy"] == {f"{tool}-vault-role", f"{tool}-group"}


def test_a_role_and_its_policies_come_before_vault_may_assume_it(documents: PlanDocuments) -> None:
    _, monitor = build(find(documents, "incident-summarization"))
    needs = {d.rsplit("::", 1)[-1] for d in monitor.requests["incident-summarization.logs-vault-role"].dependencies}
    assert "incident-summarization.logs-role" in needs
    assert len(needs) >= 2


def test_a_tool_whose_every_action_is_gated_makes_nothing(documents: PlanDocuments) -> None:
    workflow = find(documents, "vendor-onboarding")
    gated = replace(
        workflow,
        tools=tuple(replace(tool, policy=None, aws=None, postgres=None) for tool in workflow.tools),
        gated=(),
    )
    recorder, _ = build(gated)
    kinds = sorted(typ for typ, _ in recorder.made if not typ.startswith("narrowgate:"))
    assert kinds == [
        "vault:generic/endpoint:Endpoint",  # the key of its ledger
        "vault:index/policy:Policy",
        "vault:jwt/authBackend:AuthBackend",
        "vault:jwt/authBackendRole:AuthBackendRole",
    ]


def test_components_register_outputs_and_know_their_parents(documents: PlanDocuments) -> None:
    workflow = find(documents, "ticket-drafting")
    _, monitor = build(workflow)
    components = {n for n, r in monitor.requests.items() if r.type.startswith("narrowgate:index:")}
    assert components == monitor.outputs.keys() - {STACK} == {"ticket-drafting"}
    parents = {r.parent.rsplit("::", 1)[-1] for n, r in monitor.requests.items() if n != "ticket-drafting" and r.custom}
    assert parents == {"ticket-drafting"}
    manifest = pulumi.runtime.rpc.deserialize_properties(monitor.outputs["ticket-drafting"].outputs)["manifest"]
    assert manifest == drop_nulls(json.loads(json.dumps(workflow.manifest)))


@pytest.mark.parametrize("kind", ["tool", "action"])
def test_a_tool_or_an_action_alone_is_a_component_of_the_same_resources(documents: PlanDocuments, kind: str) -> None:
    workflow = find(documents, "vendor-onboarding")
    whole, _ = build(workflow)
    tool, gated = next(tool for tool in workflow.tools if tool.postgres), workflow.gated[0]
    name = f"vendor-onboarding.{tool.access.tool}" if kind == "tool" else "vendor-onboarding.vendors.create"

    def program() -> None:
        component = ToolAccess(name, {"documents": tool}) if kind == "tool" else GatedAction(name, {"documents": gated})
        assert isinstance(component.credential_path, pulumi.Output)

    alone, monitor = run(program)
    assert monitor.outputs.keys() - {STACK} == {name}
    made = {key: inputs for key, inputs in alone.made.items() if not key[0].startswith("narrowgate:")}
    assert len(made) >= 3
    assert made.items() <= whole.made.items()
    parents = {r.parent.rsplit("::", 1)[-1] for n, r in monitor.requests.items() if n != name and r.custom}
    assert parents == {name}


def test_claims_with_a_comma_are_refused(documents: PlanDocuments) -> None:
    workflow = find(documents, "ticket-drafting")
    claims = {"/groups": ["service-desk", "a,b"]}
    torn = replace(
        workflow,
        auth_role=replace(workflow.auth_role, settings={**workflow.auth_role.settings, "bound_claims": claims}),
    )
    with pytest.raises(Exception, match="several values"):
        build(torn)


def test_several_accepted_groups_become_one_text(documents: PlanDocuments) -> None:
    workflow = find(documents, "ticket-drafting")
    claims = {"/act/sub": "agent:x", "/groups": ["a", "b"]}
    several = replace(
        workflow,
        auth_role=replace(workflow.auth_role, settings={**workflow.auth_role.settings, "bound_claims": claims}),
    )
    recorder, _ = build(several)
    role = recorder.made["vault:jwt/authBackendRole:AuthBackendRole", "ticket-drafting-auth-role"]
    assert role["boundClaims"] == {"/act/sub": "agent:x", "/groups": "a,b"}


def test_the_provider_of_postgres_access_is_a_reference(documents: PlanDocuments) -> None:
    """A code change must not show as a change of every resource, so no code may stand in the state."""
    recorder, _ = build(find(documents, "ticket-drafting"))
    texts = {
        inputs["__provider"]
        for (typ, _), inputs in recorder.made.items()
        if typ == "pulumi-python:dynamic/narrowgate:PostgresAccess"
    }
    assert len(texts) == 1
    pickled = base64.b64decode(texts.pop())
    assert b"narrowgate_pulumi.postgres" in pickled
    assert len(pickled) < 200


def test_a_database_password_is_secret_and_write_only(documents: PlanDocuments) -> None:
    foundation = documents.foundation
    passwords = {str(c["name"]): "swordfish-1234" for c in foundation.database_connections}
    arguments = arguments_of(documents, passwords)
    recorder, monitor = run(lambda: Environment("dev", arguments) and None)
    request = monitor.requests["dev-database-operations"]
    block = request.object.fields["postgresql"].struct_value.fields
    marks = {field.string_value for field in block["passwordWo"].struct_value.fields.values()}
    assert "swordfish-1234" in marks
    assert pulumi.runtime.rpc._special_secret_sig in marks  # noqa: SLF001 - the wire's own mark of a secret
    assert "password" not in block
    secret = {"dev-database-operations", "dev-database-gated-operations"}
    rest = {name: str(r.object) for name, r in monitor.requests.items() if name not in secret}
    assert not [name for name, text in rest.items() if "swordfish" in text]
    assert (
        recorder.made["vault:aws/secretBackend:SecretBackend", "dev-aws"].keys().isdisjoint({"accessKey", "secretKey"})
    )


def test_the_key_of_the_gated_broker_is_secret_and_write_only_and_must_be_given(documents: PlanDocuments) -> None:
    passwords = {str(c["name"]): "x" for c in documents.foundation.database_connections}
    arguments = arguments_of(documents, passwords)
    _, monitor = run(lambda: Environment("dev", arguments) and None)
    fields = monitor.requests["dev-aws-gated"].object.fields
    marks = {field.string_value for field in fields["secretKeyWo"].struct_value.fields.values()}
    assert {"sesame-1234", pulumi.runtime.rpc._special_secret_sig} <= marks  # noqa: SLF001 - the wire's own mark
    assert "secretKey" not in fields
    assert not [n for n, r in monitor.requests.items() if n != "dev-aws-gated" and "sesame" in str(r.object)]
    del arguments["gated_broker"]
    with pytest.raises(BrokerKeyMissingError):
        run(lambda: Environment("dev", arguments) and None)


def test_the_foundation_has_the_boundary_before_any_role(documents: PlanDocuments) -> None:
    foundation = documents.foundation
    passwords = {str(c["name"]): "x" for c in foundation.database_connections}
    arguments = arguments_of(documents, passwords)
    recorder, _ = run(lambda: Environment("dev", arguments) and None)
    boundary = recorder.made["aws:iam/policy:Policy", "dev-boundary"]
    assert json.loads(boundary["policy"]) == foundation.boundary_policy
    aws = documents.environment.aws
    arn = f"arn:{aws.partition}:iam::{aws.account}:policy{boundary['path']}{boundary['name']}"
    assert {t.aws.role.boundary_arn for w in documents.workflows for t in w.tools if t.aws} == {arn}


def test_ci_gets_its_identities_as_they_are(documents: PlanDocuments) -> None:
    ci = documents.foundation.deployer
    assert ci is not None
    recorder, monitor = run(lambda: Deployer("dev-ci", {"documents": ci}) and None)
    provider = recorder.made["aws:iam/openIdConnectProvider:OpenIdConnectProvider", "dev-ci-provider"]
    assert (provider["url"], provider["clientIdLists"]) == (ci.issuer, [ci.provider_audience])
    for identity in (ci.deployer, ci.preview):
        prefix = f"dev-ci-{identity.kind}"
        role = recorder.made["aws:iam/role:Role", f"{prefix}-role"]
        assert json.loads(role["assumeRolePolicy"]) == identity.role.trust_policy
        assert (role["name"], role["path"]) == (identity.role.name, identity.role.path)
        ((name, document),) = identity.role.policies.items()
        inline = recorder.made["aws:iam/rolePolicy:RolePolicy", f"{prefix}-{name}-policy"]
        assert (inline["role"], json.loads(inline["policy"])) == (identity.role.name, document)
        policy = recorder.made["vault:index/policy:Policy", f"{prefix}-vault-policy"]
        assert (policy["name"], policy["policy"]) == (identity.policy.name, identity.policy.text)
        login = recorder.made["vault:jwt/authBackendRole:AuthBackendRole", f"{prefix}-login"]
        assert (login["backend"], login["boundSubject"]) == (
            ci.auth_mount.path,
            identity.auth_role.settings["bound_subject"],
        )
        before = {urn.rsplit("::", 1)[-1] for urn in monitor.requests[f"{prefix}-login"].dependencies}
        assert {"dev-ci-auth", f"{prefix}-vault-policy"} <= before


def test_an_oidc_provider_that_exists_is_adopted(documents: PlanDocuments) -> None:
    ci = documents.foundation.deployer
    assert ci is not None
    recorder, _ = run(lambda: Deployer("dev-ci", {"documents": replace(ci, adopt_provider=True)}) and None)
    assert not [name for kind, name in recorder.made if "openIdConnectProvider" in kind]
    assert ("aws:iam/role:Role", "dev-ci-deployer-role") in recorder.made
