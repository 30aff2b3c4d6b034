"""One agent's way to Vault: TLS by the manifest's CA alone, bounded time, and errors that say what happened.

It must not read the process's environment (no VAULT_TOKEN, no proxy, no REQUESTS_CA_BUNDLE), follow a redirect, or let
a token or a credential into an exception: hvac's own exceptions carry whole answers, so none of them leaves here.
"""

from __future__ import annotations

import contextlib
import functools
import os
import tempfile
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import hvac.adapters
import requests
import stamina

from narrowgate.runtime.errors import (
    AbsentError,
    AccessRefusedError,
    AgentError,
    RevokedError,
    ToolUnavailableError,
    VaultSealedError,
    VaultUnavailableError,
    redact,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from narrowgate.runtime.logins import LoginRequest

CONNECT_SECONDS = 3.0
READ_SECONDS = 15.0
ATTEMPTS = 4
RETRY_SECONDS = 8.0
REDIRECTS = 3  # first digit of the status
SERVER_ERRORS = 500
# Vault limits the rate, or has not yet seen a write of its own: neither refuses anything.
PASSING = (requests.codes.too_many_requests, requests.codes.precondition_failed)

Refuse = Callable[[str], AgentError]


class _RetryableError(Exception):
    """Carries the error to raise once no attempt is left."""

    def __init__(self, final: AgentError) -> None:
        super().__init__(str(final))
        self.final = final


@contextlib.contextmanager
def ca_file(ca_pem: str | None) -> Iterator[str | bool]:
    """Yield what `requests` takes as `verify`: True, or the path of a file with exactly `ca_pem`, removed later."""
    if ca_pem is None:
        yield True
        return
    handle, path = tempfile.mkstemp(prefix="narrowgate-ca-", suffix=".pem")
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(ca_pem)
        yield path
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)  # noqa: PTH108 - a plain name from mkstemp


