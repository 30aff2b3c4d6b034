"""How people log in to the page: OpenID Connect through Vault, or a token of the identity provider that they have.

Vault talks to the identity provider and judges its answer; the page only carries the browser back and forth. What the
browser brings back is bound to it by a cookie of its own, and to Vault's request by a nonce that stays here.
"""

from __future__ import annotations

import re
import secrets
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from narrowgate.approvals.errors import BadRequestError, LoginError, VaultRefusedError

if TYPE_CHECKING:
    from narrowgate.approvals.settings import Gate
    from narrowgate.approvals.vault import Vault

PENDING_SECONDS: Final = 300
MOST_PENDING: Final = 1_000
_NEXT: Final = re.compile(r"/(?:cases/[a-z0-9.-]{1,120})?")


def choose_next(wanted: str | None) -> str:
    """Return where to go after the login: a page of ours, whatever was asked for."""
    return wanted if wanted and _NEXT.fullmatch(wanted) else "/"


@dataclass(frozen=True, slots=True)
class Pending:
    """One login that the identity provider has not answered yet."""

    nonce: str = field(repr=False)
    next: str
    ends: float


class OidcLogins:
    """Logins by OpenID Connect, with a role of type `oidc` at the approvers' mount."""

    def __init__(self, gate: Gate, role: str, redirect_uri: str) -> None:
        self._gate, self._role, self._redirect_uri = gate, role, redirect_uri
        self._lock = threading.Lock()
        self._pending: dict[str, Pending] = {}

    def begin(self, vault: Vault, wanted: str) -> tuple[str, str]:
        """Return where to send the browser, and the name of what waits for its return. Raises LoginError."""
        nonce, name = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
        body = {"role": self._role, "redirect_uri": self._redirect_uri, "client_nonce": nonce}
        try:
            answer = vault.ask("post", f"auth/{self._gate.approvers.mount}/oidc/auth_url", body, token="", repeat=True)
        except (BadRequestError, VaultRefusedError) as error:
            raise LoginError(f"Vault begins no login: {error}") from None
        address = str((answer.get("data") or {}).get("auth_url") or "")
        if not address:
            raise LoginError(f"Vault begins no login: its role {self._role} does not allow {self._redirect_uri}.")
        with self._lock:
            now = time.monotonic()
            self._pending = {n: p for n, p in self._pending.items() if p.ends > now}
            if len(self._pending) >= MOST_PENDING:
                raise LoginError("Too many logins have been begun: wait a moment.")
            self._pending[name] = Pending(nonce, choose_next(wanted), now + PENDING_SECONDS)
        return address, name

    def finish(self, vault: Vault, name: str | None, state: str, code: str) -> tuple[str, str]:
        """Return the Vault token that the identity provider's answer gives, and where to go. Raises LoginError."""
        with self._lock:
            pending = self._pending.pop(name or "", None)
        if pending is None or pending.ends <= time.monotonic():
            raise LoginError("This login was not begun in this browser, or too long ago.", hint="Log in again.")
        query = {"state": state, "code": code, "client_nonce": pending.nonce}
        try:
            answer = vault.ask("get", f"auth/{self._gate.approvers.mount}/oidc/callback", query=query, token="")
        except (BadRequestError, VaultRefusedError) as error:
            raise LoginError(f"Vault refused the login: {error}") from None
        token = str((answer.get("auth") or {}).get("client_token") or "")
        if not token:
            raise LoginError("Vault answered the login without a token.")
        return token, pending.next
