"""Sessions of the page: a random name in the browser's cookie, everything else here, over when the Vault token is."""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import dataclass, field
from typing import Final

NAME_BYTES: Final = 32
MOST_SEEN: Final = 500


@dataclass
class WebSession:
    """One person's session. `seen` holds, by request, the digest that was shown to them and when."""

    token: str = field(repr=False)
    person: str
    ends: float
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(NAME_BYTES), repr=False)
    seen: dict[str, tuple[str, str]] = field(default_factory=dict)

    def note(self, request: str, digest: str, read_at: str) -> None:
        """Remember that a case was shown; the oldest is forgotten where there are too many."""
        self.seen.pop(request, None)
        self.seen[request] = (digest, read_at)
        while len(self.seen) > MOST_SEEN:
            del self.seen[next(iter(self.seen))]


class Sessions:
    """All sessions of one process. Safe to call from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sessions: dict[str, WebSession] = {}

    def open(self, token: str, person: str, seconds: float) -> str:
        """Keep a new session for `seconds`, and return its name."""
        name = secrets.token_urlsafe(NAME_BYTES)
        with self._lock:
            self._sessions = {n: s for n, s in self._sessions.items() if s.ends > time.monotonic()}
            self._sessions[name] = WebSession(token, person, time.monotonic() + seconds)
        return name

    def find(self, name: str | None) -> WebSession | None:
        """Return the session of that name, unless it is over."""
        with self._lock:
            session = self._sessions.get(name or "")
        return session if session is not None and session.ends > time.monotonic() else None

    def close(self, name: str | None) -> WebSession | None:
        """Forget a session, and return it."""
        with self._lock:
            return self._sessions.pop(name or "", None)

    def close_all(self) -> list[WebSession]:
        """Forget all sessions, and return them."""
        with self._lock:
            sessions, self._sessions = list(self._sessions.values()), {}
        return sessions
