"""What `access.postgres` says, held against a real PostgreSQL 16: privilege functions, real queries, SET ROLE."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from narrowgate.access import postgres
from narrowgate.access.postgres.catalog import COLUMN_PRIVILEGES, TABLE_PRIVILEGES
from narrowgate.access.postgres.decision import executable_functions, settable_roles
from rehearsal import postgres as server
from rehearsal.layout import Layout
from rehearsal.processes import stop_named

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.rehearsal

DATABASE = "access"


@pytest.fixture(scope="module")
def admin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """Connect as superuser to an empty database on a server of this module's own."""
    folder = tmp_path_factory.mktemp("access-postgres")
    layout = Layout(root=folder, cache=folder / "cache").of("dev")
    server.start_postgres(layout)
    try:
        with server.connect(layout, server.SUPERUSER) as connection:
            connection.execute(f"CREATE DATABASE {DATABASE}")
        with server.connect(layout, server.SUPERUSER, DATABASE) as connection:
            yield connection
    finally:
        stop_named(layout, layout.part(server.NAME))


def read(admin: psycopg.Connection[tuple[Any, ...]]) -> postgres.Catalog:
    return postgres.read_catalog({name: admin.execute(sql).fetchall() for name, sql in postgres.QUERIES.items()})


def reset(admin: psycopg.Connection[tuple[Any, ...]]) -> None:
    """Remove every role and schema of an earlier case."""
    admin.execute("RESET SESSION AUTHORIZATION")
    for (schema,) in admin.execute("SELECT nspname FROM pg_namespace WHERE nspname LIKE 's_'").fetchall():
        admin.execute(f"DROP SCHEMA {schema} CASCADE")
    for (role,) in admin.execute("SELECT rolname FROM pg_roles WHERE rolname LIKE 'r_'").fetchall():
        admin.execute(f"DROP OWNED BY {role}")
        admin.execute(f"DROP ROLE {role}")


ROLES = [f"r{number}" for number in range(6)]
TABLES = ["s0.t0", "s0.t1", "s1.t2"]


def random_roles(rnd: random.Random) -> list[str]:
    statements = [
        f"CREATE ROLE {role} {'SUPERUSER' * (rnd.random() < 0.05)} {'BYPASSRLS' * (rnd.random() < 0.1)}"
        for role in ROLES
    ]
    for member in range(1, len(ROLES)):
        for group in rnd.sample(range(member), rnd.randint(0, min(2, member))):
            options = f"INHERIT {rnd.choice(['TRUE', 'FALSE'])}, SET {rnd.choice(['TRUE', 'FALSE'])}"
            statements.append(f"GRANT r{group} TO r{member} WITH {options}")
    predefined = rnd.choice(["pg_read_all_data", "pg_write_all_data", "pg_monitor"])
    return [*statements, f"GRANT {predefined} TO {rnd.choice(ROLES)}"]


def random_objects(rnd: random.Random) -> list[str]:
    statements = []
    for schema in ("s0", "s1"):
        statements.append(f"CREATE SCHEMA {schema} AUTHORIZATION {rnd.choice(['postgres', *ROLES])}")
        grantees = rnd.sample([*ROLES, "PUBLIC"], rnd.randint(1, 3))
        statements.append(f"GRANT USAGE ON SCHEMA {schema} TO {', '.join(grantees)}")
    for table in TABLES:
        statements += [f"CREATE TABLE {table} (a int, b int, c int)", f"INSERT INTO {table} VALUES (1, 1, 1)"]  # noqa: S608 - as below
    statements += ["CREATE VIEW s0.v AS SELECT a, b FROM s0.t0", "CREATE MATERIALIZED VIEW s1.m AS SELECT 1 AS a"]
    statements.append("CREATE FUNCTION s0.f(x int) RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT x'")
    if rnd.random() < 0.5:
        statements.append("REVOKE EXECUTE ON FUNCTION s0.f FROM PUBLIC")
        statements.append(f"GRANT EXECUTE ON FUNCTION s0.f TO {rnd.choice(ROLES)}")
    return statements


