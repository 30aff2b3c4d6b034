"""What an agent's code holds: the tools of one workflow, each with short-lived credentials of its own.

Nothing here decides what is allowed: it asks Vault, and says early and in plain words what the manifest rules out.
"""

from __future__ import annotations

import contextlib
import weakref
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from narrowgate.runtime import clock
from narrowgate.runtime.credential import (
    Bearer,
    Certificate,
    Credential,
    Secret,
    make_bearer,
    make_certificate,
    make_secret,
    read_lifetime,
)
from narrowgate.runtime.errors import GatedActionError, NotDeclaredError, ProposalError, ToolUnavailableError
from narrowgate.runtime.holding import Holder, Issue, SingleFlight
from narrowgate.runtime.log import keep_standard_output_free
from narrowgate.runtime.manifest import Manifest, ManifestTool, read_manifest
from narrowgate.runtime.recording import LedgerChoice, Recorder, open_recorder
from narrowgate.runtime.session import Login, TokenSource
from narrowgate.runtime.vault import VaultConnection, ca_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    import boto3
    import psycopg
    from botocore.credentials import ReadOnlyCredentials

    from narrowgate.audit.ledger import Ledger
    from narrowgate.runtime.aws import VaultCredentials
    from narrowgate.runtime.proposals import Proposal

# What a tool's credential becomes in the agent's hands.
MAKERS: Final[Mapping[str, Callable[[ManifestTool, Credential], Any]]] = {
    "bearer": make_bearer,
    "kv": make_secret,
    "pki": make_certificate,
}
# Whose calls our own clients make, and so record.
RECORDED_BACKENDS: Final = frozenset({"aws", "postgres"})
METHODS: Final = {"kv": "secret", "pki": "certificate"}


