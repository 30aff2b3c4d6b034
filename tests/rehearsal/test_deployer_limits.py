"""What the deployer's and the preview's real credentials can't do: every way to more is tried at the real servers."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from ci_job import Job, start_job
from hvac.exceptions import VaultError

from narrowgate.compile import names
from rehearsal import bao, ci, idp
from rehearsal.aws import AccessKey

if TYPE_CHECKING:
    from collections.abc import Callable

    from rehearsal.live import LiveRehearsal

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
    }
)
ADMIN = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
TOOL_PATH = "/narrowgate/dev/tool/"
ROLE = "ng-dev-attack"
WORKFLOW = "incident-summarization"


@pytest.fixture(scope="module")
def deployer(rehearsal: LiveRehearsal) -> Job:
    return start_job(rehearsal, ci.describe_ci(rehearsal.layout).deployer)


@pytest.fixture(scope="module")
def preview(rehearsal: LiveRehearsal) -> Job:
    return start_job(rehearsal, ci.describe_ci(rehearsal.layout).preview)


def denied(call: Callable[..., Any], **parameters: Any) -> None:  # noqa: ANN401 - an API's parameters
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    assert caught.value.response["Error"]["Code"] in {"AccessDenied", "AccessDeniedException"}


def boundary(rehearsal: LiveRehearsal) -> str:
    return names.boundary_arn("aws", rehearsal.account, "dev")


@pytest.fixture
def other_boundary(rehearsal: LiveRehearsal) -> str:
    """Return a policy that allows everything and is nobody's boundary."""
    iam = rehearsal.aws("iam")
    arn = f"arn:aws:iam::{rehearsal.account}:policy/wide"
    with contextlib.suppress(iam.exceptions.EntityAlreadyExistsException):
        iam.create_policy(PolicyName="wide", PolicyDocument=ADMIN)
    return arn


def test_a_role_under_the_boundary_and_the_path_is_what_it_may_make(deployer: Job) -> None:
    iam = deployer.aws("iam")
    bound = boundary(deployer.rehearsal)
    iam.create_role(RoleName=ROLE, Path=TOOL_PATH, AssumeRolePolicyDocument=TRUST, PermissionsBoundary=bound)
    iam.put_role_policy(RoleName=ROLE, PolicyName="p", PolicyDocument=ADMIN)
    iam.delete_role_policy(RoleName=ROLE, PolicyName="p")
    iam.delete_role(RoleName=ROLE)


@pytest.mark.parametrize(
    "path", ["/", "/narrowgate/dev/", "/narrowgate/dev/system/", "/narrowgate/prod/tool/", "/narrowgate/dev/tool2/"]
)
def test_no_role_is_made_outside_the_path(deployer: Job, path: str) -> None:
    bound = boundary(deployer.rehearsal)
    call = deployer.aws("iam").create_role
    denied(call, RoleName=ROLE, Path=path, AssumeRolePolicyDocument=TRUST, PermissionsBoundary=bound)


def test_no_role_is_made_without_the_boundary(deployer: Job, other_boundary: str) -> None:
    call = deployer.aws("iam").create_role
    denied(call, RoleName=ROLE, Path=TOOL_PATH, AssumeRolePolicyDocument=TRUST)
    wide = other_boundary
    denied(call, RoleName=ROLE, Path=TOOL_PATH, AssumeRolePolicyDocument=TRUST, PermissionsBoundary=wide)


