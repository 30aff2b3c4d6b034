"""The comparison of what stands with the lock: over facts, without servers."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from narrowgate.access.lock import lock_file
from narrowgate.access.postgres import Catalog, Grant, Role, RowPolicy, Schema, Table
from narrowgate.audit.drift.comparison import find_drift
from narrowgate.audit.drift.expected import Expected
from narrowgate.audit.drift.facts import (
    Database,
    Finding,
    Kind,
    Member,
    Place,
    Standing,
    StandingMount,
    StandingRole,
    Unread,
)
from narrowgate.audit.drift.render import render_json, render_text
from narrowgate.audit.drift.row_conditions import declared_rows, read_rows
from narrowgate.cli.app import build_app
from narrowgate.declarations import load_environment

if TYPE_CHECKING:
    from pathlib import Path

WORKFLOW = "incident-summarization"


@pytest.fixture
def expected(stacks: Path) -> Expected:
    return Expected.read(load_environment(stacks, "dev"), lock_file(stacks, "dev"))


@pytest.fixture
def standing(expected: Expected) -> Standing:
    """Give what stands after a clean deploy, as far as it takes no database."""
    locked = expected.locked
    logins: dict[str, dict[str, Any]] = {mount: {} for mount in locked.auth_mounts}
    for (mount, name), role in locked.auth_roles.items():
        logins[mount][name] = dict(role.settings)
    minting: dict[str, dict[str, Any]] = {collection: {} for collection in expected.collections}
    for each in locked.secret_roles.values():
        collection, _, name = each.role.path.rpartition("/")
        minting[collection][name] = dict(each.role.settings)
    return Standing(
        roles={
            role.name: StandingRole(
                name=role.name,
                path=role.path,
                trust_policy=role.trust_policy,
                policies=role.policies,
                attached=(),
                boundary=role.boundary_arn or None,
                max_session_seconds=role.max_session_seconds,
            )
            for role in locked.roles.values()
        },
        vault_policies=dict(locked.policies),
        auth_mounts={
            path: StandingMount(mount.type, f"auth_{mount.type}_{number:08x}", dict(mount.config))
            for number, (path, mount) in enumerate(locked.auth_mounts.items())
        },
        auth_roles=logins,
        secret_mounts={path: StandingMount(kind) for path, kind in expected.secret_mounts.items()},
        secret_roles=minting,
        revoked=frozenset(),
    )


def test_what_the_lock_states_is_no_drift(expected: Expected, standing: Standing) -> None:
    assert expected.locked.roles
    assert expected.locked.secret_roles
    assert find_drift(expected, standing) == []


def test_what_was_not_read_is_not_judged(expected: Expected, standing: Standing) -> None:
    assert find_drift(expected, Standing()) == []
    assert standing.roles is not None
    assert find_drift(expected, replace(standing, roles=dict.fromkeys(standing.roles))) == []


def test_nothing_at_all_is_missing_everything(expected: Expected) -> None:
    empty = Standing(roles={}, vault_policies={}, auth_mounts={}, secret_mounts={}, revoked=frozenset())
    found = find_drift(expected, empty)
    things = {f"IAM role {name}" for name in expected.locked.roles}
    things |= {f"policy {name}" for name in expected.locked.policies}
    things |= {f"auth mount auth/{path}" for path in expected.locked.auth_mounts}
    things |= {f"secrets mount {path}" for path in expected.secret_mounts}
    assert {finding.thing for finding in found} == things
    assert {finding.kind for finding in found} == {Kind.MISSING}


def test_system_identities_are_judged_too(expected: Expected, standing: Standing) -> None:
    assert standing.roles is not None
    deployer = standing.roles["ng-dev-deployer"]
    assert deployer is not None
    wide = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    changed = replace(deployer, policies={**deployer.policies, "deploy": wide}, boundary="arn:aws:iam::1:policy/x")
    found = find_drift(expected, replace(standing, roles={**standing.roles, deployer.name: changed}))
    assert {finding.thing for finding in found} == {"IAM role ng-dev-deployer"}
    assert any("allows what the lock does not" in finding.detail for finding in found)
    assert any("permissions boundary" in finding.detail for finding in found)


def test_a_cut_of_sessions_is_no_drift_and_one_that_allows_is(expected: Expected, standing: Standing) -> None:
    assert standing.roles is not None
    name = next(name for name in standing.roles if "documents" in name)
    role = standing.roles[name]
    assert role is not None
    for effect, clean in (("Deny", True), ("Allow", False)):
        cut = {"Version": "2012-10-17", "Statement": [{"Effect": effect, "Action": "*", "Resource": "*"}]}
        more = replace(role, policies={**role.policies, "narrowgate-revoked": cut})
        assert (find_drift(expected, replace(standing, roles={**standing.roles, name: more})) == []) is clean


def test_a_broker_that_the_bindings_name_is_its_owners(expected: Expected, standing: Standing) -> None:
    assert standing.roles is not None
    aws = replace(expected.environment.aws, broker_arn="arn:aws:iam::111111111111:role/narrowgate/dev/broker")
    bound = replace(expected, environment=replace(expected.environment, aws=aws))
    for path, kinds in (("/narrowgate/dev/", []), ("/narrowgate/dev/tool/", [Kind.UNKNOWN])):
        broker = StandingRole("broker", path, {}, {}, (), None, 3600)
        found = find_drift(bound, replace(standing, roles={**standing.roles, "broker": broker}))
        assert [finding.kind for finding in found] == kinds
    unread = find_drift(bound, replace(standing, roles={**standing.roles, "broker": None}))
    assert [finding.kind for finding in unread] == [Kind.UNKNOWN]


def test_a_revoked_workflow_has_no_login(expected: Expected, standing: Standing) -> None:
    assert standing.auth_roles is not None
    mount = f"agents/{WORKFLOW}"
    without = {**standing.auth_roles, mount: {}}
    revoked = frozenset({WORKFLOW})
    assert find_drift(expected, replace(standing, auth_roles=without, revoked=revoked)) == []
    (missing,) = find_drift(expected, replace(standing, auth_roles=without))
    assert (missing.kind, missing.thing) == (Kind.MISSING, f"login auth/{mount}/role/agent")
    (back,) = find_drift(expected, replace(standing, revoked=revoked))
    assert (back.kind, back.thing) == (Kind.CHANGED, missing.thing)
    # who can't read the records can't tell whether a login is missing
    assert find_drift(expected, replace(standing, auth_roles=without, revoked=None)) == []


def test_others_roles_of_a_shared_engine_are_theirs(expected: Expected, standing: Standing) -> None:
    assert standing.secret_roles is not None
    collection = "identity/oidc/role"
    for key, kinds in (("theirs", []), (expected.environment.vault.signing_key, [Kind.UNKNOWN])):
        roles = {**(standing.secret_roles[collection] or {}), "more": {"key": key}}
        found = find_drift(expected, replace(standing, secret_roles={**standing.secret_roles, collection: roles}))
        assert [finding.kind for finding in found] == kinds


def test_claims_that_name_another_mounts_logins_are_found(expected: Expected, standing: Standing) -> None:
    assert standing.secret_roles is not None
    assert standing.auth_mounts is not None
    path = "identity/oidc/token/nightly-reconciliation.payments"
    known = expected.locked.secret_roles[path]
    template = '{"sub": {{identity.entity.aliases.ACCESSOR.name}}}'
    known = replace(
        known,
        placeholder="ACCESSOR",
        role=replace(known.role, settings={**known.role.settings, "template": template}),
    )
    locked = replace(expected.locked, secret_roles={**expected.locked.secret_roles, path: known})
    own = standing.auth_mounts["agents/nightly-reconciliation"].accessor
    other = standing.auth_mounts[f"agents/{WORKFLOW}"].accessor
    for accessor, clean in ((own, True), (other, False)):
        settings = {**known.role.settings, "template": template.replace("ACCESSOR", accessor)}
        roles = {**standing.secret_roles, "identity/oidc/role": {"nightly-reconciliation.payments": settings}}
        found = find_drift(replace(expected, locked=locked), replace(standing, secret_roles=roles))
        assert (found == []) is clean
        assert clean or other in found[0].detail


# PostgreSQL -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def database(expected: Expected) -> Database:
    """Give a database that holds the lock's groups and nothing else."""
    groups = list(expected.locked.groups.values())
    tables: dict[tuple[str, str], set[str]] = {}
    grants, policies, members = [], [], []
    for group in groups:
        name = group.group_role
        members += [
            Member(name, "maker", "postgres", admin=True, inherit=False, set=False, expires=False),
            Member(name, group.broker, "maker", admin=True, inherit=False, set=False, expires=False),
        ]
        for table in group.tables:
            key = (table["schema"], table["table"])
            tables.setdefault(key, set()).update(table["columns"])
            grants.append(Grant(table["schema"], "", "", name, "USAGE"))
            grants += [Grant(*key, column, name, table["privilege"]) for column in table["columns"]]
            condition = " OR ".join(
                " AND ".join(f"({c} = ANY (ARRAY[{', '.join(repr(v) for v in vs)}]))" for c, vs in row.items())
                or "true"
                for row in table["rows"]
            )
            privilege = table["privilege"]
            using, check = ("", condition) if privilege == "INSERT" else (condition, "")
            policy = f"{name}_{privilege.lower()}"
            policies.append(RowPolicy(*key, policy, (name,), privilege, using=using, check=check))
    roles = [Role(group.group_role) for group in groups]
    return Database(
        Catalog(
            roles=(*roles, Role("owner"), Role("maker", create_role=True), Role("vault_broker", create_role=True)),
            schemas=(Schema("public", "owner"),),
            tables=tuple(
                Table(*key, "owner", tuple(sorted(columns)), row_security=True, force_row_security=True)
                for key, columns in tables.items()
            ),
            grants=tuple(grants),
            policies=tuple(policies),
        ),
        tuple(members),
    )


