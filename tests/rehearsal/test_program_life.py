"""The Pulumi program in the real engine: nothing to do twice, nothing of others touched, all of a workflow gone."""

from __future__ import annotations

import base64
import json
import time
from typing import TYPE_CHECKING, Any

import hvac.exceptions
import psycopg
import pytest

from narrowgate.runtime import RevokedError, login
from rehearsal import postgres

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from rehearsal.live import LiveRehearsal

FOUNDATION = "dev-foundation"
STACKS = ("dev", FOUNDATION)
PLAIN = ("--non-interactive", "--color", "never")
SETTLE_SECONDS = 10.0


def pulumi(rehearsal: LiveRehearsal, *arguments: str, check: bool = True) -> str:
    done = rehearsal.run("pulumi", *arguments, *PLAIN, check=check)
    return done.stdout + done.stderr


def export(rehearsal: LiveRehearsal, stack: str = "dev") -> list[dict[str, Any]]:
    text = rehearsal.run("pulumi", "stack", "export", "--stack", stack).stdout
    resources: list[dict[str, Any]] = json.loads(text)["deployment"]["resources"]
    return resources


def plan_steps(rehearsal: LiveRehearsal) -> dict[str, str]:
    """What the engine would do, by the resource's name, but for what stays as it is."""
    done = rehearsal.run("pulumi", "preview", "--json")
    steps = json.loads(done.stdout)["steps"]
    return {step["urn"].rsplit("::", 1)[-1]: step["op"] for step in steps if step["op"] not in ("same", "read")}


@pytest.fixture
def declaration(rehearsal: LiveRehearsal) -> Iterator[Callable[[str], Path]]:
    """Give files under `stacks/` to edit; afterwards they are as before, and so is what is deployed."""
    before: dict[Path, str] = {}

    def take(name: str) -> Path:
        file = rehearsal.layout.stacks / name
        before.setdefault(file, file.read_text(encoding="utf-8"))
        return file

    yield take
    for file, text in before.items():
        file.write_text(text, encoding="utf-8")
    pulumi(rehearsal, "up", "--yes", "--skip-preview")


