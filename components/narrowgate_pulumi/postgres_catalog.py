"""What PostgreSQL's own catalogs say of a group role: the ground for drift, proof after a deploy, and refusals.

Everything here only reads, as plain JSON-ready values in a stable order. It must not judge and must not change
anything. All names in its SQL are qualified, so no search_path can bend it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import psycopg

Observed = dict[str, Any]

ROLE = """
SELECT oid::bigint, rolcanlogin, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication,
       COALESCE(rolconfig, '{}'), pg_catalog.shobj_description(oid, 'pg_authid')
FROM pg_catalog.pg_roles WHERE rolname = %s"""

# Logins come and go by the broker's hand; whoever else stands in the group is part of its state.
MEMBERS = """
SELECT pg_catalog.pg_get_userbyid(m.member), m.admin_option, m.inherit_option, m.set_option,
       pg_catalog.pg_get_userbyid(m.grantor)
FROM pg_catalog.pg_auth_members m
WHERE m.roleid = %(group)s
  AND m.grantor IS DISTINCT FROM (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = %(broker)s)
ORDER BY 1, 2, 3, 4, 5"""

MEMBER_OF = """
SELECT pg_catalog.pg_get_userbyid(m.roleid) FROM pg_catalog.pg_auth_members m WHERE m.member = %(group)s ORDER BY 1"""

SCHEMA_GRANTS = """
SELECT n.nspname, a.privilege_type, a.is_grantable
FROM pg_catalog.pg_namespace n
CROSS JOIN LATERAL pg_catalog.aclexplode(n.nspacl) a
WHERE a.grantee = %(group)s
ORDER BY 1, 2"""

RELATION_GRANTS = """
SELECT n.nspname, c.relname, a.privilege_type, a.is_grantable
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL pg_catalog.aclexplode(c.relacl) a
WHERE a.grantee = %(group)s
ORDER BY 1, 2, 3"""

COLUMN_GRANTS = """
SELECT n.nspname, c.relname, t.attname, a.privilege_type, a.is_grantable
FROM pg_catalog.pg_attribute t
JOIN pg_catalog.pg_class c ON c.oid = t.attrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL pg_catalog.aclexplode(t.attacl) a
WHERE a.grantee = %(group)s AND NOT t.attisdropped
ORDER BY 1, 2, 3, 4"""

FUNCTION_GRANTS = """
SELECT n.nspname, p.proname, pg_catalog.pg_get_function_identity_arguments(p.oid), a.privilege_type, a.is_grantable
FROM pg_catalog.pg_proc p
JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
CROSS JOIN LATERAL pg_catalog.aclexplode(p.proacl) a
WHERE a.grantee = %(group)s
ORDER BY 1, 2, 3, 4"""

POLICIES = """
SELECT n.nspname, c.relname, p.polname, p.polcmd::text, p.polpermissive,
       ARRAY(SELECT pg_catalog.pg_get_userbyid(r) FROM pg_catalog.unnest(p.polroles) r ORDER BY 1),
       pg_catalog.pg_get_expr(p.polqual, p.polrelid), pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid)
FROM pg_catalog.pg_policy p
JOIN pg_catalog.pg_class c ON c.oid = p.polrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE %(group)s = ANY (p.polroles)
ORDER BY 1, 2, 3"""

# Whatever other kind of object it is: what in this database, or shared, mentions the role, and what it owns.
MENTIONS = """
SELECT pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid), d.deptype::text
FROM pg_catalog.pg_shdepend d
WHERE d.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass AND d.refobjid = %(group)s
  AND (d.deptype = 'o' OR d.classid NOT IN (
         'pg_catalog.pg_class'::pg_catalog.regclass, 'pg_catalog.pg_proc'::pg_catalog.regclass,
         'pg_catalog.pg_namespace'::pg_catalog.regclass, 'pg_catalog.pg_policy'::pg_catalog.regclass))
  AND d.dbid IN (0, (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()))
