"""Brings a group role in PostgreSQL into step with its declaration, and takes it away: each in one transaction.

It connects by libpq's own environment (PGUSER, PGPASSFILE, PGSSLMODE, …), so that no secret stands in Pulumi's state.
The SQL of grants and policies is `narrowgate.compile.postgres`'s; here stands what must be asked of a live server.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg
import stamina
from psycopg import errors, sql

from narrowgate.compile.postgres import (
    build_grant_statements,
    build_role_statements,
    build_row_security_statements,
)
from narrowgate.errors import NarrowgateError
from narrowgate_pulumi.postgres_catalog import (
    Observed,
    has_owner_policy,
    list_logins,
    read_group,
    read_relation,
    read_role,
    read_row_security,
)
from narrowgate_pulumi.postgres_refusals import GROUP_COMMENT, find_refusals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")

CONNECT_SECONDS = 5
# DDL waits for readers, and other readers wait for it: better to give up soon and try again.
LOCK_TIMEOUT = "4s"
# Other deploys to the same database hold this while they work.
DEPLOY_LOCK_TIMEOUT = "120s"
DEPLOY_LOCK = 0x6E6172726F7767  # "narrowg"
ATTEMPTS = 5
RETRIED = (
    errors.DeadlockDetected,
    errors.LockNotAvailable,
    errors.SerializationFailure,
    errors.InternalError_,  # "tuple concurrently updated": Vault makes or drops a login at this moment
)
LOGINS_LEAVE_SECONDS = 5.0
OWNER_POLICY = "narrowgate_owner"


class PostgresRefusedError(NarrowgateError):
    """The database holds something that would widen the declared access, or lacks what was declared."""

    code = "postgres-refused"
    hint = "Mend the database as the message says, and deploy again."


class PostgresFailedError(NarrowgateError):
    """The database could not be reached, or did not carry out a statement."""

    code = "postgres-failed"
    hint = "Check PGUSER and PGPASSFILE (or another of libpq's ways), and that this role may create roles and grant."


@contextlib.contextmanager
def _translated(place: dict[str, Any]) -> Iterator[None]:
    """Turn every error of PostgreSQL into one line; chained it would print a page for each resource of a deploy."""
    try:
        yield
    except psycopg.Error as error:
        where = f"{place['database']} at {place['host']}:{place['port']}"
        raise PostgresFailedError(f"PostgreSQL {where}: {_one_line(error)}") from None


def _connect(place: dict[str, Any], *, autocommit: bool = False) -> psycopg.Connection:
    """Connect to `place` (host, port, database) with no schema on the search_path but PostgreSQL's own."""
    return psycopg.connect(
        host=place["host"],
        port=int(place["port"]),
        dbname=place["database"],
        sslmode=place["sslmode"],
        connect_timeout=CONNECT_SECONDS,
        application_name="narrowgate-deploy",
        options="-c search_path=pg_catalog -c client_min_messages=error",
        autocommit=autocommit,
    )


def inspect_place(inputs: dict[str, Any]) -> list[str]:
    """Return why `inputs` must not be deployed, without changing anything. Raises PostgresFailedError."""
    with _translated(inputs), _connect(inputs) as connection:
        return _find_refusals(connection, inputs)


def observe_group(inputs: dict[str, Any]) -> Observed | None:
    """Return what the server holds of the group now, None where it is missing. Raises PostgresFailedError."""
    with _translated(inputs), _connect(inputs) as connection:
        return _observe(connection, inputs)


def deploy_group(inputs: dict[str, Any]) -> Observed:
    """Make the group role exactly what `inputs` declare, and return what the catalogs then say of it.

    Idempotent: a group that a crashed deploy left behind is adopted. All or nothing; other deploys to the database
    wait for this one.

    Raises:
        PostgresRefusedError: the database would widen the declared access, or lacks a table or a column.
        PostgresFailedError: PostgreSQL could not be reached or failed.

    """
    with _translated(inputs):
        return _retry(_deploy_once, inputs)


def remove_group(inputs: dict[str, Any]) -> None:
    """Take away the group role, its grants and policies, and cut off logins that are still in it. Idempotent.

    Row security stays on: turning it off could show rows to others. Raises as `deploy_group` does.
    """
    with _translated(inputs):
        _empty_group(inputs)
        _retry(_remove_once, inputs)