def wait_until(true: Callable[[], bool]) -> bool:
    """Vault revokes the leases of an ended login in the background."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while not true() and time.monotonic() < deadline:
        time.sleep(0.1)
    return true()


@pytest.mark.parametrize("stack", STACKS)
def test_a_second_up_has_nothing_to_do(rehearsal: LiveRehearsal, stack: str) -> None:
    pulumi(rehearsal, "up", "--yes", "--skip-preview", "--expect-no-changes", "--stack", stack)
    pulumi(rehearsal, "refresh", "--yes", "--skip-preview", "--expect-no-changes", "--stack", stack)
    pulumi(rehearsal, "up", "--yes", "--skip-preview", "--expect-no-changes", "--stack", stack)


@pytest.mark.parametrize("stack", STACKS)
def test_no_secret_is_readable_in_the_state(rehearsal: LiveRehearsal, stack: str) -> None:
    text = rehearsal.run("pulumi", "stack", "export", "--stack", stack).stdout
    files = "".join(f.read_text() for f in rehearsal.layout.pulumi_state.rglob(f"{stack}*.json"))
    environment = rehearsal.environment()
    secrets = [
        postgres.read_password(rehearsal.layout, postgres.BROKER),
        postgres.read_password(rehearsal.layout, postgres.DEPLOYER),
        environment["AWS_SECRET_ACCESS_KEY"],
        environment["VAULT_TOKEN"],
    ]
    assert len(text) > 1000
    assert len(files) > 1000
    assert [secret for secret in secrets if secret in text + files] == []


def test_the_brokers_password_is_a_secret_of_the_foundation(rehearsal: LiveRehearsal) -> None:
    connection = next(r for r in export(rehearsal, FOUNDATION) if r["type"].endswith("SecretBackendConnection"))
    assert "ciphertext" in json.dumps(connection["inputs"]["postgresql"])
    shown = rehearsal.run("pulumi", "stack", "output", "--json", "--stack", FOUNDATION).stdout
    assert set(json.loads(shown)) == {"boundary", "connections", "deployer", "operator", "trail"}


def test_no_code_stands_in_the_state(rehearsal: LiveRehearsal) -> None:
    providers = {r["inputs"]["__provider"] for r in export(rehearsal) if r["type"].endswith(":PostgresAccess")}
    assert len(providers) == 1
    pickled = base64.b64decode(providers.pop())
    assert b"narrowgate_pulumi.postgres" in pickled
    assert len(pickled) < 200


def test_a_narrower_workflow_changes_nothing_of_the_others(
    rehearsal: LiveRehearsal, declaration: Callable[[str], Path]
) -> None:
    file = declaration("workflows/ticket-drafting.yaml")
    text = file.read_text(encoding="utf-8")
    assert "actions: [read, draft]" in text
    file.write_text(text.replace("actions: [read, draft]", "actions: [read]"), encoding="utf-8")
    steps = plan_steps(rehearsal)
    assert steps == {"ticket-drafting.tickets-group": "update", "ticket-drafting.tickets-policy": "update"} | {
        name: "update" for name in steps if name in ("narrowgate-dev", "ticket-drafting")
    }
    with login(rehearsal.manifest("ticket-drafting"), rehearsal.token("sam", "ticket-drafting")) as agent:
        connection = agent.postgres("tickets")
        pulumi(rehearsal, "up", "--yes", "--skip-preview")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("INSERT INTO tickets (tenant, title) VALUES ('emea', 'x')")


def test_removing_a_workflow_takes_away_all_that_it_had(
    rehearsal: LiveRehearsal, declaration: Callable[[str], Path]
) -> None:
    workflow, other = "incident-summarization", "ticket-drafting"
    roles = [r["outputs"]["name"] for r in export(rehearsal) if r["type"] == "aws:iam/role:Role"]
    own_roles = [role for role in roles if workflow in role]
    assert len(own_roles) == 2
    manifest, token = rehearsal.manifest(workflow), rehearsal.token("alice", workflow)
    with (
        login(rehearsal.manifest(other), rehearsal.token("sam", other)) as bystander,
        login(manifest, token) as agent,
    ):
        agent.aws("documents")
        connection = agent.postgres("incidents")
        connection.autocommit = True
        user = connection.info.user
        kept = bystander.postgres("incidents")
        declaration(f"workflows/{workflow}.yaml").unlink()
        steps = plan_steps(rehearsal)
        touched = {name for name, op in steps.items() if op == "delete"}
        assert {f"{workflow}-auth", f"{workflow}.incidents-group", f"{workflow}.logs-role"} <= touched
        assert {name for name in touched if not name.startswith(workflow)} == set()
        assert {name for name, op in steps.items() if op != "delete"} <= {"narrowgate-dev"}
        pulumi(rehearsal, "up", "--yes", "--skip-preview")

        with pytest.raises(RevokedError):
            agent.credential("incidents")
        with pytest.raises(psycopg.Error):
            connection.execute("SELECT id FROM incidents")
        assert kept.execute("SELECT count(*) FROM incidents").fetchone() == (5,)
    with rehearsal.postgres() as database:
        left = "SELECT rolname FROM pg_roles WHERE rolname LIKE ANY (%s)"
        patterns = ["ng\\_dev\\_incident\\_summarization%", f"{workflow}-%", user]
        assert wait_until(lambda: database.execute(left, (patterns,)).fetchall() == [])
        policies = database.execute("SELECT policyname FROM pg_policies").fetchall()
        assert not [name for (name,) in policies if "incident_summarization" in name]
    vault = rehearsal.vault()
    assert f"agents/{workflow}/" not in vault.sys.list_auth_methods()["data"]
    names = vault.sys.list_acl_policies()["data"]["keys"]
    assert [name for name in names if workflow in name] == []
    for prefix in (f"narrowgate-database/creds/{workflow}.incidents", f"narrowgate-aws/sts/{workflow}.documents"):
        assert wait_until(lambda prefix=prefix: not list_leases(vault, prefix))
    iam = rehearsal.aws("iam")
    remaining = {role["RoleName"] for role in iam.list_roles(PathPrefix="/narrowgate/dev/tool/")["Roles"]}
    assert remaining == set(roles) - set(own_roles)


def test_renaming_a_workflow_touches_nothing_of_the_others(
    rehearsal: LiveRehearsal, declaration: Callable[[str], Path]
) -> None:
    """Another name is another agent identity: all of the old one goes, all of the new one is made, and that is all."""
    old, new = "ticket-drafting", "ticket-sorting"
    others = {r["urn"]: r["id"] for r in export(rehearsal) if r.get("id") and f"::{old}" not in r["urn"]}
    own = {r["urn"].rsplit("::", 1)[-1] for r in export(rehearsal) if f"::{old}" in r["urn"]}
    assert len(others) > 10
    file = declaration(f"workflows/{old}.yaml")
    text = file.read_text(encoding="utf-8").replace(f"workflow: {old}", f"workflow: {new}")
    renamed, lock = file.with_name(f"{new}.yaml"), declaration("locks/dev.yaml")
    file.unlink()
    renamed.write_text(text, encoding="utf-8")
    lock.write_text(lock.read_text(encoding="utf-8").replace(f"  {old}:", f"  {new}:"), encoding="utf-8")
    try:
        steps = plan_steps(rehearsal)
        assert {name for name, op in steps.items() if op == "delete"} == own
        assert {name for name, op in steps.items() if op == "create"} == {name.replace(old, new) for name in own}
        assert {name for name, op in steps.items() if op not in ("create", "delete")} <= {"narrowgate-dev"}
        pulumi(rehearsal, "up", "--yes", "--skip-preview")
        after = {r["urn"]: r["id"] for r in export(rehearsal) if r.get("id") and f"::{new}" not in r["urn"]}
        assert after == others
    finally:
        renamed.unlink()


def list_leases(vault: Any, prefix: str) -> list[str]:  # noqa: ANN401 - hvac has no types
    try:
        keys: list[str] = vault.sys.list_leases(f"{prefix}/")["data"]["keys"]
    except hvac.exceptions.InvalidPath:
        return []
    return keys


def test_drift_in_the_database_is_mended(rehearsal: LiveRehearsal) -> None:
    group = next(
        r["outputs"]["group"] for r in export(rehearsal) if r["urn"].endswith("::ticket-drafting.tickets-group")
    )
    with rehearsal.postgres(postgres.SUPERUSER) as database:
        database.execute(f"GRANT SELECT (customer_email) ON tickets TO {group}".encode())
        shown = pulumi(rehearsal, "preview", "--refresh", "--diff")
        assert "customer_email" in shown
        pulumi(rehearsal, "up", "--yes", "--skip-preview", "--refresh")
        privilege = "SELECT has_column_privilege(%s, 'tickets', 'customer_email', 'SELECT')"
        assert database.execute(privilege, (group,)).fetchone() == (False,)
    pulumi(rehearsal, "up", "--yes", "--skip-preview", "--expect-no-changes", "--refresh")


def test_a_policy_that_would_widen_access_stops_the_preview(rehearsal: LiveRehearsal) -> None:
    with rehearsal.postgres(postgres.SUPERUSER) as database:
        database.execute("CREATE POLICY everyone ON tickets USING (true)")
        try:
            done = rehearsal.run("pulumi", "preview", *PLAIN, check=False)
        finally:
            database.execute("DROP POLICY everyone ON tickets")
    shown = done.stdout + done.stderr
    assert done.returncode != 0
    assert "ticket-drafting.tickets-group" in shown
    assert "the policy everyone on public.tickets lets PUBLIC ALL more rows than declared" in shown
    assert "Traceback" not in shown


def test_mistakes_are_said_by_their_places_and_nothing_is_deployed(
    rehearsal: LiveRehearsal, declaration: Callable[[str], Path]
) -> None:
    one, two = declaration("workflows/ticket-drafting.yaml"), declaration("workflows/vendor-onboarding.yaml")
    one.write_text(one.read_text().replace("tickets:", "tikets:"), encoding="utf-8")
    two.write_text(two.read_text().replace("owner: procurement", "ownr: procurement"), encoding="utf-8")
    before = {r["urn"] for r in export(rehearsal)}
    done = rehearsal.run("pulumi", "up", "--yes", "--skip-preview", *PLAIN, check=False)
    shown = done.stdout + done.stderr
    assert done.returncode != 0
    line = next(n for n, text in enumerate(one.read_text().splitlines(), start=1) if "tikets:" in text)
    assert f"ticket-drafting.yaml:{line}:3" in shown
    assert "did you mean `tickets`?" in shown
    assert "vendor-onboarding.yaml:" in shown
    assert "Traceback" not in shown
    assert {r["urn"] for r in export(rehearsal)} == before


def test_another_account_is_refused(rehearsal: LiveRehearsal) -> None:
    """The provider is bound to the environment's account, whatever credentials the process has."""
    providers = [r for r in export(rehearsal) if r["type"] == "pulumi:providers:aws"]
    assert [p["inputs"]["allowedAccountIds"] for p in providers] == ['["111111111111"]']
    used = {r["provider"].split("::")[-2] for r in export(rehearsal) if r["type"].startswith("aws:")}
    assert used == {"aws"}
