"""The backend `postgres`: a NOLOGIN group role with columns and rows, and the Vault role that makes logins in it.

Predicates are literals, so a session cannot change what it may see. This module must not talk to PostgreSQL or Vault;
its SQL is built by `narrowgate.compile.postgres`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import Field, ValidationError

from narrowgate.compile import names, postgres
from narrowgate.compile.backends.backend import BackendCompiler, Declared, DeclaredGrant
from narrowgate.compile.documents import Json, PostgresDocuments, ToolDocuments, VaultSecretRole
from narrowgate.compile.errors import CompileError, PlaceError, ReferenceSyntaxError
from narrowgate.compile.problems import Problem
from narrowgate.compile.references import Reference, Value, expand, lookup, parse_template
from narrowgate.compile.table_grants import join_table_grants
from narrowgate.compile.tool_policy import credential_policy
from narrowgate.plan import (
    Access,
    Backend,
    Environment,
    FunctionGrant,
    Grant,
    RowPredicate,
    TableGrant,
    ToolAccess,
    WorkflowAccess,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CONNECTION_LIMIT: Final = 5
DEFAULT_PORT: Final = 5432
# Nothing here is a boundary (a session may change its settings): they keep a mistake from holding up the database.
SESSION_SETTINGS: Final[dict[str, str]] = {
    "idle_in_transaction_session_timeout": "60s",
    "lock_timeout": "5s",
    "statement_timeout": "30s",
}

_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_$]{0,62}")
_FUNCTION: Final = re.compile(r"(?:([a-z_][a-z0-9_]*)\.)?([a-z_][a-z0-9_]*)\(\s*(.*?)\s*\)")
_TYPE: Final = re.compile(r"[a-z_][a-z0-9_]*([ .][a-z_][a-z0-9_]*)*(\[\])?")
# The access that a declared action must at least say, by privilege.
_LEVELS: Final[dict[str, Access]] = {
    "select": Access.READ,
    "insert": Access.WRITE,
    "update": Access.WRITE,
    "delete": Access.DELETE,
}
_ORDER: Final = (Access.READ, Access.WRITE, Access.DELETE, Access.PERMISSIONS)

RowValue = str | int | bool | list[str | int | bool]


class PostgresBinding(Declared):
    """Where the database is. `broker` is Vault's login there; `sslmode` is libpq's."""

    host: str = Field(min_length=1, pattern=r"^[A-Za-z0-9.:_-]+$")
    """Its name or address."""
    port: Annotated[int, Field(ge=1, le=65535)] = DEFAULT_PORT
    """Its port."""
    database: str = Field(pattern=r"^[A-Za-z_][A-Za-z0-9_-]{0,62}$")
    """The database."""
    sslmode: Literal["disable", "require", "verify-ca", "verify-full"] = "verify-full"
    """libpq's `sslmode`; `verify-full` unless the server has no TLS."""
    broker: str = Field(default="vault_broker", pattern=r"^[a-z_][a-z0-9_]{0,62}$")
    """Vault's login in it, which makes the logins of agents."""


