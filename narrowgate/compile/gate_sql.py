"""Gated actions behind PostgreSQL: a group role that executes one function, and one that reads its target.

This module must not approve anything, and knows no executor's code.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from narrowgate.compile import names, postgres
from narrowgate.compile.backends.postgres import (
    CONNECTION_LIMIT,
    SESSION_SETTINGS,
    binding_of,
    connection_of,
)
from narrowgate.compile.documents import Minted, PostgresDocuments, VaultSecretRole
from narrowgate.compile.execution_sql import function_of, reads_of
from narrowgate.compile.gate_credentials import READER_SECONDS, GatedCredentials
from narrowgate.compile.table_grants import join_table_grants

if TYPE_CHECKING:
    from collections.abc import Iterable

    from narrowgate.compile.documents import Json
    from narrowgate.plan import ActionAccess, Environment, FunctionGrant, TableGrant, ToolAccess, WorkflowAccess

# A login lives this long once it is had.
LOGIN_SECONDS: Final = 300


def compile_credentials(
    workflow: WorkflowAccess,  # noqa: ARG001 - the table's signature
    tool: ToolAccess,
    action: ActionAccess,
    environment: Environment,
) -> GatedCredentials:
    """Return the group role that may execute one function and nothing else, and the one that reads its target."""
    vault, where = environment.vault, (environment.name, tool.workflow, tool.tool, action.name)
    minted = _group(
        tool,
        environment,
        names.gated_group_name(*where, "gated"),
        names.gated_mount(vault.database_mount),
        names.gated_name(tool.workflow, tool.tool, action.name),
        LOGIN_SECONDS,
        functions=[function_of(action)],
    )
    reads = None if action.execution is None else reads_of(action.execution)
    reader = None
    if reads is not None:
        name = names.reader_name(tool.tool, tool.workflow, action.name)
        group = names.gated_group_name(*where, "reads")
        reader = _group(tool, environment, group, vault.database_mount, name, READER_SECONDS, tables=[reads])
    return GatedCredentials(
        minted=Minted(postgres=minted),
        reader=None if reader is None else Minted(postgres=reader),
        call=_describe_call(action),
        connection=_connection(tool, environment),
        seconds=LOGIN_SECONDS,
    )


def _group(  # noqa: PLR0913, PLR0917 - a group role has this many sides
    tool: ToolAccess,
    environment: Environment,
    group: str,
    mount: str,
    role: str,
    seconds: int,
    *,
    tables: Iterable[TableGrant] = (),
    functions: Iterable[FunctionGrant] = (),
) -> PostgresDocuments:
    binding = binding_of(environment, tool.tool)
    granted = join_table_grants(tables)
    called = tuple({"schema": f.schema, "function": f.function, "arguments": list(f.arguments)} for f in functions)
    schemas = sorted({entry["schema"] for entry in [*granted, *called]})
    settings: dict[str, Any] = {
        "creation_statements": list(
            postgres.build_creation_statements(
                group, schemas, connection_limit=CONNECTION_LIMIT, settings=SESSION_SETTINGS
            )
        ),
        "db_name": connection_of(environment, binding),
        "default_ttl": seconds,
        "max_ttl": seconds,
        "renew_statements": list(postgres.RENEW_STATEMENTS),
        "revocation_statements": list(postgres.build_revocation_statements(group)),
    }
    return PostgresDocuments(
        group_role=group,
        database=binding.database,
        host=binding.host,
        port=binding.port,
        tables=granted,
        functions=called,
        vault_role=VaultSecretRole(mount, role, f"{mount}/creds/{role}", settings),
        broker=binding.broker,
        sslmode=binding.sslmode,
    )


def _connection(tool: ToolAccess, environment: Environment) -> Json:
    binding = binding_of(environment, tool.tool)
    return {"database": binding.database, "host": binding.host, "port": binding.port, "sslmode": binding.sslmode}


def _describe_call(action: ActionAccess) -> dict[str, Any]:
    """Return what the handler is told: the declaration's call, and the grant that it carries out."""
    if action.execution is None:
        return {}
    function = function_of(action)
    call = {
        **json.loads(action.execution.call),
        "function": {
            "schema": function.schema,
            "function": function.function,
            "arguments": list(function.arguments),
        },
    }
    target = call.get("target")
    if target:
        schema, _, table = target["table"].rpartition(".")
        call["target"] = {**target, "schema": schema or "public", "table": table, "columns": sorted(target["columns"])}
    return call
