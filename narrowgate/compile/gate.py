"""Gated actions that an executor can carry out: their credentials, the control group before them, and the gate's page.

For each action: a role of its own on a mount of its own, which does exactly what the action grants; a policy that lets
a token read it only after the approvals; a login that makes such a token for one request; what the executor reads of
the target. `describe_gate` tells approvers and executors where all that is; nothing of it is secret. This module must
not approve anything, and knows no executor's code.
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
from narrowgate.compile.documents import AuthRole, GatedDocuments, PostgresDocuments, VaultPolicy, VaultSecretRole
from narrowgate.compile.drafts import STORES
from narrowgate.compile.errors import CompileError
from narrowgate.compile.executions import function_of, reads_of
from narrowgate.compile.hcl import ControlGroup, PathRule, render_policy
from narrowgate.compile.identity import LEEWAY_SECONDS
from narrowgate.compile.ledger import compile_ledger
from narrowgate.compile.table_grants import join_table_grants
from narrowgate.plan import Backend

if TYPE_CHECKING:
    from collections.abc import Iterable

    from narrowgate.compile.documents import Json, WorkflowDocuments
    from narrowgate.plan import ActionAccess, Approval, Environment, FunctionGrant, TableGrant, ToolAccess

VERSION: Final = 1
GROUP_PREFIX: Final = "approvers."
APPROVER_ROLE: Final = "approver"
# Credentials live this long once they are had; a request's login outlives the wait for its approvals by as much.
EXECUTION_SECONDS: Final = 300
# What the executor reads the target by; it is fetched anew when it ends.
READER_SECONDS: Final = 900
# The asking, the end of the token, and one for the lease: then a replayed unwrap is refused by Vault.
LEASED_USES: Final = 3


def compile_gated(tool: ToolAccess, environment: Environment, auth_mount: str) -> tuple[GatedDocuments, ...]:
    """Return the documents of a tool's executable gated actions; `auth_mount` is where their agent logs in."""
    return tuple(_compile_action(tool, action, environment, auth_mount) for action in tool.executable)


def _compile_action(
    tool: ToolAccess, action: ActionAccess, environment: Environment, auth_mount: str
) -> GatedDocuments:
    if action.approval is None or action.execution is None:
        raise CompileError(f"{action.name} has no approval or no execution", workflow=tool.workflow, tool=tool.tool)
    if environment.approvals is None:
        raise CompileError(f"{environment.name} does not say who may approve", workflow=tool.workflow, tool=tool.tool)
    if tool.backend is not Backend.POSTGRES:
        raise CompileError(
            f"no gated action of `{tool.backend}` can be executed", workflow=tool.workflow, tool=tool.tool
        )
    minted, reader = _compile_sql(tool, action, environment)
    name = names.gated_policy_name(tool.workflow, tool.tool, action.name)
    path = minted.vault_role.credential_path
    described = {
        "workflow": tool.workflow,
        "tool": tool.tool,
        "action": action.name,
        "backend": tool.backend.value,
        "description": action.execution.description,
        "path": path,
        "login_role": name,
        "num_uses": LEASED_USES,
        "factors": [{"groups": list(f.groups), "required": f.required} for f in action.approval.factors],
        "expires_seconds": action.approval.expires_seconds,
        "credential_seconds": EXECUTION_SECONDS,
        "inputs": json.loads(action.execution.inputs),
        "execute": _describe_call(action),
        "connection": _connection(tool, environment),
        "requester_mount": auth_mount,
        "secret_fields": list(tool.secret_fields),
        "reader_path": None if reader is None else reader.vault_role.credential_path,
    }
    return GatedDocuments(
        action=action.name,
        policy=VaultPolicy(name, _render_gate(tool, action, action.approval, path)),
        login=_compile_login(tool, name, action.approval, environment),
        credential_path=path,
        description=described,
        postgres=minted,
        reader=reader,
    )


def _render_gate(tool: ToolAccess, action: ActionAccess, approval: Approval, path: str) -> str:
    """Return the one policy in which a gated path stands: it is read after the approvals, for one digest."""
    group = ControlGroup(
        tuple((tuple(f"{GROUP_PREFIX}{name}" for name in f.groups), f.required) for f in approval.factors),
        approval.expires_seconds,
    )
    rules = [
        PathRule(
            path,
            ("read",),
            f"credentials for: {action.name}, after an approval",
            {"digest": []},
            ("digest",),
            control_group=group,
        ),
        PathRule("auth/token/revoke-self", ("update",), "end this request, and the credentials with it"),
    ]
    return render_policy(f"{tool.workflow}: one request for {tool.tool}.{action.name}", rules)


