"""The gate's way to Vault: TLS by the given CA alone, bounded time, and errors that say what happened.

It must not read the process's environment, follow a redirect, or let a token or a credential into an exception.
Requests that change something are sent once more only where the caller says that a repetition is harmless.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import hvac.adapters
import requests
import stamina

from narrowgate.approvals.errors import (
    ApprovalsError,
    BadRequestError,
    LoginError,
    NotFoundError,
    VaultDownError,
    VaultRefusedError,
)

CONNECT_SECONDS: Final = 3.0
READ_SECONDS: Final = 20.0
ATTEMPTS: Final = 4
RETRY_SECONDS: Final = 8.0
_SERVER_ERRORS: Final = 500
_REDIRECTS: Final = 3  # the status' first digit
_PASSING: Final = frozenset({412, 429, 472, 473})
_CONFLICT: Final = "check-and-set parameter did not match"

Answer = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a KV v2 mount: its data, its version, and when that was written (RFC 3339, by Vault's clock)."""

    data: Mapping[str, Any]
    version: int
    created: str


class _LostError(Exception):
    """The connection broke or the server failed: whether the request was carried out is not known."""

    def __init__(self, final: ApprovalsError) -> None:
        super().__init__(str(final))
        self.final = final


class Vault:
    """Requests to one Vault with one token, until `close`. Safe to call from several threads; its repr holds no secret.

    As a context manager it closes its connections at the block's end; it revokes nothing.
    """

    def __init__(self, address: str, *, namespace: str | None, verify: str | bool, token: str = "") -> None:
        session = requests.Session()
        session.trust_env = False
        session.verify = verify
        self.address, self.namespace, self.verify, self.token = address, namespace, verify, token
        self._session = session
        self._adapter = hvac.adapters.RawAdapter(
            base_uri=address,
            token="",
            verify=verify,
            timeout=(CONNECT_SECONDS, READ_SECONDS),
            allow_redirects=False,
            session=session,
            namespace=namespace,
            ignore_exceptions=True,
        )

    def __repr__(self) -> str:
        """Name the address only."""
        return f"<Vault {self.address}>"

    def __enter__(self) -> Self:
        """Return this connection."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Close the connections that stand; a later request opens new ones."""
        self._session.close()

    def with_token(self, token: str) -> Vault:
        """Return another connection to the same Vault, with `token`."""
        return Vault(self.address, namespace=self.namespace, verify=self.verify, token=token)

    def log_in(self, mount: str, role: str, jwt: str) -> Answer:
        """Log in at `auth/<mount>/login`, keep the token, and return the answer's `auth`.

        Raises:
            LoginError: Vault does not take it.
            VaultDownError: Vault cannot answer.

        """
        try:
            answer = self.ask("post", f"auth/{mount}/login", {"role": role, "jwt": jwt}, token="", repeat=True)
        except (BadRequestError, VaultRefusedError) as error:
            raise LoginError(f"Vault refused the login at {mount}: {str(error).replace(jwt, '[redacted]')}") from None
        auth = answer.get("auth")
        if not isinstance(auth, Mapping) or not auth.get("client_token"):
            raise VaultDownError(f"Vault at {self.address} answered the login without a token.")
        self.token = str(auth["client_token"])
        return auth

    def ask(  # noqa: PLR0913 - a request has this many sides
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, str] | None = None,
        token: str | None = None,
        repeat: bool = False,
    ) -> Answer:
        """Send one request and return the answer; with `repeat`, send it again where its answer was lost.

        Raises:
            VaultRefusedError: 403. NotFoundError: 404. BadRequestError: another refusal, in Vault's words.
            VaultDownError: no answer, or a failure of the server; it may have been carried out.

        """
        attempts = ATTEMPTS if repeat else 1
        try:
            for attempt in stamina.retry_context(
                on=_LostError, attempts=attempts, timeout=RETRY_SECONDS, wait_initial=0.1, wait_max=2.0
            ):
                with attempt:
                    return self._ask_once(method, path, body, query, self.token if token is None else token)
        except _LostError as error:
            raise error.final from None
        raise AssertionError("retry_context always runs its block")  # pragma: no cover

    def _ask_once(
        self, method: str, path: str, body: Mapping[str, Any] | None, query: Mapping[str, str] | None, token: str
    ) -> Answer:
        headers = {"X-Vault-Token": token} if token else {}
        try:
            response: requests.Response = self._adapter.request(
                method, f"/v1/{path}", json=body, params=query, headers=headers
            )
        except requests.exceptions.SSLError:
            raise VaultDownError(f"Vault at {self.address} cannot be trusted: TLS failed.") from None
        except requests.RequestException as error:
            raise _LostError(VaultDownError(f"Vault at {self.address}: {type(error).__name__}.")) from None
        return _judge(response, path, (token,))

    # -- KV v2

    def read_entry(self, mount: str, path: str) -> Entry | None:
        """Return the newest version of an entry, or None where there is none."""
        try:
            data = self.ask("get", f"{mount}/data/{path}", repeat=True)["data"]
        except NotFoundError:
            return None
        if data.get("data") is None:
            return None
        metadata = data["metadata"]
        return Entry(data["data"], int(metadata["version"]), str(metadata["created_time"]))

    def create_entry(self, mount: str, path: str, data: Mapping[str, Any]) -> bool:
        """Create an entry unless it exists; return whether it is ours, also where an answer was lost on the way.

        Two callers must not write equal data. Raises as `ask` does.
        """
        body = {"data": dict(data), "options": {"cas": 0}}
        try:
            self.ask("post", f"{mount}/data/{path}", body, repeat=True)
        except BadRequestError as error:
            if _CONFLICT not in str(error):
                raise
        except VaultRefusedError:
            # A policy with create alone answers 403 where the entry exists.
            if self.read_entry(mount, path) is None:
                raise
        else:
            return True
        standing = self.read_entry(mount, path)
        return standing is not None and standing.data == json.loads(json.dumps(dict(data)))  # as Vault keeps it

    def list_keys(self, mount: str, path: str) -> list[str]:
        """Return the names under a folder of a KV v2 mount, sorted; none where there is no such folder."""
        try:
            answer = self.ask("list", f"{mount}/metadata/{path}", repeat=True)
        except NotFoundError:
            return []
        return sorted(answer["data"]["keys"])

    def destroy_entry(self, mount: str, path: str) -> None:
        """Remove an entry with all its versions."""
        self.ask("delete", f"{mount}/metadata/{path}", repeat=True)

    def revoke_self(self, token: str | None = None) -> None:
        """Revoke `token` (this connection's own by default) and all its leases; one that is over is no mistake."""
        try:
            self.ask("post", "auth/token/revoke-self", token=token, repeat=True)
        except (VaultRefusedError, BadRequestError):
            return


