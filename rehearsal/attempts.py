"""How the demo tries things: one call each, which returns the server's answer or raises what the server refused.

Nothing here changes anything: what is written is taken back. It must not decide what should be refused.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import hvac.exceptions
import psycopg
from botocore.exceptions import ClientError

from rehearsal import bao, idp

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from narrowgate.runtime import Agent
    from rehearsal.layout import EnvironmentLayout


class RefusedError(Exception):
    """The server refused what was tried; the text is its answer."""


def search_logs(session: Any, group: str) -> str:  # noqa: ANN401 - boto3 makes clients at run time
    """Search a log group."""
    return _call(lambda: f"{len(session.client('logs').filter_log_events(logGroupName=group)['events'])} events")


def list_documents(session: Any, bucket: str, prefix: str) -> str:  # noqa: ANN401 - as above
    """List what stands under a prefix of a bucket."""

    def call() -> str:
        return f"{session.client('s3').list_objects_v2(Bucket=bucket, Prefix=prefix)['KeyCount']} documents"

    return _call(call)


def _call(call: Callable[[], str]) -> str:
    try:
        return call()
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if "AccessDenied" not in code:
            raise
        raise RefusedError(code) from error


def count_rows(agent: Agent, tool: str, column: str, tenant: str) -> str:
    """Read one column of a tenant's rows; rows that the server hides are refused rows."""
    query = psycopg.sql.SQL("SELECT {} FROM {} WHERE tenant = %s").format(
        psycopg.sql.Identifier(column), psycopg.sql.Identifier(tool)
    )
    try:
        with agent.postgres(tool) as connection:
            rows = connection.execute(query, (tenant,)).fetchall()
    except psycopg.errors.InsufficientPrivilege as error:
        raise RefusedError(str(error).splitlines()[0]) from error
    if not rows:
        raise RefusedError(f"0 rows of {tenant}")
    return f"{len(rows)} rows"


def execute(agent: Agent, tool: str, statement: str, *values: str) -> str:
    """Run a statement and take it back."""
    try:
        with agent.postgres(tool) as connection, connection.transaction(force_rollback=True):
            cursor = connection.execute(statement.encode(), values)
            return f"{cursor.rowcount} row, taken back"
    except psycopg.errors.InsufficientPrivilege as error:
        raise RefusedError(str(error).splitlines()[0]) from error


def read_vault(layout: EnvironmentLayout, identity: tuple[str, str], path: str) -> str:
    """Read any path of Vault with an agent's own login, past the library."""
    user, workflow = identity
    client = bao.open_client(layout)
    client.auth.jwt.jwt_login(role="agent", jwt=sign(layout, user, workflow), path=f"agents/{workflow}")
    try:
        client.read(path)
    except hvac.exceptions.Forbidden as error:
        raise RefusedError("403 permission denied") from error
    finally:
        client.auth.token.revoke_self()
    return "read"


def present_login(here: EnvironmentLayout, there: EnvironmentLayout, identity: tuple[str, str]) -> str:
    """Show a token of the one Vault to the other."""
    user, workflow = identity
    client = bao.open_client(here)
    client.auth.jwt.jwt_login(role="agent", jwt=sign(here, user, workflow), path=f"agents/{workflow}")
    try:
        bao.open_client(there, client.token).auth.token.lookup_self()
    except hvac.exceptions.Forbidden as error:
        raise RefusedError("403 permission denied") from error
    finally:
        client.auth.token.revoke_self()
    return "known"


def sign(layout: EnvironmentLayout, user: str, workflow: str, ttl_seconds: int = idp.TTL_SECONDS) -> str:
    """Return the identity provider's token of `user` for the agent of `workflow`."""
    return idp.sign_token(layout, idp.look_up(user, None, workflow), ttl_seconds=ttl_seconds)


def find_manifest(layout: EnvironmentLayout, workflow: str) -> Path:
    """Return where the manifest of `workflow` stands."""
    return layout.manifests / f"{workflow}.json"