def judge(expected: Expected, database: Database) -> list[Finding]:
    (place,) = expected.databases
    return [f for f in find_drift(expected, Standing(databases={place: database})) if "EXECUTE" not in f.detail]


def test_a_database_as_deployed_has_none(expected: Expected, database: Database) -> None:
    assert judge(expected, database) == []  # but for functions, which the fixture does not hold


def test_functions_that_are_missing_are_found(expected: Expected, database: Database) -> None:
    (place,) = expected.databases
    found = find_drift(expected, Standing(databases={place: database}))
    assert {finding.detail for finding in found} == {
        "EXECUTE on public.close_incident is missing",
        "EXECUTE on public.create_vendor is missing",
    }


@pytest.mark.parametrize("condition", ["true", "(tenant = 'apac'::text)", "(lower(tenant) = 'emea'::text)", ""])
def test_other_rows_are_found(expected: Expected, database: Database, condition: str) -> None:
    first = next(policy for policy in database.catalog.policies if policy.command == "SELECT")
    policies = tuple(
        replace(policy, using=condition) if policy == first else policy for policy in database.catalog.policies
    )
    (found,) = judge(expected, replace(database, catalog=replace(database.catalog, policies=policies)))
    assert "admits other rows than the lock" in found.detail
    assert first.roles[0] in found.thing


