"""Gated actions behind AWS: a role that does exactly one call, and one by which the executor reads what it is about.

The gated role trusts the gated broker alone, and stands under a path that no other broker can assume. This module must
not approve anything.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from narrowgate.compile import names
from narrowgate.compile.backends.aws import STS_FLOOR_SECONDS, RolePlace, compile_role, statement_of
from narrowgate.compile.documents import Minted
from narrowgate.compile.errors import CompileError
from narrowgate.compile.execution_aws import grants_of, reads_of
from narrowgate.compile.gate_credentials import READER_SECONDS, GatedCredentials
from narrowgate.compile.iam_policy import split_statements

if TYPE_CHECKING:
    from collections.abc import Iterable

    from narrowgate.plan import ActionAccess, Environment, IamGrant, ToolAccess, WorkflowAccess

# No shorter session is to be had of STS, and none can be called back.
SESSION_SECONDS: Final = STS_FLOOR_SECONDS


def compile_credentials(
    workflow: WorkflowAccess, tool: ToolAccess, action: ActionAccess, environment: Environment
) -> GatedCredentials:
    """Return the session of one gated call, and the one that reads its target."""
    if action.execution is None or not environment.aws.gated_broker_arn:
        message = f"{environment.name} has no broker for gated roles"
        raise CompileError(message, workflow=tool.workflow, tool=tool.tool, hint="bind `aws: gated_broker_arn`")
    aws, mount = environment.aws, environment.vault.aws_mount
    where = (environment.name, tool.workflow, tool.tool, action.name)
    place = RolePlace(
        iam_name=names.gated_iam_name(*where, "gated"),
        kind="gated",
        mount=names.gated_mount(mount),
        vault_role=names.gated_name(tool.workflow, tool.tool, action.name),
        broker=aws.gated_broker_arn,
    )
    return GatedCredentials(
        minted=_session(environment, workflow, tool, place, grants_of(action), SESSION_SECONDS),
        reader=_compile_reader(workflow, tool, action, environment),
        call=json.loads(action.execution.call),
        connection={"endpoint_url": aws.endpoint_url, "region": aws.region},
        seconds=SESSION_SECONDS,
    )


def _compile_reader(
    workflow: WorkflowAccess, tool: ToolAccess, action: ActionAccess, environment: Environment
) -> Minted | None:
    reads = reads_of(action)
    if not reads:
        return None
    vault_role = names.session_reader_name(tool.tool, tool.workflow, action.name)
    if vault_role is None:
        message = f"`{tool.tool}` is too long for the name of its executor's sessions"
        raise CompileError(message, workflow=tool.workflow, tool=tool.tool, hint="give the tool a shorter name")
    place = RolePlace(
        iam_name=names.gated_iam_name(environment.name, tool.workflow, tool.tool, action.name, "reads"),
        kind="tool",
        mount=environment.vault.aws_mount,
        vault_role=vault_role,
        broker=environment.aws.broker_arn,
    )
    return _session(environment, workflow, tool, place, reads, READER_SECONDS)


def _session(  # noqa: PLR0913, PLR0917 - a role has this many sides
    environment: Environment,
    workflow: WorkflowAccess,
    tool: ToolAccess,
    place: RolePlace,
    grants: Iterable[IamGrant],
    seconds: int,
) -> Minted:
    statements = sorted((statement_of(grant) for grant in grants), key=lambda each: json.dumps(each, sort_keys=True))
    policies = split_statements(statements, workflow=tool.workflow, tool=tool.tool)
    return Minted(aws=compile_role(environment, workflow, tool.tool, place, policies, (seconds, seconds)))
