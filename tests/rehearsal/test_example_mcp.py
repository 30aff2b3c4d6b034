"""The example of an MCP tool server, over stdio, with real credentials: what a model gets, and what it is refused."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any

from loops import run_alone
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

from rehearsal.layout import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from rehearsal.live import LiveRehearsal

WORKFLOW = "incident-summarization"
EXAMPLE = CHECKOUT / "examples" / "mcp_incidents.py"


def use_server(rehearsal: LiveRehearsal, folder: Path, work: Callable[[ClientSession], Awaitable[Any]]) -> Any:  # noqa: ANN401 - what `work` returns
    token = folder / "token"
    token.write_text(rehearsal.token("alice", WORKFLOW), encoding="ascii")
    parameters = StdioServerParameters(
        command=sys.executable,
        args=[str(EXAMPLE)],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "NARROWGATE_MANIFEST": str(rehearsal.manifest(WORKFLOW)),
            "NARROWGATE_TOKEN_FILE": str(token),
        },
    )

    async def run() -> Any:  # noqa: ANN401 - as above
        async with stdio_client(parameters) as (read, write), ClientSession(read, write) as session:
            await session.initialize()
            return await work(session)

    return run_alone(run())


def count_tokens(rehearsal: LiveRehearsal) -> int:
    client = rehearsal.vault()
    accessors = client.list("auth/token/accessors")["data"]["keys"]
    paths = [client.auth.token.lookup_accessor(accessor)["data"]["path"] for accessor in accessors]
    return sum(path == f"auth/agents/{WORKFLOW}/login" for path in paths)


def test_a_model_gets_what_is_declared_and_is_told_what_is_not(rehearsal: LiveRehearsal, tmp_path: Path) -> None:
    asked = [
        ("list_open_incidents", {}),
        ("search_logs", {"group": "/app/payments"}),
        ("search_logs", {"group": "/app/identity"}),
        ("close_incident", {"number": 1}),
    ]

    async def work(session: ClientSession) -> tuple[list[str], list[Any], int]:
        names = [tool.name for tool in (await session.list_tools()).tools]
        answers = [await session.call_tool(name, inputs) for name, inputs in asked]
        return names, answers, count_tokens(rehearsal)

    before = count_tokens(rehearsal)
    names, (incidents, logs, foreign, gated), during = use_server(rehearsal, tmp_path, work)
    assert names == ["list_open_incidents", "search_logs", "close_incident"]
    assert not incidents.is_error
    assert incidents.content
    assert not logs.is_error
    assert len(logs.content) == 5
    assert foreign.is_error
    assert "refused by AWS: AccessDenied" in foreign.content[0].text
    assert gated.is_error
    assert "action-gated" in gated.content[0].text
    everything = " ".join(str(answer) for answer in (incidents, logs, foreign, gated))
    assert "hvs." not in everything
    assert "ASIA" not in everything
    assert (before, during, count_tokens(rehearsal)) == (before, before + 1, before)
