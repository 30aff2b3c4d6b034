"""What the gate's way to Vault makes of answers that decide nothing."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import requests

from narrowgate.approvals import State, VaultDownError, VaultRefusedError
from narrowgate.approvals.vault import Vault


def open_vault(server: HTTPServer) -> Vault:
    return Vault(f"http://127.0.0.1:{server.server_port}", namespace=None, verify=True, token="hvs.one")


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
            with pytest.raises(error), open_vault(server) as vault:
                vault.ask("post", "sys/wrapping/unwrap", {})
        finally:
            server.shutdown()
            thread.join()
    assert asked == ["/v1/sys/wrapping/unwrap"]


def test_an_entry_whose_answer_was_lost_is_known_again_as_ones_own() -> None:
    """It stands already when it is sent again; lists and enumerations read as JSON has them."""
    data = {"approvers": ({"name": "ann"},), "ends": State.DENIED}

    class Standing(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.answer(400, {"errors": ["check-and-set parameter did not match the current version"]})

        def do_GET(self) -> None:
            self.answer(200, {"data": {"data": data, "metadata": {"version": 1, "created_time": ""}}})

        def answer(self, status: int, body: object) -> None:
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Standing) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            with open_vault(server) as vault:
                assert vault.create_entry("records", "a/claim", data)
                assert not vault.create_entry("records", "a/claim", {**data, "approvers": ()})
        finally:
            server.shutdown()
            thread.join()


def test_the_end_of_a_block_closes_the_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[str] = []
    monkeypatch.setattr(requests.Session, "close", lambda _: closed.append("session"))
    with Vault("https://vault.invalid", namespace=None, verify=True):
        assert not closed
    assert closed == ["session"]
