"""The same agent for asyncio: what may wait for Vault runs in threads of this module's own.

    async with narrowgate.runtime.aio.login(manifest, token) as agent:
        token = await agent.bearer("crm")

It holds no logic of its own: every answer is that of `narrowgate.runtime.agent`, under the same names.
"""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import TYPE_CHECKING, Any, TypeVar

from narrowgate.runtime import agent as blocking

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from pathlib import Path

    import boto3
    import psycopg

    from narrowgate.runtime.credential import Bearer, Certificate, Credential, Secret
    from narrowgate.runtime.manifest import Manifest
    from narrowgate.runtime.proposals import Proposal
    from narrowgate.runtime.recording import LedgerChoice
    from narrowgate.runtime.session import TokenSource

T = TypeVar("T")

# Apart from the event loop's own threads: a Vault that is slow must not hold up the agent's other work.
THREADS = 32


class AsyncAgent:
    """One workflow's agent for asyncio. Made by `login()`; its methods may be called from several tasks."""

    def __init__(self, inner: blocking.Agent) -> None:
        self._inner = inner
        self._connections: weakref.WeakSet[psycopg.AsyncConnection] = weakref.WeakSet()

    def __repr__(self) -> str:
        """Name the workflow and its environment only."""
        return repr(self._inner)

    @property
    def manifest(self) -> Manifest:
        """Return the manifest that the agent follows."""
        return self._inner.manifest

    async def aws(self, tool: str, *, action: str | None = None) -> boto3.Session:
        """Return a boto3 session, whose calls block: give them to `asyncio.to_thread`. See `Agent.aws`."""
        return await _run(partial(self._inner.aws, tool, action=action))

    async def postgres(self, tool: str, *, action: str | None = None) -> psycopg.AsyncConnection:
        """Return an open asyncio connection of psycopg. See `Agent.postgres`."""
        from narrowgate.runtime.postgres import DatabaseLoginRefusedError, open_async_connection

        workflow = self.manifest.workflow
        log_in = partial(self._inner.database_login, tool, recorded=True)
        declared, held = await _run(partial(log_in, action=action))
        try:
            connection = await open_async_connection(declared, held, workflow)
        except DatabaseLoginRefusedError:
            declared, held = await _run(partial(log_in, rejected=held))
            connection = await open_async_connection(declared, held, workflow)
        if self._inner.recorder is not None:
            from narrowgate.runtime.cursors import record_async_connection

            record_async_connection(connection, self._inner.recorder, declared, action, held.text("username"))
        self._connections.add(connection)
        return connection

    async def bearer(self, tool: str, *, action: str | None = None) -> Bearer:
        """Return the token with which `tool` knows this workflow. See `Agent.bearer`."""
        return await self._ask(self._inner.bearer, tool, action)

    async def secret(self, tool: str, *, action: str | None = None) -> Secret:
        """Return the secret of `tool`. See `Agent.secret`."""
        return await self._ask(self._inner.secret, tool, action)

    async def certificate(self, tool: str, *, action: str | None = None) -> Certificate:
        """Return the client certificate by which `tool` knows this workflow. See `Agent.certificate`."""
        return await self._ask(self._inner.certificate, tool, action)

    async def credential(self, tool: str, *, action: str | None = None) -> Credential:
        """Return a new credential of `tool` as Vault issues it. See `Agent.credential`."""
        return await _run(partial(self._inner.credential, tool, action=action))

    async def propose(self, action: str, *, inputs: Mapping[str, Any], rationale: str, key: str | None = None) -> str:
        """Propose a gated action and return the request's id. See `Agent.propose`."""
        return await _run(partial(self._inner.propose, action, inputs=inputs, rationale=rationale, key=key))

    async def proposal(self, request: str) -> Proposal:
        """Return what became of a request. See `Agent.proposal`."""
        return await _run(partial(self._inner.proposal, request))

    async def _ask(self, ask: Callable[..., T], tool: str, action: str | None) -> T:
        """Ask at once where nothing has to be waited for, which costs no thread."""
        if self._inner.peek(tool) is not None:
            return ask(tool, action=action)
        return await _run(partial(ask, tool, action=action))

    async def close_connections(self) -> None:
        """Close the connections that are still open."""
        for connection in list(self._connections):
            await connection.close()


@contextlib.asynccontextmanager
async def login(
    manifest: Path | str | Mapping[str, Any] | Manifest | None = None,
    token: TokenSource = None,
    *,
    ledger: LedgerChoice = None,
) -> AsyncIterator[AsyncAgent]:
    """Log in as a workflow's agent; at the block's end, its token and every lease are revoked.

    A `token` that is callable is called in a thread. Raises as `narrowgate.runtime.login` does.
    """
    block = blocking.login(manifest, token, ledger=ledger)
    entering = asyncio.ensure_future(_run(block.__enter__))
    try:
        inner = await asyncio.shield(entering)
    except asyncio.CancelledError:
        # A thread can't be cancelled: what it logs in must be logged out, also if this task is gone by then.
        entering.add_done_callback(partial(_leave, block))
        raise
    agent = AsyncAgent(inner)
    try:
        yield agent
    finally:
        await asyncio.shield(_end(agent, block))


async def _end(agent: AsyncAgent, block: contextlib.AbstractContextManager[blocking.Agent]) -> None:
    try:
        await agent.close_connections()
    finally:
        await _run(partial(block.__exit__, None, None, None))


def _leave(block: contextlib.AbstractContextManager[blocking.Agent], entered: asyncio.Future[blocking.Agent]) -> None:
    if not entered.cancelled() and entered.exception() is None:
        _threads().submit(block.__exit__, None, None, None)


async def _run(work: Callable[[], T]) -> T:
    """Return the result of `work`, done in a thread."""
    return await asyncio.get_running_loop().run_in_executor(_threads(), work)


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(THREADS, thread_name_prefix="narrowgate")
