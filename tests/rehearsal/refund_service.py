"""A payments service for tests: it knows callers by Vault's signed tokens and by nothing else, and keeps its calls.

Not a test module. It checks a token as any service would: the signature by Vault's published keys, issuer, audience,
and then the claims. Each digest is served once.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import jwt
import requests

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gate_bench import GateBench

AUDIENCE = "https://payments.dev.example.com"
ACTION = "refund"
FORBIDDEN, CONFLICT = 403, 409


@dataclass
class Call:
    """One request that came: who asked by its claims, what for, and the status that it got."""

    method: str
    path: str
    claims: dict[str, Any]
    digest: str
    body: Any
    status: int


class RefundService(ThreadingHTTPServer):
    """Serves refunds; `refuses` is a status for every refund, `cuts` breaks the connection after one was made."""

    def __init__(self, bench: GateBench, url: str) -> None:
        parts = urlsplit(url)
        super().__init__((str(parts.hostname), int(parts.port or 0)), _Handler)
        self.base = parts.path
        self.issuer = f"{bench.gate.address}/v1/identity/oidc"
        self.verify = bench.verify
        self.calls: list[Call] = []
        self.refunded: dict[str, int] = {}
        self.digests: set[str] = set()
        self.refuses: int | None = None
        self.cuts = False

    def check(self, token: str) -> dict[str, Any] | None:
        """Return a token's claims, or None where it is not Vault's for this service."""
        with requests.Session() as session:
            session.trust_env = False
            session.verify = self.verify
            keys = jwt.PyJWKSet.from_dict(session.get(f"{self.issuer}/.well-known/keys", timeout=10).json())
        try:
            key = keys[jwt.get_unverified_header(token)["kid"]]
            claims: dict[str, Any] = jwt.decode(
                token, key, algorithms=["ES256"], audience=AUDIENCE, issuer=self.issuer, options={"require": ["exp"]}
            )
        except (jwt.InvalidTokenError, KeyError):
            return None
        return claims

    @property
    def refunds(self) -> list[Call]:
        """Return the requests that asked for a refund."""
        return [call for call in self.calls if call.method == "POST"]


def may_read(claims: dict[str, Any]) -> bool:
    """Say whether a token may look at a payment: an agent's by its action, an executor's by what it is for."""
    return "read" in claims["actions"] or (claims.get("gated"), claims.get("action")) == ("read", ACTION)


def may_refund(claims: dict[str, Any]) -> bool:
    """Say whether a token may give money back: only an approved action's."""
    return ACTION in claims["actions"] and (claims.get("gated"), claims.get("action")) == ("execute", ACTION)


class _Handler(BaseHTTPRequestHandler):
    server: RefundService

    def do_GET(self) -> None:
        self._serve(may_read, lambda payment, _: (200, {"refunded": self.server.refunded.get(payment, 0)}))

    def do_POST(self) -> None:
        self._serve(may_refund, self._refund)

    def _serve(self, allowed: Any, answer: Any) -> None:  # noqa: ANN401 - functions
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = json.loads(content) if content else None
        claims = self.server.check((self.headers.get("Authorization") or "").removeprefix("Bearer ")) or {}
        payment = self.path.removeprefix(f"{self.server.base}/payments/").split("/")[0]
        known = bool(claims) and claims["workflow"] == "vendor-onboarding" and allowed(claims)
        status, said = answer(payment, body) if known else (FORBIDDEN, {})
        digest = self.headers.get("Idempotency-Key") or ""
        self.server.calls.append(Call(self.command, self.path, claims, digest, body, status))
        if self.server.cuts and self.command == "POST":
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        text = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _refund(self, payment: str, body: Any) -> tuple[int, dict[str, Any]]:  # noqa: ANN401 - JSON
        digest = self.headers.get("Idempotency-Key") or ""
        if self.server.refuses is not None:
            return self.server.refuses, {}
        if not digest or digest in self.server.digests:
            return CONFLICT, {}
        self.server.digests.add(digest)
        self.server.refunded[payment] = self.server.refunded.get(payment, 0) + body["amount"]
        return 201, {"id": f"r-{len(self.server.digests)}", "secret": "not kept"}

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def serve_refunds(bench: GateBench) -> Iterator[RefundService]:
    """Serve at the address that the deploy knows."""
    action = bench.gate.find("vendor-onboarding", "payments.refund")
    assert action is not None
    with RefundService(bench, str(action.connection["url"])) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
