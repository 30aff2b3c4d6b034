"""Drift on the running system: a clean deploy has none; what was made or changed by hand is found."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from operator_login import operator_process
from psycopg import sql

from narrowgate.access.lock import lock_file
from narrowgate.audit import auditor
from narrowgate.audit.drift.comparison import find_drift
from narrowgate.audit.drift.expected import Expected
from narrowgate.audit.drift.facts import Finding, Kind
from narrowgate.audit.drift.reading import read_standing
from narrowgate.audit.drift.row_conditions import declared_rows, read_rows
from narrowgate.compile.postgres import row_condition
from narrowgate.declarations import load_environment
from narrowgate.runtime import login
from rehearsal import postgres

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import hvac
    import psycopg

    from narrowgate.compile.documents import IamRole
    from rehearsal.live import LiveRehearsal

WORKFLOW, OTHER = "incident-summarization", "ticket-drafting"
PLAIN = ("--non-interactive", "--color", "never", "--yes", "--skip-preview")
DOCUMENT = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*"}]}


@pytest.fixture(scope="module")
def expected(rehearsal: LiveRehearsal) -> Expected:
    environment = load_environment(rehearsal.layout.project, "dev")
    return Expected.read(environment, lock_file(rehearsal.layout.stacks, "dev"))


def find(rehearsal: LiveRehearsal, expected: Expected) -> list[Finding]:
    with mock.patch.dict(os.environ, rehearsal.environment(), clear=True):
        standing = read_standing(expected, lambda _: None)
    assert standing.unread == ()
    return find_drift(expected, standing)


def run(rehearsal: LiveRehearsal, *options: str, **more: str) -> subprocess.CompletedProcess[str]:
    where = ("--stacks", str(rehearsal.layout.stacks), "--config-dir", str(rehearsal.layout.project))
    return subprocess.run(
        [str(rehearsal.layout.venv / "bin" / "narrowgate"), "access", "drift", "--env", "dev", *where, *options],
        env=rehearsal.environment(**more),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def assert_found(found: list[Finding], kind: Kind, thing: str, detail: str = "") -> None:
    assert any(f.kind is kind and thing in f.thing and detail in f.detail for f in found), (kind, thing, detail, found)


def test_a_clean_deploy_has_none(rehearsal: LiveRehearsal) -> None:
    done = run(rehearsal)
    assert (done.returncode, done.stdout) == (0, "dev: no drift.\n"), done.stderr
    done = run(rehearsal, "--format", "json")
    assert json.loads(done.stdout) == {
        "version": 1,
        "environment": "dev",
        "clean": True,
        "findings": [],
        "unread": [],
    }


def test_leases_of_agents_are_none_and_what_such_a_login_is_given_by_hand_is(
    rehearsal: LiveRehearsal, expected: Expected
) -> None:
    with (
        login(rehearsal.manifest(WORKFLOW), rehearsal.token("alice", WORKFLOW, groups=["on-call"])) as agent,
        agent.postgres("incidents") as connection,
        rehearsal.postgres(postgres.SUPERUSER) as admin,
    ):
        (name,) = connection.execute("SELECT current_user::text").fetchone() or ("",)
        assert find(rehearsal, expected) == []
        admin.execute(sql.SQL("GRANT SELECT ON vendors TO {}").format(sql.Identifier(name)))
        assert_found(find(rehearsal, expected), Kind.CHANGED, f"login {name}", "SELECT on public.vendors")
        admin.execute(sql.SQL("REVOKE SELECT ON vendors FROM {}").format(sql.Identifier(name)))


# AWS ------------------------------------------------------------------------------------------------------------------


def first_role(expected: Expected, tool: str) -> IamRole:
    return next(role for name, role in sorted(expected.locked.roles.items()) if f"-{tool}-" in name)


def make_role(iam: Any, role: IamRole, **changes: object) -> None:  # noqa: ANN401 - boto3 makes clients at run time
    settings = {
        "RoleName": role.name,
        "Path": role.path,
        "AssumeRolePolicyDocument": json.dumps(role.trust_policy),
        "PermissionsBoundary": role.boundary_arn,
        "MaxSessionDuration": role.max_session_seconds,
        "Tags": [{"Key": key, "Value": value} for key, value in role.tags.items()],
        **changes,
    }
    iam.create_role(**settings)


def put_policies(iam: Any, role: IamRole) -> None:  # noqa: ANN401 - as above
    for name, document in role.policies.items():
        iam.put_role_policy(RoleName=role.name, PolicyName=name, PolicyDocument=json.dumps(document))


def remove_role(iam: Any, role: IamRole) -> None:  # noqa: ANN401 - as above
    for name in iam.list_role_policies(RoleName=role.name)["PolicyNames"]:
        iam.delete_role_policy(RoleName=role.name, PolicyName=name)
    for policy in iam.list_attached_role_policies(RoleName=role.name)["AttachedPolicies"]:
        iam.detach_role_policy(RoleName=role.name, PolicyArn=policy["PolicyArn"])
    iam.delete_role(RoleName=role.name)


@contextmanager
def changed_role(rehearsal: LiveRehearsal, role: IamRole) -> Iterator[Any]:
    """Give IAM's client; afterwards the role stands as the lock has it."""
    iam = rehearsal.aws("iam")
    try:
        yield iam
    finally:
        if any(each["RoleName"] == role.name for each in iam.list_roles()["Roles"]):
            remove_role(iam, role)
        make_role(iam, role)
        put_policies(iam, role)


