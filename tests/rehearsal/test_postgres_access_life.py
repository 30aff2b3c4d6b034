"""The life of a group role: deployed, kept in step, refused, removed: against a real PostgreSQL."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from narrowgate_pulumi import postgres_deploy
from narrowgate_pulumi.postgres import PostgresAccessProvider, digest, to_lines
from narrowgate_pulumi.postgres_deploy import (
    PostgresFailedError,
    PostgresRefusedError,
    deploy_group,
    inspect_place,
    observe_group,
    remove_group,
)
from postgres_bench import DRAFT, GROUP, READ, Bench, clean, open_bench

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.rehearsal


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with pytest.MonkeyPatch.context() as environment, open_bench(tmp_path_factory.mktemp("pg"), environment) as opened:
        yield opened


@pytest.fixture
def bench(server: Bench, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(postgres_deploy, "LOGINS_LEAVE_SECONDS", 0.5)
    yield server
    clean(server)


def outputs(bench: Bench) -> dict[str, Any]:
    """What the resource's state holds after a deploy."""
    return PostgresAccessProvider().create(bench.inputs()).outs or {}


def test_a_second_deploy_changes_nothing(bench: Bench) -> None:
    first = deploy_group(bench.inputs())
    assert deploy_group(bench.inputs()) == first == observe_group(bench.inputs())


def test_an_unchanged_resource_shows_no_difference(bench: Bench) -> None:
    provider, state = PostgresAccessProvider(), outputs(bench)
    refreshed = provider.read("id", state).outs or {}
    assert refreshed == state
    assert provider.diff("id", refreshed, bench.inputs()).changes is False


def test_only_another_group_or_database_replaces(bench: Bench) -> None:
    provider, state = PostgresAccessProvider(), outputs(bench)
    moved = provider.diff("id", state, bench.inputs(port=1, host="elsewhere"))
    assert (moved.changes, moved.replaces) == (True, [])
    assert provider.diff("id", state, bench.inputs(group="ng_other")).replaces == ["group"]
    assert provider.diff("id", state, bench.inputs(database="other")).replaces == ["database"]


def test_an_update_narrows_a_living_login_at_once(bench: Bench) -> None:
    deploy_group(bench.inputs())
    with bench.connect_agent() as agent:
        agent.execute("SELECT title FROM tickets")
        deploy_group(bench.inputs(tables=[{**READ, "columns": ["id", "tenant"]}]))
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            agent.execute("SELECT title FROM tickets")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            agent.execute("INSERT INTO tickets (tenant, title) VALUES ('emea', 'x')")
        assert agent.execute("SELECT DISTINCT tenant FROM tickets").fetchall() == [("emea",)]


def test_a_policy_change_reaches_a_living_login(bench: Bench) -> None:
    deploy_group(bench.inputs())
    with bench.connect_agent() as agent:
        deploy_group(bench.inputs(tables=[{**READ, "rows": [{"tenant": ["amer"]}]}]))
        assert agent.execute("SELECT DISTINCT tenant FROM tickets").fetchall() == [("amer",)]


DRIFT = {
    "a column more": f"GRANT SELECT (customer_email) ON tickets TO {GROUP}",
    "a column less": f"REVOKE SELECT (title) ON tickets FROM {GROUP}",  # noqa: S608 - no query
    "a whole table": f"GRANT SELECT ON incidents TO {GROUP}",
    "the right to pass on": f"GRANT SELECT (title) ON tickets TO {GROUP} WITH GRANT OPTION",
    "all rows": f"ALTER POLICY {GROUP}_select ON tickets USING (true)",
    "a policy more": f"CREATE POLICY more ON tickets TO {GROUP} USING (true)",
    "no policy": f"DROP POLICY {GROUP}_select ON tickets",
    "row security off": "ALTER TABLE tickets DISABLE ROW LEVEL SECURITY",
    "the owner unbound": "ALTER TABLE tickets NO FORCE ROW LEVEL SECURITY",
    "a stranger in the group": f"GRANT {GROUP} TO app_procedures",
    "the group in another": f"GRANT app_procedures TO {GROUP}",
    "a login of its own": f"ALTER ROLE {GROUP} LOGIN",
    "a setting": f"ALTER ROLE {GROUP} SET search_path = public",
    "a bigger broker": f"GRANT {GROUP} TO vault_broker WITH INHERIT TRUE",
    "a sequence": f"GRANT USAGE ON SEQUENCE tickets_id_seq TO {GROUP}",
    "rights on the database": f"GRANT TEMPORARY ON DATABASE operations TO {GROUP}",
}