ORDER BY 1, 2"""

ROW_SECURITY = """
SELECT c.relrowsecurity, c.relforcerowsecurity
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = %s"""

OWNER_POLICY = """
SELECT 1
FROM pg_catalog.pg_policy p
JOIN pg_catalog.pg_class c ON c.oid = p.polrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = %s AND p.polpermissive AND c.relowner = ANY (p.polroles)"""

RELATION = """
SELECT c.relkind::text, pg_catalog.pg_get_userbyid(c.relowner),
       ARRAY(SELECT t.attname::text FROM pg_catalog.pg_attribute t
             WHERE t.attrelid = c.oid AND t.attnum > 0 AND NOT t.attisdropped ORDER BY t.attnum)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = %s"""

# The deployer is in the group too, as its maker: a login of the broker's is one that the broker put there.
LOGINS = """
SELECT r.rolname
FROM pg_catalog.pg_auth_members m
JOIN pg_catalog.pg_roles r ON r.oid = m.member
WHERE m.roleid = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = %(group)s)
  AND m.grantor = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = %(broker)s)
ORDER BY 1"""

LISTS = {
    "members": MEMBERS,
    "member_of": MEMBER_OF,
    "schemas": SCHEMA_GRANTS,
    "relations": RELATION_GRANTS,
    "columns": COLUMN_GRANTS,
    "functions": FUNCTION_GRANTS,
    "policies": POLICIES,
    "mentions": MENTIONS,
}


def read_role(connection: psycopg.Connection, role: str) -> Observed | None:
    """Return a role's attributes and comment, or None where there is no such role."""
    row = connection.execute(ROLE, (role,)).fetchone()
    if row is None:
        return None
    names = ("oid", "login", "superuser", "bypassrls", "createrole", "createdb", "replication", "config", "comment")
    return dict(zip(names, row, strict=True))


def read_group(
    connection: psycopg.Connection, group: str, broker: str, tables: list[dict[str, Any]]
) -> Observed | None:
    """Return all that the catalogs of this database say of `group`, or None where the role is missing.

    `tables` adds the row-security flags of the tables that the group is declared for: without them its policies are
    only text. The role's oid is left out, so that a restored database compares equal.
    """
    role = read_role(connection, group)
    if role is None:
        return None
    parameters = {"group": role.pop("oid"), "broker": broker}
    observed: Observed = {"role": role}
    for name, statement in LISTS.items():
        observed[name] = [list(row) for row in connection.execute(statement, parameters).fetchall()]
    names = sorted({(table["schema"], table["table"]) for table in tables})
    observed["row_security"] = [[*name, *read_row_security(connection, *name)] for name in names]
    return observed


def read_row_security(connection: psycopg.Connection, schema: str, table: str) -> tuple[bool, bool]:
    """Return whether row security is enabled on a table, and whether it binds the owner too (both False if missing)."""
    row = connection.execute(ROW_SECURITY, (schema, table)).fetchone()
    return (False, False) if row is None else (bool(row[0]), bool(row[1]))


def has_owner_policy(connection: psycopg.Connection, schema: str, table: str) -> bool:
    """Return whether some permissive policy already speaks of the table's owner."""
    return connection.execute(OWNER_POLICY, (schema, table)).fetchone() is not None


def read_relation(connection: psycopg.Connection, schema: str, name: str) -> tuple[str, str, list[str]] | None:
    """Return a relation's kind (`r` table, `p` partitioned, `v` view, …), owner and columns, or None where missing."""
    row = connection.execute(RELATION, (schema, name)).fetchone()
    return None if row is None else (row[0], row[1], list(row[2]))


def list_logins(connection: psycopg.Connection, group: str, broker: str) -> list[str]:
    """Return the logins that the broker has made in `group` and that are still there."""
    return [row[0] for row in connection.execute(LOGINS, {"group": group, "broker": broker}).fetchall()]