def foreign_trust(role: IamRole) -> str:
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "arn:aws:iam::222222222222:root"}}
    return json.dumps({"Version": "2012-10-17", "Statement": [*role.trust_policy["Statement"], statement]})


def attach_managed(iam: Any, role: IamRole) -> None:  # noqa: ANN401 - as above
    made = iam.create_policy(PolicyName="by-hand", Path="/narrowgate/dev/", PolicyDocument=json.dumps(DOCUMENT))
    iam.attach_role_policy(RoleName=role.name, PolicyArn=made["Policy"]["Arn"])


ROLE_CHANGES: dict[str, tuple[Callable[[Any, IamRole], object], Kind, str]] = {
    "a wider policy": (
        lambda iam, role: iam.put_role_policy(
            RoleName=role.name, PolicyName="grants-1", PolicyDocument=json.dumps(DOCUMENT)
        ),
        Kind.CHANGED,
        "s3:PutObject",
    ),
    "one more policy": (
        lambda iam, role: iam.put_role_policy(
            RoleName=role.name, PolicyName="more", PolicyDocument=json.dumps(DOCUMENT)
        ),
        Kind.CHANGED,
        "inline policy `more`",
    ),
    "a managed policy": (attach_managed, Kind.CHANGED, "policy/narrowgate/dev/by-hand"),
    "no policy": (
        lambda iam, role: iam.delete_role_policy(RoleName=role.name, PolicyName="grants-1"),
        Kind.CHANGED,
        "less than the lock",
    ),
    "a foreign trust": (
        lambda iam, role: iam.update_assume_role_policy(RoleName=role.name, PolicyDocument=foreign_trust(role)),
        Kind.CHANGED,
        "222222222222",
    ),
    "a longer session": (
        lambda iam, role: iam.update_role(RoleName=role.name, MaxSessionDuration=43200),
        Kind.CHANGED,
        "43200",
    ),
    "no boundary": (
        lambda iam, role: iam.delete_role_permissions_boundary(RoleName=role.name),
        Kind.CHANGED,
        "boundary is none",
    ),
    "no role": (remove_role, Kind.MISSING, "not there"),
}


