"""SQL for a tool's group role: pure builders that quote by type and place, and never widen what the plan says.

`narrowgate_pulumi.PostgresAccess` executes what is built here; Vault executes the creation and revocation statements.
Tables are the JSON-ready dicts of `PostgresDocuments.tables`. This module must not connect to anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from narrowgate.compile.errors import CompileError
from narrowgate.compile.names import GROUP_ROLE_LENGTH

Json = Mapping[str, Any]

COLUMN_PRIVILEGES: Final = ("SELECT", "INSERT", "UPDATE")
PRIVILEGES: Final = (*COLUMN_PRIVILEGES, "DELETE")
MAX_IDENTIFIER_BYTES: Final = 63
_TYPE: Final = re.compile(r"[a-z_][a-z0-9_]*([ .][a-z_][a-z0-9_]*)*(\[\])?")


def quote_identifier(name: str) -> str:
    """Return `name` as a quoted SQL identifier; raise `CompileError` for one that PostgreSQL cannot hold as it is."""
    if not name or not name.isprintable() or len(name.encode()) > MAX_IDENTIFIER_BYTES:
        raise CompileError(f"{name!r} is no SQL identifier", hint=f"1 to {MAX_IDENTIFIER_BYTES} printable bytes")
    return '"' + name.replace('"', '""') + '"'


def quote_literal(value: str | int | bool) -> str:  # noqa: FBT001 - a value, not a flag
    """Return `value` as an SQL literal of its type; raise `CompileError` for text that PostgreSQL cannot hold.

    A backslash makes an escape string, so that the text means itself whatever `standard_conforming_strings` says.
    """
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int):
        return f"({value})" if value < 0 else str(value)
    if "\0" in value or any(0xD800 <= ord(character) <= 0xDFFF for character in value):  # noqa: PLR2004 - surrogates
        raise CompileError(f"{value!r} is no SQL text")
    doubled = value.replace("'", "''")
    if "\\" in doubled:
        return "E'" + doubled.replace("\\", "\\\\") + "'"
    return f"'{doubled}'"


def qualified_name(schema: str, name: str) -> str:
    """Return `schema.name`, both quoted."""
    return f"{quote_identifier(schema)}.{quote_identifier(name)}"


def function_signature(function: Json) -> str:
    """Return a function as PostgreSQL identifies it: its quoted name and argument types, which are only types."""
    for argument in function["arguments"]:
        if not _TYPE.fullmatch(argument):
            raise CompileError(
                f"{argument!r} is no SQL type", hint="write it in lower case, as in `timestamp with time zone`"
            )
    return f"{qualified_name(function['schema'], function['function'])}({', '.join(function['arguments'])})"


def policy_name(group_role: str, privilege: str) -> str:
    """Return the name of a group role's row policy for one privilege: `<group role>_<privilege>`, 63 bytes at most."""
    if len(group_role) > GROUP_ROLE_LENGTH:
        raise CompileError(f"the group role {group_role!r} is longer than {GROUP_ROLE_LENGTH} characters")
    return f"{group_role}_{privilege.lower()}"


def row_condition(rows: Sequence[Mapping[str, Sequence[str | int | bool]]]) -> str:
    """Return the SQL condition of `rows`: any of the alternatives, each with all of its columns.

    An alternative without columns is all rows; no alternative is no row.
    """
    if not rows:
        return "FALSE"
    alternatives = [_alternative(alternative) for alternative in rows]
    return " OR ".join(alternatives) if len(alternatives) == 1 else " OR ".join(f"({text})" for text in alternatives)


def _alternative(alternative: Mapping[str, Sequence[str | int | bool]]) -> str:
    if not alternative:
        return "TRUE"
    terms = []
    for column in sorted(alternative):
        literals = [quote_literal(value) for value in alternative[column]]
        if not literals:
            return "FALSE"
        name = quote_identifier(column)
        terms.append(f"{name} = {literals[0]}" if len(literals) == 1 else f"{name} IN ({', '.join(literals)})")
    return " AND ".join(terms)


def build_role_statements(group_role: str, broker: str) -> tuple[str, ...]:
    """Return statements that make the group role, and let `broker` (Vault's login) make logins in it but not use it."""
    role = quote_identifier(group_role)
    return (
        f"CREATE ROLE {role} NOLOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS INHERIT",
        f"GRANT {role} TO {quote_identifier(broker)} WITH ADMIN TRUE, INHERIT FALSE, SET FALSE",
    )