class PostgresTableGrant(DeclaredGrant):
    """`privileges` on `columns` of `table` (schema.table, or one of `public`), in the rows that match all of `rows`."""

    table: str
    """`table` (of `public`) or `schema.table`."""
    privileges: list[Literal["select", "insert", "update", "delete"]] = Field(default_factory=list)
    """What the action may do; `select` for an action that reads."""
    columns: list[str] = Field(default_factory=list)
    """The columns that it may do it with. `delete` takes none."""
    rows: dict[str, RowValue] = Field(default_factory=dict)
    """Only rows where each of these columns has the value, or one of the values."""

    def _privileges(self, access: Access) -> list[str]:
        return list(self.privileges) or (["select"] if access is Access.READ else [])

    def check(self, access: Access) -> Iterator[Problem]:
        """Yield names that are no identifiers, missing columns or privileges, and understated access."""
        privileges = self._privileges(access)
        if not privileges:
            yield Problem(
                (), "missing-key", "a grant that writes must name its `privileges`", "insert, update or delete"
            )
        for index, privilege in enumerate(privileges):
            if _ORDER.index(_LEVELS[privilege]) > _ORDER.index(access):
                needed = _LEVELS[privilege]
                message = f"{privilege} is `{needed}`, the action says `{access}`"
                yield Problem(("privileges", index), "access-understated", message, f"say `{needed}`")
        if not self.columns and set(privileges) - {"delete"}:
            yield Problem((), "missing-key", "a grant must name its `columns`", "name each column that is needed")
        if self.columns and privileges == ["delete"]:
            yield Problem(("columns",), "unknown-key", "DELETE takes no columns", "remove `columns`", key=True)
        yield from self._check_texts()

    def _check_texts(self) -> Iterator[Problem]:
        for path, text in self._identifiers():
            try:
                template = parse_template(text)
            except ReferenceSyntaxError as error:
                yield Problem(path, error.code, str(error), error.hint)
                continue
            for literal in (part for part in template.parts if isinstance(part, str)):
                names_ = literal.split(".") if path == ("table",) else [literal]
                if len(names_) > 2 or not all(_IDENTIFIER.fullmatch(n) for n in names_):  # noqa: PLR2004 - schema.table
                    yield Problem(path, "identifier", f"`{text}` is no SQL identifier", key=path[0] == "rows")
        for column, value in self.rows.items():
            for index, item in enumerate(value if isinstance(value, list) else [value]):
                try:
                    parse_template(str(item))
                except ReferenceSyntaxError as error:
                    path = ("rows", column, index) if isinstance(value, list) else ("rows", column)
                    yield Problem(path, error.code, str(error), error.hint)
            if value == []:
                yield Problem(("rows", column), "empty-list", "no value would match no row", "name at least one")

    def _identifiers(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        yield ("table",), self.table
        for index, column in enumerate(self.columns):
            yield ("columns", index), column
        for column in self.rows:
            yield ("rows", column), column

    def references(self) -> Iterator[tuple[tuple[str | int, ...], Reference]]:
        """Yield the references of table, columns and row values."""
        texts: list[tuple[tuple[str | int, ...], str]] = list(self._identifiers())
        for column, value in self.rows.items():
            items = value if isinstance(value, list) else [value]
            texts += [(("rows", column), item) for item in items if isinstance(item, str)]
        for path, text in texts:
            for reference in parse_template(text).references:
                yield path, reference

    def resolve(self, values: Mapping[Reference, Value]) -> Iterator[Grant]:
        """Yield one grant for each table that the lists expand to."""
        columns = sorted({name for column in self.columns for name in _expand_identifiers(column, values)})
        rows = tuple(RowPredicate(c, _row_values(v, values)) for c, v in sorted(self.rows.items()))
        privileges = tuple(p.upper() for p in sorted(set(self.privileges) or {"select"}))
        for table in _expand_identifiers(self.table, values, dotted=True):
            schema, _, name = table.rpartition(".")
            for group, granted in ((columns, [p for p in privileges if p != "DELETE"]), ([], ["DELETE"])):
                if chosen := tuple(p for p in privileges if p in granted):
                    yield TableGrant(schema or "public", name, chosen, tuple(group), rows)


class PostgresFunctionGrant(DeclaredGrant):
    """EXECUTE on one `function`, written as PostgreSQL identifies it: `close_incident(bigint, text)`."""

    function: str
    """One function, as PostgreSQL identifies it: `close_incident(bigint, text)`."""

    def check(self, access: Access) -> Iterator[Problem]:
        """Yield what is no function signature."""
        match = _FUNCTION.fullmatch(self.function)
        if match is None or not all(_TYPE.fullmatch(argument) for argument in _arguments(match[3])):
            hint = "write name(type, type), in lower case"
            yield Problem(("function",), "identifier", f"`{self.function}` is no function signature", hint)
        if access is Access.READ:
            yield Problem(("function",), "access-understated", "a function may write", "say `write`, or grant columns")

    def references(self) -> Iterator[tuple[tuple[str | int, ...], Reference]]:
        """Yield nothing: a function takes no reference."""
        yield from ()

    def resolve(self, values: Mapping[Reference, Value]) -> Iterator[Grant]:  # noqa: ARG002 - the base's signature
        """Yield the function."""
        match = _FUNCTION.fullmatch(self.function)
        if match is not None:
            yield FunctionGrant(match[1] or "public", match[2], tuple(_arguments(match[3])))


def _arguments(text: str) -> list[str]:
    return [" ".join(argument.split()) for argument in text.split(",")] if text else []


def _identifier(value: str | int | bool) -> str:  # noqa: FBT001 - a value, not a flag
    if not isinstance(value, str) or not _IDENTIFIER.fullmatch(value):
        raise PlaceError(f"{value!r} is no SQL identifier", hint="letters, digits and `_`, 63 at most")
    return value


def _expand_identifiers(text: str, values: Mapping[Reference, Value], *, dotted: bool = False) -> list[str]:
    template = parse_template(text)
    expanded = list(expand(template.placed(_identifier), values))
    for name in expanded:
        for part in name.split(".") if dotted else [name]:
            _identifier(part)
    return expanded


def _row_values(value: RowValue, values: Mapping[Reference, Value]) -> tuple[str | int | bool, ...]:
    found: list[str | int | bool] = []
    for item in value if isinstance(value, list) else [value]:
        template = parse_template(item) if isinstance(item, str) else None
        if template is None:
            found.append(item)
        elif template.sole is not None:
            resolved = lookup(template.sole, values)
            found += resolved if isinstance(resolved, tuple) else (resolved,)
        else:
            found += expand(template.placed(str), values)
    if not found:
        raise PlaceError("an empty list matches no row", hint="name at least one value")
    for item in found:
        if isinstance(item, str) and not item.isprintable():
            raise PlaceError(f"{item!r} cannot be a row's value", hint="give printable text")
    # Python takes True for 1; as row values they are two.
    return tuple(
        value for _, value in sorted({(type(v).__name__, v) for v in found}, key=lambda pair: (pair[0], str(pair[1])))
    )


def _functions(tool: ToolAccess) -> tuple[Json, ...]:
    grants = {grant for action in tool.granted for grant in action.grants if isinstance(grant, FunctionGrant)}
    ordered = sorted(grants, key=lambda g: (g.schema, g.function, g.arguments))
    return tuple({"schema": g.schema, "function": g.function, "arguments": list(g.arguments)} for g in ordered)


def _tables(tool: ToolAccess) -> tuple[Json, ...]:
    return join_table_grants(g for action in tool.granted for g in action.grants if isinstance(g, TableGrant))


def binding_of(environment: Environment, tool: str) -> PostgresBinding:
    """Return the checked binding of a tool; only the backend's own names are read."""
    known = {name: value for name, value in environment.binding(tool).values if name in PostgresBinding.model_fields}
    try:
        return PostgresBinding.model_validate(known)
    except ValidationError as error:
        names_ = ", ".join(sorted({str(details["loc"][0]) for details in error.errors(include_url=False)}))
        hint = f"correct `tools: {tool}` of the environment"
        raise CompileError(f"{environment.name}'s binding of {tool} is wrong: {names_}", hint=hint) from error


def connection_of(environment: Environment, binding: PostgresBinding) -> str:
    """Return the name of Vault's connection to a tool's database."""
    others = {
        (other.host, other.port)
        for tool in environment.tools
        if {"host", "database"} <= dict(tool.values).keys()
        and (other := binding_of(environment, tool.tool)).database == binding.database
    }
    return names.connection_name(binding.database, binding.host, binding.port, ambiguous=len(others) > 1)


def compile_tool(workflow: WorkflowAccess, tool: ToolAccess, environment: Environment) -> ToolDocuments:  # noqa: ARG001 - the table's signature
    """Return the documents of a PostgreSQL tool; raise `CompileError` where its actions cannot be held apart."""
    if not tool.granted:
        return ToolDocuments(access=tool, policy=None)
    binding = binding_of(environment, tool.tool)
    group_role = names.group_role_name(environment.name, tool.workflow, tool.tool)
    vault_role = names.vault_role_name(tool.workflow, tool.tool)
    tables, functions = _tables(tool), _functions(tool)
    schemas = sorted({entry["schema"] for entry in [*tables, *functions]})
    path = f"{environment.vault.database_mount}/creds/{vault_role}"
    creation = postgres.build_creation_statements(
        group_role, schemas, connection_limit=CONNECTION_LIMIT, settings=SESSION_SETTINGS
    )
    settings: dict[str, Any] = {
        "creation_statements": list(creation),
        "db_name": connection_of(environment, binding),
        "default_ttl": tool.ttl_seconds,
        "max_ttl": tool.max_ttl_seconds,
        "renew_statements": list(postgres.RENEW_STATEMENTS),
        "revocation_statements": list(postgres.build_revocation_statements(group_role)),
    }
    return ToolDocuments(
        access=tool,
        policy=credential_policy(tool, path),
        postgres=PostgresDocuments(
            group_role=group_role,
            database=binding.database,
            host=binding.host,
            port=binding.port,
            tables=tables,
            functions=functions,
            vault_role=VaultSecretRole(environment.vault.database_mount, vault_role, path, settings),
            broker=binding.broker,
            sslmode=binding.sslmode,
        ),
    )


def describe_connection(documents: ToolDocuments, environment: Environment) -> Json:
    """Return what an agent must know to use the credentials."""
    binding = binding_of(environment, documents.access.tool)
    return {"database": binding.database, "host": binding.host, "port": binding.port, "sslmode": binding.sslmode}


def _check_tool(tool: ToolAccess) -> None:
    _tables(tool)


POSTGRES: Final = BackendCompiler(
    backend=Backend.POSTGRES,
    grant_models=(PostgresTableGrant, PostgresFunctionGrant),
    binding_model=PostgresBinding,
    check_tool=_check_tool,
    compile_tool=compile_tool,
    describe_connection=describe_connection,
)
