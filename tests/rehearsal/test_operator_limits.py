"""What the operator's real credentials can't do: it cuts, and every way to read, grant or let in is refused."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from hvac.exceptions import VaultError
from operator_login import assume_role, describe_operator, log_in_vault, sign_person

from narrowgate.runtime import login
from rehearsal import bao

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import hvac

    from rehearsal.live import LiveRehearsal

WORKFLOW = "incident-summarization"
ADMIN = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
TOOL_PATH = "/narrowgate/dev/tool/"


@pytest.fixture(scope="module")
def vault(rehearsal: LiveRehearsal) -> hvac.Client:
    return bao.open_client(rehearsal.layout, log_in_vault(rehearsal, sign_person(rehearsal)))


@pytest.fixture(scope="module")
def iam(rehearsal: LiveRehearsal) -> Any:  # noqa: ANN401 - boto3 makes clients at run time
    return rehearsal.aws("iam", assume_role(rehearsal))


@pytest.fixture
def entity(rehearsal: LiveRehearsal) -> Iterator[str]:
    """Give the entity of one user at one workflow, enabled afterwards."""
    with login(rehearsal.manifest(WORKFLOW), rehearsal.token("alice", WORKFLOW, groups=["on-call"])):
        pass
    admin = rehearsal.vault()
    accessor = admin.sys.list_auth_methods()["data"][f"agents/{WORKFLOW}/"]["accessor"]
    data = {"alias_name": "alice", "alias_mount_accessor": accessor}
    found = str(admin.write_data("identity/lookup/entity", data=data)["data"]["id"])
    yield found
    admin.write_data(f"identity/entity/id/{found}", data={"disabled": False, "policies": []})


def refused(call: Callable[..., Any], *arguments: Any, **more: Any) -> None:  # noqa: ANN401 - an API's own
    with pytest.raises((VaultError, ClientError), match=r"permission denied|AccessDenied"):
        call(*arguments, **more)


def test_it_reads_no_secret_and_fetches_no_credential(vault: hvac.Client) -> None:
    for path in (
        f"narrowgate-aws/sts/{WORKFLOW}.logs",
        f"narrowgate-database/creds/{WORKFLOW}.incidents",
        "narrowgate-kv/data/pager/keys",
        "identity/oidc/token/vendor-onboarding.payments",
        "narrowgate-aws/config/root",
        "narrowgate-database/config/operations",
        f"sys/policies/acl/agent.{WORKFLOW}",
        "sys/mounts",
    ):
        refused(vault.read, path)
    refused(vault.write_data, "narrowgate-pki/issue/nightly-reconciliation.ledger", data={})


def test_it_logs_in_as_no_agent_and_makes_no_token(rehearsal: LiveRehearsal, vault: hvac.Client) -> None:
    token = sign_person(rehearsal)
    with pytest.raises(VaultError):
        bao.open_client(rehearsal.layout).write_data(
            f"auth/agents/{WORKFLOW}/login", data={"role": "agent", "jwt": token}
        )
    refused(vault.write_data, "auth/token/create", data={"policies": ["operator"]})
    refused(vault.write_data, "auth/token/renew-self", data={})
    refused(vault.write_data, f"auth/agents/{WORKFLOW}/role/agent", data={"token_policies": ["operator"]})
    refused(vault.write_data, "auth/agents/new/role/agent", data={"token_policies": ["operator"]})
    refused(vault.write_data, "auth/narrowgate-operators/role/operator", data={"token_policies": ["operator"]})
    refused(vault.write_data, "sys/auth/agents/new", data={"type": "jwt"})


def test_of_what_executors_hold_it_ends_one_actions_leases_and_has_nothing(
    rehearsal: LiveRehearsal, vault: hvac.Client
) -> None:
    gated = f"{WORKFLOW}.incidents.close"
    credentials = f"narrowgate-database-gated/creds/{gated}"
    for path in (
        credentials,
        f"narrowgate-database-gated/roles/{gated}",
        f"auth/executors/role/gated.{gated}",
        "auth/executors/role/executor.incidents",
        "narrowgate-database/creds/executor.incidents.incident-summarization.close",
        "narrowgate-held/data/x/incidents/y",
        "narrowgate-cases/data/x/y",
    ):
        refused(vault.read, path)
    for mount in ("auth/executors", "auth/executors/login", "narrowgate-database-gated", "narrowgate-aws-gated"):
        refused(vault.list, f"sys/leases/lookup/{mount}")
        refused(vault.write_data, f"sys/leases/revoke-prefix/{mount}", data={})
    refused(vault.write_data, "sys/leases/revoke-prefix/narrowgate-database-gated/creds", data={})
    for path in (f"sys/leases/revoke-force/{credentials}", "sys/leases/revoke", "sys/leases/renew"):
        refused(vault.write_data, path, data={"lease_id": f"{credentials}/x"})
    refused(vault.write_data, "sys/control-group/authorize", data={"accessor": "x"})
    refused(vault.write_data, f"auth/executors/role/gated.{gated}", data={"token_policies": ["operator"]})
    refused(vault.delete, "auth/executors/role/executor.incidents")
    with pytest.raises(VaultError):
        bao.open_client(rehearsal.layout).write_data(
            "auth/executors/login", data={"role": f"gated.{gated}", "jwt": sign_person(rehearsal)}
        )
    vault.write_data(f"sys/leases/revoke-prefix/{credentials}", data={"sync": True})  # to end is all it may


def test_it_writes_no_policy_mount_or_role(vault: hvac.Client) -> None:
    for path in ("sys/policies/acl/system.operator", "sys/policies/acl/tool.x", f"sys/policies/acl/agent.{WORKFLOW}"):
        refused(vault.write_data, path, data={"policy": 'path "*" { capabilities = ["read"] }'})
    refused(vault.write_data, "sys/mounts/more", data={"type": "kv"})
    refused(vault.write_data, f"narrowgate-database/roles/{WORKFLOW}.incidents", data={"db_name": "operations"})
    refused(vault.delete, "sys/auth/narrowgate-operators")
    refused(vault.delete, "narrowgate-revocations/config")
    refused(vault.delete, f"narrowgate-revocations/metadata/{WORKFLOW}")  # what was revoked stays on record


def test_of_an_entity_it_can_set_that_it_is_disabled_and_nothing_else(vault: hvac.Client, entity: str) -> None:
    path = f"identity/entity/id/{entity}"
    for body in (
        {"disabled": "false"},
        {"disabled": False},
        {"policies": ["operator"]},
        {"disabled": "true", "policies": ["operator"]},
        {"disabled": "true", "name": "somebody"},
        {"disabled": "true", "metadata": {"team": "x"}},
        {},
    ):
        refused(vault.write_data, path, data=body)
    vault.write_data(path, data={"disabled": "true"})
    refused(vault.write_data, path, data={"disabled": "false"})
    refused(vault.read, path)
    refused(vault.delete, path)


def test_it_makes_no_entity_alias_or_group(vault: hvac.Client, entity: str) -> None:
    refused(vault.write_data, "identity/entity", data={"name": "mallory", "policies": ["operator"]})
    refused(vault.write_data, "identity/entity-alias", data={"name": "olga", "canonical_id": entity})
    refused(vault.write_data, "identity/group", data={"name": "mine", "policies": ["operator"]})
    refused(vault.write_data, "identity/entity/merge", data={"from_entity_ids": [entity], "to_entity_id": entity})


def test_nobody_else_logs_in_as_the_operator(rehearsal: LiveRehearsal) -> None:
    agents = rehearsal.token("alice", WORKFLOW, groups=["incident-commanders"])
    for token in (sign_person(rehearsal, group="on-call"), agents, rehearsal.token("olga")):
        with pytest.raises(VaultError):
            log_in_vault(rehearsal, token)


def test_in_aws_it_changes_inline_policies_of_tools_roles_and_nothing_else(rehearsal: LiveRehearsal, iam: Any) -> None:  # noqa: ANN401
    role = rehearsal.aws("iam").list_roles(PathPrefix=TOOL_PATH)["Roles"][0]["RoleName"]
    own = describe_operator(rehearsal).operator.role.name
    for name in (own, "ng-dev-deployer", "ng-dev-preview"):
        refused(iam.put_role_policy, RoleName=name, PolicyName="p", PolicyDocument=ADMIN)
    refused(iam.attach_role_policy, RoleName=role, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    refused(iam.update_assume_role_policy, RoleName=role, PolicyDocument=ADMIN)
    refused(iam.delete_role_permissions_boundary, RoleName=role)
    refused(iam.delete_role_policy, RoleName=role, PolicyName="narrowgate-revoked")
    refused(iam.delete_role, RoleName=role)
    refused(iam.create_role, RoleName="x", Path=TOOL_PATH, AssumeRolePolicyDocument=ADMIN)
    refused(iam.put_user_policy, UserName="broker", PolicyName="p", PolicyDocument=ADMIN)
    refused(iam.create_access_key, UserName="broker")


def test_in_aws_it_reaches_no_data_and_no_role(rehearsal: LiveRehearsal) -> None:
    key = assume_role(rehearsal)
    refused(rehearsal.aws("s3", key).list_objects_v2, Bucket=rehearsal.bucket)
    refused(rehearsal.aws("logs", key).describe_log_groups)
    for role in rehearsal.aws("iam").list_roles(PathPrefix=TOOL_PATH)["Roles"]:
        call = rehearsal.aws("sts", key).assume_role
        refused(call, RoleArn=role["Arn"], RoleSessionName="attack", ExternalId="narrowgate-dev")
