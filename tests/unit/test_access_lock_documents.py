"""Deployed documents are judged by the lock, whatever made them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from narrowgate.access.lock import LockError, lock_file
from narrowgate.access.locked import LockedDocuments
from narrowgate.access.locked_settings import DEFAULTS
from narrowgate.compile import compile_plan
from narrowgate.compile.documents import AuthMount
from narrowgate.declarations import load_environment, load_plan

if TYPE_CHECKING:
    from pathlib import Path

    from narrowgate.compile.documents import PlanDocuments


@pytest.fixture
def documents(stacks: Path) -> PlanDocuments:
    return compile_plan(load_plan(stacks, load_environment(stacks, "dev")))


@pytest.fixture
def locked(stacks: Path) -> LockedDocuments:
    return LockedDocuments.read(load_environment(stacks, "dev"), lock_file(stacks, "dev"))


def test_what_the_declarations_compile_to_is_within(documents: PlanDocuments, locked: LockedDocuments) -> None:
    judged = 0
    for workflow in documents.workflows:
        role = workflow.auth_role
        assert locked.judge_auth_role(role.mount, role.name, role.settings) is None
        assert locked.judge_vault_policy(workflow.agent_policy.name, workflow.agent_policy.text) is None
        for tool in workflow.tools:
            if tool.policy is not None:
                assert locked.judge_vault_policy(tool.policy.name, tool.policy.text) is None
            if tool.aws is not None:
                assert locked.judge_role(tool.aws.role.name, list(tool.aws.role.policies.values())) is None
                assert locked.judge_trust(tool.aws.role.name, tool.aws.role.trust_policy) is None
                judged += 1
    assert judged


def first_role(locked: LockedDocuments) -> str:
    return next(name for name in sorted(locked.roles) if "documents" in name)


def test_less_is_within_and_more_is_not(locked: LockedDocuments) -> None:
    name = first_role(locked)
    policies = [dict(policy) for policy in locked.roles[name].policies.values()]
    assert locked.judge_role(name, []) is None
    more = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "*"}
    widened = [*policies, {"Version": "2012-10-17", "Statement": [more]}]
    assert "s3:PutObject" in str(locked.judge_role(name, widened))


def test_an_unknown_name_is_not_within(locked: LockedDocuments) -> None:
    assert locked.judge_role("ng-dev-other", []) is not None
    assert locked.judge_trust("ng-dev-other", {}) is not None
    assert locked.judge_vault_policy("tool.other", "") is not None
    assert locked.judge_auth_role("agents/other", "agent", {}) is not None


def test_another_broker_is_not_within(locked: LockedDocuments) -> None:
    name = first_role(locked)
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "arn:aws:iam::222222222222:root"}}
    assert locked.judge_trust(name, {"Version": "2012-10-17", "Statement": [statement]}) is not None


def test_a_wider_vault_policy_is_not_within(locked: LockedDocuments) -> None:
    name = next(name for name in sorted(locked.policies) if name.startswith("tool."))
    text = locked.policies[name]
    assert locked.judge_vault_policy(name, "") is None
    assert "kv/secret" in str(
        locked.judge_vault_policy(name, text + '\npath "kv/secret" {\n  capabilities = ["read"]\n}\n')
    )


@pytest.mark.parametrize("key", ["token_policies", "bound_audiences", "bound_claims", "token_max_ttl"])
def test_another_login_is_not_within(locked: LockedDocuments, key: str) -> None:
    (mount, name), role = min(locked.auth_roles.items())
    changed = {**role.settings, key: ["other"]}
    assert key in str(locked.judge_auth_role(mount, name, changed))
    assert "policies" in str(locked.judge_auth_role(mount, name, {**role.settings, "policies": ["admin"]}))
    assert locked.judge_auth_role(mount, name, {**role.settings, "policies": []}) is None
    less = {k: v for k, v in role.settings.items() if k != key}
    assert key in str(locked.judge_auth_role(mount, name, less))


def first_group(locked: LockedDocuments) -> str:
    return min(name for name, group in locked.groups.items() if group.tables)


def with_group(locked: LockedDocuments, **changes: object) -> str | None:
    group = locked.groups[first_group(locked)]
    inputs = {
        "group": group.group_role,
        "broker": group.broker,
        "host": group.host,
        "port": group.port,
        "database": group.database,
        "sslmode": group.sslmode,
        "tables": [dict(table) for table in group.tables],
        "functions": list(group.functions),
        "__provider": "code",
    }
    return locked.judge_group(group.group_role, {**inputs, **changes})


def test_a_group_gets_no_other_table_column_row_or_function(locked: LockedDocuments) -> None:
    table = dict(locked.groups[first_group(locked)].tables[0])
    assert with_group(locked) is None
    assert with_group(locked, tables=[]) is None
    assert with_group(locked, tables=[{**table, "columns": table["columns"][:1]}]) is None
    narrower = [{column: values[:1] for column, values in row.items()} | {"extra": ["x"]} for row in table["rows"]]
    assert with_group(locked, tables=[{**table, "rows": narrower}]) is None
    for change in (
        {"table": "salaries"},
        {"schema": "hr"},
        {"privilege": "UPDATE"},
        {"columns": [*table["columns"], "salary"]},
        {"columns": []},
        {"rows": [{}]},
        {"rows": []},
        {"rows": [*table["rows"], {"tenant": ["apac"]}]},
        {"rows": [{"tenant": [True]}]},
    ):
        assert "what the lock does not grant" in str(with_group(locked, tables=[{**table, **change}])), change
    function = {"schema": "public", "function": "pay", "arguments": []}
    assert "EXECUTE on public.pay" in str(with_group(locked, functions=[function]))


@pytest.mark.parametrize("change", [{"database": "hr"}, {"host": "db.evil"}, {"port": 1}, {"broker": "postgres"}])
def test_a_group_stands_where_the_lock_says(locked: LockedDocuments, change: dict[str, object]) -> None:
    assert next(iter(change)) in str(with_group(locked, **change))
    assert locked.judge_group("ng_dev_other", {}) == "the lock has no PostgreSQL group role ng_dev_other"


def test_a_secrets_role_is_the_locks_own(locked: LockedDocuments) -> None:
    for path, found in locked.secret_roles.items():
        settings = found.role.settings
        assert locked.judge_secret_role((path,), settings) is None
        for name in settings:
            if settings[name] == DEFAULTS[found.engine].get(name, False):
                continue  # it is Vault's own default, so to leave it out says the same
            wrong = str(locked.judge_secret_role((path,), {k: v for k, v in settings.items() if k != name}))
            assert name in wrong, (path, name)
            assert name in str(locked.judge_secret_role((path,), {**settings, name: ["another"]}))
        assert "policy_arns" in str(locked.judge_secret_role((path,), {**settings, "policy_arns": ["arn:x"]}))
        assert locked.judge_secret_role((path,), {**settings, "policy_arns": []}) is None
        assert "namespace" in str(locked.judge_secret_role((path,), {**settings, "namespace": "other"}))
    assert "no credentials at other/creds/x" in str(locked.judge_secret_role(("other/creds/x",), {}))


def test_times_and_lists_are_equal_however_they_are_spelled(locked: LockedDocuments) -> None:
    (mount, name), role = min(locked.auth_roles.items())
    claims = {c: ",".join(v) if isinstance(v, list) else v for c, v in role.settings["bound_claims"].items()}
    spelled = {**role.settings, "bound_claims": claims, "token_ttl": "15m", "token_max_ttl": "3600"}
    spelled["token_policies"] = tuple(reversed(role.settings["token_policies"]))
    assert locked.judge_auth_role(mount, name, spelled) is None
    assert "token_ttl" in str(locked.judge_auth_role(mount, name, {**spelled, "token_ttl": "16m"}))
    wider = {**claims, "/groups": claims["/groups"] + ",everyone"}
    assert "bound_claims" in str(locked.judge_auth_role(mount, name, {**spelled, "bound_claims": wider}))


def test_an_auth_mount_trusts_the_locks_issuer_alone(locked: LockedDocuments) -> None:
    path, mount = min(locked.auth_mounts.items())
    assert locked.judge_auth_mount(path, "jwt", {**mount.config, "description": "x"}) is None
    assert "jwks_url" in str(locked.judge_auth_mount(path, "jwt", {**mount.config, "jwks_url": "https://evil/keys"}))
    assert "oidc_discovery_url" in str(
        locked.judge_auth_mount(path, "jwt", {**mount.config, "oidc_discovery_url": "https://evil"})
    )
    assert "type" in str(locked.judge_auth_mount(path, "approle", mount.config))
    assert "no auth mount" in str(locked.judge_auth_mount("agents/other", "jwt", mount.config))


def test_settings_apart_from_their_mount_are_the_locks(locked: LockedDocuments) -> None:
    config = {"disable_local_ca_jwt": True, "kubernetes_ca_cert": "ca", "kubernetes_host": "https://cluster"}
    held = replace(locked, auth_mounts={"agents/pod": AuthMount("agents/pod", "kubernetes", config)})
    assert held.judge_auth_mount("agents/pod", "kubernetes", {}) is None
    assert "kubernetes_host" in str(held.judge_auth_mount("agents/pod", "kubernetes", config))
    assert held.judge_auth_settings("agents/pod", "kubernetes", config) is None
    other = {**config, "kubernetes_host": "https://evil"}
    assert "kubernetes_host" in str(held.judge_auth_settings("agents/pod", "kubernetes", other))
    assert "pem_keys" in str(held.judge_auth_settings("agents/pod", "kubernetes", {**config, "pem_keys": ["k"]}))
    assert "type" in str(held.judge_auth_settings("agents/pod", "aws", config))
    assert "no auth mount" in str(held.judge_auth_settings("agents/other", "kubernetes", config))


def test_a_role_stands_where_the_lock_says_and_lives_no_longer(locked: LockedDocuments) -> None:
    name = first_role(locked)
    role = locked.roles[name]
    assert locked.judge_place(name, role.path, 900) is None
    assert "stands under" in str(locked.judge_place(name, "/", 900))
    assert "sessions" in str(locked.judge_place(name, role.path, role.max_session_seconds + 1))


def test_nothing_is_written_below_our_mounts(locked: LockedDocuments) -> None:
    assert locked.judge_write("secret/data/app", {}) is None
    for path in ("narrowgate-aws/config/root", "narrowgate-kv/data/x", "narrowgate-database/config/operations"):
        assert path in str(locked.judge_write(path, {}))


def test_a_lock_for_other_bindings_is_refused(stacks: Path) -> None:
    environment = load_environment(stacks, "dev")
    other = replace(environment, identity=replace(environment.identity, issuer="https://idp.evil.example"))
    with pytest.raises(LockError, match="other bindings"):
        LockedDocuments.read(other, lock_file(stacks, "dev"))


def test_without_a_lock_nothing_can_be_judged(stacks: Path) -> None:
    lock_file(stacks, "dev").unlink()
    with pytest.raises(LockError):
        LockedDocuments.read(load_environment(stacks, "dev"), lock_file(stacks, "dev"))
