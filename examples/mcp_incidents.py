"""An MCP tool server whose every tool holds the credentials of one declared action, and nothing else.

An MCP client starts it over stdio, with NARROWGATE_MANIFEST (the workflow's manifest) and NARROWGATE_TOKEN_FILE (the
identity provider's token of the user whom it acts for) in its environment:

    {"command": "python", "args": ["examples/mcp_incidents.py"], "env": {"NARROWGATE_MANIFEST": "…", …}}

The model sees tools, never a credential. What the workflow does not declare, or gives to approvers, is refused by the
library, by Vault and by the systems themselves; the model is told which of them it was, by the error's code.
"""

from __future__ import annotations

import functools
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import psycopg
from botocore.exceptions import ClientError
from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError

from narrowgate.runtime import Agent, AgentError, login

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

P = ParamSpec("P")
R = TypeVar("R")


class Server:
    """Holds the one agent that the tools share; it logs in when the client connects, and logs out when it goes."""

    agent: Agent

    @asynccontextmanager
    async def serve(self, _: MCPServer[Any]) -> AsyncIterator[None]:
        """Be logged in for as long as the client is there; at the end all that was issued is revoked."""
        with login() as self.agent:
            yield


server = Server()
mcp: MCPServer[None] = MCPServer("incidents", lifespan=server.serve)


def say_refusals(tool: Callable[P, R]) -> Callable[P, R]:
    """Have a refusal told to the model in words: errors of the library hold no credential."""

    @functools.wraps(tool)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return tool(*args, **kwargs)
        except AgentError as error:
            raise ToolError(f"{error.code}: {error}") from None
        except ClientError as error:
            raise ToolError(f"refused by AWS: {error.response['Error']['Code']}") from None
        except psycopg.Error as error:
            raise ToolError(f"refused by the database: {type(error).__name__}") from None

    return call


@mcp.tool()
@say_refusals
def list_open_incidents() -> list[str]:
    """List the titles of the open incidents of this workflow's tenant."""
    with server.agent.postgres("incidents", action="read") as connection:
        rows = connection.execute("SELECT title FROM incidents WHERE status = 'open' ORDER BY id").fetchall()
    return [str(title) for (title,) in rows]


@mcp.tool()
@say_refusals
def search_logs(group: str, pattern: str = "") -> list[str]:
    """Search a log group for a pattern."""
    logs = server.agent.aws("logs", action="search").client("logs")
    events = logs.filter_log_events(logGroupName=group, filterPattern=pattern)["events"]
    return [str(event["message"]) for event in events]


@mcp.tool()
@say_refusals
def close_incident(number: int) -> str:
    """Close an incident. People approve that, so no agent holds its credentials: it shows what a model is told."""
    with server.agent.postgres("incidents", action="close") as connection:
        connection.execute("UPDATE incidents SET status = 'closed' WHERE id = %s", (number,))
    return "closed"


if __name__ == "__main__":
    mcp.run()
