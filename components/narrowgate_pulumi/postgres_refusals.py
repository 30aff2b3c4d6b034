"""Why a deploy to PostgreSQL must not happen: what stands in the database and would widen the access that was declared.

A login of an agent is also PUBLIC, so whatever PUBLIC may do the agent may do. Each refusal is one sentence with a
statement that mends it. This module only reads; it must not repair, since the repair is the data owner's decision.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from narrowgate_pulumi.postgres_catalog import read_relation, read_role, read_row_security

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

TABLE_KINDS = {"r", "p"}
KINDS = {"v": "a view", "m": "a materialized view", "f": "a foreign table", "S": "a sequence"}
POLICY_COMMANDS = {"r": "SELECT", "a": "INSERT", "w": "UPDATE", "d": "DELETE", "*": "ALL"}
# Only a superuser can take these from a role.
DANGEROUS = ("superuser", "bypassrls", "createrole", "createdb", "replication")
GROUP_COMMENT = "narrowgate: group role of one workflow's tool"

# A user's schema: not PostgreSQL's own, and not another session's temporary one.
USER_SCHEMA = (
    "n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') AND n.nspname NOT LIKE 'pg\\_temp\\_%%'"
)
PUBLIC_USES_SCHEMA = """
EXISTS (SELECT 1 FROM pg_catalog.aclexplode(COALESCE(n.nspacl, pg_catalog.acldefault('n', n.nspowner))) s
        WHERE s.grantee = 0 AND s.privilege_type = 'USAGE')"""
NOT_OF_EXTENSION = """
NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend e WHERE e.classid = '{catalog}'::pg_catalog.regclass
            AND e.objid = {oid} AND e.deptype = 'e')"""

PUBLIC_RELATIONS = f"""
SELECT n.nspname, c.relname, pg_catalog.string_agg(DISTINCT a.privilege_type, ', ' ORDER BY a.privilege_type)
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (
  SELECT x.grantee, x.privilege_type FROM pg_catalog.aclexplode(c.relacl) x
  UNION ALL
  SELECT x.grantee, x.privilege_type FROM pg_catalog.pg_attribute t, pg_catalog.aclexplode(t.attacl) x
  WHERE t.attrelid = c.oid AND NOT t.attisdropped
) a
WHERE a.grantee = 0 AND {USER_SCHEMA} AND {PUBLIC_USES_SCHEMA}
  AND {NOT_OF_EXTENSION.format(catalog="pg_catalog.pg_class", oid="c.oid")}
GROUP BY 1, 2 ORDER BY 1, 2"""  # noqa: S608 - built of this module's own texts

PUBLIC_DEFINER_FUNCTIONS = f"""
SELECT n.nspname, p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid)
FROM pg_catalog.pg_proc p
JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
CROSS JOIN LATERAL pg_catalog.aclexplode(COALESCE(p.proacl, pg_catalog.acldefault('f', p.proowner))) a
WHERE p.prosecdef AND a.grantee = 0 AND a.privilege_type = 'EXECUTE' AND {USER_SCHEMA} AND {PUBLIC_USES_SCHEMA}
  AND p.prorettype NOT IN ('pg_catalog.trigger'::pg_catalog.regtype, 'pg_catalog.event_trigger'::pg_catalog.regtype)
  AND {NOT_OF_EXTENSION.format(catalog="pg_catalog.pg_proc", oid="p.oid")}
ORDER BY 1, 2, 3"""  # noqa: S608 - as above

PUBLIC_CREATES = f"""
SELECT n.nspname
FROM pg_catalog.pg_namespace n
CROSS JOIN LATERAL pg_catalog.aclexplode(n.nspacl) a
WHERE a.grantee = 0 AND a.privilege_type = 'CREATE' AND {USER_SCHEMA}
ORDER BY 1"""  # noqa: S608 - as above

# Permissive policies are joined by OR: one that holds for PUBLIC adds its rows to whatever we grant.
FOREIGN_POLICIES = """
SELECT p.polname, p.polcmd::text,
       ARRAY(SELECT CASE r WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.pg_get_userbyid(r) END
             FROM pg_catalog.unnest(p.polroles) r ORDER BY 1)
FROM pg_catalog.pg_policy p
JOIN pg_catalog.pg_class c ON c.oid = p.polrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND c.relname = %(table)s AND p.polpermissive
  AND (0 = ANY (p.polroles) OR (p.polroles && ARRAY(
        SELECT m.roleid FROM pg_catalog.pg_auth_members m
        WHERE m.member = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = %(group)s))))
ORDER BY 1"""

# Roles that would see fewer rows than today if row security were turned on: they hold privileges, but no policy.
BYSTANDERS = """
SELECT DISTINCT pg_catalog.pg_get_userbyid(a.grantee)
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (
  SELECT x.grantee FROM pg_catalog.aclexplode(c.relacl) x
  UNION ALL
  SELECT x.grantee FROM pg_catalog.pg_attribute t, pg_catalog.aclexplode(t.attacl) x
  WHERE t.attrelid = c.oid AND NOT t.attisdropped
) a
JOIN pg_catalog.pg_roles r ON r.oid = a.grantee
WHERE n.nspname = %(schema)s AND c.relname = %(table)s AND a.grantee NOT IN (0, c.relowner)
  AND NOT r.rolsuper AND NOT r.rolbypassrls AND r.rolname <> %(group)s
  AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_policy p
                  WHERE p.polrelid = c.oid AND p.polpermissive AND (0 = ANY (p.polroles) OR r.oid = ANY (p.polroles)))
