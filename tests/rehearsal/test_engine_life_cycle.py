"""An IAM role and a Vault policy through their whole life, by the real engine and the real classes of the SDKs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import hvac
import pytest
from engine_bench import ACCOUNT, TRUST, EngineBench, open_aws, open_vault

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.rehearsal

ROLE = """
    import pulumi_aws as aws
    role = aws.iam.Role("role", name={name!r}, path={path!r}, assume_role_policy=trust, tags={tags!r},
                        description={description!r})
    pulumi.export("arn", role.arn)
"""
POLICY = """
    import pulumi_vault as vault
    vault.Policy("policy", name={name!r}, policy={text!r})
"""
READ = 'path "kv/data/x" {\n  capabilities = ["read"]\n}\n'
WRITE = READ.replace('"read"', '"create"')


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineBench]:
    folder = tmp_path_factory.mktemp("engine")
    with open_aws(folder) as aws, open_vault(folder) as vault:
        yield EngineBench(folder, aws, vault)


def role_program(name: str, *, path: str = "/tool/", tags: dict[str, str] | None = None, description: str = "d") -> str:
    return ROLE.format(name=name, path=path, tags=tags or {"workflow": "w"}, description=description)


def exists(bench: EngineBench, name: str) -> bool:
    iam = bench.iam()
    try:
        iam.get_role(RoleName=name)
    except iam.exceptions.NoSuchEntityException:
        return False
    return True


def test_role_is_created_once_and_removed(bench: EngineBench) -> None:
    project = bench.project("role-life", role_program("life"))
    project.up()
    role = bench.iam().get_role(RoleName="life")["Role"]
    assert (role["Path"], role["Tags"]) == ("/tool/", [{"Key": "workflow", "Value": "w"}])
    assert role["AssumeRolePolicyDocument"] == TRUST
    assert project.pulumi("stack", "output", "arn").strip() == role["Arn"]
    project.up("--expect-no-changes")
    project.pulumi("refresh", "--yes", "--expect-no-changes")
    project.pulumi("destroy", "--yes")
    assert not exists(bench, "life")


def test_role_is_updated_in_place(bench: EngineBench) -> None:
    project = bench.project("role-update", role_program("update"))
    project.up()
    before = bench.iam().get_role(RoleName="update")["Role"]["RoleId"]
    project.write(role_program("update", tags={"owner": "sre"}, description="new"))
    assert "1 updated" in project.up()
    role = bench.iam().get_role(RoleName="update")["Role"]
    assert (role["RoleId"], role["Description"], role["Tags"]) == (before, "new", [{"Key": "owner", "Value": "sre"}])


def test_role_whose_path_changes_is_replaced(bench: EngineBench) -> None:
    project = bench.project("role-replace", role_program("replace"))
    project.up()
    before = bench.iam().get_role(RoleName="replace")["Role"]["RoleId"]
    project.write(role_program("replace", path="/other/"))
    assert "1 replaced" in project.up()
    role = bench.iam().get_role(RoleName="replace")["Role"]
    assert role["Path"] == "/other/"
    assert role["RoleId"] != before


def test_role_that_somebody_changed_is_put_right(bench: EngineBench) -> None:
    project = bench.project("role-drift", role_program("drift"))
    project.up()
    iam = bench.iam()
    open_trust = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sts:*"}]}'
    iam.update_assume_role_policy(RoleName="drift", PolicyDocument=open_trust)
    iam.tag_role(RoleName="drift", Tags=[{"Key": "foreign", "Value": "1"}])
    said = project.pulumi("preview", "--refresh", "--diff", "--color=never")
    assert "assumeRolePolicy" in said
    assert "foreign" in said
    project.up("--refresh")
    role = iam.get_role(RoleName="drift")["Role"]
    assert role["AssumeRolePolicyDocument"] == TRUST
    assert role["Tags"] == [{"Key": "workflow", "Value": "w"}]


def test_role_that_is_gone_is_made_again(bench: EngineBench) -> None:
    project = bench.project("role-gone", role_program("gone"))
    project.up()
    bench.iam().delete_role(RoleName="gone")
    assert "1 created" in project.up("--refresh")
    assert exists(bench, "gone")


def test_role_is_imported_as_it_is(bench: EngineBench) -> None:
    project = bench.project("role-import", "")
    bench.iam().create_role(
        RoleName="found",
        Path="/tool/",
        AssumeRolePolicyDocument=json.dumps(TRUST),
        Description="d",
        MaxSessionDuration=7200,
    )
    said = project.adopt("aws:iam/role:Role", "found", "found")
    assert "1 imported" in said
    inputs = project.resource("found")["inputs"]
    assert (inputs["name"], inputs["path"], inputs["maxSessionDuration"]) == ("found", "/tool/", 7200)
    assert inputs["description"] == "d"


def test_boundary_can_be_set_and_taken_away(bench: EngineBench) -> None:
    program = """
        import pulumi_aws as aws
        everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
        boundary = aws.iam.Policy("boundary", name="edge", policy=json.dumps(everything))
        aws.iam.Role("role", name="bounded", assume_role_policy=trust, permissions_boundary=BOUNDARY)
    """
    project = bench.project("boundary", program.replace("BOUNDARY", "boundary.arn"))
    project.up()
    attached = bench.iam().get_role(RoleName="bounded")["Role"]["PermissionsBoundary"]["PermissionsBoundaryArn"]
    assert attached == f"arn:aws:iam::{ACCOUNT}:policy/edge"
    bench.iam().delete_role_permissions_boundary(RoleName="bounded")
    assert "+permissionsBoundary" in project.pulumi("preview", "--refresh", "--color=never")
    project.up("--refresh")
    assert "PermissionsBoundary" in bench.iam().get_role(RoleName="bounded")["Role"]
    project.write(program.replace("BOUNDARY", "None"))
    project.up()
    assert "PermissionsBoundary" not in bench.iam().get_role(RoleName="bounded")["Role"]


def test_vault_policy_through_its_life(bench: EngineBench) -> None:
    vault = bench.vault()
    project = bench.project("policy-life", POLICY.format(name="tool.x", text=READ))
    project.up()
    assert vault.sys.read_acl_policy("tool.x")["data"]["policy"] == READ
    project.up("--expect-no-changes")
    project.pulumi("refresh", "--yes", "--expect-no-changes")
    project.write(POLICY.format(name="tool.x", text=WRITE))
    assert "1 updated" in project.up()
    assert vault.sys.read_acl_policy("tool.x")["data"]["policy"] == WRITE
    vault.sys.create_or_update_acl_policy("tool.x", 'path "*" {\n  capabilities = ["sudo", "read"]\n}\n')
    assert "sudo" in project.pulumi("preview", "--refresh", "--diff", "--color=never")
    project.up("--refresh")
    assert vault.sys.read_acl_policy("tool.x")["data"]["policy"] == WRITE
    project.write(POLICY.format(name="tool.y", text=WRITE))
    assert "1 replaced" in project.up()
    with pytest.raises(hvac.exceptions.InvalidPath):
        vault.sys.read_acl_policy("tool.x")
    project.pulumi("destroy", "--yes")
    with pytest.raises(hvac.exceptions.InvalidPath):
        vault.sys.read_acl_policy("tool.y")


def test_vault_policy_is_imported(bench: EngineBench) -> None:
    bench.vault().sys.create_or_update_acl_policy("found", READ)
    project = bench.project("policy-import", "")
    project.adopt("vault:index/policy:Policy", "found", "found")
    assert project.resource("found")["inputs"]["policy"] == READ
