"""Reads what databases say of roles, grants and row policies. It only reads, and judges nothing.

It connects by libpq's environment (PGUSER, PGPASSFILE, …), in one read-only transaction for each database: any login
that may connect sees PostgreSQL's catalogues.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from narrowgate.access import postgres
from narrowgate.audit.drift.facts import Database, Member, Unread

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from narrowgate.audit.drift.facts import Place

CONNECT_SECONDS: Final = 5
_OPTIONS: Final = "-c search_path=pg_catalog -c default_transaction_read_only=on -c statement_timeout=60s"
_MEMBERS: Final = """
SELECT g.rolname, m.rolname, pg_catalog.pg_get_userbyid(a.grantor), a.admin_option, a.inherit_option, a.set_option,
       m.rolcanlogin AND m.rolvaliduntil IS NOT NULL AND NOT m.rolcreaterole AND NOT m.rolsuper
FROM pg_catalog.pg_auth_members a
JOIN pg_catalog.pg_roles g ON g.oid = a.roleid
JOIN pg_catalog.pg_roles m ON m.oid = a.member
ORDER BY 1, 2, 3"""


def read_databases(
    places: Mapping[Place, tuple[str, str]], say: Callable[[str], None]
) -> tuple[dict[Place, Database | None], list[Unread]]:
    """Return what each of `places` (with its TLS mode) says, None for one that can't be read, and why."""
    found: dict[Place, Database | None] = {}
    unread: list[Unread] = []
    for place, (sslmode, _) in sorted(places.items()):
        say(f"PostgreSQL: {place}")
        try:
            found[place] = _read_database(place, sslmode)
        except _DatabaseError as error:
            found[place] = None
            unread.append(Unread("postgres", str(place), str(error)))
    return found, unread


class _DatabaseError(Exception):
    """A database that could not be read, in one line."""


def _read_database(place: Place, sslmode: str) -> Database:
    try:
        import psycopg  # an extra that an installation may lack
    except ImportError:
        raise _DatabaseError("psycopg is not installed: install narrowgate[postgres]") from None
    try:
        with psycopg.connect(
            host=place.host,
            port=place.port,
            dbname=place.database,
            sslmode=sslmode,
            connect_timeout=CONNECT_SECONDS,
            application_name="narrowgate-drift",
            options=_OPTIONS,
        ) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            rows = {name: connection.execute(query.encode()).fetchall() for name, query in postgres.QUERIES.items()}
            members = [Member(*row) for row in connection.execute(_MEMBERS).fetchall()]
    except psycopg.Error as error:
        raise _DatabaseError(" ".join(str(error).split())) from None
    return Database(postgres.read_catalog(rows), tuple(members))