@pytest.mark.parametrize("drift", sorted(DRIFT))
def test_drift_is_seen_and_mended(bench: Bench, drift: str) -> None:
    provider, state = PostgresAccessProvider(), outputs(bench)
    bench.admin(DRIFT[drift])
    seen = provider.read("id", state).outs or {}
    assert seen["observed"] != state["observed"]
    assert provider.diff("id", seen, bench.inputs()).changes is True
    provider.update("id", seen, bench.inputs())
    assert to_lines(observe_group(bench.inputs()) or {}) == state["observed"]
    assert digest(state["observed"]) == state["deployed"]


def test_a_grant_of_an_owner_that_the_deployer_does_not_stand_for_is_refused(bench: Bench) -> None:
    """Only its grantor can revoke it; the deploy says so rather than leave it."""
    provider, state = PostgresAccessProvider(), outputs(bench)
    bench.admin(f"GRANT EXECUTE ON FUNCTION close_incident(text, bigint, text, text, text) TO {GROUP}")
    try:
        seen = provider.read("id", state).outs or {}
        assert provider.diff("id", seen, bench.inputs()).changes is True
        with pytest.raises(PostgresRefusedError, match="not declared: public close_incident EXECUTE"):
            provider.update("id", seen, bench.inputs())
    finally:
        bench.admin(f"REVOKE ALL ON FUNCTION close_incident(text, bigint, text, text, text) FROM {GROUP}")


def test_a_group_that_is_gone_is_reported_as_gone(bench: Bench) -> None:
    state = outputs(bench)
    remove_group(bench.inputs())
    assert PostgresAccessProvider().read("id", state).id == ""


# what stands in the database: (statements, statements that take it away, words of the refusal)
WIDENING = {
    "a policy for PUBLIC": (
        ["CREATE POLICY everyone ON tickets USING (true)"],
        ["DROP POLICY everyone ON tickets"],
        "the policy everyone on public.tickets lets PUBLIC ALL",
    ),
    "a table of PUBLIC": (
        ["GRANT SELECT ON vendors TO PUBLIC", "GRANT USAGE ON SCHEMA public TO PUBLIC"],
        ["REVOKE ALL ON vendors FROM PUBLIC", "REVOKE USAGE ON SCHEMA public FROM PUBLIC"],
        "PUBLIC has SELECT on public.vendors",
    ),
    "a column of PUBLIC": (
        ["GRANT SELECT (customer_email) ON tickets TO PUBLIC", "GRANT USAGE ON SCHEMA public TO PUBLIC"],
        ["REVOKE SELECT (customer_email) ON tickets FROM PUBLIC", "REVOKE USAGE ON SCHEMA public FROM PUBLIC"],
        "PUBLIC has SELECT on public.tickets",
    ),
    "the owner's view for PUBLIC": (
        [
            "CREATE VIEW all_tickets AS SELECT * FROM tickets",
            "GRANT SELECT ON all_tickets TO PUBLIC",
            "GRANT USAGE ON SCHEMA public TO PUBLIC",
        ],
        ["DROP VIEW all_tickets", "REVOKE USAGE ON SCHEMA public FROM PUBLIC"],
        "PUBLIC has SELECT on public.all_tickets",
    ),
    "a function with its owner's rights": (
        [
            "CREATE FUNCTION peek() RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT 1::text'",
            "GRANT USAGE ON SCHEMA public TO PUBLIC",
        ],
        ["DROP FUNCTION peek()", "REVOKE USAGE ON SCHEMA public FROM PUBLIC"],
        "PUBLIC may execute public.peek()",
    ),
    "a schema that anybody writes": (
        ["GRANT CREATE ON SCHEMA public TO PUBLIC"],
        ["REVOKE CREATE ON SCHEMA public FROM PUBLIC"],
        "PUBLIC may create objects in schema public",
    ),
    "a broker that is superuser": (
        ["ALTER ROLE vault_broker SUPERUSER"],
        ["ALTER ROLE vault_broker NOSUPERUSER"],
        "must be neither superuser nor BYPASSRLS",
    ),
    "somebody else's role of that name": ([f"CREATE ROLE {GROUP}"], [f"DROP ROLE {GROUP}"], "Narrowgate did not make"),
    "a bystander": (
        ["CREATE ROLE reporting", "GRANT SELECT ON vendors TO reporting"],
        ["REVOKE ALL ON vendors FROM reporting", "DROP ROLE reporting"],
        "reporting has privileges on public.vendors",
    ),
}