class Agent:
    """One workflow's agent, acting for one user. Made by `login()`; its methods may be called from several threads."""

    def __init__(self, manifest: Manifest, login_: Login) -> None:
        self.manifest = manifest
        self._login = login_
        self._flights: dict[str, SingleFlight[Any]] = {}
        self._holders: dict[str, Holder[Any]] = {}
        self._aws: dict[str, VaultCredentials] = {}
        self._connections: weakref.WeakSet[psycopg.Connection] = weakref.WeakSet()
        self._recorder: Recorder | None = None
        # tools whose credentials leave this process: nobody records what is done by them
        self._exported: set[str] = set()

    def __repr__(self) -> str:
        """Name the workflow and its environment only."""
        return f"<Agent {self.manifest.workflow} in {self.manifest.environment}>"

    @property
    def ledger(self) -> Ledger | None:
        """Return where this agent's calls are recorded, for entries and checkpoints of its own; None where nowhere."""
        return self._recorder.ledger if self._recorder is not None else None

    @property
    def recorder(self) -> Recorder | None:
        """Return what records this agent's calls, for clients of one's own; None where nothing does."""
        return self._recorder

    def aws(self, tool: str, *, action: str | None = None) -> boto3.Session:
        """Return a boto3 session that can do what `tool` allows this workflow; it refreshes its credentials itself.

        With `action`, say early that this action is not declared or is gated. Raises as `credential` does.
        """
        # boto3 takes 300 ms, and not every agent needs it
        from narrowgate.runtime.aws import open_session

        declared = self._find(tool, action, backend="aws")
        self._login.check()
        source: VaultCredentials = self._flights.setdefault(tool, SingleFlight()).run(lambda: self._open_aws(tool))
        session = open_session(
            source, region=declared.text("region"), endpoint_url=declared.connection.get("endpoint_url")
        )
        if self._recorder is not None:
            self._recorder.watch_session(session._session, declared, action, lambda: str(source.access_key))  # noqa: SLF001 - boto3 has no other way
        return session

    def export_aws(self, tool: str) -> tuple[ReadOnlyCredentials, datetime]:
        """Return the keys of `tool` as they are now, for clients other than boto3, and when they end by this clock.

        Raises as `credential` does.
        """
        declared = self._find(tool, None, backend="aws")
        self._login.check()
        self._exported.add(tool)
        source: VaultCredentials = self._flights.setdefault(tool, SingleFlight()).run(lambda: self._open_aws(tool))
        exported = source.export()
        if self._recorder is not None:
            self._recorder.note_export(declared, str(exported[0].access_key))
        return exported

    def _open_aws(self, tool: str) -> VaultCredentials:
        from narrowgate.runtime.aws import open_credentials

        if tool not in self._aws:
            declared = self._find(tool, None, backend="aws")

            def issue() -> Credential:
                return self._issue(declared).value  # type: ignore[no-any-return]

            self._aws[tool] = open_credentials(issue)
        return self._aws[tool]

    def postgres(self, tool: str, *, action: str | None = None) -> psycopg.Connection:
        """Return an open psycopg connection that can do what `tool` allows this workflow.

        It lives at most as long as its login (the tool's TTL): then the server ends it, and a new call gives a new one.
        All that are open are closed when the agent's `with` block ends. Raises as `credential` does.
        """
        from narrowgate.runtime.postgres import DatabaseLoginRefusedError, open_connection  # as above

        declared, login_ = self._database_login(tool, action=action)
        try:
            connection = open_connection(declared, login_, self.manifest.workflow)
        except DatabaseLoginRefusedError:  # somebody revoked it: one more try, with a new one
            declared, login_ = self._database_login(tool, rejected=login_)
            connection = open_connection(declared, login_, self.manifest.workflow)
        if self._recorder is not None:
            from narrowgate.runtime.cursors import record_connection

            record_connection(connection, self._recorder, declared, action, login_.text("username"))
        self._connections.add(connection)
        return connection

    def database_login(
        self, tool: str, *, action: str | None = None, rejected: Credential | None = None, recorded: bool = False
    ) -> tuple[ManifestTool, Credential]:
        """Return a PostgreSQL tool with its login, for drivers of one's own; never the one that a server `rejected`.

        `recorded` says that the driver's statements are given to `recorder`. Raises as `credential` does.
        """
        if recorded:
            return self._database_login(tool, action=action, rejected=rejected)
        self._exported.add(tool)
        declared, held = self._database_login(tool, action=action, rejected=rejected)
        if self._recorder is not None:
            self._recorder.note_export(declared, held.text("username"))
        return declared, held

    def _database_login(
        self, tool: str, *, action: str | None = None, rejected: Credential | None = None
    ) -> tuple[ManifestTool, Credential]:
        declared = self._find(tool, action, backend="postgres")
        held: Credential = self._holder(declared).get(self._login.check(), rejected=rejected)
        return declared, held

    def bearer(self, tool: str, *, action: str | None = None) -> Bearer:
        """Return the token with which `tool` knows this workflow; ask for it with every request, it is renewed in time.

        Raises as `credential` does.
        """
        held: Bearer = self._holder(self._find(tool, action, backend="bearer")).get(self._login.check())
        return held

    def secret(self, tool: str, *, action: str | None = None) -> Secret:
        """Return the secret of `tool` as it is in Vault now, or was a minute ago. Raises as `credential` does."""
        held: Secret = self._holder(self._find(tool, action, backend="kv")).get(self._login.check())
        return held

    def certificate(self, tool: str, *, action: str | None = None) -> Certificate:
        """Return the client certificate by which `tool` knows this workflow; it is replaced before it ends.

        Raises as `credential` does.
        """
        held: Certificate = self._holder(self._find(tool, action, backend="pki")).get(self._login.check())
        return held

    def propose(self, action: str, *, inputs: Mapping[str, Any], rationale: str, key: str | None = None) -> str:
        """Propose a gated action, `<tool>.<action>`, to the people who approve it, and return the request's id.

        `inputs` are JSON that fits the action's schema, `rationale` says why in a few words. With a `key` of your own
        the same proposal may be sent again, after an error or a restart, and is still one request.

        Raises:
            ProposalError: it cannot become a case: the inputs, the rationale, or the action is not gated.
            NotDeclaredError: the workflow does not declare the tool or action.
            ExpiredError, RevokedError: the login is over, or somebody ended it.
            AccessRefusedError, VaultSealedError, VaultUnavailableError: as Vault says.

        """
        from narrowgate.runtime import proposals

        tool, _, name = action.partition(".")
        declared = self.manifest.tools.get(tool)
        known = None if declared is None else declared.actions.get(name)
        if known is None:
            raise NotDeclaredError(f"The workflow {self.manifest.workflow} declares no action {action!r}.")
        if not known.gated:
            raise ProposalError(f"{action} needs no approval.", hint="Do it with the tool's own credentials.")
        draft = {"version": proposals.VERSION, "action": action, "inputs": dict(inputs), "rationale": rationale}
        return proposals.propose(self._login, self.manifest, known, draft, key)

    def proposal(self, request: str) -> Proposal:
        """Return what became of a request that this workflow proposed for this user.

        Raises ProposalError for what is no request id, and else as `propose` does.
        """
        from narrowgate.runtime import proposals

        return proposals.read_proposal(self._login, self.manifest, request)

    def peek(self, tool: str) -> Any | None:  # noqa: ANN401 - what `bearer`, `secret` or `certificate` would return
        """Return what is held for `tool` and need not be renewed yet, or None; never waits, never asks Vault."""
        holder = self._holders.get(tool)
        return holder.peek(self._login.check_now()) if holder is not None else None

    def credential(self, tool: str, *, action: str | None = None) -> Credential:
        """Return a new credential of `tool` as Vault issues it, for clients that are neither boto3 nor psycopg.

        Raises:
            NotDeclaredError: the workflow does not declare the tool or action.
            GatedActionError: only the executor can hold these credentials.
            ExpiredError, RevokedError: the login is over, or somebody ended it.
            AccessRefusedError, ToolUnavailableError, VaultSealedError, VaultUnavailableError: as Vault says.

        """
        credential: Credential = self._issue(self._find(tool, action), recorded=False).value
        return credential

    def find_tool(self, tool: str) -> ManifestTool:
        """Return what the manifest says of `tool`; raise NotDeclaredError or GatedActionError where it rules it out."""
        return self._find(tool, None)

    def keep(self) -> None:
        """Renew the login if it is due, for whoever holds credentials but seldom asks. Raises as `credential` does."""
        self._login.check()

    def close(self, *, revoke: bool = True) -> None:
        """Close the open connections, then revoke the login and so every lease. Called by the `with` block's end.

        Without `revoke`, what was issued lives on until its own time is over: for what outlives this process.
        """
        for connection in list(self._connections):
            connection.close()
        self._holders.clear()
        if self._recorder is not None:
            self._recorder.close()  # its last checkpoint needs the login
        self._login.close(revoke=revoke)

    def _holder(self, tool: ManifestTool) -> Holder[Any]:
        holder = self._holders.get(tool.name)
        if holder is None:
            follows = tool.backend == "postgres"
            holder = Holder(tool.name, lambda: self._make(tool), follows_login=follows)
            holder = self._holders.setdefault(tool.name, holder)
        return holder

    def _make(self, tool: ManifestTool) -> Issue[Any]:
        issue = self._issue(tool)
        make = MAKERS.get(tool.backend)
        return replace(issue, value=make(tool, issue.value)) if make else issue

    def _issue(self, tool: ManifestTool, *, recorded: bool = True) -> Issue[Any]:
        """Ask Vault for a new credential of `tool`; its calls are `recorded` where our own clients make them."""
        asked_at = clock.read()
        answer, generation = self._login.fetch(str(tool.path), tool.request)
        data = answer.get("data")
        if not isinstance(data, Mapping):
            raise ToolUnavailableError(f"Vault answered {tool.path} without data.")
        ttl_seconds = read_lifetime(tool, answer)
        lease_id = str(answer.get("lease_id") or "")
        credential = Credential(tool.name, lease_id, ttl_seconds, asked_at, data)
        if self._recorder is not None:
            seen = recorded and tool.backend in RECORDED_BACKENDS and tool.name not in self._exported
            self._recorder.note_lease(tool, credential, recorded=seen)
        return Issue(credential, asked_at, ttl_seconds, generation)

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
                hint=f"Call agent.{METHODS.get(declared.backend, declared.backend)}({tool!r}).",
            )
        return declared


@contextlib.contextmanager
def login(
    manifest: Path | str | Mapping[str, Any] | Manifest | None = None,
    token: TokenSource = None,
    *,
    ledger: LedgerChoice = None,
) -> Iterator[Agent]:
    """Log in as a workflow's agent; at the block's end, its token and every lease are revoked.

    `manifest` is the file that the deploy exported, or its content; without it NARROWGATE_MANIFEST names the file.
    `token` is the JWT of the company's identity provider that names the agent and the user it acts for, or a callable
    that returns one (asked again when a login's time is over); without it NARROWGATE_TOKEN_FILE names a file with it.
    `ledger` is where its calls are recorded: a ledger, a file, a folder with one file for each workflow, or `off`;
    without it NARROWGATE_LEDGER says so, and without that it is `narrowgate/<environment>/<workflow>.jsonl` in the
    user's state folder.

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
            agent._recorder = open_recorder(ledger, known, agent._login)  # noqa: SLF001 - as above
            yield agent
        finally:
            agent.close()
