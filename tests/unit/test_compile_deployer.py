"""What CI's identities may do in AWS and Vault, decided by evaluating their compiled documents."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from narrowgate.access import iam, vault
from narrowgate.compile import compile_plan, names
from narrowgate.compile.deployer import ROLE_WRITES, compile_deployer
from narrowgate.compile.iam_conditions import check_conditions
from narrowgate.compile.iam_policy import INLINE_TOTAL, document_size
from narrowgate.declarations import load_environment, load_plan

if TYPE_CHECKING:
    from narrowgate.compile.documents import DeployerDocuments, SystemIdentity

STACKS = Path(__file__).resolve().parents[2] / "stacks"
ENVIRONMENT = load_environment(STACKS, "dev")
ACCOUNT = ENVIRONMENT.aws.account
TOOL_ROLE = f"arn:aws:iam::{ACCOUNT}:role/narrowgate/dev/tool/ng-dev-x-y-00000000"
BOUNDARY = names.boundary_arn("aws", ACCOUNT, "dev")
UNDER = {"iam:PermissionsBoundary": BOUNDARY}


@pytest.fixture
def made() -> DeployerDocuments:
    documents = compile_deployer(ENVIRONMENT)
    assert documents is not None
    return documents


def allows(
    identity: SystemIdentity, action: str, resource: str = TOOL_ROLE, context: dict[str, str] | None = None
) -> bool:
    return iam.evaluate(list(identity.role.policies.values()), action, resource, context).allowed


def test_no_binding_makes_no_identity() -> None:
    assert compile_deployer(replace(ENVIRONMENT, deployer=None)) is None


@pytest.mark.parametrize("action", ROLE_WRITES)
def test_the_deployer_changes_roles_under_the_boundary_only(made: DeployerDocuments, action: str) -> None:
    assert allows(made.deployer, action, context=UNDER)
    assert not allows(made.deployer, action)
    assert not allows(made.deployer, action, context={"iam:PermissionsBoundary": f"{BOUNDARY}-wide"})
    assert not allows(made.deployer, action, f"arn:aws:iam::{ACCOUNT}:role/ng-dev-x", UNDER)
    assert not allows(made.deployer, action, f"arn:aws:iam::{ACCOUNT}:role/narrowgate/prod/tool/ng-prod-x", UNDER)
    assert not allows(made.deployer, action, made.deployer.role.arn("aws", ACCOUNT), UNDER)
    assert not allows(made.preview, action, context=UNDER)


def test_aws_tells_the_boundary_of_each_change_of_a_role() -> None:
    assert list(check_conditions(list(ROLE_WRITES), {"StringEquals": {"iam:PermissionsBoundary": BOUNDARY}})) == []


@pytest.mark.parametrize(
    ("action", "resource"),
    [
        ("iam:CreatePolicyVersion", BOUNDARY),
        ("iam:DeletePolicy", BOUNDARY),
        ("iam:SetDefaultPolicyVersion", BOUNDARY),
        ("iam:DeleteRolePermissionsBoundary", TOOL_ROLE),
        ("iam:AttachRolePolicy", TOOL_ROLE),
        ("iam:PassRole", TOOL_ROLE),
        ("sts:AssumeRole", TOOL_ROLE),
        ("iam:PutUserPolicy", ENVIRONMENT.aws.broker_arn),
        ("iam:CreateAccessKey", ENVIRONMENT.aws.broker_arn),
        ("iam:DeleteUser", ENVIRONMENT.aws.broker_arn),
        ("iam:UpdateOpenIDConnectProviderThumbprint", f"arn:aws:iam::{ACCOUNT}:oidc-provider/x"),
        ("iam:AddClientIDToOpenIDConnectProvider", f"arn:aws:iam::{ACCOUNT}:oidc-provider/x"),
        ("cloudtrail:StopLogging", f"arn:aws:cloudtrail:eu-central-1:{ACCOUNT}:trail/x"),
        ("cloudtrail:DeleteTrail", f"arn:aws:cloudtrail:eu-central-1:{ACCOUNT}:trail/x"),
        ("s3:DeleteObject", "arn:aws:s3:::trail/x"),
        ("s3:PutBucketPolicy", "arn:aws:s3:::trail"),
        ("iam:CreateUser", f"arn:aws:iam::{ACCOUNT}:user/x"),
    ],
)
def test_neither_identity_may_hand_on_or_touch_the_foundation(
    made: DeployerDocuments, action: str, resource: str
) -> None:
    for identity in (made.deployer, made.preview):
        assert not allows(identity, action, resource)
        assert not allows(identity, action, resource, UNDER)


def test_a_policy_that_somebody_attaches_later_gives_no_way_out(made: DeployerDocuments) -> None:
    admin = {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
    documents = [*made.deployer.role.policies.values(), admin]
    for action, resource in (
        ("iam:CreatePolicyVersion", BOUNDARY),
        ("iam:PutRolePolicy", made.deployer.role.arn("aws", ACCOUNT)),
        ("iam:DeleteRolePermissionsBoundary", TOOL_ROLE),
        ("sts:AssumeRole", TOOL_ROLE),
        ("iam:PassRole", TOOL_ROLE),
        ("cloudtrail:StopLogging", "*"),
    ):
        assert not iam.evaluate(documents, action, resource).allowed


def test_only_the_bound_job_is_trusted(made: DeployerDocuments) -> None:
    host, binding = "token.actions.githubusercontent.com", ENVIRONMENT.deployer
    assert binding is not None
    right = {f"{host}:aud": binding.audience, f"{host}:sub": binding.subject}
    provider = {"Federated": made.provider_arn}

    def trusted(context: dict[str, str]) -> bool:
        statement = made.deployer.role.trust_policy["Statement"][0]
        assert statement["Principal"] == provider
        document = {
            "Version": "2012-10-17",
            "Statement": [{**{k: v for k, v in statement.items() if k != "Principal"}, "Resource": "*"}],
        }
        return iam.evaluate(document, "sts:AssumeRoleWithWebIdentity", "*", context).allowed

    assert trusted(right)
    for subject in (
        binding.preview_subject,
        "repo:acme/other:environment:dev",
        "repo:acme/agents:pull_request",
        "repo:acme/agents:ref:refs/heads/feature",
        "repo:acme/agents:environment:dev2",
    ):
        assert not trusted({**right, f"{host}:sub": subject})
    assert not trusted({**right, f"{host}:aud": "sts.amazonaws.com"})
    assert not trusted({})


def vault_allows(identity: SystemIdentity, operation: str, path: str) -> bool:
    return vault.evaluate([vault.parse(identity.policy.text)], path, operation).allowed


def test_every_path_that_a_workflow_deploys_may_be_written_and_every_credential_not() -> None:
    documents = compile_plan(load_plan(STACKS, ENVIRONMENT))
    ci = documents.foundation.deployer
    assert ci is not None
    for workflow in documents.workflows:
        mount = workflow.auth_mount.path
        written = [f"auth/{mount}/config", f"auth/{mount}/role/{workflow.auth_role.name}"]
        written += [f"sys/policies/acl/{workflow.agent_policy.name}"]
        for tool in workflow.tools:
            written += [f"sys/policies/acl/{tool.policy.name}"] if tool.policy else []
            role = next((d.vault_role for d in (tool.aws, tool.postgres) if d is not None), None)
            written += [role.path] if role else []
            if tool.credential_path is not None:
                for operation in ("read", "update", "list"):
                    assert not vault_allows(ci.deployer, operation, tool.credential_path)
                    assert not vault_allows(ci.preview, operation, tool.credential_path)
        for path in written:
            assert vault_allows(ci.deployer, "update", path), path
            assert vault_allows(ci.preview, "read", path), path
            for operation in ("create", "update", "delete", "patch"):
                assert not vault_allows(ci.preview, operation, path)


@pytest.mark.parametrize(
    "path",
    [
        "sys/policies/acl/system.deployer",
        "sys/policies/acl/system.preview",
        "sys/policies/acl/operator",
        "sys/policies/acl/default",
        "sys/auth/narrowgate-ci",
        "auth/narrowgate-ci/config",
        "auth/narrowgate-ci/role/deployer",
        "auth/people/role/operator",
        "sys/mounts/narrowgate-aws",
        "sys/mounts/narrowgate-aws/tune",
        "narrowgate-aws/config/root",
        "narrowgate-aws/config/lease",
        "narrowgate-database/config/operations",
        "sys/audit/main",
        "identity/oidc/key/narrowgate",
        "identity/group/name/x",
        "auth/token/create",
        "auth/agents/x/role/agent/secret-id",
        "narrowgate-kv/data/x/y",
        "sys/raw/core",
        "sys/leases/revoke-prefix/auth/agents",
    ],
)
def test_the_deployer_reaches_nothing_of_the_foundation(made: DeployerDocuments, path: str) -> None:
    for identity in (made.deployer, made.preview):
        for operation in ("create", "read", "update", "delete", "list", "patch"):
            assert not vault_allows(identity, operation, path)


def test_the_policies_fit_into_iam(made: DeployerDocuments) -> None:
    for identity in (made.deployer, made.preview):
        assert sum(document_size(policy) for policy in identity.role.policies.values()) <= INLINE_TOTAL