def test_no_role_leaves_the_boundary(deployer: Job, other_boundary: str) -> None:
    iam = deployer.aws("iam")
    role = deployer.rehearsal.aws("iam").list_roles(PathPrefix=TOOL_PATH)["Roles"][0]["RoleName"]
    denied(iam.delete_role_permissions_boundary, RoleName=role)
    denied(iam.put_role_permissions_boundary, RoleName=role, PermissionsBoundary=other_boundary)
    denied(iam.attach_role_policy, RoleName=role, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")


def test_a_role_that_has_no_boundary_is_not_its_to_change(deployer: Job) -> None:
    admin = deployer.rehearsal.aws("iam")
    admin.create_role(RoleName="ng-dev-free", Path=TOOL_PATH, AssumeRolePolicyDocument=TRUST)
    try:
        iam = deployer.aws("iam")
        denied(iam.put_role_policy, RoleName="ng-dev-free", PolicyName="p", PolicyDocument=ADMIN)
        denied(iam.update_assume_role_policy, RoleName="ng-dev-free", PolicyDocument=TRUST)
        denied(iam.delete_role, RoleName="ng-dev-free")
    finally:
        admin.delete_role(RoleName="ng-dev-free")


def test_boundary_broker_provider_and_itself_are_out_of_reach(deployer: Job, preview: Job) -> None:
    rehearsal = deployer.rehearsal
    bound, documents = boundary(rehearsal), ci.describe_ci(rehearsal.layout)
    for job in (deployer, preview):
        iam = job.aws("iam")
        denied(iam.create_policy_version, PolicyArn=bound, PolicyDocument=ADMIN, SetAsDefault=True)
        denied(iam.delete_policy, PolicyArn=bound)
        denied(iam.create_access_key, UserName="broker")
        denied(iam.put_user_policy, UserName="broker", PolicyName="p", PolicyDocument=ADMIN)
        denied(iam.delete_user, UserName="broker")
        denied(iam.delete_open_id_connect_provider, OpenIDConnectProviderArn=documents.provider_arn)
        for identity in (documents.deployer, documents.preview):
            own = identity.role.name
            denied(iam.put_role_policy, RoleName=own, PolicyName="p", PolicyDocument=ADMIN)
            denied(iam.update_assume_role_policy, RoleName=own, PolicyDocument=TRUST)
            denied(iam.attach_role_policy, RoleName=own, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
            denied(iam.delete_role, RoleName=own)
        denied(iam.create_user, UserName="mallory")
        denied(iam.create_open_id_connect_provider, Url="https://evil.example.com", ClientIDList=["x"])


def test_no_data_and_no_tools_role_is_reached(deployer: Job, preview: Job) -> None:
    rehearsal = deployer.rehearsal
    for job in (deployer, preview):
        s3 = job.aws("s3")
        denied(s3.list_objects_v2, Bucket=rehearsal.bucket)
        denied(s3.put_bucket_policy, Bucket=rehearsal.bucket, Policy=ADMIN)
        denied(s3.delete_bucket, Bucket=rehearsal.bucket)
        denied(job.aws("logs").describe_log_groups)
        for role in rehearsal.aws("iam").list_roles(PathPrefix=TOOL_PATH)["Roles"]:
            denied(
                job.aws("sts").assume_role, RoleArn=role["Arn"], RoleSessionName="attack", ExternalId="narrowgate-dev"
            )


def test_the_preview_changes_no_role(preview: Job) -> None:
    iam = preview.aws("iam")
    role = preview.rehearsal.aws("iam").list_roles(PathPrefix=TOOL_PATH)["Roles"][0]["RoleName"]
    bound = boundary(preview.rehearsal)
    assert iam.get_role(RoleName=role)["Role"]["PermissionsBoundary"]["PermissionsBoundaryArn"] == bound
    denied(iam.create_role, RoleName=ROLE, Path=TOOL_PATH, AssumeRolePolicyDocument=TRUST, PermissionsBoundary=bound)
    denied(iam.put_role_policy, RoleName=role, PolicyName="p", PolicyDocument=ADMIN)
    denied(iam.update_assume_role_policy, RoleName=role, PolicyDocument=TRUST)
    denied(iam.tag_role, RoleName=role, Tags=[{"Key": "owner", "Value": "x"}])
    denied(iam.delete_role, RoleName=role)


WRITES: dict[str, dict[str, Any]] = {
    "sys/policies/acl/system.deployer": {"policy": 'path "*" { capabilities = ["sudo"] }'},
    "sys/policies/acl/system.preview": {"policy": 'path "*" { capabilities = ["sudo"] }'},
    "sys/policies/acl/operator": {"policy": ""},
    "sys/policies/acl/default": {"policy": ""},
    "sys/policies/acl/mine": {"policy": 'path "*" { capabilities = ["sudo"] }'},
    "sys/policy/mine": {"policy": 'path "*" { capabilities = ["sudo"] }'},
    "sys/auth/mine": {"type": "jwt"},
    "sys/auth/agents2/x": {"type": "jwt"},
    "sys/mounts/mine": {"type": "kv"},
    "sys/mounts/narrowgate-aws/tune": {"max_lease_ttl": "24h"},
    "sys/mounts/auth/narrowgate-ci/tune": {"max_lease_ttl": "24h"},
    "sys/auth/narrowgate-ci/tune": {"max_lease_ttl": "24h"},
    "sys/remount": {"from": "narrowgate-aws", "to": "x"},
    "auth/narrowgate-ci/config": {"jwt_validation_pubkeys": []},
    "auth/narrowgate-ci/role/deployer": {"role_type": "jwt", "user_claim": "sub", "token_policies": "operator"},
    "auth/narrowgate-ci/role/mine": {"role_type": "jwt", "user_claim": "sub", "token_policies": "operator"},
    "auth/people/role/operator": {"role_type": "jwt", "user_claim": "sub"},
    "auth/token/create": {"policies": ["operator"]},
    "auth/token/create-orphan": {},
    "narrowgate-aws/config/root": {"access_key": "x"},
    "narrowgate-aws/config/rotate-root": {},
    "narrowgate-database/config/operations": {"username": "x"},
    "identity/group": {"name": "x", "policies": ["operator"]},
    "identity/entity": {"name": "x", "policies": ["operator"]},
    "identity/oidc/key/narrowgate": {"allowed_client_ids": "*"},
    "sys/leases/revoke-prefix/narrowgate-aws": {},
    "sys/audit/mine": {"type": "file"},
}


@pytest.mark.parametrize("path", WRITES)
def test_vaults_foundation_is_out_of_reach(deployer: Job, preview: Job, path: str) -> None:
    for job in (deployer, preview):
        with pytest.raises(VaultError, match="permission denied"):
            job.vault.write_data(path, data=WRITES[path])
        with pytest.raises(VaultError, match="permission denied"):
            job.vault.delete(path)


@pytest.mark.parametrize("path", ["sys/auth/narrowgate-ci", "sys/mounts/narrowgate-aws", "sys/mounts/narrowgate-kv"])
def test_no_mount_of_the_foundation_is_removed(deployer: Job, path: str) -> None:
    with pytest.raises(VaultError, match="permission denied"):
        deployer.vault.delete(path)


def test_no_credential_is_read(rehearsal: LiveRehearsal, deployer: Job, preview: Job) -> None:
    manifest = json.loads(rehearsal.manifest(WORKFLOW).read_text())
    paths = [tool["path"] for tool in manifest["tools"].values() if tool.get("path")]
    assert {path.split("/")[1] for path in paths} >= {"sts", "creds"}
    paths += ["narrowgate-kv/data/any/secret", "auth/agents/x/role/agent/secret-id", "sys/raw/core/keyring"]
    for job in (deployer, preview):
        for path in paths:
            with pytest.raises(VaultError, match="permission denied"):
                job.vault.read(path)
            with pytest.raises(VaultError, match="permission denied"):
                job.vault.write_data(path, data={"ttl": "15m"})


def test_the_preview_writes_nothing_of_a_workflow(preview: Job) -> None:
    own = {
        f"sys/policies/acl/agent.{WORKFLOW}": {"policy": ""},
        f"auth/agents/{WORKFLOW}/config": {"bound_issuer": "x"},
        f"auth/agents/{WORKFLOW}/role/agent": {"role_type": "jwt", "user_claim": "sub"},
        "narrowgate-aws/roles/mine": {"credential_type": "assumed_role", "role_arns": "x"},
        "narrowgate-database/roles/mine": {"db_name": "operations", "creation_statements": "x"},
        "identity/oidc/role/mine": {"key": "narrowgate"},
    }
    for path, data in own.items():
        with pytest.raises(VaultError, match="permission denied"):
            preview.vault.write_data(path, data=data)
        with pytest.raises(VaultError, match="permission denied"):
            preview.vault.delete(path)
    with pytest.raises(VaultError, match="permission denied"):
        preview.vault.write_data("sys/auth/agents/mine", data={"type": "jwt"})
    with pytest.raises(VaultError, match="permission denied"):
        preview.vault.delete(f"sys/auth/agents/{WORKFLOW}")


def test_the_preview_reads_no_table(rehearsal: LiveRehearsal) -> None:
    with rehearsal.postgres("preview") as connection:
        for table in ("incidents", "tickets", "vendors"):
            with pytest.raises(Exception, match="permission denied"):
                connection.execute(f"SELECT * FROM public.{table}")  # noqa: S608 - names of this test
            connection.rollback()
        with pytest.raises(Exception, match="permission denied"):
            connection.execute("CREATE ROLE mine")


def test_a_stolen_deployer_stays_within_the_boundary_in_aws(rehearsal: LiveRehearsal, deployer: Job) -> None:
    """SECURITY.md: it can make a role that trusts somebody else, with any policy; the boundary holds."""
    iam, bound = deployer.aws("iam"), boundary(rehearsal)
    mallory = rehearsal.aws("iam").create_user(UserName="mallory", Path="/")["User"]["Arn"]
    assume = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [assume]})
    rehearsal.aws("iam").put_user_policy(UserName="mallory", PolicyName="p", PolicyDocument=document)
    made = rehearsal.aws("iam").create_access_key(UserName="mallory")["AccessKey"]
    trust = {"Effect": "Allow", "Principal": {"AWS": mallory}, "Action": "sts:AssumeRole"}
    try:
        iam.create_role(
            RoleName=ROLE,
            Path=TOOL_PATH,
            AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
            PermissionsBoundary=bound,
        )
        iam.put_role_policy(RoleName=ROLE, PolicyName="p", PolicyDocument=ADMIN)
        role = f"arn:aws:iam::{rehearsal.account}:role{TOOL_PATH}{ROLE}"
        sts = rehearsal.aws("sts", AccessKey(made["AccessKeyId"], made["SecretAccessKey"]))
        got = sts.assume_role(RoleArn=role, RoleSessionName="attack")["Credentials"]
        key = AccessKey(got["AccessKeyId"], got["SecretAccessKey"], got["SessionToken"])
        assert rehearsal.aws("s3", key).list_objects_v2(Bucket=rehearsal.bucket)["KeyCount"]
        denied(rehearsal.aws("s3", key).delete_bucket, Bucket=rehearsal.bucket)
        attacker = rehearsal.aws("iam", key)
        denied(attacker.create_user, UserName="mallory2")
        denied(attacker.delete_role_permissions_boundary, RoleName=ROLE)
        denied(attacker.create_policy_version, PolicyArn=bound, PolicyDocument=ADMIN, SetAsDefault=True)
        denied(attacker.put_role_policy, RoleName="ng-dev-deployer", PolicyName="p", PolicyDocument=ADMIN)
    finally:
        iam.delete_role_policy(RoleName=ROLE, PolicyName="p")
        iam.delete_role(RoleName=ROLE)
        admin = rehearsal.aws("iam")
        admin.delete_access_key(UserName="mallory", AccessKeyId=made["AccessKeyId"])
        admin.delete_user_policy(UserName="mallory", PolicyName="p")
        admin.delete_user(UserName="mallory")


