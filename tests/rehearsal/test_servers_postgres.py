from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import errors

from rehearsal import postgres

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rehearsal.live import LiveRehearsal

TABLES = ("incidents", "tickets", "vendors")


@pytest.fixture
def stranger(servers: LiveRehearsal) -> Iterator[psycopg.Connection]:
    """A login that was granted nothing at all."""
    with servers.postgres(postgres.SUPERUSER) as admin:
        admin.execute("CREATE ROLE stranger LOGIN PASSWORD 'for-this-test'")
        with psycopg.connect(
            host="127.0.0.1",
            port=servers.port(postgres.NAME),
            dbname=postgres.DATABASE,
            user="stranger",
            password="for-this-test",
            autocommit=True,
        ) as connection:
            yield connection
        admin.execute("DROP ROLE stranger")


def test_seed_holds_two_tenants_and_the_hidden_columns(servers: LiveRehearsal) -> None:
    with servers.postgres(postgres.SUPERUSER) as connection:
        for table in TABLES:
            rows = connection.execute(f"SELECT DISTINCT tenant FROM {table} ORDER BY 1").fetchall()  # noqa: S608 - a constant
            assert rows == [("amer",), ("emea",)], table
        assert connection.execute("SELECT count(*) FROM incidents WHERE customer_email IS NULL").fetchone() == (0,)
        assert connection.execute("SELECT count(*) FROM vendors WHERE bank_account IS NULL").fetchone() == (0,)


@pytest.mark.parametrize("table", TABLES)
def test_login_without_grants_reads_nothing(stranger: psycopg.Connection, table: str) -> None:
    with pytest.raises(errors.InsufficientPrivilege):
        stranger.execute(f"SELECT * FROM public.{table}")  # noqa: S608 - a constant


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT public.close_incident('emea', 1, 'x', 'x', 'x')",
        "SELECT public.create_vendor('emea', 'x', 'DE', 'x', 'x')",
        "CREATE TABLE public.mine (x int)",
        "CREATE SCHEMA mine",
        "CREATE TEMP TABLE mine (x int)",
        "SET ROLE app_owner",
        "SET ROLE app_procedures",
        "SET ROLE postgres",
        "SELECT pg_read_file('postgresql.conf')",
        "COPY (SELECT 1) TO PROGRAM 'id'",
    ],
)
def test_login_without_grants_does_nothing(stranger: psycopg.Connection, statement: str) -> None:
    with pytest.raises((errors.InsufficientPrivilege, errors.UndefinedFunction)):
        stranger.execute(statement.encode())


@pytest.mark.parametrize("database", ["postgres", "template1"])
def test_login_without_grants_reaches_no_other_database(
    servers: LiveRehearsal, stranger: psycopg.Connection, database: str
) -> None:
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(
            host="127.0.0.1", port=stranger.info.port, dbname=database, user="stranger", password="for-this-test"
        )
    assert servers.layout.postgres.is_dir()


@pytest.mark.parametrize("table", TABLES)
def test_broker_reads_nothing_and_becomes_nobody(servers: LiveRehearsal, table: str) -> None:
    with servers.postgres(postgres.BROKER) as broker:
        with pytest.raises(errors.InsufficientPrivilege):
            broker.execute(f"SELECT * FROM public.{table}")  # noqa: S608 - a constant
        for role in ("app_owner", "app_procedures", "deployer", "pg_signal_backend"):
            with pytest.raises(errors.InsufficientPrivilege):
                broker.execute(f"SET ROLE {role}")
        with pytest.raises(errors.InsufficientPrivilege):
            broker.execute("CREATE ROLE mine LOGIN IN ROLE app_owner")


