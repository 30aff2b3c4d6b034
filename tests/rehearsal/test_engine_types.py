"""Every resource type of the doubles against real servers: made, read again without a change, kept secret, removed."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from engine_bench import ACCOUNT, EngineBench, Project, open_aws, open_vault

from rehearsal.engine import ensure_aws_secrets_engine

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.rehearsal

AWS_PROGRAM = """
    import pulumi_aws as aws

    def allow(action):
        statement = {"Effect": "Allow", "Action": action, "Resource": "*"}
        return json.dumps({"Version": "2012-10-17", "Statement": [statement]})

    boundary = aws.iam.Policy("boundary", name="boundary", path="/narrowgate/dev/", policy=allow("s3:*"))
    role = aws.iam.Role("role", name="tool", path="/narrowgate/dev/tool/", assume_role_policy=trust,
                        permissions_boundary=boundary.arn, max_session_duration=3600, tags={"workflow": "w"})
    aws.iam.RolePolicy("inline", role=role.name, name="tool", policy=allow(ACTION))
    aws.iam.RolePolicyAttachment("attached", role=role.name, policy_arn=boundary.arn)
    aws.iam.Role("all-in-one", assume_role_policy=trust, managed_policy_arns=[boundary.arn],
                 inline_policies=[{"name": "tool", "policy": allow("s3:GetObject")}])
    user = aws.iam.User("user", name="person", path="/people/", tags={"a": "b"})
    key = aws.iam.AccessKey("key", user=user.name)
    aws.iam.UserPolicy("user-inline", user=user.name, policy=allow("s3:ListBucket"))
    aws.iam.UserPolicyAttachment("user-attached", user=user.name, policy_arn=boundary.arn)
    group = aws.iam.Group("group", name="people")
    aws.iam.GroupPolicy("group-inline", group=group.name, policy=allow("s3:ListBucket"))
    aws.iam.GroupPolicyAttachment("group-attached", group=group.name, policy_arn=boundary.arn)
    pulumi.export("account", aws.get_caller_identity().account_id)
    pulumi.export("region", aws.get_region().region)
    pulumi.export("partition", aws.get_partition().partition)
    pulumi.export("secret", key.secret)
"""
VAULT_PROGRAM = """
    import pulumi_vault as vault
    config = pulumi.Config("p")
    tune = vault.jwt.AuthBackendTuneArgs(default_lease_ttl="15m", max_lease_ttl="1h")
    login = vault.jwt.AuthBackend("login", path="agents/w", bound_issuer="https://idp.example.com", tune=tune,
                                  jwt_validation_pubkeys=[PUBLIC_KEY], default_role="agent", description="w")
    vault.jwt.AuthBackendRole("agent", backend=login.path, role_name="agent", role_type="jwt", user_claim="/sub",
                              user_claim_json_pointer=True, bound_audiences=["narrowgate:dev:w"],
                              bound_claims={"/act/sub": "w", "/groups": "sre,on-call"}, token_ttl=900,
                              token_max_ttl=3600, token_policies=["z", "agent.w"], token_no_default_policy=True)
    database = vault.Mount("database", path="narrowgate-database", type="database", max_lease_ttl_seconds=3600,
                           audit_non_hmac_request_keys=["role"])
    url = "postgresql://{{username}}:{{password}}@127.0.0.1:9/operations"
    for name, password in (("marked", config.require_secret("password")), ("forgotten", "unmarked-password")):
        block = vault.database.SecretBackendConnectionPostgresqlArgs(
            connection_url=url, username="vault_broker", password=password, max_open_connections=4)
        vault.database.SecretBackendConnection(name, backend=database.path, name=name, allowed_roles=["*"],
                                               verify_connection=False, postgresql=block)
    vault.database.SecretBackendRole("login-role", backend=database.path, name="w.tickets", db_name="marked",
                                     creation_statements=['CREATE ROLE "{{name}}" LOGIN'], default_ttl=900,
                                     revocation_statements=['DROP ROLE "{{name}}"'], max_ttl=3600)
    broker = vault.aws.SecretBackend("aws", path="narrowgate-aws", region="eu-central-1", sts_region="eu-central-1",
                                     iam_endpoint=AWS_URL, sts_endpoint=AWS_URL, max_lease_ttl_seconds=3600,
                                     username_template='{{ printf "%s@%s" .PolicyName .DisplayName }}')
    vault.aws.SecretBackendRole("assumed", backend=broker.path, name="w.logs", credential_type="assumed_role",
                                role_arns=["arn:aws:iam::111111111111:role/narrowgate/dev/tool/x"],
                                default_sts_ttl=900, max_sts_ttl=3600, external_id="narrowgate-dev",
                                session_tags=SESSION_TAGS)
    values = vault.Mount("values", path="values", type="kv", options={"version": "2"})
    vault.generic.Secret("value", path=values.path.apply(lambda path: f"{path}/a/b"),
                         data_json=json.dumps({"word": "kept-in-kv"}))
    vault.generic.Endpoint("endpoint", path=login.path.apply(lambda path: f"auth/{path}/role/other"),
                           data_json=json.dumps({"role_type": "jwt", "user_claim": "sub", "bound_audiences": ["x"]}))
    pulumi.export("accessor", login.accessor)