def test_a_stolen_deployer_is_seen_in_the_audit_log(rehearsal: LiveRehearsal, deployer: Job) -> None:
    """SECURITY.md: in Vault it is an administrator by a detour, and each step of the detour is recorded as its own."""
    vault = deployer.vault
    vault.write_data("sys/policies/acl/tool.evil.x", data={"policy": 'path "*" { capabilities = ["read", "sudo"] }'})
    try:
        own_key = idp.read_public_key(rehearsal.layout)
        vault.write_data("sys/auth/agents/evil", data={"type": "jwt"})
        vault.write_data("auth/agents/evil/config", data={"jwt_validation_pubkeys": [own_key]})
        login = {
            "role_type": "jwt",
            "user_claim": "sub",
            "bound_audiences": ["evil"],
            "token_policies": ["tool.evil.x"],
            "token_no_default_policy": True,
        }
        vault.write_data("auth/agents/evil/role/agent", data=login)
        token = idp.sign_token(rehearsal.layout, idp.look_up("mallory"), aud="evil")
        got = vault.write_data("auth/agents/evil/login", data={"role": "agent", "jwt": token})["auth"]["client_token"]
        assert rehearsal.vault(got).read("sys/policies/acl/operator") is not None
    finally:
        vault.delete("sys/auth/agents/evil")
        vault.delete("sys/policies/acl/tool.evil.x")
    entries = [json.loads(line) for line in bao.audit_file(rehearsal.layout).read_text().splitlines()]
    for path in ("sys/policies/acl/tool.evil.x", "sys/auth/agents/evil", "auth/agents/evil/role/agent"):
        by = {e["auth"]["display_name"] for e in entries if e["type"] == "response" and e["request"]["path"] == path}
        assert by == {f"narrowgate-ci-{ci.describe_ci(rehearsal.layout).deployer.auth_role.settings['bound_subject']}"}
