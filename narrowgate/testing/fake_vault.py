"""A Vault for one test: it issues fake credentials for what the manifests declare, and nothing else.

It answers single requests as Vault's API does; what an answer means is left to `narrowgate.runtime`.
"""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import requests

from narrowgate.errors import NarrowgateError
from narrowgate.runtime.manifest import Manifest, ManifestTool, read_manifest
from narrowgate.testing.certificates import make_certificate_for

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import psycopg

TTL_SECONDS: Final = 900
NO_CONTENT: Final = 204

Answer = tuple[int, "dict[str, Any] | None"]
REFUSED: Final[Answer] = (403, {"errors": ["1 error occurred:\n\t* permission denied\n\n"]})
ENTITY: Final = "fake-entity"


class UnansweredCallError(NarrowgateError):
    """The agent called a system that this test did not replace."""

    code = "testing-unanswered"


class FakeVault:
    """What the fixture `fake_vault` gives. Every credential is new, counts up, and is worth nothing anywhere.

    `drafts` are the proposals that the agent wrote, by request path; `issued` the tools whose credentials it fetched.
    """

    def __init__(self) -> None:
        self.drafts: dict[str, Mapping[str, Any]] = {}
        self.issued: list[str] = []
        self.secrets: dict[str, Mapping[str, str]] = {}
        """What `agent.secret(tool)` returns, by tool; without one, `{"value": "fake"}`."""
        self.databases: dict[str, Callable[[], psycopg.Connection]] = {}
        """What `agent.postgres(tool)` returns, by tool: a function that opens a connection, or a stand-in for one."""
        self.seconds_passed = 0.0
        self._manifests: list[Manifest] = []
        self._tokens: dict[str, float] = {}
        self._numbers = itertools.count(1)
        self._fault: Answer | type[requests.RequestException] | None = None
        self._refusal: str | None = None
        self._refused_tools: set[str] = set()

    # -- what a test sets up

    def serve(self, manifest: Path | str | Mapping[str, Any] | Manifest, *, workflow: str | None = None) -> Manifest:
        """Serve a workflow by its manifest (its content, file, or the folder with that of `workflow`), and return it.

        Raises ManifestError as `read_manifest` does.
        """
        known = read_manifest(manifest, workflow=workflow)
        self._manifests.append(known)
        return known

    def serve_declared(self, stacks: Path, environment: str, workflow: str) -> dict[str, Any]:
        """Serve a workflow by its declaration in the folder `stacks`, before anything is deployed.

        Return its manifest. Raises DeclarationErrors for what is wrong, and ValueError where there is no such workflow.
        """
        from narrowgate.compile import compile_plan
        from narrowgate.declarations import load_environment, load_plan

        plan = compile_plan(load_plan(stacks, load_environment(stacks, environment)))
        for documents in plan.workflows:
            if documents.access.name == workflow:
                manifest: dict[str, Any] = json.loads(json.dumps(documents.manifest))
                self.serve(manifest)
                return manifest
        raise ValueError(f"{stacks} declares no workflow {workflow} for {environment}")

    def find_tool_of_key(self, access_key: str) -> ManifestTool | None:
        """Return the tool whose fake AWS credentials have the key id `access_key`."""
        prefix = access_key.rpartition("X")[0]
        tools = (tool for manifest in self._manifests for tool in manifest.tools.values())
        return next((tool for tool in tools if _key_prefix(tool.name) == prefix), None)

    # -- what a test lets happen

    def pass_time(self, seconds: float) -> None:
        """Let time pass for the runtime: what is due is renewed, what is over is over."""
        self.seconds_passed += seconds

    def expire_logins(self) -> None:
        """End every login, and let the identity provider's token be over: the agent gets ExpiredError."""
        self.pass_time(10 * TTL_SECONDS)
        self._tokens.clear()
        self._refusal = "error validating token: token is expired"

    def revoke(self) -> None:
        """Stop the workflow as an operator does: the agent gets RevokedError."""
        self._tokens.clear()
        self._refusal = "this login was revoked"

    def refuse(self, tool: str) -> None:
        """Refuse the credentials of `tool`, as where manifest and deployment differ: AccessRefusedError."""
        self._refused_tools.add(tool)

    def seal(self) -> None:
        """Answer as a sealed Vault: VaultSealedError."""
        self._fault = (503, {"errors": ["Vault is sealed"]})

    def cut(self) -> None:
        """Be unreachable: VaultUnavailableError."""
        self._fault = requests.ConnectionError

    def recover(self) -> None:
        """End `seal`, `cut`, `refuse` and every refusal of logins."""
        self._fault = self._refusal = None
        self._refused_tools.clear()

    # -- the API of Vault

    def answer(self, token: str, method: str, path: str, body: Mapping[str, Any] | None) -> requests.Response:
        """Return the answer to one request; raise `requests.ConnectionError` while it is cut."""
        if isinstance(self._fault, type):
            raise self._fault
        status, content = self._fault or self._answer(token, method, path, body)
        response = requests.Response()
        response.status_code = status
        response._content = b"" if content is None else json.dumps(content).encode()  # noqa: SLF001 - no other way
        return response

    def _answer(self, token: str, method: str, path: str, body: Mapping[str, Any] | None) -> Answer:
        for manifest in self._manifests:
            if path == f"auth/{manifest.auth_mount}/login":
                return self._log_in(manifest, body or {})
        if self._tokens.get(token, 0.0) <= self.seconds_passed:
            return 403, {"errors": ["permission denied", "invalid token"]}
        if path.startswith("auth/token/"):
            return self._answer_about(token, path)
        return self._answer_of_workflow(method, path, body or {})

    def _answer_about(self, token: str, path: str) -> Answer:
        match path.rpartition("/")[2]:
            case "renew-self":
                self._tokens[token] = self.seconds_passed + TTL_SECONDS
                return 200, {"auth": _auth(token)}
            case "lookup-self":
                return 200, {"data": {"entity_id": ENTITY}}
            case "revoke-self":
                del self._tokens[token]
                return NO_CONTENT, None
        return REFUSED

    def _answer_of_workflow(self, method: str, path: str, body: Mapping[str, Any]) -> Answer:
        for manifest in self._manifests:
            for tool in manifest.tools.values():
                if tool.path == path and tool.name not in self._refused_tools:
                    return self._issue(tool)
            drafts = manifest.proposals.get("drafts")
            if drafts and path.startswith(f"{drafts}/{ENTITY}/") and method == "post":
                self.drafts[path] = body.get("data") or {}
                return 200, {"data": {"version": 1}}
        return REFUSED

    def _log_in(self, manifest: Manifest, body: Mapping[str, Any]) -> Answer:
        if self._refusal is not None or body.get("role") != manifest.auth_role:
            return 400, {"errors": [self._refusal or f"role {body.get('role')!r} could not be found"]}
        token = f"hvs.fake-{next(self._numbers)}"
        self._tokens[token] = self.seconds_passed + TTL_SECONDS
        return 200, {"auth": _auth(token)}

    def _issue(self, tool: ManifestTool) -> Answer:
        self.issued.append(tool.name)
        number = next(self._numbers)
        lease = {"lease_id": f"{tool.path}/{number}", "lease_duration": tool.ttl_seconds or TTL_SECONDS}
        return 200, {**lease, "data": self._make(tool, number)}

    def _make(self, tool: ManifestTool, number: int) -> dict[str, Any]:
        match tool.backend:
            case "aws":
                key = f"{_key_prefix(tool.name)}X{number}"
                return {"access_key": key, "secret_key": "fake", "security_token": f"fake-{number}"}
            case "postgres":
                return {"username": f"fake-{tool.name}-{number}", "password": f"fake-password-{number}"}
            case "bearer":
                return {"token": f"fake-token-{tool.name}-{number}", "ttl": tool.ttl_seconds or TTL_SECONDS}
            case "kv":
                written = datetime.now(UTC).isoformat()
                values = dict(self.secrets.get(tool.name, {"value": "fake"}))
                return {"data": values, "metadata": {"version": 1, "created_time": written}}
            case "pki":
                return make_certificate_for(tool.text("uri_san"), tool.ttl_seconds or TTL_SECONDS)
        raise UnansweredCallError(f"No fake credentials are known for tools behind {tool.backend}.")


def _auth(token: str) -> dict[str, Any]:
    return {"client_token": token, "lease_duration": TTL_SECONDS, "renewable": True, "entity_id": ENTITY}


def _key_prefix(tool: str) -> str:
    return f"FAKE{tool.upper().replace('-', '0')}"