class VaultConnection:
    """Requests to one Vault with at most one token. Its methods are safe to call from several threads.

    `verify` is as for `requests`. The token never shows in the object's repr.
    """

    def __init__(self, address: str, *, namespace: str | None, verify: str | bool) -> None:
        session = requests.Session()
        session.trust_env = False  # else REQUESTS_CA_BUNDLE and HTTPS_PROXY would win over the manifest
        session.verify = verify
        self.address = address
        self._adapter = hvac.adapters.RawAdapter(
            base_uri=address,
            token="",  # None would make hvac look for a token in the environment
            verify=verify,
            timeout=(CONNECT_SECONDS, READ_SECONDS),
            allow_redirects=False,  # a redirect would carry the token to a host that the manifest does not name
            session=session,
            namespace=namespace,
            ignore_exceptions=True,
        )

    def __repr__(self) -> str:
        """Name the address only."""
        return f"<VaultConnection {self.address}>"

    @property
    def token(self) -> str:
        """Return Vault's token, empty before login."""
        return str(self._adapter.token)

    @token.setter
    def token(self, value: str) -> None:
        self._adapter.token = value

    def login(self, path: str, request: LoginRequest, *, refuse: Refuse) -> Mapping[str, Any]:
        """Log in at `auth/<path>/login` and return the answer's `auth`; `refuse` makes the error from Vault's words.

        Raises what `refuse` returns, VaultSealedError or VaultUnavailableError.
        """
        answer = self._send("post", f"auth/{path}/login", refuse=refuse, body=request.body, secrets=request.secrets)
        auth = answer.get("auth")
        if not isinstance(auth, dict) or not auth.get("client_token"):
            raise VaultUnavailableError(f"Vault at {self.address} answered the login without a token.")
        return auth

    def look_up_wrapping(self, wrapping: str, *, refuse: Refuse) -> str:
        """Return the path that the wrapping token `wrapping` was made at; looking does not use it up.

        Raises what `refuse` returns, VaultSealedError or VaultUnavailableError.
        """
        with contextlib.closing(self._beside("")) as other:
            path, body = "sys/wrapping/lookup", {"token": wrapping}
            answer = other._send("post", path, refuse=refuse, body=body, secrets=(wrapping,))  # noqa: SLF001 - our own
        data = answer.get("data")
        return str(data.get("creation_path") or "") if isinstance(data, dict) else ""

    def unwrap(self, wrapping: str, *, refuse: Refuse) -> Mapping[str, Any]:
        """Return what the wrapping token `wrapping` holds; that works once. Raises as `look_up_wrapping` does."""
        with contextlib.closing(self._beside(wrapping)) as other:
            data = other._send("post", "sys/wrapping/unwrap", refuse=refuse).get("data")  # noqa: SLF001 - our own
        return data if isinstance(data, dict) else {}

    def _beside(self, token: str) -> VaultConnection:
        """Return a connection to the same Vault with another token, so that nobody else's request carries it."""
        session = self._adapter.session
        other = VaultConnection(self.address, namespace=self._adapter.namespace, verify=session.verify)
        other.token = token
        return other

    def read(self, path: str) -> Mapping[str, Any]:
        """Read `path` with the agent's token and return the whole answer (`data`, `lease_id`, `lease_duration`).

        Raises RevokedError, AccessRefusedError, ToolUnavailableError, VaultSealedError or VaultUnavailableError.
        """
        return self._send("get", path)

    def write(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Write `body` to `path` with the agent's token and return the whole answer. Raises as `read` does."""
        return self._send("post", path, body=body)

    def renew_self(self) -> Mapping[str, Any]:
        """Renew the token and return the answer's `auth`. Raises as `read` does."""
        auth = self._send("post", "auth/token/renew-self", body={}).get("auth")
        return auth if isinstance(auth, dict) else {}

    def revoke_self(self) -> None:
        """Revoke the token, and with it every lease that it made. Raises as `read` does."""
        self._send("post", "auth/token/revoke-self")

    def close(self) -> None:
        """Forget the token and close the connections."""
        self._adapter.token = ""
        self._adapter.session.close()

    def _send(
        self,
        method: str,
        path: str,
        *,
        refuse: Refuse | None = None,
        body: Mapping[str, Any] | None = None,
        secrets: tuple[str, ...] = (),
    ) -> Mapping[str, Any]:
        """Send one request, retried on connection errors and 5xx only, and return the answer's JSON."""
        judge = functools.partial(
            _judge, path=path, address=self.address, secrets=(*secrets, self.token), refuse=refuse or _refuser(path)
        )
        try:
            for attempt in stamina.retry_context(
                on=_RetryableError, attempts=ATTEMPTS, timeout=RETRY_SECONDS, wait_initial=0.1, wait_max=2.0
            ):
                with attempt:
                    return judge(self._send_once(method, path, body))
        except _RetryableError as error:
            raise error.final from None
        raise AssertionError("retry_context always runs its block")  # pragma: no cover

    def _send_once(self, method: str, path: str, body: Mapping[str, Any] | None) -> requests.Response:
        """Send one request once. What `requests` raises keeps the request, and so the token: it is never chained."""
        try:
            response: requests.Response = self._adapter.request(
                method, f"/v1/{path}", json=None if body is None else dict(body)
            )
        except requests.exceptions.SSLError as error:
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                reason = "its certificate is not signed by the manifest's CA"
                raise VaultUnavailableError(f"Vault at {self.address} cannot be trusted: {reason}.") from None
            # A handshake that broke off is a server in trouble, not a false one.
            final = VaultUnavailableError(f"Vault at {self.address} cannot be reached: TLS failed.")
            raise _RetryableError(final) from None
        except requests.Timeout:
            final = VaultUnavailableError(f"Vault at {self.address} did not answer in time.")
            raise _RetryableError(final) from None
        except requests.ConnectionError:
            raise _RetryableError(VaultUnavailableError(f"Vault at {self.address} cannot be reached.")) from None
        return response


def _judge(
    response: requests.Response, *, path: str, address: str, secrets: tuple[str, ...], refuse: Refuse
) -> Mapping[str, Any]:
    """Return the answer's JSON, or raise the error that its status stands for."""
    status = response.status_code
    if status in (requests.codes.ok, requests.codes.no_content):
        return _json(response)
    if status // 100 == REDIRECTS:
        raise VaultUnavailableError(
            f"Vault at {address} redirects to another address, which the manifest does not name."
        )
    words = " ".join(redact("; ".join(map(str, _json(response).get("errors") or ())), secrets).split())
    if status in PASSING:
        raise _RetryableError(VaultUnavailableError(f"Vault at {address} puts {path} off: {words or f'HTTP {status}'}"))
    if status == requests.codes.not_found:
        raise AbsentError(f"Vault has nothing at {path}.")
    if status < SERVER_ERRORS:
        raise refuse(words or f"HTTP {status}")
    if status == requests.codes.service_unavailable and "sealed" in words.lower():
        raise _RetryableError(VaultSealedError(f"Vault at {address} is sealed."))
    kind = VaultUnavailableError if status == requests.codes.service_unavailable else ToolUnavailableError
    raise _RetryableError(kind(f"Vault failed to answer {path}: {words or f'HTTP {status}'}"))


def _refuser(path: str) -> Refuse:
    """Return what tells a dead token from a path that its policies do not allow (both are 403)."""

    def refuse(words: str) -> AgentError:
        if "invalid token" in words:
            return RevokedError("Vault does not know this agent's token any more.")
        return AccessRefusedError(f"Vault refused {path}: {words}")

    return refuse


def _json(response: requests.Response) -> dict[str, Any]:
    """Return the body as a JSON object, empty where it is none."""
    try:
        body = response.json() if response.content else {}
    except requests.exceptions.JSONDecodeError:
        return {}
    return body if isinstance(body, dict) else {}