ORDER BY 1"""

FUNCTION_EXISTS = """
SELECT 1 FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname = %s AND p.proname = %s
  AND ARRAY(SELECT pg_catalog.format_type(t, NULL)
            FROM pg_catalog.unnest(p.proargtypes) WITH ORDINALITY u(t, i) ORDER BY i)
      = ARRAY(SELECT pg_catalog.format_type(pg_catalog.to_regtype(a), NULL)
              FROM pg_catalog.unnest(%s::text[]) WITH ORDINALITY v(a, i) ORDER BY i)"""


def find_refusals(
    connection: psycopg.Connection,
    *,
    group: str,
    broker: str,
    tables: list[dict[str, Any]],
    functions: list[dict[str, Any]],
) -> list[str]:
    """Return every reason not to deploy `group`, in a stable order; an empty list means that it may be deployed."""
    return [
        *_judge_roles(connection, group, broker),
        *(
            reason
            for name, columns in _tables(tables).items()
            for reason in _judge_table(connection, group, *name, columns)
        ),
        *(reason for function in functions for reason in _judge_function(connection, function)),
        *judge_public(connection),
    ]


def judge_public(connection: psycopg.Connection) -> list[str]:
    """Return what PUBLIC, and so every agent, may do in this database beyond what was declared for anybody."""
    relations = [
        f"PUBLIC has {privileges} on {schema}.{name}, so every agent would: "
        f"REVOKE ALL ON {_name(schema, name)} FROM PUBLIC (columns too)."
        for schema, name, privileges in connection.execute(PUBLIC_RELATIONS).fetchall()
    ]
    functions = [
        f"PUBLIC may execute {schema}.{name}({arguments}), which runs with its owner's rights: "
        f"REVOKE EXECUTE ON FUNCTION {_name(schema, name)}({arguments}) FROM PUBLIC."
        for schema, name, arguments in connection.execute(PUBLIC_DEFINER_FUNCTIONS).fetchall()
    ]
    schemas = [
        f"PUBLIC may create objects in schema {schema}: REVOKE CREATE ON SCHEMA {_name(schema)} FROM PUBLIC."
        for (schema,) in connection.execute(PUBLIC_CREATES).fetchall()
    ]
    return [*relations, *functions, *schemas]


def _judge_roles(connection: psycopg.Connection, group: str, broker: str) -> Iterator[str]:
    server = read_role(connection, broker)
    if server is None:
        yield f"the role {broker}, by which Vault makes logins, does not exist: CREATE ROLE {_name(broker)} …"
    elif server["superuser"] or server["bypassrls"]:
        yield f"the role {broker}, by which Vault makes logins, must be neither superuser nor BYPASSRLS."
    existing = read_role(connection, group)
    if existing is None:
        return
    if existing["comment"] != GROUP_COMMENT:
        yield f"a role {group} exists that Narrowgate did not make; rename or drop it."
    if held := [name for name in DANGEROUS if existing[name]]:
        yield f"the group role {group} has been given {', '.join(held)}; take that away: ALTER ROLE {_name(group)} …"


def _tables(tables: list[dict[str, Any]]) -> dict[tuple[str, str], set[str]]:
    """Return each table with all columns that its entries (one for each privilege) grant or compare."""
    needed: dict[tuple[str, str], set[str]] = {}
    for entry in tables:
        columns = needed.setdefault((entry["schema"], entry["table"]), set())
        columns.update(entry["columns"], *entry["rows"])
    return needed


def _judge_table(connection: psycopg.Connection, group: str, schema: str, name: str, needed: set[str]) -> Iterator[str]:
    relation = read_relation(connection, schema, name)
    if relation is None:
        yield f"there is no table {schema}.{name}."
        return
    kind, _owner, columns = relation
    if kind not in TABLE_KINDS:
        yield f"{schema}.{name} is {KINDS.get(kind, 'no table')}; row security holds on tables only: declare its table."
        return
    if missing := sorted(needed - set(columns)):
        yield f"the table {schema}.{name} has no column {', '.join(missing)}."
    parameters = {"schema": schema, "table": name, "group": group}
    for policy, command, roles in connection.execute(FOREIGN_POLICIES, parameters).fetchall():
        yield (
            f"the policy {policy} on {schema}.{name} lets {', '.join(roles)} {POLICY_COMMANDS[command]} more rows than "
            f"declared: limit it to its own roles (ALTER POLICY {_name(policy)} ON {_name(schema, name)} TO …)."
        )
    if not read_row_security(connection, schema, name)[0]:
        for (role,) in connection.execute(BYSTANDERS, parameters).fetchall():
            yield (
                f"{role} has privileges on {schema}.{name}, and turning on row security would hide its rows from it: "
                f"CREATE POLICY {_name(role)} ON {_name(schema, name)} TO {_name(role)} USING (true) WITH CHECK (true)."
            )


def _judge_function(connection: psycopg.Connection, function: dict[str, Any]) -> Iterator[str]:
    parameters = (function["schema"], function["function"], list(function["arguments"]))
    if connection.execute(FUNCTION_EXISTS, parameters).fetchone() is None:
        yield f"there is no function {function['schema']}.{function['function']}({', '.join(function['arguments'])})."


def _name(*parts: str) -> str:
    """Quote an identifier where it needs it, for a statement that a person will read and run."""
    plain = all(part.replace("_", "a").isalnum() and part.islower() and not part[0].isdigit() for part in parts)
    return ".".join(parts if plain else ('"' + part.replace('"', '""') + '"' for part in parts))
