"""The SQL that reads a catalogue, and the pure step from its rows to a `Catalog`. Must not connect to anything.

A caller runs each statement of `QUERIES` and gives `read_catalog` the rows, as tuples in the order of the columns.
The statements read only system catalogues that every role may read, so a read-only login suffices; run them in one
REPEATABLE READ transaction for a consistent picture. For PostgreSQL 16 and later (membership options).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from narrowgate.access.postgres.catalog import Catalog, Function, Grant, Membership, Role, RowPolicy, Schema, Table
from narrowgate.access.postgres.errors import CatalogError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

T = TypeVar("T")

_OURS = "n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%'"
_GRANTEE = "CASE a.grantee WHEN 0 THEN '' ELSE pg_get_userbyid(a.grantee) END"
_KINDS = "c.relkind IN ('r', 'p', 'v', 'm', 'f')"

QUERIES: Mapping[str, str] = {
    "roles": "SELECT rolname, rolsuper, rolbypassrls, rolcreaterole, rolcanlogin FROM pg_roles ORDER BY 1",
    "memberships": """
        SELECT g.rolname, m.rolname, a.inherit_option, a.set_option, a.admin_option
        FROM pg_auth_members a JOIN pg_roles g ON g.oid = a.roleid JOIN pg_roles m ON m.oid = a.member
        UNION ALL  -- the owner of a database is a member of this role without being entered
        SELECT 'pg_database_owner', pg_get_userbyid(datdba), true, true, false
        FROM pg_database WHERE datname = current_database()
        ORDER BY 1, 2, 3, 4, 5""",
    "schemas": f"SELECT n.nspname, pg_get_userbyid(n.nspowner) FROM pg_namespace n WHERE {_OURS} ORDER BY 1",  # noqa: S608 - constants of this module
    "tables": f"""
        SELECT n.nspname, c.relname, pg_get_userbyid(c.relowner),
               ARRAY(SELECT attname::text FROM pg_attribute
                     WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped ORDER BY attnum),
               c.relkind::text, c.relrowsecurity, c.relforcerowsecurity,
               COALESCE((SELECT option_value::boolean FROM pg_options_to_table(c.reloptions)
                         WHERE option_name = 'security_invoker'), false),
               CASE WHEN c.relkind IN ('v', 'm') THEN pg_get_viewdef(c.oid) ELSE '' END
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE {_KINDS} AND {_OURS} ORDER BY 1, 2""",  # noqa: S608 - as above
    "grants": f"""
        SELECT n.nspname, c.relname, '', {_GRANTEE}, a.privilege_type, a.is_grantable
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace,
             aclexplode(COALESCE(c.relacl, acldefault('r', c.relowner))) a
        WHERE {_KINDS} AND {_OURS}
        UNION ALL
        SELECT n.nspname, c.relname, t.attname, {_GRANTEE}, a.privilege_type, a.is_grantable
        FROM pg_attribute t JOIN pg_class c ON c.oid = t.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace,
             aclexplode(t.attacl) a
        WHERE t.attnum > 0 AND NOT t.attisdropped AND {_KINDS} AND {_OURS}
        UNION ALL
        SELECT n.nspname, '', '', {_GRANTEE}, a.privilege_type, a.is_grantable
        FROM pg_namespace n, aclexplode(COALESCE(n.nspacl, acldefault('n', n.nspowner))) a
        WHERE {_OURS}
        ORDER BY 1, 2, 3, 4, 5""",  # noqa: S608 - as above
    "policies": f"""
        SELECT n.nspname, c.relname, p.polname,
               ARRAY(SELECT CASE r WHEN 0 THEN '' ELSE pg_get_userbyid(r)::text END FROM unnest(p.polroles) r),
               CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
                             WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
               p.polpermissive, COALESCE(pg_get_expr(p.polqual, p.polrelid), ''),
               COALESCE(pg_get_expr(p.polwithcheck, p.polrelid), '')
        FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE {_OURS} ORDER BY 1, 2, 3""",  # noqa: S608 - as above
    "functions": f"""
        SELECT n.nspname, f.proname, pg_get_function_identity_arguments(f.oid), pg_get_userbyid(f.proowner),
               f.prosecdef,
               ARRAY(SELECT {_GRANTEE} FROM aclexplode(COALESCE(f.proacl, acldefault('f', f.proowner))) a
                     WHERE a.privilege_type = 'EXECUTE' ORDER BY 1),
               md5(COALESCE(f.prosrc, '') || COALESCE(f.prosqlbody::text, '') || COALESCE(f.proconfig::text, ''))
        FROM pg_proc f JOIN pg_namespace n ON n.oid = f.pronamespace
        WHERE {_OURS} ORDER BY 1, 2, 3""",  # noqa: S608 - as above
}
_WIDTHS = {"roles": 5, "memberships": 5, "schemas": 2, "tables": 9, "grants": 6, "policies": 8, "functions": 7}


def read_catalog(rows: Mapping[str, Sequence[Sequence[Any]]]) -> Catalog:
    """Return the catalogue that the rows of all `QUERIES` state.

    Raises CatalogError for a query whose rows are missing or have another number of columns.
    """
    for name, width in _WIDTHS.items():
        if name not in rows:
            raise CatalogError(f"the rows of query {name!r} are missing")
        if any(len(row) != width for row in rows[name]):
            raise CatalogError(f"a row of query {name!r} has not {width} columns")

    return Catalog(
        roles=_build(Role, rows["roles"]),
        memberships=_build(Membership, rows["memberships"]),
        schemas=_build(Schema, rows["schemas"]),
        tables=_build(Table, rows["tables"]),
        grants=_build(Grant, rows["grants"]),
        policies=_build(RowPolicy, rows["policies"]),
        functions=_build(Function, rows["functions"]),
    )


def _build(make: Callable[..., T], rows: Sequence[Sequence[Any]]) -> tuple[T, ...]:
    """Return a value for each row; arrays become tuples, so that the values stay frozen."""
    return tuple(make(*(tuple(value) if isinstance(value, list) else value for value in row)) for row in rows)
