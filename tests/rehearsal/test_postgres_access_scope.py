"""What a login in a deployed group can do, and what it cannot, however it asks: against a real PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psycopg
import pytest
from narrowgate_pulumi.postgres_deploy import deploy_group
from postgres_bench import DRAFT, READ, Bench, clean, open_bench

from rehearsal import postgres

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.rehearsal


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with pytest.MonkeyPatch.context() as environment, open_bench(tmp_path_factory.mktemp("pg"), environment) as opened:
        deploy_group(opened.inputs())
        opened.admin("ANALYZE")
        yield opened


@pytest.fixture(scope="module")
def agent(bench: Bench) -> Iterator[psycopg.Connection]:
    with bench.connect_agent() as connection:
        yield connection


def test_reads_its_columns_in_its_rows(agent: psycopg.Connection, bench: Bench) -> None:
    seen = agent.execute("SELECT id, tenant, title FROM tickets ORDER BY id").fetchall()
    assert seen == bench.admin("SELECT id, tenant, title FROM tickets WHERE tenant = 'emea' ORDER BY id")
    assert bench.admin("SELECT count(*) FROM tickets WHERE tenant <> 'emea'") != [(0,)]


def test_inserts_a_draft_of_its_tenant(agent: psycopg.Connection, bench: Bench) -> None:
    agent.execute("INSERT INTO tickets (tenant, title, status) VALUES ('emea', 'from the agent', 'draft')")
    assert bench.admin("SELECT status FROM tickets WHERE title = 'from the agent'") == [("draft",)]


DENIED = "42501"  # insufficient_privilege; row security violations carry it too
REFUSED = {
    "a hidden column": "SELECT customer_email FROM tickets",
    "all columns": "SELECT * FROM tickets",
    "the whole row": "SELECT tickets FROM tickets",
    "a hidden column in a condition": "SELECT id FROM tickets WHERE customer_email LIKE 'a%'",
    "a hidden column in a join": "SELECT 1 FROM tickets a JOIN tickets b USING (customer_email)",
    "another table": "SELECT 1 FROM incidents",
    "another tenant's draft": "INSERT INTO tickets (tenant, title) VALUES ('amer', 'x')",
    "an open ticket": "INSERT INTO tickets (tenant, title, status) VALUES ('emea', 'x', 'open')",
    "a hidden column by insert": "INSERT INTO tickets (tenant, title, customer_email) VALUES ('emea', 'x', 'y')",
    "a hidden column by returning": "INSERT INTO tickets (tenant, title) VALUES ('emea', 'x') RETURNING customer_email",
    "an upsert": "INSERT INTO tickets (tenant, title) VALUES ('emea', 'x') ON CONFLICT (id) DO UPDATE SET title = 'y'",
    "an update": "UPDATE tickets SET title = 'x'",
    "a delete": "DELETE FROM tickets",
    "a truncate": "TRUNCATE tickets",
    "a merge": "MERGE INTO tickets t USING (SELECT 1) s ON true WHEN MATCHED THEN DELETE",
    "a row lock": "SELECT id FROM tickets FOR UPDATE",
    "a table lock": "SELECT 1; LOCK TABLE tickets IN ACCESS EXCLUSIVE MODE",
    "copy out": "COPY tickets TO STDOUT",
    "copy of a query": "COPY (SELECT customer_email FROM tickets) TO STDOUT",
    "copy to a program": "COPY (SELECT 1) TO PROGRAM 'id'",
    "a server file": "SELECT pg_read_file('postgresql.conf')",
    "a gated function": "SELECT close_incident('emea', 1, 'done', 'agent', 'sha256:')",
    "the owner": "SET ROLE app_owner",
    "the broker": "SET ROLE vault_broker",
    "the deployer": "SET ROLE deployer",
    "another session user": "SET SESSION AUTHORIZATION postgres",
    "row security off": "SET row_security = off; SELECT id FROM tickets",
    "a function of its own": "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "a function in public": "CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "a view": "CREATE VIEW public.v AS SELECT 1",
    "a temporary table": "CREATE TEMP TABLE t (a int)",
    "a schema": "CREATE SCHEMA s",
    "a policy": "CREATE POLICY p ON tickets USING (true)",
    "row security gone": "ALTER TABLE tickets DISABLE ROW LEVEL SECURITY",
    "a longer life": "ALTER ROLE CURRENT_USER VALID UNTIL 'infinity'",
    "more sessions": "ALTER ROLE CURRENT_USER CONNECTION LIMIT 100",
    "passing the group on": "GRANT ng_dev_ticket_drafting_tickets_0ddc2cb4 TO app_procedures",
    "ending others' sessions": "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'postgres'",
}


@pytest.mark.parametrize("attempt", sorted(REFUSED))
def test_refuses(agent: psycopg.Connection, bench: Bench, attempt: str) -> None:
    statement = REFUSED[attempt]
    before = bench.admin("SELECT md5(string_agg(t::text, '' ORDER BY id)) FROM tickets t")
    try:
        with pytest.raises(psycopg.Error) as caught:
            agent.execute(statement)
        assert caught.value.sqlstate == DENIED
    finally:
        agent.execute("RESET ALL")
    assert bench.admin("SELECT md5(string_agg(t::text, '' ORDER BY id)) FROM tickets t") == before


def test_another_tenants_rows_are_not_there(agent: psycopg.Connection) -> None:
    assert agent.execute("SELECT id FROM tickets WHERE tenant = 'amer'").fetchall() == []
    assert agent.execute("SELECT DISTINCT tenant FROM tickets").fetchall() == [("emea",)]
    assert agent.execute("SELECT count(*) FILTER (WHERE tenant = 'amer') FROM tickets").fetchall() == [(0,)]


def test_a_hidden_row_cannot_be_told_from_an_error(agent: psycopg.Connection) -> None:
    """A condition that fails on hidden rows only would tell of them if it ran before the policy."""
    probe = "SELECT id FROM tickets WHERE 1 / (CASE WHEN tenant = 'amer' THEN 0 ELSE 1 END) = 1"
    assert agent.execute(probe).fetchall()


def test_statistics_tell_nothing_of_hidden_values(agent: psycopg.Connection, bench: Bench) -> None:
    assert bench.admin("SELECT count(*) FROM pg_stats WHERE tablename = 'tickets'") != [(0,)]
    assert agent.execute("SELECT attname FROM pg_stats WHERE tablename = 'tickets'").fetchall() == []


def test_its_own_group_gives_nothing_more(agent: psycopg.Connection) -> None:
    try:
        agent.execute("SET ROLE ng_dev_ticket_drafting_tickets_0ddc2cb4")
        assert agent.execute("SELECT DISTINCT tenant FROM tickets").fetchall() == [("emea",)]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            agent.execute("SELECT customer_email FROM tickets")
    finally:
        agent.execute("RESET ROLE")


def test_no_other_database_takes_it(agent: psycopg.Connection, bench: Bench) -> None:
    with pytest.raises(psycopg.OperationalError, match=r"permission denied|does not have CONNECT"):
        psycopg.connect(
            host=agent.info.host,
            port=agent.info.port,
            dbname="postgres",
            user=agent.info.user,
            password=agent.info.password,
            sslmode="disable",
        )
    assert bench.admin("SELECT 1") == [(1,)]


def test_the_broker_can_make_logins_but_not_read(bench: Bench) -> None:
    with postgres.connect(bench.layout, postgres.BROKER) as broker:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            broker.execute("SELECT id FROM public.tickets")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            broker.execute("SET ROLE ng_dev_ticket_drafting_tickets_0ddc2cb4")


HOSTILE = ["x' OR true --", "\\' OR true --", "}; DROP TABLE tickets; --", "$$", "%s", "emea\\", 'a"b', "é\u202e"]


@pytest.mark.parametrize("tenant", HOSTILE)
def test_a_hostile_tenant_is_only_a_value(bench: Bench, tenant: str) -> None:
    group = "ng_dev_hostile_12345678"
    tables = [{**READ, "rows": [{"tenant": [tenant]}]}, {**DRAFT, "rows": [{"tenant": [tenant], "status": ["draft"]}]}]
    deploy_group(bench.inputs(group=group, tables=tables))
    with bench.connect_agent(group) as connection:
        assert connection.execute("SELECT id FROM tickets").fetchall() == []
    assert ("ng_dev_hostile_12345678_select",) in bench.admin("SELECT policyname FROM pg_policies")


def test_zz_the_seed_is_whole(bench: Bench) -> None:
    clean(bench)
    assert bench.admin("SELECT count(*) FROM tickets") == [(5,)]