def build_grant_statements(group_role: str, tables: Iterable[Json], functions: Iterable[Json] = ()) -> tuple[str, ...]:
    """Return statements that give `group_role` exactly these tables and functions: columns, row policies, EXECUTE.

    They assume that the role holds nothing yet (`DROP OWNED BY` in the same transaction makes it so), and that row
    level security is enabled and forced on each table.
    """
    role = quote_identifier(group_role)
    tables, functions = list(tables), list(functions)
    schemas = sorted({entry["schema"] for entry in [*tables, *functions]})
    statements = [f"GRANT USAGE ON SCHEMA {quote_identifier(schema)} TO {role}" for schema in schemas]
    for table in tables:
        statements += _grant_table(group_role, table)
    statements += [f"GRANT EXECUTE ON FUNCTION {function_signature(function)} TO {role}" for function in functions]
    return tuple(statements)


def _grant_table(group_role: str, table: Json) -> list[str]:
    role, privilege = quote_identifier(group_role), table["privilege"]
    name = qualified_name(table["schema"], table["table"])
    if privilege not in PRIVILEGES:
        raise CompileError(f"{privilege!r} is no table privilege", hint=", ".join(PRIVILEGES))
    columns = ", ".join(quote_identifier(column) for column in table["columns"])
    if (privilege in COLUMN_PRIVILEGES) != bool(columns):
        raise CompileError(f"{privilege} on {name} must {'name' if not columns else 'have no'} columns")
    condition = row_condition(table["rows"])
    clauses = []
    if privilege != "INSERT":
        clauses.append(f"USING ({condition})")
    if privilege in {"INSERT", "UPDATE"}:
        clauses.append(f"WITH CHECK ({condition})")
    policy = quote_identifier(policy_name(group_role, privilege))
    return [
        f"GRANT {privilege}{f' ({columns})' if columns else ''} ON TABLE {name} TO {role}",
        f"CREATE POLICY {policy} ON {name} AS PERMISSIVE FOR {privilege} TO {role} {' '.join(clauses)}",
    ]


def build_row_security_statements(tables: Iterable[Json]) -> tuple[str, ...]:
    """Return statements for the tables' owner that enable and force row level security on each table."""
    names = sorted({(entry["schema"], entry["table"]) for entry in tables})
    return tuple(
        f"ALTER TABLE {qualified_name(schema, table)} {mode} ROW LEVEL SECURITY"
        for schema, table in names
        for mode in ("ENABLE", "FORCE")
    )


def build_creation_statements(
    group_role: str, schemas: Sequence[str], *, connection_limit: int, settings: Mapping[str, str]
) -> tuple[str, ...]:
    """Return Vault's creation statements: a login in `group_role` that ends with its lease.

    Vault fills `{{name}}`, `{{password}}` and `{{expiration}}`; the connection's username template leaves nothing in a
    name that could end its quotes. `IN ROLE` rather than GRANT, since grants of many logins at once block each other.
    """
    path = ", ".join(["pg_catalog", *(quote_identifier(schema) for schema in sorted(schemas))])
    create = (
        "CREATE ROLE \"{{name}}\" LOGIN PASSWORD '{{password}}' VALID UNTIL '{{expiration}}' NOSUPERUSER NOCREATEDB "
        f"NOCREATEROLE NOREPLICATION NOBYPASSRLS INHERIT CONNECTION LIMIT {int(connection_limit)} "
        f"IN ROLE {quote_identifier(group_role)};"
    )
    return (
        create,
        f'ALTER ROLE "{{{{name}}}}" SET search_path = {path};',
        *(
            f'ALTER ROLE "{{{{name}}}}" SET {name} = {quote_literal(value)};'
            for name, value in sorted(settings.items())
        ),
    )


def build_revocation_statements(group_role: str) -> tuple[str, ...]:
    """Return Vault's revocation statement: one block that ends the login, whatever its session has done.

    It closes the login, takes its membership, ends its sessions, drops what it owns (an agent may make large objects,
    which would hold up DROP ROLE), then drops it. What it owns in another database cannot be dropped from here: then a
    role remains that nobody can log in with and that is in no group. A login that is gone already is no error, so that
    a restored database cannot hold up its leases.
    """
    return (
        f"""DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = '{{{{name}}}}') THEN
    ALTER ROLE "{{{{name}}}}" NOLOGIN;
    REVOKE {quote_identifier(group_role)} FROM "{{{{name}}}}";
    PERFORM pg_catalog.pg_terminate_backend(pid, 5000) FROM pg_catalog.pg_stat_activity WHERE usename = '{{{{name}}}}';
    GRANT "{{{{name}}}}" TO CURRENT_USER WITH INHERIT TRUE;
    DROP OWNED BY "{{{{name}}}}";
    BEGIN
      DROP ROLE "{{{{name}}}}";
    EXCEPTION WHEN dependent_objects_still_exist THEN
      RAISE WARNING 'a revoked login owns objects in another database';
    END;
  END IF;
END $$;""",  # noqa: S608 - the group is quoted above, and Vault fills names that hold nothing to quote
    )


RENEW_STATEMENTS: Final = ("ALTER ROLE \"{{name}}\" VALID UNTIL '{{expiration}}';",)