@pytest.mark.parametrize("change", sorted(ROLE_CHANGES))
def test_a_role_that_was_changed_by_hand_is_found(rehearsal: LiveRehearsal, expected: Expected, change: str) -> None:
    role = first_role(expected, "documents")
    apply, kind, detail = ROLE_CHANGES[change]
    with changed_role(rehearsal, role) as iam:
        apply(iam, role)
        assert_found(find(rehearsal, expected), kind, role.name, detail)
    if change == "a managed policy":
        iam.delete_policy(PolicyArn=f"arn:aws:iam::{rehearsal.account}:policy/narrowgate/dev/by-hand")
    assert find(rehearsal, expected) == []


@pytest.mark.parametrize("kind", ["tool", "gated", "system"])
def test_a_role_that_was_made_by_hand_is_found(rehearsal: LiveRehearsal, expected: Expected, kind: str) -> None:
    iam, role = rehearsal.aws("iam"), first_role(expected, "documents")
    iam.create_role(
        RoleName="by-hand",
        Path=f"/narrowgate/dev/{kind}/",
        AssumeRolePolicyDocument=json.dumps(role.trust_policy),
    )
    try:
        done = run(rehearsal, "--format", "json")
    finally:
        iam.delete_role(RoleName="by-hand")
    assert done.returncode == 1, done.stderr
    (found,) = json.loads(done.stdout)["findings"]
    assert (found["system"], found["thing"], found["kind"]) == ("aws", "IAM role by-hand", "unknown")


# Vault ----------------------------------------------------------------------------------------------------------------

NOTHING_HCL = 'path "narrowgate-aws/sts/x" {\n  capabilities = ["deny"]\n}\n'
ROGUE_HCL = 'path "narrowgate-aws/sts/*" {\n  capabilities = ["read"]\n}\n'


@contextmanager
def written(vault: hvac.Client, path: str, data: dict[str, Any] | None) -> Iterator[None]:
    """Write `data` to `path` (None: delete it); afterwards it holds what it held, or is gone."""
    held = vault.read(path)
    if data is None:
        vault.delete(path)
    else:
        vault.write_data(path, data=data)
    try:
        yield
    finally:
        if held is None:
            vault.delete(path)
        else:
            vault.write_data(path, data=held["data"])


