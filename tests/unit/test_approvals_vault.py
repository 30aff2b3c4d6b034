"""What the gate's way to Vault makes of answers that decide nothing."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from narrowgate.approvals import VaultDownError, VaultRefusedError
from narrowgate.approvals.vault import Vault


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (307, VaultDownError),
        (412, VaultDownError),
        (429, VaultDownError),
        (503, VaultDownError),
        (403, VaultRefusedError),
    ],
)
def test_an_answer_that_decides_nothing_is_a_vault_that_is_down(status: int, error: type[Exception]) -> None:
    """A standby answers 307, also at a login or an unwrapping: that refuses nothing, and is not followed."""
    asked: list[str] = []

    class Standby(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.send_header("Location", "/v1/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Standby) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            vault = Vault(f"http://127.0.0.1:{server.server_port}", namespace=None, verify=True, token="t")
            with pytest.raises(error):
                vault.ask("post", "sys/wrapping/unwrap", {})
        finally:
            server.shutdown()
            thread.join()
    assert asked == ["/v1/sys/wrapping/unwrap"]