@pytest.mark.parametrize("widening", sorted(WIDENING))
def test_a_database_that_would_widen_access_is_refused(bench: Bench, widening: str) -> None:
    make, undo, words = WIDENING[widening]
    vendors = {**READ, "table": "vendors", "columns": ["id", "tenant"]}
    inputs = bench.inputs(tables=[READ, vendors])
    before = bench.admin("SELECT rolname FROM pg_roles WHERE rolname ~ '^ng_'")
    bench.admin(*make)
    try:
        assert any(words in reason for reason in inspect_place(inputs))
        failures = PostgresAccessProvider().check({}, inputs).failures
        assert any(words in failure.reason for failure in failures)
        with pytest.raises(PostgresRefusedError, match=r"public|vault_broker|role"):
            deploy_group(inputs)
    finally:
        bench.admin(*undo)
    assert bench.admin("SELECT rolname FROM pg_roles WHERE rolname ~ '^ng_'") == before
    assert inspect_place(inputs) == []


def test_widening_that_comes_later_is_drift(bench: Bench) -> None:
    provider, state = PostgresAccessProvider(), outputs(bench)
    bench.admin("CREATE POLICY everyone ON tickets USING (true)")
    try:
        seen = provider.read("id", state).outs or {}
        assert provider.diff("id", seen, bench.inputs()).changes is True
        with pytest.raises(PostgresRefusedError, match="policy everyone"):
            provider.update("id", seen, bench.inputs())
    finally:
        bench.admin("DROP POLICY everyone ON tickets")


MISSING = {
    "a table": ({"tables": [{**READ, "table": "nothing"}]}, "there is no table public.nothing"),
    "a column": ({"tables": [{**READ, "columns": ["id", "salary"]}]}, "has no column salary"),
    "a row's column": ({"tables": [{**READ, "rows": [{"region": ["x"]}]}]}, "has no column region"),
    "a function": (
        {"functions": [{"schema": "public", "function": "close_incident", "arguments": ["text"]}]},
        "there is no function public.close_incident(text)",
    ),
    "a broker": ({"broker": "nobody_here"}, "the role nobody_here"),
}


@pytest.mark.parametrize("missing", sorted(MISSING))
def test_what_is_missing_is_said_before_anything_is_made(bench: Bench, missing: str) -> None:
    changes, words = MISSING[missing]
    assert any(words in reason for reason in inspect_place(bench.inputs(**changes)))
    with pytest.raises(PostgresRefusedError):
        deploy_group(bench.inputs(**changes))
    assert observe_group(bench.inputs()) is None


def test_a_view_is_no_table(bench: Bench) -> None:
    bench.admin("CREATE VIEW open_tickets AS SELECT * FROM tickets")
    try:
        assert "is a view" in inspect_place(bench.inputs(tables=[{**READ, "table": "open_tickets"}]))[0]
    finally:
        bench.admin("DROP VIEW open_tickets")


def test_a_grant_that_does_not_take_leaves_nothing_behind(bench: Bench) -> None:
    """PostgreSQL only warns when somebody without the right to grant grants."""
    signature = "FUNCTION close_incident(text, bigint, text, text, text)"
    function = {
        "schema": "public",
        "function": "close_incident",
        "arguments": ["text", "bigint", "text", "text", "text"],
    }
    bench.admin(f"REVOKE GRANT OPTION FOR EXECUTE ON {signature} FROM app_owner")
    try:
        with pytest.raises(PostgresRefusedError, match="missing: public close_incident EXECUTE"):
            deploy_group(bench.inputs(functions=[function]))
    finally:
        bench.admin(f"GRANT EXECUTE ON {signature} TO app_owner WITH GRANT OPTION")
    assert observe_group(bench.inputs()) is None
    assert bench.admin("SELECT 1 FROM pg_policies WHERE policyname ~ '^ng_'") == []


