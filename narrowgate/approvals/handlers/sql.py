"""The handler `sql-function`: one call of one function, by a login that may do nothing else.

    execute:
      handler: sql-function
      arguments: ["${scope.tenant}", "${inputs.name}", "${digest}"]
      target: {table: vendors, columns: [status], key: {tenant: "${scope.tenant}", name: "${inputs.name}"}}
      changes: {status: active}

The function must record the digest uniquely, so that the database itself refuses a second run. Arguments travel as
parameters, cast to the declared types; names come from the deploy and are quoted.
"""

from __future__ import annotations

import datetime as dt
import decimal
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from narrowgate.approvals.case import Change
from narrowgate.approvals.errors import DraftError, NotExecutedError, TargetDownError
from narrowgate.approvals.handlers.handler import Credentials, Plan, fill
from narrowgate.runtime.credential import Credential
from narrowgate.runtime.errors import ToolUnavailableError, redact
from narrowgate.runtime.manifest import ManifestTool
from narrowgate.runtime.postgres import open_connection

if TYPE_CHECKING:
    import psycopg

APPLICATION: Final = "executor"


class SqlFunction:
    """Calls a function; `execute["function"]` names it: `schema`, `function`, `arguments` (types)."""

    def plan(
        self,
        execute: Mapping[str, Any],
        inputs: Mapping[str, Any],
        connection: Mapping[str, Any],
        reader: Credentials | None,
    ) -> Plan:
        """Read the target's row by the executor's own login, and say what the call will make of it."""
        function = execute["function"]
        calls = {
            "function": f"{function['schema']}.{function['function']}",
            "types": list(function["arguments"]),
            "arguments": fill(execute["arguments"], inputs),
        }
        target = execute.get("target")
        if not target or reader is None:
            changes = fill(execute.get("changes") or {}, inputs)
            return Plan(calls, calls["function"], tuple(Change(k, None, v) for k, v in sorted(changes.items())), None)
        key = fill(target["key"], inputs)
        row = self._read_row(target, key, connection, reader)
        named = ", ".join(f"{name} = {value!r}" for name, value in sorted(key.items()))
        changes = fill(execute.get("changes") or {}, inputs)
        return Plan(
            calls=calls,
            target=f"{target['table']} where {named}",
            changes=tuple(
                Change(f"{target['table']}.{column}", row.get(column), after)
                for column, after in sorted(changes.items())
            ),
            watched=row,
        )

    def execute(
        self,
        execute: Mapping[str, Any],
        inputs: Mapping[str, Any],
        late: Mapping[str, str],
        connection: Mapping[str, Any],
        gated: Credentials,
    ) -> Any:  # noqa: ANN401 - what the function returns
        """Call the function in one transaction; an error before the commit is certain to have changed nothing."""
        import psycopg
        from psycopg import sql

        function = execute["function"]
        call = sql.SQL("SELECT {}.{}({})").format(
            sql.Identifier(function["schema"]),
            sql.Identifier(function["function"]),
            sql.SQL(", ").join(sql.SQL(f"%s::{_check_type(kind)}") for kind in function["arguments"]),
        )
        arguments = fill(execute["arguments"], inputs, late)
        try:
            opened = _open(connection, gated)
        except ToolUnavailableError as error:
            raise NotExecutedError(str(error)) from None
        with opened:
            try:
                row = opened.execute(call, arguments).fetchone()
            except psycopg.Error as error:
                raise NotExecutedError(f"the database refused the call: {_first_line(error)}") from None
            if row is None or row[0] is None or row[0] is False:
                opened.rollback()
                raise NotExecutedError("the function changed nothing: its target is not in the state that it asks for")
            opened.commit()
        return to_json(row[0])

    def _read_row(
        self, target: Mapping[str, Any], key: Mapping[str, Any], connection: Mapping[str, Any], reader: Credentials
    ) -> dict[str, Any]:
        import psycopg
        from psycopg import sql

        columns = sorted(target["columns"])
        query = sql.SQL("SELECT {} FROM {}.{} WHERE {} LIMIT 2").format(
            sql.SQL(", ").join(map(sql.Identifier, columns)),
            sql.Identifier(target.get("schema", "public")),
            sql.Identifier(target["table"]),
            sql.SQL(" AND ").join(sql.SQL("{} = %s").format(sql.Identifier(name)) for name in sorted(key)),
        )
        try:
            with _open(connection, reader) as opened:
                rows = opened.execute(query, [key[name] for name in sorted(key)]).fetchall()
        except (ToolUnavailableError, psycopg.OperationalError) as error:
            raise TargetDownError(f"The target cannot be read now: {_first_line(error)}") from None
        except psycopg.Error as error:
            raise DraftError(f"The target cannot be read: {_first_line(error)}") from None
        if len(rows) > 1:
            raise DraftError("The target is not one row.")
        return {name: to_json(value) for name, value in zip(columns, rows[0], strict=True)} if rows else {}


def _open(connection: Mapping[str, Any], credentials: Credentials) -> psycopg.Connection:
    tool = ManifestTool("the action's database", "postgres", None, {}, connection)
    login = Credential(tool.name, credentials.lease, 0, 0.0, credentials.values)
    return open_connection(tool, login, APPLICATION)


def _check_type(kind: str) -> str:
    """Return a type as PostgreSQL names it; it comes from the deploy and still never becomes other syntax."""
    if not all(c.isalnum() or c in " _[]()," for c in kind):
        raise NotExecutedError(f"{kind!r} is no type.")
    return kind


def _first_line(error: Exception) -> str:
    lines = redact(str(error), ()).splitlines()
    return lines[0] if lines else type(error).__name__


def to_json(value: Any) -> Any:  # noqa: ANN401 - any value of the database
    """Return a database's value as JSON holds it."""
    if isinstance(value, dt.date | dt.time | dt.datetime):
        return value.isoformat()
    if isinstance(value, decimal.Decimal | uuid.UUID):
        return str(value)
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    if isinstance(value, list | tuple):
        return [to_json(part) for part in value]
    if isinstance(value, Mapping):
        return {str(name): to_json(part) for name, part in value.items()}
    return value
