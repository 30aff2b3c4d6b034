"""How the double reaches Vault or OpenBao: the provider's settings, then the environment, as the real provider does."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import hvac
import requests
import stamina

from rehearsal.doubles.resource import DoubleError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rehearsal.doubles.wire import Values

REQUEST_SECONDS: Final = 60
UPGRADE_SECONDS: Final = 20
UPGRADING: Final = "Upgrading from non-versioned to versioned data"


def is_upgrading(error: Exception) -> bool:
    """Tell whether a new KV mount is not ready yet: the server says to come again, which the real provider does too."""
    return isinstance(error, hvac.exceptions.InvalidRequest) and str(error).startswith(UPGRADING)


class Vault:
    """A thin client: read, write and delete by API path, as every resource type here needs."""

    def __init__(self, client: hvac.Client) -> None:
        self._client = client

    def read(self, path: str) -> Values | None:
        """Return the `data` of `path`, or None where there is nothing."""
        try:
            answer = self._client.read(path)
        except hvac.exceptions.InvalidPath:
            return None
        return dict(answer["data"]) if answer else None

    def list_keys(self, path: str) -> list[str]:
        """Return the keys below `path`, none where there is nothing."""
        answer = self._client.list(path)
        return list(answer["data"]["keys"]) if answer else []

    def write(self, path: str, data: Mapping[str, Any]) -> Values:
        """Write `data` to `path` and return the `data` of the answer, if any."""
        answer = self._write(path, data)
        # Some writes are answered with nothing, which hvac gives back as the bare response.
        return dict(answer.get("data") or {}) if isinstance(answer, dict) else {}

    @stamina.retry(on=is_upgrading, attempts=20, timeout=UPGRADE_SECONDS, wait_max=1.0)
    def _write(self, path: str, data: Mapping[str, Any]) -> Any:  # noqa: ANN401 - what hvac gives back
        return self._client.write_data(path, data=dict(data))

    def delete(self, path: str) -> None:
        """Delete `path`; nothing there is fine."""
        try:
            self._client.delete(path)
        except hvac.exceptions.InvalidPath:
            return


def connect(settings: Values) -> Vault:
    """Return a client for `settings`; raise DoubleError where address or token are given nowhere."""
    address = settings.get("address") or os.environ.get("VAULT_ADDR")
    token = settings.get("token") or os.environ.get("VAULT_TOKEN")
    if not address:
        raise DoubleError("no Vault address: set vault:address or VAULT_ADDR")
    if not token:
        raise DoubleError("no Vault token: set vault:token or VAULT_TOKEN")
    authority = settings.get("caCertFile") or os.environ.get("VAULT_CACERT")
    session = requests.Session()
    # REQUESTS_CA_BUNDLE, a proxy or a .netrc of the user's would win over what is set here.
    session.trust_env = False
    session.verify = authority or True
    client = hvac.Client(
        url=address,
        token=token,
        namespace=settings.get("namespace") or os.environ.get("VAULT_NAMESPACE"),
        session=session,
        verify=session.verify,
        timeout=REQUEST_SECONDS,
    )
    return Vault(client)