def random_grants(rnd: random.Random) -> list[str]:
    statements = []
    for table in [*TABLES, "s0.v"]:
        for _ in range(rnd.randint(0, 5)):
            privilege = rnd.choice(sorted(TABLE_PRIVILEGES))
            columns = f" ({rnd.choice('ab')})" if privilege in COLUMN_PRIVILEGES and rnd.random() < 0.5 else ""
            grantee = rnd.choice([*ROLES, *ROLES, "PUBLIC"])
            option = " WITH GRANT OPTION" if grantee != "PUBLIC" and rnd.random() < 0.2 else ""
            statements.append(f"GRANT {privilege}{columns} ON {table} TO {grantee}{option}")
    return statements


def random_policies(rnd: random.Random) -> list[str]:
    statements = []
    for number, table in enumerate(TABLES):
        if rnd.random() < 0.6:
            statements.append(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
            statements += [f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY"] * (rnd.random() < 0.4)
        for _ in range(rnd.randint(0, 2)):
            whom = ", ".join(rnd.sample([*ROLES, "PUBLIC"], rnd.randint(1, 2)))
            command = rnd.choice(["ALL", "SELECT", "DELETE"])
            style = rnd.choice(["PERMISSIVE", "PERMISSIVE", "RESTRICTIVE"])
            name = f"p{number}_{len(statements)}"
            statements.append(f"CREATE POLICY {name} ON {table} AS {style} FOR {command} TO {whom} USING (true)")
        statements.append(f"ALTER TABLE {table} OWNER TO {rnd.choice(['postgres', *ROLES])}")
    return statements


def build_at_random(admin: psycopg.Connection[tuple[Any, ...]], rnd: random.Random) -> None:
    """Make roles, memberships, tables, grants, policies, views and functions, some of each."""
    reset(admin)
    for statement in [*random_roles(rnd), *random_objects(rnd), *random_grants(rnd), *random_policies(rnd)]:
        admin.execute(statement.encode())


def check_privilege_functions(admin: psycopg.Connection[tuple[Any, ...]], catalog: postgres.Catalog) -> int:
    questions = [
        (role, table, privilege, column)
        for role in ROLES
        for table in catalog.tables
        for privilege in sorted(TABLE_PRIVILEGES)
        for column in (None, *(table.columns if privilege in COLUMN_PRIVILEGES else ()))
    ]
    asked = [
        f"has_table_privilege('{role}', '{table}', '{privilege}')"
        if column is None
        else f"has_column_privilege('{role}', '{table}', '{column}', '{privilege}')"
        for role, table, privilege, column in questions
    ]
    answers = admin.execute(f"SELECT ARRAY[{', '.join(asked)}]".encode()).fetchone()
    assert answers is not None
    for (role, table, privilege, column), expected in zip(questions, answers[0], strict=True):
        decision = postgres.evaluate(
            catalog,
            role,
            privilege,
            table.key,
            column,
            set_role=False,
            schema_usage=False,
            row_security=False,
        )
        assert decision.allowed is expected, (role, str(table), privilege, column)
    return len(questions)


def count_rows(admin: psycopg.Connection[tuple[Any, ...]], query: str) -> int | None:
    """Return how many rows a query gives, or None when it is refused."""
    try:
        return len(admin.execute(query.encode()).fetchall())
    except psycopg.errors.InsufficientPrivilege:
        return None


def check_real_queries(admin: psycopg.Connection[tuple[Any, ...]], catalog: postgres.Catalog) -> int:
    asked = 0
    for role in ROLES:
        admin.execute(f"SET SESSION AUTHORIZATION {role}".encode())
        for table in TABLES:
            for column in "ab":
                rows = count_rows(admin, f"SELECT {column} FROM {table}")  # noqa: S608 - names of this module
                decision = postgres.evaluate(catalog, role, "SELECT", table, column, set_role=False)
                assert decision.allowed is bool(rows), (role, table, column, rows, decision)
                assert (decision.reason is postgres.Reason.NO_ROWS) == (rows == 0)
                asked += 1
        runs = count_rows(admin, "SELECT s0.f(1)") is not None
        assert runs is any(str(f).startswith("s0.f(") for f, _ in executable_functions(catalog, role, set_role=False))
        for other in ROLES:
            try:
                admin.execute(f"SET ROLE {other}".encode())
                became = True
            except psycopg.errors.InsufficientPrivilege:
                became = False
            admin.execute("RESET ROLE")
            assert became is (other == role or other in settable_roles(catalog, role)), (role, other)
        admin.execute("RESET SESSION AUTHORIZATION")
    return asked


@pytest.mark.parametrize(("seed", "rounds"), [(1, 12), pytest.param(2, 300, marks=pytest.mark.long)])
def test_random_databases_are_read_alike(admin: psycopg.Connection[tuple[Any, ...]], seed: int, rounds: int) -> None:
    rnd = random.Random(seed)  # noqa: S311 - test data
    asked = 0
    for _ in range(rounds):
        build_at_random(admin, rnd)
        catalog = read(admin)
        asked += check_privilege_functions(admin, catalog) + check_real_queries(admin, catalog)
        for role in ROLES:
            assert postgres.compare(catalog, catalog, role).no_new_access is True
    assert asked > rounds * 500


DECLARED = [{"schema": "s0", "table": "t0", "privilege": "SELECT", "columns": ["a"], "rows": [{"a": [1]}]}]
SET_UP = (
    "CREATE ROLE r0 NOLOGIN",
    "CREATE ROLE r1 NOLOGIN",
    "CREATE SCHEMA s0",
    "CREATE TABLE s0.t0 (a int, b int)",
    "ALTER TABLE s0.t0 ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE s0.t0 FORCE ROW LEVEL SECURITY",
    "GRANT USAGE ON SCHEMA s0 TO r0",
    "GRANT SELECT (a) ON s0.t0 TO r0",
    "CREATE POLICY mine ON s0.t0 FOR SELECT TO r0 USING (a = 1)",
)


@pytest.mark.parametrize(
    ("change", "kinds"),
    [
        ("SELECT 1", set()),
        ("GRANT SELECT ON s0.t0 TO PUBLIC", {"public-privilege"}),
        ("GRANT SELECT (b) ON s0.t0 TO PUBLIC", {"public-privilege"}),
        ("GRANT SELECT (b) ON s0.t0 TO r0", {"privilege"}),
        ("GRANT TRUNCATE ON s0.t0 TO r1; GRANT r1 TO r0", {"privilege", "membership"}),
        ("GRANT SELECT (a) ON s0.t0 TO r0 WITH GRANT OPTION", {"grant-option"}),
        ("CREATE POLICY all_see ON s0.t0 FOR SELECT USING (true)", {"row-policy"}),
        ("CREATE POLICY with_r1 ON s0.t0 FOR SELECT TO r0, r1 USING (true)", {"row-policy"}),
        ("CREATE POLICY of_r1 ON s0.t0 FOR SELECT TO r1 USING (true)", set()),
        ("ALTER TABLE s0.t0 DISABLE ROW LEVEL SECURITY", {"no-row-security"}),
        ("ALTER TABLE s0.t0 NO FORCE ROW LEVEL SECURITY", {"no-row-security"}),
        ("CREATE VIEW s0.v AS SELECT b FROM s0.t0; GRANT SELECT ON s0.v TO r0", {"privilege", "view-as-owner"}),
        ("CREATE FUNCTION s0.f() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'", {"definer-function"}),
        ("CREATE FUNCTION s0.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", set()),
        ("ALTER ROLE r0 BYPASSRLS", {"role-attribute"}),
        ("GRANT CREATE ON SCHEMA s0 TO PUBLIC", {"schema-create"}),
        ("ALTER TABLE s0.t0 OWNER TO r1; GRANT r1 TO r0", {"ownership", "membership", "privilege"}),
    ],
)
def test_widening_is_found(admin: psycopg.Connection[tuple[Any, ...]], change: str, kinds: set[str]) -> None:
    reset(admin)
    for statement in SET_UP:
        admin.execute(statement.encode())
    before = read(admin)
    assert postgres.find_widening(before, "r0", DECLARED) == []
    admin.execute(change.encode())
    after = read(admin)
    found = postgres.find_widening(after, "r0", DECLARED)
    assert {widening.kind.value for widening in found} >= kinds
    assert bool(found) == bool(kinds)
    comparison = postgres.compare(before, after, "r0")
    if not kinds and "FUNCTION" not in change:
        assert comparison.no_new_access is True
    elif kinds and kinds != {"no-row-security"}:
        assert comparison.no_new_access is not True, comparison
