"""Keeps one agent logged in: the token's life, its renewal, a new login where its time is over, its revocation.

The identity provider's token comes from a callable, a file or a text; a text serves until it expires.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from narrowgate.runtime.errors import (
    AccessRefusedError,
    AgentError,
    ExpiredError,
    LoginRefusedError,
    RevokedError,
)
from narrowgate.runtime.log import logger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from narrowgate.runtime.manifest import Manifest
    from narrowgate.runtime.vault import VaultConnection

TOKEN_FILE_VARIABLE = "NARROWGATE_TOKEN_FILE"  # noqa: S105 - the name of a variable
# A token is renewed once less than this share of its life is left.
RENEW_SHARE = 3

TokenSource = str | Callable[[], str] | None


class Login:
    """One agent's login at its workflow's own auth mount. Several threads may use it; its repr holds no secret."""

    def __init__(self, connection: VaultConnection, manifest: Manifest, source: TokenSource) -> None:
        self._connection = connection
        self._manifest = manifest
        self._source = source
        self._lock = threading.RLock()
        self._ttl_seconds = 0.0
        self._deadline = 0.0
        self._renewable = False
        self._superseded: list[str] = []
        self._closed = False

    def __repr__(self) -> str:
        """Name the workflow only."""
        return f"<Login {self._manifest.workflow}>"

    def open(self) -> None:
        """Log in.

        Raises:
            LoginRefusedError: there is no token, or Vault does not take it.
            ExpiredError: the identity provider's token is over.
            VaultSealedError, VaultUnavailableError: Vault cannot answer.

        """
        with self._lock:
            jwt = _read_token(self._source)
            auth = self._connection.login(
                self._manifest.auth_mount, role=self._manifest.auth_role, jwt=jwt, refuse=self._refuse
            )
            if self._connection.token:
                self._superseded.append(self._connection.token)
            self._connection.token = str(auth["client_token"])
            self._note(auth)

    def read(self, path: str) -> Mapping[str, Any]:
        """Read `path` with a token that is fresh enough.

        Raises:
            ExpiredError: the login is over and cannot be had again, or the agent has logged out.
            RevokedError, AccessRefusedError: Vault refuses.
            ToolUnavailableError, VaultSealedError, VaultUnavailableError: Vault cannot answer.

        """
        with self._lock:
            if self._closed:
                raise ExpiredError("This agent has logged out.", hint="Use it inside its `with` block.")
            self._freshen()
        try:
            return self._read(path)
        except RevokedError:
            if time.monotonic() >= self._deadline:
                raise ExpiredError("This agent's login is over.") from None
            raise

    def _read(self, path: str) -> Mapping[str, Any]:
        """Read `path`; OpenBao says the same of a dead token as of a refused path, so ask about the token."""
        try:
            return self._connection.read(path)
        except AccessRefusedError:
            try:
                self._connection.read("auth/token/lookup-self")
            except AccessRefusedError:
                raise RevokedError("Vault does not know this agent's token any more.") from None
            raise

    def close(self) -> None:
        """Revoke the token, and with it every lease that this agent holds; what fails is logged and left to expire."""
        with self._lock:
            self._closed = True
            for token in (*self._superseded, self._connection.token):
                if not token:
                    continue
                self._connection.token = token
                try:
                    self._connection.revoke_self()
                except (RevokedError, ExpiredError, AccessRefusedError):
                    continue  # it is gone already
                except AgentError as error:
                    logger.warning("agent.revoke-failed", workflow=self._manifest.workflow, code=error.code)
            self._superseded.clear()
            self._connection.close()

    def _freshen(self) -> None:
        """Renew the token when it is about to end, or log in again when its whole time is over (under the lock)."""
        left = self._deadline - time.monotonic()
        if left > self._ttl_seconds / RENEW_SHARE:
            return
        if left > 0 and self._renewable:
            with contextlib.suppress(AccessRefusedError, RevokedError):
                self._note(self._connection.renew_self())
                if self._deadline - time.monotonic() > left:
                    return
        if left > 0 and isinstance(self._source, str):
            return  # the same text would give the same login; what is left of this one still serves
        self.open()

    def _note(self, auth: Mapping[str, Any]) -> None:
        self._ttl_seconds = float(auth.get("lease_duration") or 0)
        self._deadline = time.monotonic() + self._ttl_seconds
        self._renewable = bool(auth.get("renewable"))

    def _refuse(self, words: str) -> AgentError:
        workflow = self._manifest.workflow
        if "expired" in words:
            return ExpiredError(f"Vault refused the login of {workflow}: the identity provider's token has expired.")
        return LoginRefusedError(f"Vault refused the login of {workflow}: {words}")


def _read_token(source: TokenSource) -> str:
    """Return the identity provider's token; raise LoginRefusedError where there is none."""
    if callable(source):
        return source()
    if source is not None:
        return source
    path = os.environ.get(TOKEN_FILE_VARIABLE)
    if not path:
        raise LoginRefusedError(
            "There is no token to log in with.",
            hint=f"Pass `token`, or name a file that holds it in {TOKEN_FILE_VARIABLE}.",
        )
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        kind = type(error).__name__
        raise LoginRefusedError(f"The token file {path} cannot be read ({kind}).") from None