def _compile_login(tool: ToolAccess, policy: str, approval: Approval, environment: Environment) -> AuthRole:
    seconds = approval.expires_seconds + EXECUTION_SECONDS
    settings = executor_login(tool.tool, environment, policy, seconds)
    return AuthRole(names.EXECUTORS_MOUNT, policy, {**settings, "token_num_uses": LEASED_USES})


def executor_login(tool: str, environment: Environment, policy: str, seconds: int) -> dict[str, Any]:
    """Return the settings of a login of a tool's executor that gets `policy` for `seconds`."""
    identity = environment.identity
    return {
        "bound_audiences": [executor_audience(tool, environment)],
        "bound_subject": names.executor_subject(tool),
        "clock_skew_leeway": LEEWAY_SECONDS,
        "expiration_leeway": LEEWAY_SECONDS,
        "not_before_leeway": LEEWAY_SECONDS,
        "role_type": "jwt",
        "token_max_ttl": seconds,
        "token_no_default_policy": True,
        "token_policies": [policy],
        "token_ttl": seconds,
        "token_type": "service",
        "user_claim": identity.user_claim,
        "user_claim_json_pointer": True,
    }


def executor_audience(tool: str, environment: Environment) -> str:
    """Return the audience of the tokens of a tool's executor."""
    return names.audience(environment.identity.audience_prefix, environment.name, f"{names.EXECUTORS_MOUNT}:{tool}")


def approver_audience(environment: Environment) -> str:
    """Return the audience of the tokens with which people log in to approve."""
    return names.audience(environment.identity.audience_prefix, environment.name, names.APPROVERS_MOUNT)


# -- behind PostgreSQL


def _compile_sql(
    tool: ToolAccess, action: ActionAccess, environment: Environment
) -> tuple[PostgresDocuments, PostgresDocuments | None]:
    """Return the group role that may execute one function and nothing else, and the one that reads its target."""
    vault, where = environment.vault, (environment.name, tool.workflow, tool.tool, action.name)
    minted = _group(
        tool,
        environment,
        names.gated_group_name(*where, "gated"),
        names.gated_mount(vault.database_mount),
        names.gated_name(tool.workflow, tool.tool, action.name),
        EXECUTION_SECONDS,
        functions=[function_of(action)],
    )
    reads = None if action.execution is None else reads_of(action.execution)
    if reads is None:
        return minted, None
    name = names.reader_name(tool.tool, tool.workflow, action.name)
    group = names.gated_group_name(*where, "reads")
    return minted, _group(tool, environment, group, vault.database_mount, name, READER_SECONDS, tables=[reads])


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
        "handler": action.execution.handler,
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


# -- the gate's page


def _describe_ledger(tool: str) -> Json:
    places = compile_ledger(names.executor_login_name(tool))
    return {"anchors": places.anchor_path, "sign": places.sign_path}


def describe_gate(environment: Environment, workflows: Iterable[WorkflowDocuments]) -> Json | None:
    """Return what approvers and executors must know of the environment's gate, None where nothing can be executed."""
    actions = [dict(gated.description) for workflow in workflows for gated in workflow.gated]
    if not actions:
        return None
    vault = environment.vault
    tools = sorted({str(action["tool"]) for action in actions})
    return {
        "version": VERSION,
        "environment": environment.name,
        "vault": {
            "address": vault.address,
            "ca_pem": vault.ca_pem,
            "namespace": vault.namespace,
            "revocations": vault.revocations_mount,
        },
        "mounts": dict(STORES),
        "group_prefix": GROUP_PREFIX,
        "approvers": {
            "mount": names.APPROVERS_MOUNT,
            "role": APPROVER_ROLE,
            "audience": approver_audience(environment),
        },
        "executors": {
            tool: {
                "mount": names.EXECUTORS_MOUNT,
                "role": names.executor_login_name(tool),
                "audience": executor_audience(tool, environment),
                "ledger": _describe_ledger(tool),
            }
            for tool in tools
        },
        "actions": actions,
    }