def _retry(work: Callable[[psycopg.Connection, dict[str, Any]], T], inputs: dict[str, Any]) -> T:
    """Do `work` in a transaction, again where another session was in the way."""
    for attempt in stamina.retry_context(on=RETRIED, attempts=ATTEMPTS, timeout=60.0, wait_initial=0.2, wait_max=3.0):
        with attempt, _connect(inputs) as connection:
            connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(DEPLOY_LOCK_TIMEOUT))
            connection.execute("SELECT pg_catalog.pg_advisory_xact_lock(%s)", (DEPLOY_LOCK,))
            connection.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(LOCK_TIMEOUT))
            return work(connection, inputs)
    raise AssertionError("retry_context always runs its block")  # pragma: no cover


def _deploy_once(connection: psycopg.Connection, inputs: dict[str, Any]) -> Observed:
    group, broker = inputs["group"], inputs["broker"]
    if refusals := _find_refusals(connection, inputs):
        raise PostgresRefusedError(" ".join(refusals))
    create, admit = build_role_statements(group, broker)
    existing = read_group(connection, group, broker, [])
    if existing is not None:
        _strip(connection, group, existing)
        if _find_strangers(existing, broker, connection.info.user):
            # Who granted a membership must revoke it; the role's end ends them all, its living logins' too.
            connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(group)))
            existing = None
    if existing is None:
        _execute(connection, create)
        connection.execute(sql.SQL("COMMENT ON ROLE {} IS {}").format(sql.Identifier(group), GROUP_COMMENT))
    for schema, table in sorted({(entry["schema"], entry["table"]) for entry in inputs["tables"]}):
        _bind_rows(connection, schema, table)
    _execute(connection, *build_grant_statements(group, inputs["tables"], inputs["functions"]), admit)
    observed = _observe(connection, inputs)
    if observed is None:  # pragma: no cover - it was made above
        raise PostgresFailedError(f"the group role {group} is not there after it was made")
    _prove(observed, inputs, connection.info.user)
    return observed


def _remove_once(connection: psycopg.Connection, inputs: dict[str, Any]) -> None:
    group, broker = inputs["group"], inputs["broker"]
    existing = read_group(connection, group, broker, [])
    if existing is None:
        return
    if existing["role"]["comment"] != GROUP_COMMENT:
        raise PostgresRefusedError(f"a role {group} exists that Narrowgate did not make; it is left alone.")
    _strip(connection, group, existing)
    if read_role(connection, broker) is not None:
        connection.execute(sql.SQL("REVOKE {} FROM {} CASCADE").format(sql.Identifier(group), sql.Identifier(broker)))
    connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(group)))


def _strip(connection: psycopg.Connection, group: str, observed: Observed) -> None:
    """Take everything from the group role: grants and policies, declared or not, and settings."""
    name = sql.Identifier(group)
    # One privilege at a time: PostgreSQL then picks the role that granted it. For ALL, as in DROP OWNED, it picks the
    # role that could grant most, and what another one granted stays.
    for schema, privilege, _ in observed["schemas"]:
        _revoke(connection, privilege, sql.SQL("SCHEMA {}").format(sql.Identifier(schema)), name)
    for schema, relation, privilege, _ in observed["relations"]:
        _revoke(connection, privilege, sql.SQL("{}").format(sql.Identifier(schema, relation)), name)
    for schema, function, arguments, privilege, _ in observed["functions"]:
        signature = sql.SQL("FUNCTION {}({})").format(sql.Identifier(schema, function), sql.SQL(arguments))
        _revoke(connection, privilege, signature, name)
    connection.execute(sql.SQL("ALTER ROLE {} NOLOGIN").format(name))
    connection.execute(sql.SQL("ALTER ROLE {} RESET ALL").format(name))
    # DROP OWNED finds every grant and policy; it needs the role's privileges for a moment.
    holds = connection.execute("SELECT pg_catalog.pg_has_role(%s, 'USAGE')", (group,)).fetchone()
    borrowed = holds is None or not holds[0]
    if borrowed:
        connection.execute(sql.SQL("GRANT {} TO CURRENT_USER WITH INHERIT TRUE, SET FALSE").format(name))
    connection.execute(sql.SQL("DROP OWNED BY {}").format(name))
    if borrowed:
        connection.execute(sql.SQL("REVOKE {} FROM CURRENT_USER GRANTED BY CURRENT_USER").format(name))


def _revoke(connection: psycopg.Connection, privilege: str, thing: sql.Composed, group: sql.Identifier) -> None:
    """Revoke one privilege; its name and the thing's come from the catalogs."""
    connection.execute(sql.SQL("REVOKE {} ON {} FROM {}").format(sql.SQL(privilege), thing, group))