def test_who_made_the_groups_is_one_and_another_is_a_stranger(expected: Expected, database: Database) -> None:
    group = min(expected.locked.groups)
    eve = Member(group, "eve", "postgres", admin=True, inherit=False, set=False, expires=False)
    catalog = replace(database.catalog, roles=(*database.catalog.roles, Role("eve", create_role=True)))
    (found,) = judge(expected, Database(catalog, (*database.members, eve)))
    assert (found.thing, found.detail) == (f"group role {group}", "eve is in it, by the hand of postgres")


@pytest.mark.parametrize(("grantor", "expires", "clean"), [
    ("vault_broker", True, True), ("vault_broker", False, False), ("postgres", True, False),
])  # fmt: skip
def test_vaults_logins_are_its_brokers_and_end(
    expected: Expected, database: Database, grantor: str, *, expires: bool, clean: bool
) -> None:
    group = min(expected.locked.groups)
    member = Member(group, "w-alice-1", grantor, admin=False, inherit=True, set=True, expires=expires)
    catalog = replace(database.catalog, roles=(*database.catalog.roles, Role("w-alice-1", can_login=True)))
    assert (judge(expected, Database(catalog, (*database.members, member))) == []) is clean


def test_a_group_has_nothing_in_another_database(expected: Expected, database: Database) -> None:
    (place,) = expected.databases
    other = replace(expected, databases={Place(place.host, place.port, "other"): expected.databases[place]})
    found = find_drift(other, Standing(databases={Place(place.host, place.port, "other"): database}))
    assert any("granted to" in finding.detail for finding in found)
    assert not any("missing" in finding.detail for finding in found)


