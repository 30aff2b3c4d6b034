"""Compares what a database says of the environment's group roles with what the lock declares of them.

The catalogue's own meaning is `narrowgate.access.postgres`'s: this module asks it for more than was declared, and looks
for what is missing, for rows that a policy admits, and for members by another hand than Vault's. It must not connect.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from narrowgate.access.postgres import UnknownTableError, evaluate, find_widening
from narrowgate.access.postgres.decision import executable_functions
from narrowgate.audit.drift.facts import Finding, Kind
from narrowgate.audit.drift.row_conditions import declared_rows, read_rows
from narrowgate.compile.postgres import policy_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from narrowgate.access.postgres import Catalog, RowPolicy
    from narrowgate.audit.drift.expected import Expected
    from narrowgate.audit.drift.facts import Database, Member, Place
    from narrowgate.compile.documents import Json, PostgresDocuments

_USING: Final = frozenset({"SELECT", "UPDATE", "DELETE"})
_CHECK: Final = frozenset({"INSERT", "UPDATE"})


def find_database_drift(expected: Expected, databases: Mapping[Place, Database | None]) -> Iterator[Finding]:
    """Yield what stands otherwise in `databases`; one that could not be read (None) is not judged."""
    for place, database in databases.items():
        if database is not None:
            yield from _judge_database(expected, place, database)


def _judge_database(expected: Expected, place: Place, database: Database) -> Iterator[Finding]:
    groups = {
        name: group
        for name, group in expected.locked.groups.items()
        if (group.host, group.port) == (place.host, place.port)
    }
    standing = database.catalog.roles_by_name
    maker = _find_maker(groups, database)
    for name in sorted(role for role in standing if role.startswith(expected.group_prefix) and role not in groups):
        yield Finding("postgres", f"role {name}", Kind.UNKNOWN, "no plan contains it")
    for name, group in sorted(groups.items()):
        thing = f"group role {name}"
        if name not in standing:
            if group.database == place.database:
                yield Finding("postgres", thing, Kind.MISSING, "the lock states it, and it is not there")
            continue
        here = group.database == place.database
        details = [*_judge_grants(database.catalog, group, here=here), *_judge_members(database, group, maker)]
        yield from (Finding("postgres", thing, Kind.CHANGED, detail) for detail in details)
    yield from _judge_logins(expected, place, database, groups)


def _judge_grants(catalog: Catalog, group: PostgresDocuments, *, here: bool) -> Iterator[str]:
    """Yield what the group has beyond its declaration, or lacks; in another database than its own it has nothing."""
    name = group.group_role
    if catalog.roles_by_name[name].can_login:
        yield "it can log in"
    tables, functions = (group.tables, group.functions) if here else ((), ())
    yield from (str(widening) for widening in find_widening(catalog, name, tables, functions))
    known = {}
    for table in tables:
        yield from _find_missing(catalog, name, table)
        known[table["schema"], table["table"], policy_name(name, table["privilege"])] = table
    able = {(function.schema, function.name) for function, _ in executable_functions(catalog, name)}
    for function in functions:
        if (function["schema"], function["function"]) not in able:
            yield f"EXECUTE on {function['schema']}.{function['function']} is missing"
    yield from _judge_policies(catalog, name, known)


def _find_missing(catalog: Catalog, name: str, table: Json) -> Iterator[str]:
    key, privilege = (table["schema"], table["table"]), table["privilege"]
    for column in table["columns"] or [None]:
        thing = f"{'.'.join(key)}{f'.{column}' if column else ''}"
        try:
            held = evaluate(catalog, name, privilege, key, column, row_security=False).allowed
        except UnknownTableError:
            yield f"{thing} is not there"
            continue
        if not held:
            yield f"{privilege} on {thing} is missing"


def _judge_policies(catalog: Catalog, name: str, known: Mapping[tuple[str, str, str], Json]) -> Iterator[str]:
    standing = {(p.schema, p.table, p.name): p for p in catalog.policies if name in p.roles}
    for key in sorted(standing.keys() - known.keys()):
        yield f"the row policy {standing[key]} is for it, which no plan contains"
    for key in sorted(known.keys() - standing.keys()):
        yield f"its row policy {key[2]} on {key[0]}.{key[1]} is missing"
    for key in sorted(known.keys() & standing.keys()):
        if wrong := _judge_policy(standing[key], known[key], name):
            yield f"its row policy {standing[key]} {wrong}"


def _judge_policy(policy: RowPolicy, table: Json, name: str) -> str | None:
    privilege = table["privilege"]
    if policy.command != privilege or not policy.permissive:
        return f"is {'permissive' if policy.permissive else 'restrictive'} for {policy.command}, not for {privilege}"
    if policy.roles != (name,):
        return f"is for others too: {', '.join(role or 'PUBLIC' for role in policy.roles if role != name)}"
    declared = declared_rows(table["rows"] or ())
    for text, used in ((policy.using, privilege in _USING), (policy.check, privilege in _CHECK)):
        if used and read_rows(text) != declared:
            return f"admits other rows than the lock: {text or 'all'}"
        if not used and text:
            return f"has a condition that the lock does not state: {text}"
    return None


# Members --------------------------------------------------------------------------------------------------------------


def _find_maker(groups: Mapping[str, PostgresDocuments], database: Database) -> str | None:
    """Return who made the groups: the one role with CREATEROLE that may grant most of them, and use none."""
    roles = database.catalog.roles_by_name
    makers: Counter[str] = Counter()
    for member in database.members:
        group = groups.get(member.role)
        if group is not None and member.member != group.broker and _may_only_grant(member):
            role = roles.get(member.member)
            makers.update([member.member] if role is not None and role.create_role else [])
    return min(makers, key=lambda name: (-makers[name], name), default=None)


def _may_only_grant(member: Member) -> bool:
    return member.admin and not member.inherit and not member.set


def _judge_members(database: Database, group: PostgresDocuments, maker: str | None) -> Iterator[str]:
    admits = False
    for member in database.members:
        if member.role != group.group_role:
            continue
        if member.member == group.broker and _may_only_grant(member):
            admits = True
        elif not (_is_vaults(member, group.broker) or (member.member == maker and _may_only_grant(member))):
            yield f"{member.member} is in it, by the hand of {member.grantor}"
    if not admits:
        yield f"{group.broker} can't make logins in it"


def _is_vaults(member: Member, broker: str) -> bool:
    """Tell whether Vault made this login: by its broker, and it ends."""
    return member.grantor == broker and member.expires and not member.admin


def _judge_logins(
    expected: Expected, place: Place, database: Database, groups: Mapping[str, PostgresDocuments]
) -> Iterator[Finding]:
    """Yield what Vault's logins were given beside their group."""
    _, broker = expected.databases[place]
    logins = {m.member for m in database.members if m.role in groups and _is_vaults(m, broker)}
    for login in sorted(logins):
        more: list[Any] = [m.role for m in database.members if m.member == login and m.role not in groups]
        more += [
            f"{grant.privilege} on {'.'.join(part for part in (grant.schema, grant.table, grant.column) if part)}"
            for grant in database.catalog.grants
            if grant.grantee == login
        ]
        if more:
            detail = f"it holds more than its group: {', '.join(sorted(set(more)))}"
            yield Finding("postgres", f"login {login}", Kind.CHANGED, detail)
