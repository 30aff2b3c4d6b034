"""The backend `postgres`: a NOLOGIN group role with columns and rows, and the Vault role that makes logins in it.

Predicates are literals, so a session cannot change what it may see. This module must not talk to PostgreSQL or Vault;
its SQL is built by `narrowgate.compile.postgres`.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import Field, ValidationError

from narrowgate.compile import names, postgres
from narrowgate.compile.backends.backend import BackendCompiler, Declared
from narrowgate.compile.documents import Json, PostgresDocuments, ToolDocuments, VaultSecretRole
from narrowgate.compile.errors import CompileError
from narrowgate.compile.postgres_grants import PostgresFunctionGrant, PostgresTableGrant
from narrowgate.compile.table_grants import join_table_grants
from narrowgate.compile.tool_policy import credential_policy
from narrowgate.plan import (
    Backend,
    Environment,
    FunctionGrant,
    TableGrant,
    ToolAccess,
    WorkflowAccess,
)

CONNECTION_LIMIT: Final = 5
DEFAULT_PORT: Final = 5432
# Nothing here is a boundary (a session may change its settings): they keep a mistake from holding up the database.
SESSION_SETTINGS: Final[dict[str, str]] = {
    "idle_in_transaction_session_timeout": "60s",
    "lock_timeout": "5s",
    "statement_timeout": "30s",
}


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
