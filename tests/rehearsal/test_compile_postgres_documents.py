"""Logins of a deployed tool, as an agent that means harm would use them: the real Vault and the real PostgreSQL."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg import sql

from narrowgate.compile import names
from rehearsal.postgres import SUPERUSER

if TYPE_CHECKING:
    from collections.abc import Iterator

    import hvac

    from rehearsal.live import LiveRehearsal

WORKFLOW = "ticket-drafting"
TOOL = "tickets"
USER = "sam"


@dataclass(frozen=True)
class Login:
    """An agent's own client of Vault, and the database login that it fetched."""

    vault: hvac.Client
    user: str
    dsn: dict[str, object]

    def connect(self, database: str | None = None) -> psycopg.Connection:
        options = self.dsn | ({} if database is None else {"dbname": database})
        return psycopg.connect(**options, autocommit=True, connect_timeout=10)  # type: ignore[arg-type]


def log_in(rehearsal: LiveRehearsal, user: str = USER, *groups: str) -> Login:
    manifest = json.loads(rehearsal.manifest(WORKFLOW).read_text(encoding="utf-8"))
    tool = manifest["tools"][TOOL]
    jwt = rehearsal.token(user, WORKFLOW, groups=groups or None)
    body = {"role": manifest["login"]["role"], "jwt": jwt}
    answer = rehearsal.vault("").write_data(f"auth/{manifest['login']['mount']}/login", data=body)
    vault = rehearsal.vault(answer["auth"]["client_token"])
    credential = vault.read(tool["path"])["data"]
    where = tool["connection"]
    return Login(
        vault,
        credential["username"],
        {
            "host": where["host"],
            "port": where["port"],
            "dbname": where["database"],
            "sslmode": where["sslmode"],
            "user": credential["username"],
            "password": credential["password"],
        },
    )


def wait_until_gone(rehearsal: LiveRehearsal, user: str) -> None:
    deadline = time.monotonic() + 15
    with rehearsal.postgres() as connection:
        while connection.execute("SELECT FROM pg_roles WHERE rolname = %s", (user,)).rowcount:
            assert time.monotonic() < deadline, f"{user} is still there"
            time.sleep(0.2)
            connection.rollback()


def test_a_login_carries_workflow_and_user(rehearsal: LiveRehearsal) -> None:
    login = log_in(rehearsal)
    assert login.user.startswith(f"{WORKFLOW}-{USER}-")
    login.vault.auth.token.revoke_self()
    wait_until_gone(rehearsal, login.user)


@pytest.mark.parametrize("user", ['x"; DROP TABLE tickets; --', "o'brien {{name}}", "ü" * 90, "a@b.example"])
def test_a_users_name_never_becomes_sql(rehearsal: LiveRehearsal, user: str) -> None:
    login = log_in(rehearsal, user, "service-desk")
    assert len(login.user) <= 63
    assert not set(login.user) & set("\"'\\{};")
    with login.connect() as connection:
        assert connection.execute("SELECT current_user").fetchone() == (login.user,)
    login.vault.auth.token.revoke_self()
    wait_until_gone(rehearsal, login.user)


def test_an_agent_cannot_hold_up_its_revocation(rehearsal: LiveRehearsal) -> None:
    login = log_in(rehearsal)
    with login.connect() as connection:
        connection.execute("SELECT lo_create(0)")
        login.vault.auth.token.revoke_self()
        wait_until_gone(rehearsal, login.user)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")


@pytest.fixture
def open_template(rehearsal: LiveRehearsal) -> Iterator[None]:
    """Let everybody into another database of the server, as PostgreSQL does unless it is told not to."""
    with rehearsal.postgres(SUPERUSER) as connection:
        connection.execute("GRANT CONNECT ON DATABASE template1 TO PUBLIC")
    yield
    with rehearsal.postgres(SUPERUSER) as connection:
        connection.execute("REVOKE CONNECT ON DATABASE template1 FROM PUBLIC")


@pytest.mark.usefixtures("open_template")
def test_what_it_owns_in_another_database_leaves_no_login(rehearsal: LiveRehearsal) -> None:
    login = log_in(rehearsal)
    with login.connect("template1") as connection:
        connection.execute("SELECT lo_create(0)")
    login.vault.auth.token.revoke_self()
    with rehearsal.postgres() as connection:
        deadline = time.monotonic() + 15
        query = (
            "SELECT rolcanlogin, (SELECT count(*) FROM pg_auth_members WHERE member = r.oid)"
            " FROM pg_roles r WHERE rolname = %s"
        )
        while connection.execute(query, (login.user,)).fetchone() not in {None, (False, 0)}:
            assert time.monotonic() < deadline
            time.sleep(0.2)
            connection.rollback()
    with pytest.raises(psycopg.OperationalError):
        login.connect()


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT customer_email FROM tickets",
        "SELECT count(*) FROM incidents",
        "SELECT count(*) FROM vendors",
        "UPDATE tickets SET title = 'x'",
        "DELETE FROM tickets",
        "TRUNCATE tickets",
        "INSERT INTO tickets (tenant, title, body, status) VALUES ('apac', 't', 'b', 'draft')",
        "INSERT INTO tickets (tenant, title, body, status) VALUES ('emea', 't', 'b', 'open')",
        "SET row_security = off; SELECT count(*) FROM tickets",
        "CREATE TABLE public.mine (x int)",
        "CREATE FUNCTION public.f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE VIEW public.v AS SELECT 1",
        "SET ROLE app_owner",
        "SET ROLE vault_broker",
        "COPY tickets TO '/tmp/x'",
        "SELECT pg_read_file('/etc/passwd')",
    ],
)
def test_a_session_gains_nothing(session: psycopg.Connection, statement: str) -> None:
    with pytest.raises(psycopg.Error) as caught:
        session.execute(statement.encode())
    assert not isinstance(caught.value, psycopg.errors.SyntaxError)


@pytest.fixture(scope="module")
def session(rehearsal: LiveRehearsal) -> Iterator[psycopg.Connection]:
    with log_in(rehearsal).connect() as connection:
        assert connection.execute("SELECT DISTINCT tenant FROM tickets").fetchall() == [("emea",)]
        yield connection


def test_nothing_can_be_taken_from_its_own_group(session: psycopg.Connection) -> None:
    group = names.group_role_name("dev", WORKFLOW, TOOL)
    session.execute("SET client_min_messages = error")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        session.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(group)))
    assert session.execute("SELECT DISTINCT tenant FROM tickets").fetchall() == [("emea",)]