CONDITIONS: list[tuple[str, list[dict[str, list[Any]]] | None]] = [
    ("(tenant = 'emea'::text)", [{"tenant": ["emea"]}]),
    ("((tenant)::text = 'emea'::text)", [{"tenant": ["emea"]}]),
    ("(tenant = ANY (ARRAY['b'::text, 'a'::text]))", [{"tenant": ["a", "b"]}]),
    ("((t)::text = ANY ((ARRAY['a'::character varying, 'b'::character varying])::text[]))", [{"t": ["a", "b"]}]),
    ("((tenant = 'emea'::text) AND (n = 5))", [{"tenant": ["emea"], "n": [5]}]),
    ("((t = 'a'::text) OR ((t = 'b'::text) AND (open = true)))", [{"t": ["a"]}, {"t": ["b"], "open": [True]}]),
    ("(n = '-1'::integer)", [{"n": [-1]}]),
    ("(n = (-1))", [{"n": [-1]}]),
    ("(\"Odd\"\"name\" = 'it''s'::text)", [{'Odd"name': ["it's"]}]),
    ("(t = E'a\\\\b'::text)", [{"t": ["a\\b"]}]),
    ("(c = 'x'::public.\"my enum\")", [{"c": ["x"]}]),
    ("(d = 'x'::character(3))", [{"d": ["x"]}]),
    ("true", [{}]),
    ("false", []),
    ("", None),
    ("(tenant <> 'emea'::text)", None),
    ("(tenant = CURRENT_USER)", None),
    ("(lower(tenant) = 'emea'::text)", None),
    ("((tenant = 'a'::text) AND (tenant = 'b'::text))", None),
    ("(tenant = 'emea'::text) OR", None),
    ("(tenant = 'emea'", None),
    ("(tenant = 'emea'::", None),
    ("(EXISTS ( SELECT 1 FROM t))", None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "rows"), CONDITIONS)
def test_conditions_are_read_as_far_as_they_are_ours(text: str, rows: list[dict[str, list[Any]]] | None) -> None:
    assert read_rows(text) == (None if rows is None else declared_rows(rows))


# What is said ---------------------------------------------------------------------------------------------------------

FOUND = Finding("vault", "policy tool.x", Kind.UNKNOWN, "no plan\n contains \x1b[31mit")
UNREAD = Unread("aws", "IAM roles", "AccessDenied")


def test_text_and_json_never_call_clean_what_was_not_read() -> None:
    assert render_text("dev", [], []) == "dev: no drift.\n"
    assert "no drift" not in render_text("dev", [], [UNREAD])
    assert json.loads(render_json("dev", [], [UNREAD]))["clean"] is None
    assert json.loads(render_json("dev", [FOUND], []))["clean"] is False
    text = render_text("dev", [FOUND], [UNREAD])
    assert "  + policy tool.x: no plan contains \ufffd[31mit\n" in text
    assert "  ? AWS: IAM roles: AccessDenied\n" in text
    assert text.endswith("dev: cannot tell: 1 could not be read, and 1 thing stands otherwise than the lock says.\n")


def test_a_lock_that_is_not_there_is_exit_code_2(stacks: Path, tmp_path: Path) -> None:
    for name in ("workflows", "tools"):
        (tmp_path / name).mkdir()
    (tmp_path / "Pulumi.dev.yaml").write_bytes((stacks / "Pulumi.dev.yaml").read_bytes())
    done = CliRunner().invoke(build_app(), ["access", "drift", "--env", "dev", "--stacks", str(tmp_path)])
    assert getattr(done.exception, "exit_code", done.exit_code) == 2