def test_deployer_can_do_what_a_deploy_needs_and_the_broker_only_logs_in(servers: LiveRehearsal) -> None:
    with servers.postgres() as deployer:
        deployer.execute("CREATE ROLE probe_group NOLOGIN")
        deployer.execute("GRANT probe_group TO vault_broker WITH ADMIN OPTION, INHERIT FALSE, SET FALSE")
        deployer.execute("GRANT USAGE ON SCHEMA public TO probe_group")
        deployer.execute("GRANT SELECT (id, tenant, title) ON incidents TO probe_group")
        deployer.execute("ALTER TABLE incidents ENABLE ROW LEVEL SECURITY")
        deployer.execute("ALTER TABLE incidents FORCE ROW LEVEL SECURITY")
        deployer.execute("CREATE POLICY probe_group ON incidents TO probe_group USING (tenant = 'emea')")
        deployer.execute("GRANT EXECUTE ON FUNCTION close_incident(text, bigint, text, text, text) TO probe_group")
        with servers.postgres(postgres.BROKER) as broker:
            broker.execute("CREATE ROLE probe_login LOGIN PASSWORD 'for-this-test' IN ROLE probe_group")
            with psycopg.connect(
                host="127.0.0.1",
                port=broker.info.port,
                dbname=postgres.DATABASE,
                user="probe_login",
                password="for-this-test",
                autocommit=True,
            ) as agent:
                assert agent.execute("SELECT DISTINCT tenant FROM incidents").fetchall() == [("emea",)]
                with pytest.raises(errors.InsufficientPrivilege):
                    agent.execute("SELECT customer_email FROM incidents")
                call = f"SELECT close_incident('emea', 1, 'fixed', 'probe', 'sha256:{'a' * 64}')"
                assert agent.execute(call).fetchone() == (True,)
                call = f"SELECT close_incident('emea', 1, 'again', 'probe', 'sha256:{'b' * 64}')"
                assert agent.execute(call).fetchone() == (None,)
            broker.execute("DROP ROLE probe_login")
        deployer.execute("DROP POLICY probe_group ON incidents")
        deployer.execute("REVOKE ALL ON FUNCTION close_incident(text, bigint, text, text, text) FROM probe_group")
        deployer.execute("REVOKE ALL ON incidents FROM probe_group")
        deployer.execute("REVOKE USAGE ON SCHEMA public FROM probe_group")
        deployer.execute("ALTER TABLE incidents NO FORCE ROW LEVEL SECURITY")
        deployer.execute("ALTER TABLE incidents DISABLE ROW LEVEL SECURITY")
        deployer.execute("DROP ROLE probe_group")
    with servers.postgres(postgres.SUPERUSER) as admin:
        admin.execute("UPDATE incidents SET status = 'open', resolution = NULL, closed_at = NULL WHERE id = 1")


def test_wrong_password_is_refused(servers: LiveRehearsal) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(
            host="127.0.0.1",
            port=servers.port(postgres.NAME),
            dbname=postgres.DATABASE,
            user=postgres.SUPERUSER,
            password="wrong",
        )


def test_server_listens_on_loopback_only(servers: LiveRehearsal) -> None:
    process = servers.process(postgres.NAME)
    assert process is not None
    assert process.username() != "root"
    with servers.postgres(postgres.SUPERUSER) as connection:
        settings = connection.execute(
            "SELECT current_setting('listen_addresses'), current_setting('unix_socket_directories')"
        ).fetchone()
    assert settings == ("127.0.0.1", "")
    port = servers.port(postgres.NAME)
    with socket.socket(socket.AF_INET6) as probe:
        assert probe.connect_ex(("::1", port)) != 0


def test_passwords_are_in_private_files_and_in_no_log(servers: LiveRehearsal) -> None:
    files = [*servers.layout.postgres.glob("*.password"), *servers.layout.postgres.glob("*.pgpass")]
    assert {file.stat().st_mode & 0o077 for file in files} == {0}
    log = servers.layout.log(servers.layout.part(postgres.NAME)).read_text()
    for user in (postgres.SUPERUSER, postgres.DEPLOYER, postgres.BROKER):
        assert postgres.read_password(servers.layout, user) not in log


def test_killed_server_comes_back_with_its_data(servers: LiveRehearsal) -> None:
    with servers.postgres(postgres.SUPERUSER) as admin:
        before = admin.execute("SELECT count(*) FROM incidents").fetchone()
    process = servers.process(postgres.NAME)
    assert process is not None
    process.kill()
    process.wait(10)
    assert postgres.start_postgres(servers.layout)
    with servers.postgres(postgres.SUPERUSER) as admin:
        assert admin.execute("SELECT count(*) FROM incidents").fetchone() == before