def vault_changes(vault: hvac.Client) -> dict[str, tuple[str, dict[str, Any] | None, Kind, str, str]]:
    """Return changes: what is written where, and which finding it must be: kind, thing, detail."""
    agent, tool = f"auth/agents/{WORKFLOW}/role/agent", f"tool.{WORKFLOW}.logs"
    policy = vault.read(f"sys/policies/acl/{tool}")["data"]["policy"]
    held = vault.read(agent)["data"]
    minted = vault.read(f"narrowgate-aws/roles/{WORKFLOW}.logs")["data"]
    logins = vault.read(f"narrowgate-database/roles/{WORKFLOW}.incidents")["data"]
    wide = [logins["creation_statements"][0].replace("NOSUPERUSER", "SUPERUSER")]
    key = {"key": "narrowgate", "client_id": "https://payments.dev.example.com", "template": "{}"}
    trust = vault.read(f"auth/agents/{WORKFLOW}/config")["data"]
    other_issuer = {"jwt_validation_pubkeys": trust["jwt_validation_pubkeys"], "bound_issuer": "https://evil.example"}
    return {
        "a login more": (f"auth/agents/{WORKFLOW}/role/more", held, Kind.UNKNOWN, f"{WORKFLOW}/role/more", "no plan"),
        "a wider login": (
            agent,
            {**held, "token_policies": [*held["token_policies"], "root"]},
            Kind.CHANGED,
            agent,
            "token_policies",
        ),
        "no login": (agent, None, Kind.MISSING, agent, ""),
        "another issuer": (
            f"auth/agents/{WORKFLOW}/config",
            other_issuer,
            Kind.CHANGED,
            f"auth mount auth/agents/{WORKFLOW}",
            "bound_issuer",
        ),
        "an executor's login": (
            "auth/executors/role/gated.more",
            {**held, "token_policies": ["root"]},
            Kind.UNKNOWN,
            "gated.more",
            "",
        ),
        "a wider policy": (
            f"sys/policies/acl/{tool}",
            {"policy": policy + ROGUE_HCL},
            Kind.CHANGED,
            f"policy {tool}",
            "narrowgate-aws/sts",
        ),
        "a narrower policy": (
            f"sys/policies/acl/{tool}",
            {"policy": NOTHING_HCL},
            Kind.CHANGED,
            f"policy {tool}",
            "less",
        ),
        "a policy more": ("sys/policies/acl/agent.more", {"policy": ROGUE_HCL}, Kind.UNKNOWN, "policy agent.more", ""),
        "no policy": (f"sys/policies/acl/{tool}", None, Kind.MISSING, f"policy {tool}", ""),
        "a system's policy": (
            "sys/policies/acl/system.operator",
            {"policy": ROGUE_HCL},
            Kind.CHANGED,
            "policy system.operator",
            "",
        ),
        "an AWS role more": ("narrowgate-aws/roles/more", minted, Kind.UNKNOWN, "narrowgate-aws/roles/more", ""),
        "another AWS role": (
            f"narrowgate-aws/roles/{WORKFLOW}.logs",
            {**minted, "role_arns": ["arn:aws:iam::111111111111:role/admin"]},
            Kind.CHANGED,
            f"{WORKFLOW}.logs",
            "role_arns",
        ),
        "another database login": (
            f"narrowgate-database/roles/{WORKFLOW}.incidents",
            {**logins, "creation_statements": wide},
            Kind.CHANGED,
            f"narrowgate-database/roles/{WORKFLOW}.incidents",
            "creation_statements",
        ),
        "an open CA role": (
            "narrowgate-pki/roles/more",
            {"allow_any_name": True},
            Kind.UNKNOWN,
            "narrowgate-pki/roles/more",
            "",
        ),
        "signed claims": ("identity/oidc/role/more", key, Kind.UNKNOWN, "identity/oidc/role/more", ""),
        "a gated role": (
            "narrowgate-database-gated/roles/more",
            logins,
            Kind.UNKNOWN,
            "narrowgate-database-gated/roles/more",
            "",
        ),
    }


CHANGES = (
    "a gated role", "a login more", "a narrower policy", "a policy more", "a system's policy", "a wider login",
    "a wider policy", "an AWS role more", "an executor's login", "an open CA role", "another AWS role",
    "another database login", "another issuer", "no login", "no policy", "signed claims",
)  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_what_was_changed_by_hand_in_vault_is_found(rehearsal: LiveRehearsal, expected: Expected, change: str) -> None:
    vault = rehearsal.vault()
    path, data, kind, thing, detail = vault_changes(vault)[change]
    with written(vault, path, data):
        found = find(rehearsal, expected)
    assert_found(found, kind, thing, detail)
    assert len(found) == 1, found
    assert find(rehearsal, expected) == []


def test_every_change_is_tried(rehearsal: LiveRehearsal) -> None:
    assert sorted(vault_changes(rehearsal.vault())) == list(CHANGES)


def test_a_mount_that_was_made_by_hand_is_found(rehearsal: LiveRehearsal, expected: Expected) -> None:
    vault = rehearsal.vault()
    vault.sys.enable_auth_method("approle", path="agents/by-hand")
    vault.sys.enable_secrets_engine("kv", path="narrowgate-by-hand")
    try:
        found = find(rehearsal, expected)
    finally:
        vault.sys.disable_auth_method("agents/by-hand")
        vault.sys.disable_secrets_engine("narrowgate-by-hand")
    assert_found(found, Kind.UNKNOWN, "auth mount auth/agents/by-hand")
    assert_found(found, Kind.UNKNOWN, "secrets mount narrowgate-by-hand")


