"""A PostgreSQL of its own with the rehearsal's data, and short ways to act as deployer, broker and agent.

Not a test module: what the tests of PostgresAccess share.
"""

from __future__ import annotations

import contextlib
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psycopg
from narrowgate_pulumi.postgres_deploy import remove_group

from narrowgate.compile.postgres import build_creation_statements
from rehearsal import postgres
from rehearsal.layout import EnvironmentLayout, Layout
from rehearsal.processes import stop_named
from rehearsal.state import LOOPBACK, get_port

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pytest

GROUP = "ng_dev_ticket_drafting_tickets_0ddc2cb4"
READ = {
    "schema": "public",
    "table": "tickets",
    "privilege": "SELECT",
    "columns": ["body", "created_at", "id", "status", "tenant", "title"],
    "rows": [{"tenant": ["emea"]}],
}
DRAFT = {
    "schema": "public",
    "table": "tickets",
    "privilege": "INSERT",
    "columns": ["body", "status", "tenant", "title"],
    "rows": [{"status": ["draft"], "tenant": ["emea"]}],
}


@dataclass
class Bench:
    layout: EnvironmentLayout
    names: Iterator[int] = field(default_factory=itertools.count)

    def inputs(self, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
        return {
            "group": GROUP,
            "broker": postgres.BROKER,
            "host": LOOPBACK,
            "port": get_port(self.layout, self.layout.part(postgres.NAME)),
            "database": postgres.DATABASE,
            "sslmode": "disable",
            "tables": [READ, DRAFT],
            "functions": [],
            **changes,
        }

    def admin(self, *statements: str) -> list[tuple[Any, ...]]:
        """Run statements as superuser and return the last one's rows."""
        with postgres.connect(self.layout, postgres.SUPERUSER) as connection:
            for statement in statements:
                cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def connect_agent(self, group: str = GROUP) -> psycopg.Connection:
        """Make a login as Vault would, by the broker and Vault's own statements, and connect with it."""
        name, password = f"v-agent-{next(self.names)}", "not-a-secret-here"
        made = build_creation_statements(group, ["public"], connection_limit=5, settings={})
        with postgres.connect(self.layout, postgres.BROKER) as broker:
            for statement in made:
                filled = statement.replace("{{name}}", name).replace("{{password}}", password)
                broker.execute(filled.replace("{{expiration}}", "2099-01-01").encode())
        return psycopg.connect(
            host=LOOPBACK,
            port=get_port(self.layout, self.layout.part(postgres.NAME)),
            dbname=postgres.DATABASE,
            user=name,
            password=password,
            sslmode="disable",
            autocommit=True,
        )


@contextlib.contextmanager
def open_bench(folder: Path, environment: pytest.MonkeyPatch) -> Iterator[Bench]:
    """Start a server in `folder` and set libpq's environment to the deployer's."""
    layout = Layout(root=folder, cache=folder / "cache").of("dev")
    postgres.start_postgres(layout)
    environment.setenv("PGUSER", postgres.DEPLOYER)
    environment.setenv("PGPASSFILE", str(postgres.password_file(layout, postgres.DEPLOYER)))
    environment.delenv("PGPASSWORD", raising=False)
    try:
        yield Bench(layout)
    finally:
        stop_named(layout, layout.part(postgres.NAME))


def clean(bench: Bench) -> None:
    """Take away every login and group role that a test left, so that each test starts from the seed."""
    for (login,) in bench.admin("SELECT rolname FROM pg_roles WHERE rolname ~ '^v-agent'"):
        bench.admin(
            f"SELECT pg_terminate_backend(pid, 2000) FROM pg_stat_activity WHERE usename = '{login}'",  # noqa: S608 - a role's name
            f'DROP ROLE "{login}"',
        )
    for (group,) in bench.admin("SELECT rolname FROM pg_roles WHERE rolname ~ '^ng_'"):
        remove_group(bench.inputs(group=group))
    bench.admin("DELETE FROM tickets WHERE id > 5")
