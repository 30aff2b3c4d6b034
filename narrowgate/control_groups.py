"""Whether a Vault has control groups at all: a server without them passes over the stanza, and the gate would be open.

OpenBao has them from 2.7 on, Vault in its Enterprise edition. The question is a request to the control group's own
path, by the login that Vault's clients find in the process's environment; whatever is no clear yes refuses. This module
must not change anything.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import requests

from narrowgate.errors import NarrowgateError

if TYPE_CHECKING:
    from narrowgate.plan import VaultBinding

PATH: Final = "v1/sys/control-group/request"
SECONDS: Final = 20.0
_ASKED: Final = frozenset({requests.codes.bad_request})
"""What a server that has control groups answers to a request that names none: the accessor is missing."""


class NoControlGroupsError(NarrowgateError):
    """The server holds no request back until people approve it, or nobody can tell."""

    code = "no-control-groups"
    hint = (
        "control groups are in OpenBao from 2.7 on, and in Vault Enterprise; else take the gated action's `execute` out"
    )


def require_control_groups(vault: VaultBinding, token: str | None = None) -> None:
    """Ask the Vault at `vault` whether it has control groups, with `token` or the process's own.

    Raises:
        NoControlGroupsError: it has none, or it can't be asked.

    """
    token = token or find_token()
    if not token:
        message = f"nobody can tell whether Vault at {vault.address} has control groups: there is no login to ask by"
        raise NoControlGroupsError(message, hint="log in to Vault, or set VAULT_TOKEN")
    with tempfile.TemporaryDirectory() as folder:
        status = _ask(vault, token, _find_authority(vault, Path(folder)))
    if status == requests.codes.not_found:
        raise NoControlGroupsError(
            f"Vault at {vault.address} has no control groups, and so would give gated credentials without approval: "
            "they are in OpenBao from 2.7 on, and in Vault Enterprise"
        )
    if status not in _ASKED:
        raise NoControlGroupsError(
            f"nobody can tell whether Vault at {vault.address} has control groups: it answered {status}",
            hint="the deploying login needs `update` on sys/control-group/request: deploy the foundation first",
        )


def find_token() -> str:
    """Return the token by which Vault's clients would log in, or an empty text."""
    if token := os.environ.get("VAULT_TOKEN", ""):
        return token
    try:
        return (Path.home() / ".vault-token").read_text(encoding="utf-8").strip()
    except (OSError, RuntimeError, UnicodeDecodeError):
        return ""


def _find_authority(vault: VaultBinding, folder: Path) -> str | None:
    """Return the file of the CA that TLS is judged by: the environment's, else what Vault's clients are told."""
    if vault.ca_pem:
        file = folder / "ca.pem"
        file.write_text(vault.ca_pem, encoding="utf-8")
        return str(file)
    return os.environ.get("VAULT_CACERT")


def _ask(vault: VaultBinding, token: str, authority: str | None) -> int:
    """Return the status of the answer; without an `authority` public CAs count."""
    headers = {"X-Vault-Token": token, **({"X-Vault-Namespace": vault.namespace} if vault.namespace else {})}
    with requests.Session() as session:
        session.trust_env = False
        try:
            answer = session.post(
                f"{vault.address}/{PATH}",
                json={},
                headers=headers,
                verify=authority or True,
                timeout=SECONDS,
                allow_redirects=False,
            )
        except (requests.RequestException, OSError) as error:
            raise NoControlGroupsError(
                f"nobody can tell whether Vault at {vault.address} has control groups: {type(error).__name__}",
                hint="it must be reachable from where the deploy runs",
            ) from None
    return answer.status_code