def test_what_others_sign_and_name_is_theirs(rehearsal: LiveRehearsal, expected: Expected) -> None:
    vault = rehearsal.vault()
    vault.write_data("identity/oidc/key/theirs", data={"allowed_client_ids": ["*"]})
    try:
        with (
            written(vault, "identity/oidc/role/theirs", {"key": "theirs"}),
            written(vault, "sys/policies/acl/their-policy", {"policy": ROGUE_HCL}),
        ):
            assert find(rehearsal, expected) == []
    finally:
        vault.delete("identity/oidc/key/theirs")


# PostgreSQL -----------------------------------------------------------------------------------------------------------


def group_of(expected: Expected, workflow: str, tool: str) -> str:
    wanted = f"ng_dev_{workflow}_{tool}_".replace("-", "_")
    return next(name for name in sorted(expected.locked.groups) if name.startswith(wanted))


# what is done and undone, and what must be found of it
STATEMENTS: dict[str, tuple[str, str, Kind, str]] = {
    "a column more": (
        "GRANT SELECT (bank_account) ON vendors TO {group}",
        "REVOKE SELECT (bank_account) ON vendors FROM {group}",
        Kind.CHANGED,
        "SELECT granted to",
    ),
    "a whole table": (
        "GRANT DELETE ON incidents TO {group}",
        "REVOKE DELETE ON incidents FROM {group}",
        Kind.CHANGED,
        "DELETE granted to",
    ),
    "a grant less": (
        "REVOKE SELECT (title) ON incidents FROM {group}",
        "SET ROLE app_owner; GRANT SELECT (title) ON incidents TO {group}; RESET ROLE",
        Kind.CHANGED,
        "SELECT on public.incidents.title is missing",
    ),
    "other rows": (
        "ALTER POLICY {group}_select ON incidents USING (true)",
        "ALTER POLICY {group}_select ON incidents USING (tenant = 'emea')",
        Kind.CHANGED,
        "admits other rows",
    ),
    "another policy": (
        "CREATE POLICY by_hand ON incidents TO {group} USING (true)",
        "DROP POLICY by_hand ON incidents",
        Kind.CHANGED,
        "by_hand",
    ),
    "no row security": (
        "ALTER TABLE incidents DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE incidents ENABLE ROW LEVEL SECURITY",
        Kind.CHANGED,
        "row security is off",
    ),
    "a member": ("GRANT {group} TO preview", "REVOKE {group} FROM preview", Kind.CHANGED, "preview is in it"),
    "a membership": ("GRANT app_owner TO {group}", "REVOKE app_owner FROM {group}", Kind.CHANGED, "app_owner"),
    "a login": ("ALTER ROLE {group} LOGIN", "ALTER ROLE {group} NOLOGIN", Kind.CHANGED, "it can log in"),
    "no way for Vault": (
        "SET ROLE deployer; REVOKE {group} FROM vault_broker; RESET ROLE",
        "SET ROLE deployer; GRANT {group} TO vault_broker WITH ADMIN TRUE, INHERIT FALSE, SET FALSE; RESET ROLE",
        Kind.CHANGED,
        "can't make logins",
    ),
}


@pytest.mark.parametrize("change", sorted(STATEMENTS))
def test_what_was_changed_by_hand_in_the_database_is_found(
    rehearsal: LiveRehearsal, expected: Expected, change: str
) -> None:
    group = group_of(expected, WORKFLOW, "incidents")
    do, undo, kind, detail = STATEMENTS[change]
    with rehearsal.postgres(postgres.SUPERUSER) as admin:
        execute(admin, do.format(group=group))
        try:
            found = find(rehearsal, expected)
        finally:
            execute(admin, undo.format(group=group))
    assert_found(found, kind, group, detail)
    assert find(rehearsal, expected) == []


def execute(admin: psycopg.Connection[Any], statements: str) -> None:
    for statement in statements.split(";"):
        admin.execute(statement.encode())


