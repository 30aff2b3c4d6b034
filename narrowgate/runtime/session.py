"""Keeps one agent logged in: the token's life, its renewal, a new login where its time is over, its revocation.

The identity provider's token comes from a callable, a file or a text; a text serves until it expires.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from narrowgate.runtime import clock
from narrowgate.runtime.errors import (
    AbsentError,
    AccessRefusedError,
    AgentError,
    ExpiredError,
    LoginRefusedError,
    RevokedError,
)
from narrowgate.runtime.holding import SingleFlight, renewal_seconds
from narrowgate.runtime.log import logger
from narrowgate.runtime.logins import compose_login

if TYPE_CHECKING:
    from collections.abc import Mapping

    from narrowgate.runtime.manifest import Manifest
    from narrowgate.runtime.vault import VaultConnection

TOKEN_FILE_VARIABLE = "NARROWGATE_TOKEN_FILE"  # noqa: S105 - the name of a variable
# A renewal that gives less has met the login's longest life.
SMALLEST_GAIN_SECONDS = 1.0
# Newer than every login: nothing that is held belongs to it.
NO_LOGIN = sys.maxsize
TokenSource = str | Callable[[], str] | None


class Login:
    """One agent's login at its workflow's own auth mount. Several threads may use it; its repr holds no secret.

    Where the identity provider's token can be had again (a callable, a file), a login that is over or was revoked is
    followed by another, once for each request: if Vault refuses that, somebody has stopped this agent.
    """

    def __init__(self, connection: VaultConnection, manifest: Manifest, source: TokenSource) -> None:
        self._connection = connection
        self._manifest = manifest
        self._source = source
        self._flight: SingleFlight[None] = SingleFlight()
        self._lock = threading.Lock()
        self._generation = 0
        self._renew_at = 0.0
        self._deadline = 0.0
        self._renewable = False
        self._superseded: list[tuple[str, float]] = []
        self._closed = False
        self.entity = ""
        """Vault's name for this workflow and user together, empty before login."""

    def __repr__(self) -> str:
        """Name the workflow only."""
        return f"<Login {self._manifest.workflow}>"

    def open(self) -> None:
        """Log in.

        Raises:
            LoginRefusedError: there is no token, or Vault does not take it.
            ExpiredError: the identity provider's token is over, or the agent has logged out.
            VaultSealedError, VaultUnavailableError: Vault cannot answer.

        """
        request = compose_login(self._connection, self._manifest, lambda: _read_token(self._source))
        asked_at = clock.read()
        auth = self._connection.login(self._manifest.auth_mount, request, refuse=self._refuse)
        with self._lock:
            before = self._connection.token
            self._superseded = [(token, ends) for token, ends in self._superseded if ends > asked_at]
            if before and self._deadline:
                self._superseded.append((before, self._deadline))
            self._connection.token = str(auth["client_token"])
            self.entity = str(auth.get("entity_id") or "")
            self._generation += 1
            self._note(auth, asked_at)
            if not self._closed:
                return
        self.close()  # it was closed meanwhile: nobody else would revoke this token
        raise _closed()

    def check_now(self) -> int:
        """Return the number of the login in use, or a number above all where it must be renewed first; never waits."""
        return NO_LOGIN if self._closed or clock.read() >= self._deadline else self._generation

    def check(self) -> int:
        """Return the number of the login in use, renewed before where it is due; a new number is a new login.

        Raises:
            ExpiredError: the login is over and cannot be had again, or the agent has logged out.
            LoginRefusedError, VaultSealedError, VaultUnavailableError: a new login is needed, and does not succeed.

        """
        if self._closed:
            raise _closed()
        now = clock.read()
        if now >= self._renew_at and (now >= self._deadline or not self._flight.busy):
            self._flight.run(self._freshen)
        return self._generation

    def fetch(self, path: str, body: Mapping[str, Any] | None = None) -> tuple[Mapping[str, Any], int]:
        """Return Vault's answer to a read of `path`, or to a write of `body`, and the number of the login that asked.

        Raises:
            ExpiredError: the login is over and cannot be had again, or the agent has logged out.
            RevokedError: somebody ended the login, and no new one can be had.
            AccessRefusedError: Vault refuses the path to this login.
            ToolUnavailableError, VaultSealedError, VaultUnavailableError: Vault cannot answer.

        """
        generation = self.check()
        try:
            return self._ask(path, body), generation
        except RevokedError:
            if isinstance(self._source, str):  # the same text is the same login
                if clock.read() >= self._deadline:
                    raise ExpiredError("This agent's login is over.") from None
                raise
        self._flight.run(lambda: self._log_in_again(generation))
        generation = self._generation
        return self._ask(path, body), generation

    def find(self, path: str) -> Mapping[str, Any] | None:
        """Return Vault's answer to a read of `path`, or None where nothing stands there. Raises as `fetch` does."""
        try:
            return self.fetch(path)[0]
        except AbsentError:
            return None

    def _ask(self, path: str, body: Mapping[str, Any] | None) -> Mapping[str, Any]:
        """Ask Vault; OpenBao says the same of a dead token as of a refused path, so ask about the token."""
        asked_with = self._connection.token
        try:
            return self._connection.read(path) if body is None else self._connection.write(path, body)
        except AbsentError:
            raise
        except AccessRefusedError:
            dead = RevokedError("Vault does not know this agent's token any more.")
            try:
                self._connection.read("auth/token/lookup-self")
            except AccessRefusedError:
                raise dead from None
            # Where another thread has logged in again, that was about its token, not about the refused one.
            if self._connection.token != asked_with:
                raise dead from None
            raise

    def close(self, *, revoke: bool = True) -> None:
        """Revoke the token, and with it every lease that this agent holds; what fails is logged and left to expire.

        Without `revoke`, forget the token and leave all that it made to its own end.
        """
        with self._lock:
            self._closed = True
            tokens = [token for token, _ in self._superseded] + [self._connection.token]
            self._superseded.clear()
            for token in tokens if revoke else ():
                self._connection.token = token
                try:
                    if token:
                        self._connection.revoke_self()
                except (RevokedError, ExpiredError, AccessRefusedError):
                    continue  # it is gone already
                except AgentError as error:
                    logger.warning("agent.revoke-failed", workflow=self._manifest.workflow, code=error.code)
            self._connection.close()

    def _freshen(self) -> None:
        """Renew the token, or log in again where that does not give it more time."""
        now = clock.read()
        if now < self._renew_at:
            return  # another thread was faster
        if now < self._deadline and self._renewable:
            before = self._deadline
            with contextlib.suppress(AccessRefusedError, RevokedError):
                self._note(self._connection.renew_self(), now)
                if self._deadline > before + SMALLEST_GAIN_SECONDS:
                    return
        if now < self._deadline and isinstance(self._source, str):
            self._renew_at = self._deadline  # the same text would give the same login: what is left of it still serves
            return
        self.open()

    def _log_in_again(self, generation: int) -> None:
        """Replace the login number `generation`, which Vault does not know any more."""
        if self._generation != generation:
            return  # another thread was faster
        self._generation += 1  # what is held of the old one is over, also where no new one can be had
        self._renew_at = self._deadline = 0.0
        try:
            self.open()
        except LoginRefusedError as error:
            raise RevokedError(f"Vault ended this agent's login and takes no new one: {error}") from None

    def _note(self, auth: Mapping[str, Any], asked_at: float) -> None:
        ttl_seconds = float(auth.get("lease_duration") or 0)
        self._deadline = asked_at + ttl_seconds
        self._renew_at = asked_at + renewal_seconds(ttl_seconds)
        self._renewable = bool(auth.get("renewable"))

    def _refuse(self, words: str) -> AgentError:
        workflow = self._manifest.workflow
        if "not yet" in words or "used before" in words or "in the future" in words:
            return LoginRefusedError(
                f"Vault refused the login of {workflow}: {words}",
                hint="The identity provider's clock is ahead of Vault's: mend the clock that is wrong.",
            )
        if "expired" in words:
            return ExpiredError(f"Vault refused the login of {workflow}: the identity provider's token has expired.")
        return LoginRefusedError(f"Vault refused the login of {workflow}: {words}")


def _closed() -> ExpiredError:
    return ExpiredError("This agent has logged out.", hint="Use it inside its `with` block.")


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
    return _read_file(Path(path))


def token_in_file(path: Path) -> Callable[[], str]:
    """Return a source that reads the token in `path` for each login, so that whoever issues it may write it anew."""
    return lambda: _read_file(path)


def _read_file(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        kind = type(error).__name__
        raise LoginRefusedError(f"The token file {path} cannot be read ({kind}).") from None