def _find_strangers(observed: Observed, broker: str, deployer: str) -> list[str]:
    """Return who stands in the group and should not, and what the group stands in.

    Expected are the broker and the group's maker, both with ADMIN OPTION alone; the broker's logins are not listed.
    """
    strangers = [
        f"{member} is in the group"
        for member, admin, inherit, can_set, _grantor in observed["members"]
        if member not in (broker, deployer) or (admin, inherit, can_set) != (True, False, False)
    ]
    return [*strangers, *(f"the group is in {role}" for (role,) in observed["member_of"])]


def _bind_rows(connection: psycopg.Connection, schema: str, table: str) -> None:
    """Turn row security on where it is not. The owner, bound for the first time, keeps all rows by a policy of its own.

    Nothing is executed where it is on: ALTER TABLE would wait for every reader on each deploy.
    """
    relation = read_relation(connection, schema, table)
    if relation is None or read_row_security(connection, schema, table) == (True, True):
        return
    _execute(connection, *build_row_security_statements([{"schema": schema, "table": table}]))
    if not has_owner_policy(connection, schema, table):
        connection.execute(
            sql.SQL("CREATE POLICY {} ON {} TO {} USING (true) WITH CHECK (true)").format(
                sql.Identifier(OWNER_POLICY), sql.Identifier(schema, table), sql.Identifier(relation[1])
            )
        )


def _execute(connection: psycopg.Connection, *statements: str) -> None:
    """Execute statements of `narrowgate.compile.postgres`, which quotes every name and value in them."""
    for statement in statements:
        connection.execute(statement.encode())


def _empty_group(inputs: dict[str, Any]) -> None:
    """Wait until Vault has revoked the group's logins, then end the sessions of those that are left."""
    deadline = time.monotonic() + LOGINS_LEAVE_SECONDS
    with _connect(inputs, autocommit=True) as connection:
        while (logins := list_logins(connection, inputs["group"], inputs["broker"])) and time.monotonic() < deadline:
            time.sleep(0.2)
        with contextlib.suppress(errors.InsufficientPrivilege):  # they hold nothing once the group is gone
            connection.execute(
                "SELECT pg_catalog.pg_terminate_backend(pid, 2000) FROM pg_catalog.pg_stat_activity"
                " WHERE usename = ANY (%s)",
                (logins,),
            )


def _find_refusals(connection: psycopg.Connection, inputs: dict[str, Any]) -> list[str]:
    return find_refusals(
        connection,
        group=inputs["group"],
        broker=inputs["broker"],
        tables=inputs["tables"],
        functions=inputs["functions"],
    )


def _observe(connection: psycopg.Connection, inputs: dict[str, Any]) -> Observed | None:
    observed = read_group(connection, inputs["group"], inputs["broker"], inputs["tables"])
    if observed is not None:
        observed["widened"] = [[reason] for reason in _find_refusals(connection, inputs)]
    return observed


def _prove(observed: Observed, inputs: dict[str, Any], deployer: str) -> None:
    """Compare what the catalogs say with what was declared: a GRANT without the right to grant is only a warning.

    Raises:
        PostgresRefusedError: something is missing, or there is more than was declared.

    """
    wanted: set[tuple[Any, ...]] = {
        (entry["schema"], "USAGE", False) for entry in (*inputs["tables"], *inputs["functions"])
    }
    for table in inputs["tables"]:
        for column in table["columns"] or [None]:  # DELETE has no columns
            wanted.add((table["schema"], table["table"], *([column] if column else []), table["privilege"], False))
    wanted |= {(f["schema"], f["function"], "EXECUTE", False) for f in inputs["functions"]}
    found = {tuple(row) for name in ("schemas", "relations", "columns") for row in observed[name]}
    found |= {(schema, name, privilege, grantable) for schema, name, _, privilege, grantable in observed["functions"]}
    problems = [
        *(f"missing: {' '.join(map(str, row[:-1]))}" for row in sorted(wanted - found, key=str)),
        *(f"not declared: {' '.join(map(str, row[:-1]))}" for row in sorted(found - wanted, key=str)),
        *(f"row security is not on: {row[0]}.{row[1]}" for row in observed["row_security"] if row[2:] != [True, True]),
        *_find_strangers(observed, inputs["broker"], deployer),
        *(row[0] for row in observed["widened"]),
    ]
    if problems:
        raise PostgresRefusedError(
            f"the grants of {inputs['group']} did not come out as declared: {'; '.join(problems)}"
        )


def _one_line(error: psycopg.Error) -> str:
    """Return PostgreSQL's own words and its SQLSTATE; they hold no password."""
    parts = (error.diag.message_primary, error.diag.message_detail)
    text = " ".join(" ".join(part for part in parts if part).split()) or " ".join(str(error).split())
    return f"{text} ({error.sqlstate})" if error.sqlstate else text