"""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineBench]:
    folder = tmp_path_factory.mktemp("engine")
    plugins = folder / "plugins"
    plugins.mkdir()
    shutil.copy(ensure_aws_secrets_engine(print).path, plugins / "aws")
    with open_aws(folder) as aws, open_vault(folder, plugins) as vault:
        yield EngineBench(folder, aws, vault)


@pytest.fixture(scope="module")
def aws(bench: EngineBench) -> Project:
    project = bench.project("all-aws", AWS_PROGRAM.replace("ACTION", '"s3:GetObject"'))
    project.up()
    return project


def vault_program(bench: EngineBench, *, session_tags: dict[str, str] | None) -> str:
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    pem = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
    replaced = {"PUBLIC_KEY": repr(pem), "AWS_URL": repr(bench.aws_url), "SESSION_TAGS": repr(session_tags)}
    program = VAULT_PROGRAM
    for name, value in replaced.items():
        program = program.replace(name, value)
    return program


@pytest.fixture(scope="module")
def vault(bench: EngineBench) -> Project:
    project = bench.project("all-vault", vault_program(bench, session_tags={"workflow": "w"}))
    project.pulumi("config", "set", "--secret", "p:password", "marked-password")
    project.up()
    return project


@pytest.mark.parametrize("provider", ["aws", "vault"])
def test_second_up_and_a_refresh_change_nothing(provider: str, request: pytest.FixtureRequest) -> None:
    project: Project = request.getfixturevalue(provider)
    project.up("--expect-no-changes")
    project.pulumi("refresh", "--yes", "--expect-no-changes")
    project.up("--expect-no-changes")


def test_functions_say_who_and_where(aws: Project) -> None:
    said = {name: aws.pulumi("stack", "output", name).strip() for name in ("account", "region", "partition")}
    assert said == {"account": ACCOUNT, "region": "eu-central-1", "partition": "aws"}


def test_secret_of_an_access_key_is_not_in_the_state(aws: Project) -> None:
    secret = aws.pulumi("stack", "output", "secret", "--show-secrets").strip()
    assert len(secret) > 20
    assert aws.resource("key")["outputs"]["secret"]["plaintext"] == f'"{secret}"'
    assert secret not in aws.state_text()


def test_secrets_are_not_in_the_state_even_unmarked(vault: Project) -> None:
    state = vault.state_text()
    for secret in ("marked-password", "unmarked-password", "kept-in-kv"):
        assert secret not in state
    assert state.count('"ciphertext"') > 3
    vault.pulumi("refresh", "--yes")
    for secret in ("marked-password", "unmarked-password", "kept-in-kv"):
        assert secret not in vault.state_text()
        assert secret not in vault.pulumi("preview", "--diff")


def test_secrets_reached_the_server(vault: Project, bench: EngineBench) -> None:
    client = bench.vault()
    assert client.secrets.kv.v2.read_secret_version("a/b", mount_point="values")["data"]["data"] == {
        "word": "kept-in-kv"
    }
    assert vault.resource("value")["inputs"]["path"] == "values/a/b"


def test_settings_reach_vault_as_its_api_has_them(vault: Project, bench: EngineBench) -> None:
    client = bench.vault()
    role = client.read("auth/agents/w/role/agent")["data"]
    assert role["bound_claims"] == {"/act/sub": "w", "/groups": ["sre", "on-call"]}
    assert (role["token_ttl"], role["token_policies"], role["user_claim_json_pointer"]) == (900, ["z", "agent.w"], True)
    mount = client.read("sys/auth/agents/w")["data"]
    assert (mount["config"]["default_lease_ttl"], mount["config"]["max_lease_ttl"]) == (900, 3600)
    assert vault.pulumi("stack", "output", "accessor").strip() == mount["accessor"]
    assumed = client.read("narrowgate-aws/roles/w.logs")["data"]
    assert (assumed["external_id"], assumed["session_tags"]) == ("narrowgate-dev", {"workflow": "w"})
    connection = client.read("narrowgate-database/config/marked")["data"]
    assert connection["connection_details"]["username"] == "vault_broker"


def test_property_that_a_program_drops_is_dropped_by_vault(vault: Project, bench: EngineBench) -> None:
    text = (vault.program / "__main__.py").read_text()
    (vault.program / "__main__.py").write_text(text.replace("session_tags={'workflow': 'w'}", "session_tags=None"))
    assert "-sessionTags" in vault.up()
    assert bench.vault().read("narrowgate-aws/roles/w.logs")["data"]["session_tags"] in (None, {})
    vault.up("--refresh", "--expect-no-changes")
    (vault.program / "__main__.py").write_text(text)
    vault.up()


FOREIGN_CHANGES = [
    ("auth/agents/w/role/agent", "token_policies", ["root-like"], "tokenPolicies"),
    ("auth/agents/w/role/agent", "bound_subject", "any", "boundSubject"),
    ("auth/agents/w/config", "bound_issuer", "https://evil.example.com", "boundIssuer"),
    ("narrowgate-aws/roles/w.logs", "external_id", "other", "externalId"),
    ("narrowgate-aws/roles/w.logs", "policy_arns", ["arn:aws:iam::aws:policy/AdministratorAccess"], "policyArns"),
    ("narrowgate-aws/config/root", "iam_endpoint", "https://evil.example.com", "iamEndpoint"),
    ("narrowgate-database/roles/w.tickets", "max_ttl", 36000, "maxTtl"),
    ("narrowgate-database/roles/w.tickets", "creation_statements", ["CREATE ROLE x SUPERUSER"], "creationStatements"),
]


def test_what_somebody_changed_in_vault_is_found_and_put_right(vault: Project, bench: EngineBench) -> None:
    client = bench.vault()
    before = {(path, field): client.read(path)["data"][field] for path, field, _value, _name in FOREIGN_CHANGES}
    for path, field, value, _name in FOREIGN_CHANGES:
        held = {name: part for name, part in client.read(path)["data"].items() if part is not None}
        client.write_data(path, data={**held, field: value})
    said = vault.pulumi("preview", "--refresh", "--diff", "--color=never")
    assert [name for _path, _field, _value, name in FOREIGN_CHANGES if name not in said] == []
    vault.up("--refresh")
    after = {(path, field): client.read(path)["data"][field] or None for path, field in before}
    assert after == {place: value or None for place, value in before.items()}


def test_everything_is_removed(aws: Project, vault: Project, bench: EngineBench) -> None:
    aws.pulumi("destroy", "--yes")
    vault.pulumi("destroy", "--yes")
    iam = bench.iam()
    assert [role["RoleName"] for role in iam.list_roles()["Roles"] if "all-in-one" in role["RoleName"]] == []
    assert iam.list_users(PathPrefix="/people/")["Users"] == []
    assert iam.list_policies(Scope="Local")["Policies"] == []
    mounts = bench.vault().sys.list_mounted_secrets_engines()["data"].keys()
    assert not mounts & {"narrowgate-aws/", "narrowgate-database/", "values/"}
    assert "agents/w/" not in bench.vault().sys.list_auth_methods()["data"]