COLUMNS = {
    "a": ("text", ["it's", "back\\slash", ""]),
    "b": ("varchar(20)", ["emea", "apac"]),
    "c": ("integer", [1, -2]),
    "d": ("bigint", [5_000_000_000, -1]),
    "e": ("boolean", [True]),
    "f": ("uuid", ["0b0e6a1c-8f6d-4a0e-9b57-0a3f3f3f3f3f"]),
    "g": ("char(3)", ["x"]),
    '"Odd ""name"': ("smallint", [7]),
    "i": ("name", ["n", "m"]),
}


def test_conditions_are_read_as_the_server_writes_them(rehearsal: LiveRehearsal) -> None:
    with rehearsal.postgres(postgres.SUPERUSER) as admin:
        admin.execute(f"CREATE TABLE tried ({', '.join(f'{name} {kind}' for name, (kind, _) in COLUMNS.items())})")
        try:
            plain = {name.strip('"').replace('""', '"'): values for name, (_, values) in COLUMNS.items()}
            singles = [[{name: values}] for name, values in plain.items()]
            ones = [[{name: values[:1]}] for name, values in plain.items()]
            for rows in (
                *singles,
                *ones,
                [plain],
                [{"a": ["x"]}, {"b": ["y", "z"], "c": [1]}, {"e": [False]}],
                [{}],
                [],
            ):
                admin.execute(f"CREATE POLICY tried ON tried USING ({row_condition(rows)})".encode())
                (text,) = admin.execute(
                    "SELECT pg_get_expr(polqual, polrelid) FROM pg_policy WHERE polname = 'tried'"
                ).fetchone() or ("",)
                admin.execute("DROP POLICY tried ON tried")
                assert read_rows(text) == declared_rows(rows), text
        finally:
            admin.execute("DROP TABLE tried")


def test_a_group_that_was_made_by_hand_is_found(rehearsal: LiveRehearsal, expected: Expected) -> None:
    with rehearsal.postgres(postgres.SUPERUSER) as admin:
        admin.execute("CREATE ROLE ng_dev_by_hand")
        try:
            found = find(rehearsal, expected)
        finally:
            admin.execute("DROP ROLE ng_dev_by_hand")
    assert_found(found, Kind.UNKNOWN, "role ng_dev_by_hand")


# Who may look ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def auditors_login(rehearsal: LiveRehearsal, expected: Expected) -> Iterator[dict[str, str]]:
    """Give an auditor's own credentials: what `narrowgate ledger policy` prints, and a plain database login."""
    vault, iam, environment = rehearsal.vault(), rehearsal.aws("iam"), expected.environment
    vault.sys.create_or_update_policy("auditor", auditor.vault_policy(environment))
    token = vault.auth.token.create(policies=["auditor"], no_default_policy=True, no_parent=True)
    iam.create_user(UserName="auditor")
    policy = json.dumps(auditor.iam_policy(environment))
    iam.put_user_policy(UserName="auditor", PolicyName="audit", PolicyDocument=policy)
    key = iam.create_access_key(UserName="auditor")["AccessKey"]
    yield {
        "VAULT_TOKEN": token["auth"]["client_token"],
        "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "PGUSER": "preview",
        "PGPASSFILE": str(postgres.password_file(rehearsal.layout, "preview")),
    }
    iam.delete_access_key(UserName="auditor", AccessKeyId=key["AccessKeyId"])
    iam.delete_user_policy(UserName="auditor", PolicyName="audit")
    iam.delete_user(UserName="auditor")


def test_an_auditors_own_rights_suffice(rehearsal: LiveRehearsal, auditors_login: dict[str, str]) -> None:
    done = run(rehearsal, **auditors_login)
    assert (done.returncode, done.stdout) == (0, "dev: no drift.\n"), done.stdout + done.stderr