def test_functions_are_granted_exactly(bench: Bench) -> None:
    function = {
        "schema": "public",
        "function": "close_incident",
        "arguments": ["text", "bigint", "text", "text", "text"],
    }
    deploy_group(bench.inputs(tables=[], functions=[function]))
    with bench.connect_agent() as agent:
        assert agent.execute(f"SELECT close_incident('emea', -1, 'x', 'y', 'sha256:{'c' * 64}')").fetchall() == [
            (None,)
        ]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            agent.execute("SELECT create_vendor('emea', 'x', 'DE', 'y', 'z')")


def test_removal_takes_everything_but_the_row_security(bench: Bench) -> None:
    deploy_group(bench.inputs())
    remove_group(bench.inputs())
    remove_group(bench.inputs())
    assert observe_group(bench.inputs()) is None
    assert bench.admin("SELECT 1 FROM pg_policies WHERE policyname ~ '^ng_'") == []
    flags = "SELECT relrowsecurity, relforcerowsecurity FROM pg_class WHERE relname = 'tickets'"
    assert bench.admin(flags) == [(True, True)]


def test_the_owner_still_sees_all_rows(bench: Bench) -> None:
    deploy_group(bench.inputs())
    assert bench.admin("SET ROLE app_owner", "SELECT count(DISTINCT tenant) FROM tickets") == [(2,)]


def test_removal_cuts_off_a_login_that_is_still_there(bench: Bench) -> None:
    deploy_group(bench.inputs())
    with bench.connect_agent() as agent:
        agent.execute("BEGIN")
        agent.execute("SELECT id FROM tickets")  # its lock would hold up DROP POLICY
        remove_group(bench.inputs())
        with pytest.raises(psycopg.OperationalError):
            agent.execute("SELECT id FROM tickets")
    assert observe_group(bench.inputs()) is None


def test_removal_waits_for_vault_to_revoke(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_deploy, "LOGINS_LEAVE_SECONDS", 10.0)
    deploy_group(bench.inputs())
    with bench.connect_agent() as agent:
        name = agent.info.user

    def revoke() -> None:
        time.sleep(0.6)
        bench.admin(f'DROP ROLE "{name}"')

    thread = threading.Thread(target=revoke)
    thread.start()
    started = time.monotonic()
    remove_group(bench.inputs())
    thread.join()
    assert 0.4 < time.monotonic() - started < 5


def test_another_role_of_that_name_is_left_alone(bench: Bench) -> None:
    bench.admin("CREATE ROLE ng_stranger")
    try:
        with pytest.raises(PostgresRefusedError, match="left alone"):
            remove_group(bench.inputs(group="ng_stranger"))
    finally:
        bench.admin("DROP ROLE ng_stranger")


def test_deploys_at_the_same_time_all_come_out_right(bench: Bench) -> None:
    groups = [bench.inputs(group=f"ng_dev_parallel_{n}") for n in range(6)]
    with ThreadPoolExecutor(6) as pool:
        observed = list(pool.map(deploy_group, groups))
        again = list(pool.map(deploy_group, groups))
    assert observed == again
    with bench.connect_agent("ng_dev_parallel_3") as agent:
        assert agent.execute("SELECT DISTINCT tenant FROM tickets").fetchall() == [("emea",)]
        with ThreadPoolExecutor(5) as pool:
            list(pool.map(remove_group, [g for g in groups if g["group"] != "ng_dev_parallel_3"]))
        assert agent.execute("SELECT DISTINCT tenant FROM tickets").fetchall() == [("emea",)]


def test_a_server_that_is_away_is_one_line_without_a_secret(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "swordfish-1234")
    with pytest.raises(PostgresFailedError) as caught:
        inspect_place(bench.inputs(port=1))
    assert "\n" not in str(caught.value)
    with pytest.raises(PostgresFailedError) as refused:
        inspect_place(bench.inputs())
    assert "swordfish" not in f"{caught.value!r}{refused.value!r}"
    failures = PostgresAccessProvider().check({}, bench.inputs()).failures
    assert len(failures) == 1
    assert "password authentication failed" in failures[0].reason


def test_drafts_and_reads_are_judged_apart(bench: Bench) -> None:
    deploy_group(bench.inputs(tables=[DRAFT]))
    with bench.connect_agent() as agent:
        agent.execute("INSERT INTO tickets (tenant, title) VALUES ('emea', 'blind')")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            agent.execute("SELECT title FROM tickets")