def _judge(response: requests.Response, path: str, secrets: tuple[str, ...]) -> Answer:
    status = response.status_code
    body = _json(response)
    if status in (requests.codes.ok, requests.codes.no_content):
        return body
    words = " ".join("; ".join(map(str, body.get("errors") or ())).split()) or f"HTTP {status}"
    for secret in secrets:
        words = words.replace(secret, "[redacted]") if secret else words
    if status == requests.codes.forbidden:
        raise VaultRefusedError(f"Vault refused {path}: {words}")
    if status == requests.codes.not_found:
        raise NotFoundError(f"Vault has no {path}.")
    if status in _PASSING or status // 100 == _REDIRECTS:
        # A standby points to the active node, also while there is none yet; a token follows no redirect.
        raise _LostError(VaultDownError(f"Vault puts {path} off (HTTP {status})."))
    # The control group's own refusals come as 500: they are answers, not failures.
    if status < _SERVER_ERRORS or (status == _SERVER_ERRORS and path.startswith("sys/control-group/")):
        raise BadRequestError(f"Vault did not carry out {path}: {words}")
    raise _LostError(VaultDownError(f"Vault failed at {path}: {words}"))


def _json(response: requests.Response) -> dict[str, Any]:
    try:
        body = response.json() if response.content else {}
    except requests.exceptions.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) else {}
