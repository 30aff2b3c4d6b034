"""Hands a child its AWS credentials as a container's endpoint does, on loopback: every SDK asks it again in time.

It answers only who brings the token that stands in the child's environment, and it knows no tool but the one.
https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
"""

from __future__ import annotations

import contextlib
import hmac
import json
import secrets
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from narrowgate.runtime.errors import AgentError
from narrowgate.runtime.log import logger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LOOPBACK = "127.0.0.1"
PATH = "/credentials"
REQUEST_SECONDS = 30


@contextlib.contextmanager
def serve_credentials(read: Callable[[], dict[str, str]]) -> Iterator[tuple[str, str]]:
    """Serve what `read` returns (AccessKeyId, SecretAccessKey, Token, Expiration); yield URL and token."""
    token = secrets.token_urlsafe(32)

    class Handler(BaseHTTPRequestHandler):
        timeout = REQUEST_SECONDS

        def do_GET(self) -> None:
            given = self.headers.get("Authorization") or ""
            if self.path != PATH or not hmac.compare_digest(given.encode(), token.encode()):
                self._answer(HTTPStatus.FORBIDDEN, {"code": "Forbidden", "message": "no such credentials"})
                return
            try:
                self._answer(HTTPStatus.OK, read())
            except AgentError as error:
                logger.warning("agent.credentials-failed", code=error.code)
                self._answer(HTTPStatus.SERVICE_UNAVAILABLE, {"code": error.code, "message": str(error)})

        def _answer(self, status: HTTPStatus, body: dict[str, str]) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name that http.server has
            """Say nothing: standard error is the child's."""

    server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, name="narrowgate-credentials", daemon=True)
    thread.start()
    try:
        yield f"http://{LOOPBACK}:{server.server_address[1]}{PATH}", token
    finally:
        server.shutdown()
        server.server_close()
