"""What an agent's code holds: the tools of one workflow, each with short-lived credentials of its own.

Nothing here decides what is allowed: it asks Vault, and says early and in plain words what the manifest rules out.
"""

from __future__ import annotations

import contextlib
import threading
import time
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from narrowgate.runtime.errors import GatedActionError, NotDeclaredError, ToolUnavailableError
from narrowgate.runtime.log import keep_standard_output_free
from narrowgate.runtime.manifest import Manifest, ManifestTool, read_manifest
from narrowgate.runtime.session import Login, TokenSource
from narrowgate.runtime.vault import VaultConnection, ca_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import boto3
    import psycopg

# A PostgreSQL login is used for new connections until less than this share of its life is left.
REUSE_SHARE = 3


@dataclass(frozen=True, slots=True)
class Credential:
    """One short-lived credential as Vault issued it. `values` never shows in a repr."""

    tool: str
    lease_id: str
    ttl_seconds: int
    issued_at: float  # by time.monotonic()
    values: Mapping[str, Any] = field(repr=False)

    @property
    def seconds_left(self) -> float:
        """Return how long it still serves, below zero when it is over."""
        return self.issued_at + self.ttl_seconds - time.monotonic()


class Agent:
    """One workflow's agent, acting for one user. Made by `login()`; its methods may be called from several threads."""

    def __init__(self, manifest: Manifest, login_: Login) -> None:
        self.manifest = manifest
        self._login = login_
        self._lock = threading.Lock()
        self._logins: dict[str, Credential] = {}
        self._connections: weakref.WeakSet[psycopg.Connection] = weakref.WeakSet()

    def __repr__(self) -> str:
        """Name the workflow and its environment only."""
        return f"<Agent {self.manifest.workflow} in {self.manifest.environment}>"

    def aws(self, tool: str, *, action: str | None = None) -> boto3.Session:
        """Return a boto3 session that can do what `tool` allows this workflow; it refreshes its credentials itself.

        With `action`, say early that this action is not declared or is gated. Raises as `credential` does.
        """
        from narrowgate.runtime.aws import open_session  # boto3 takes 300 ms, and not every agent needs it

        declared = self._find(tool, action, backend="aws")
        first = self.credential(tool)
        issued: list[Credential] = [first]

        def fetch() -> Mapping[str, str]:
            credential = issued.pop() if issued else self.credential(tool)
            ends = datetime.now(UTC) + timedelta(seconds=credential.seconds_left)
            return {
                "access_key": credential.values["access_key"],
                "secret_key": credential.values["secret_key"],
                "token": credential.values["security_token"],
                "expiry_time": ends.isoformat(),
            }

        return open_session(
            fetch,
            region=declared.text("region"),
            endpoint_url=declared.connection.get("endpoint_url"),
            ttl_seconds=first.ttl_seconds,
        )

    def postgres(self, tool: str, *, action: str | None = None) -> psycopg.Connection:
        """Return an open psycopg connection that can do what `tool` allows this workflow.

        It lives at most as long as its login (the tool's TTL): then the server ends it, and a new call gives a new one.
        All that are open are closed when the agent's `with` block ends. Raises as `credential` does.
        """
        from narrowgate.runtime.postgres import open_connection  # as above

        declared = self._find(tool, action, backend="postgres")
        for fresh in (False, True):
            credential = self._login_for(tool, fresh=fresh)
            try:
                connection = open_connection(
                    declared,
                    user=str(credential.values["username"]),
                    password=str(credential.values["password"]),
                    application=f"narrowgate {self.manifest.workflow}",
                )
            except ToolUnavailableError:
                if fresh or credential.seconds_left > credential.ttl_seconds - 1:
                    raise
                continue  # an older login may have been revoked: one more try, with a new one
            self._connections.add(connection)
            return connection
        raise AssertionError("the second try returns or raises")  # pragma: no cover

    def credential(self, tool: str, *, action: str | None = None) -> Credential:
        """Return a new credential of `tool` as Vault issues it, for clients that are neither boto3 nor psycopg.

        Raises:
            NotDeclaredError: the workflow does not declare the tool or action.
            GatedActionError: only the executor can hold these credentials.
            ExpiredError, RevokedError: the login is over, or somebody ended it.
            AccessRefusedError, ToolUnavailableError, VaultSealedError, VaultUnavailableError: as Vault says.

        """
        path = self._find(tool, action).path
        asked_at = time.monotonic()
        answer = self._login.read(str(path))
        data = answer.get("data")
        if not isinstance(data, Mapping):
            raise ToolUnavailableError(f"Vault answered {path} without data.")
        return Credential(
            tool=tool,
            lease_id=str(answer.get("lease_id") or ""),
            ttl_seconds=int(answer.get("lease_duration") or 0),
            issued_at=asked_at,
            values=data,
        )

    def close(self) -> None:
        """Close the open connections, then revoke the login and so every lease. Called by the `with` block's end."""
        for connection in list(self._connections):
            connection.close()
        self._logins.clear()
        self._login.close()

    def _login_for(self, tool: str, *, fresh: bool) -> Credential:
        with self._lock:
            held = self._logins.get(tool)
            if fresh or held is None or held.seconds_left < held.ttl_seconds / REUSE_SHARE:
                held = self._logins[tool] = self.credential(tool)
            return held

    def _find(self, tool: str, action: str | None, *, backend: str | None = None) -> ManifestTool:
        """Return the declared tool, or raise what rules it out."""
        declared = self.manifest.tools.get(tool)
        workflow = self.manifest.workflow
        if declared is None:
            known = ", ".join(sorted(self.manifest.tools)) or "none"
            raise NotDeclaredError(f"The workflow {workflow} declares no tool {tool!r}; it declares {known}.")
        if action is not None and action not in declared.actions:
            known = ", ".join(sorted(declared.actions))
            raise NotDeclaredError(f"The workflow {workflow} may not {tool}.{action}; it may {known}.")
        if declared.path is None or (action is not None and declared.actions[action].gated):
            gated = action or ", ".join(sorted(declared.actions))
            raise GatedActionError(f"{tool}.{gated} is of high impact: no agent holds its credentials.")
        if backend is not None and declared.backend != backend:
            raise NotDeclaredError(
                f"The tool {tool} is behind {declared.backend}, not {backend}.",
                hint=f"Call agent.{declared.backend}({tool!r}), or agent.credential({tool!r}).",
            )
        return declared


@contextlib.contextmanager
def login(manifest: Path | str | Mapping[str, Any] | None = None, token: TokenSource = None) -> Iterator[Agent]:
    """Log in as a workflow's agent; at the block's end, its token and every lease are revoked.

    `manifest` is the file that the deploy exported, or its content; without it NARROWGATE_MANIFEST names the file.
    `token` is the JWT of the company's identity provider that names the agent and the user it acts for, or a callable
    that returns one (asked again when a login's time is over); without it NARROWGATE_TOKEN_FILE names a file with it.

    Raises:
        ManifestError: there is no manifest, or this library cannot read it.
        LoginRefusedError, ExpiredError: Vault does not take the token.
        VaultSealedError, VaultUnavailableError: Vault cannot answer.

    """
    keep_standard_output_free()
    known = read_manifest(manifest)
    with ca_file(known.ca_pem) as verify:
        connection = VaultConnection(known.address, namespace=known.namespace, verify=verify)
        agent = Agent(known, Login(connection, known, token))
        try:
            agent._login.open()  # noqa: SLF001 - this function makes agents
            yield agent
        finally:
            agent.close()
