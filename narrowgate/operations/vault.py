"""The operator's way to Vault: the manifest's address and CA, the operator's own token, errors in plain words.

The token comes from VAULT_TOKEN or Vault's own token file, as for `vault` itself. It must not show in any message.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import hvac.adapters
import requests

from narrowgate.operations.errors import VaultRefusedError
from narrowgate.runtime.errors import redact

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TOKEN_VARIABLE: Final = "VAULT_TOKEN"  # noqa: S105 - the name of a variable
TOKEN_FILE: Final = ".vault-token"  # noqa: S105 - the name of a file
SECONDS: Final = 60.0
"""How long one request may take: revoking hundreds of leases at once takes Vault some seconds."""


@dataclass(frozen=True, slots=True)
class VaultOperator:
    """Requests to the Vault at `address` with the operator's token. Safe to use from several threads."""

    address: str
    adapter: hvac.adapters.RawAdapter = field(repr=False)

    def read(self, path: str) -> Mapping[str, Any] | None:
        """Return the answer of a read, or None where there is nothing. Raise VaultRefusedError where it fails."""
        return self._send("get", path)

    def list_keys(self, path: str) -> list[str]:
        """Return the keys under `path`, none where there are none. Raise VaultRefusedError where it fails."""
        answer = self._send("list", path)
        return [] if answer is None else [str(key) for key in answer["data"]["keys"]]

    def write(self, path: str, **body: Any) -> Mapping[str, Any] | None:  # noqa: ANN401 - any JSON value
        """Write `body` to `path` and return the answer. Raise VaultRefusedError where it fails."""
        return self._send("post", path, body)

    def delete(self, path: str) -> None:
        """Delete `path`; what is gone already is no error. Raise VaultRefusedError where it fails."""
        self._send("delete", path)

    def read_header(self, path: str, name: str) -> str | None:
        """Return a header of the answer to a read, None where it has none. Raise VaultRefusedError if none comes."""
        value: str | None = self._request("get", path).headers.get(name)
        return value

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Mapping[str, Any] | None:
        return self._judge(self._request(method, path, body), method, path)

    def _request(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> requests.Response:
        try:
            response: requests.Response = self.adapter.request(method, f"/v1/{path}", json=body)
        except requests.RequestException as error:
            kind = type(error).__name__
            # what requests raises keeps the request, and so the token
            raise VaultRefusedError(f"Vault at {self.address} does not answer ({kind}).") from None
        return response

    def _judge(self, response: requests.Response, method: str, path: str) -> Mapping[str, Any] | None:
        if response.status_code == requests.codes.not_found:
            return None
        answer = _as_json(response)
        if response.ok:
            return answer
        raise VaultRefusedError(f"Vault refused to {method} {path}: {self._words(response)}")

    def _words(self, response: requests.Response) -> str:
        errors = _as_json(response).get("errors") or ()
        words = "; ".join(str(word) for word in errors) or f"HTTP {response.status_code}"
        return " ".join(redact(words, (str(self.adapter.token),)).split())


def _as_json(response: requests.Response) -> dict[str, Any]:
    try:
        answer = response.json() if response.content else {}
    except requests.exceptions.JSONDecodeError:
        return {}
    return answer if isinstance(answer, dict) else {}


def find_token() -> str:
    """Return the operator's token from VAULT_TOKEN, else from `~/.vault-token`; raise VaultRefusedError without one."""
    if token := os.environ.get(TOKEN_VARIABLE, "").strip():
        return token
    try:
        token = (Path.home() / TOKEN_FILE).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError, RuntimeError):
        token = ""
    if not token:
        raise VaultRefusedError("There is no Vault token to work with.")
    return token


@contextlib.contextmanager
def open_operator(address: str, *, verify: str | bool, namespace: str | None = None) -> Iterator[VaultOperator]:
    """Yield the operator's connection to the Vault at `address`. `verify` is as for `requests`."""
    session = requests.Session()
    session.trust_env = False  # else REQUESTS_CA_BUNDLE would win over the environment's own CA
    session.verify = verify
    adapter = hvac.adapters.RawAdapter(
        base_uri=address,
        token=find_token(),
        verify=verify,
        timeout=SECONDS,
        allow_redirects=False,  # a redirect would carry the token elsewhere
        session=session,
        namespace=namespace,
        ignore_exceptions=True,
    )
    try:
        yield VaultOperator(address, adapter)
    finally:
        session.close()
