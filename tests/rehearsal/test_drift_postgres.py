"""What was granted, taken or made by hand in the database is drift, and an agent's lease is none."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from drift_bench import WORKFLOW, assert_found, find
from psycopg import sql

from narrowgate.audit.drift.facts import Kind
from narrowgate.audit.drift.row_conditions import declared_rows, read_rows
from narrowgate.compile.postgres import row_condition
from narrowgate.runtime import login
from rehearsal import postgres

if TYPE_CHECKING:
    import psycopg

    from narrowgate.audit.drift.expected import Expected
    from rehearsal.live import LiveRehearsal


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