def test_who_may_not_look_is_never_told_that_all_is_well(
    rehearsal: LiveRehearsal, auditors_login: dict[str, str]
) -> None:
    vault, iam = rehearsal.vault(), rehearsal.aws("iam")
    nobody = vault.auth.token.create(policies=["none"], no_default_policy=True, no_parent=True)["auth"]["client_token"]
    broken = {
        "vault": {"VAULT_TOKEN": nobody},
        "postgres": {"PGUSER": "nobody"},
    }
    for system, more in broken.items():
        done = run(rehearsal, "--format", "json", **{**auditors_login, **more})
        answer = json.loads(done.stdout)
        assert (done.returncode, answer["clean"]) == (2, None), done.stdout
        assert {each["system"] for each in answer["unread"]} == {system}
        assert answer["findings"] == []
        assert nobody not in done.stdout + done.stderr
    iam.delete_user_policy(UserName="auditor", PolicyName="audit")
    try:
        done = run(rehearsal, **auditors_login)
    finally:
        policy = json.dumps(auditor.iam_policy(load_environment(rehearsal.layout.project, "dev")))
        iam.put_user_policy(UserName="auditor", PolicyName="audit", PolicyDocument=policy)
    assert done.returncode == 2
    assert "? AWS: IAM roles below /narrowgate/dev/" in done.stdout
    assert "cannot tell" in done.stdout


def test_one_thing_that_can_not_be_read_does_not_hide_the_others(
    rehearsal: LiveRehearsal, expected: Expected, auditors_login: dict[str, str]
) -> None:
    vault = rehearsal.vault()
    blind = f'path "sys/policies/acl/agent.{OTHER}" {{\n  capabilities = ["deny"]\n}}\n'
    vault.sys.create_or_update_policy("auditor", auditor.vault_policy(expected.environment) + blind)
    with written(vault, "sys/policies/acl/agent.more", {"policy": ROGUE_HCL}):
        done = run(rehearsal, "--format", "json", **auditors_login)
    answer = json.loads(done.stdout)
    assert done.returncode == 2
    assert [each["thing"] for each in answer["unread"]] == [f"sys/policies/acl/agent.{OTHER}"]
    assert [each["thing"] for each in answer["findings"]] == ["policy agent.more"]


# Revoked workflows ----------------------------------------------------------------------------------------------------


def test_what_an_operator_revoked_is_no_drift_and_a_login_that_comes_back_is(
    rehearsal: LiveRehearsal, expected: Expected
) -> None:
    vault, path = rehearsal.vault(), f"auth/agents/{WORKFLOW}/role/agent"
    held = vault.read(path)["data"]
    revoke = (str(rehearsal.layout.venv / "bin" / "narrowgate"), "revoke", WORKFLOW, "--reason", "a drill", "--yes")
    subprocess.run(revoke, env=operator_process(rehearsal), check=True, capture_output=True, timeout=120)
    try:
        assert find(rehearsal, expected) == []
        vault.write_data(path, data=held)
        assert_found(find(rehearsal, expected), Kind.CHANGED, path, "is revoked")
    finally:
        restore = (revoke[0], "restore", WORKFLOW, "--yes")
        subprocess.run(restore, env=operator_process(rehearsal), check=True, capture_output=True, timeout=120)
        vault.write_data(path, data=held)
    assert find(rehearsal, expected) == []  # the cut of its sessions stays, and only denies
    allowing = json.dumps(DOCUMENT)
    role = first_role(expected, "logs")
    iam = rehearsal.aws("iam")
    iam.put_role_policy(RoleName=role.name, PolicyName="narrowgate-revoked", PolicyDocument=allowing)
    assert_found(find(rehearsal, expected), Kind.CHANGED, role.name, "s3:PutObject")
    iam.delete_role_policy(RoleName=role.name, PolicyName="narrowgate-revoked")
    # A restored login is made anew by the next deploy; whoever comes next expects none.
    rehearsal.run("pulumi", "up", "--yes", "--skip-preview", "--non-interactive", "--color", "never")
