"""The handler `http` against a real server: what it sends, what it refuses to send, and what it calls certain."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from narrowgate.approvals.errors import DraftError, NotExecutedError, SettingsError, TargetDownError
from narrowgate.approvals.handlers import Credentials, find_handler

if TYPE_CHECKING:
    from collections.abc import Iterator

READER = Credentials("", {"token": "the-readers-token"})
GATED = Credentials("", {"token": "the-gated-token"})
LATE = {"digest": "sha256:d", "request": "w.k", "requester": "vera", "approvers": "ann"}
INPUTS = {"order": "a/../b?x#y", "amount": 12}
EXECUTE: dict[str, Any] = {
    "handler": "http",
    "method": "POST",
    "path": ["refunds", "${inputs.order}"],
    "headers": {"Idempotency-Key": "${digest}", "Authorization": "Bearer forged"},
    "body": {"amount": "${inputs.amount}"},
    "read": {"path": ["orders", "${inputs.order}"], "fields": {"refunded": "refund.amount"}},
    "changes": {"refunded": "${inputs.amount}"},
    "result": {"refund": "id"},
}


class Service(ThreadingHTTPServer):
    """Keeps what it was sent, and answers as it is told."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        self.answer: tuple[int, dict[str, str], bytes] = (
            200,
            {},
            b'{"refund": {"amount": 5}, "id": "r-1", "key": "k"}',
        )
        self.cut = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/api"


class Answering(BaseHTTPRequestHandler):
    server: Service

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.seen.append((self.command, self.path, dict(self.headers), body))
        if self.server.cut:
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        status, headers, content = self.server.answer
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = answer  # noqa: N815 - the names that http.server calls

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_it_reads_shows_and_sends_exactly_that(service: Service) -> None:
    handler, connection = find_handler("http"), {"url": service.url}
    plan = handler.plan(EXECUTE, INPUTS, connection, READER)
    assert [(c.what, c.before, c.after) for c in plan.changes] == [("refunded", 5, 12)]
    assert plan.watched == {"refunded": 5}
    assert plan.calls["url"] == f"{service.url}/refunds/a%2F..%2Fb%3Fx%23y"
    assert plan.calls["body"] == {"amount": 12}
    result = handler.execute(EXECUTE, INPUTS, LATE, connection, GATED)
    assert result == {"status": 200, "refund": "r-1"}
    read, sent = service.seen
    assert (read[0], read[1], read[2]["Authorization"]) == (
        "GET",
        "/api/orders/a%2F..%2Fb%3Fx%23y",
        "Bearer the-readers-token",
    )
    assert (sent[0], sent[1], sent[2]["Authorization"]) == (
        "POST",
        "/api/refunds/a%2F..%2Fb%3Fx%23y",
        "Bearer the-gated-token",
    )
    assert sent[2]["Idempotency-Key"] == "sha256:d"
    assert json.loads(sent[3]) == {"amount": 12}


@pytest.mark.parametrize("status", [400, 403, 404, 409, 422, 429])
def test_a_refusal_is_certain(service: Service, status: int) -> None:
    service.answer = (status, {}, b"{}")
    with pytest.raises(NotExecutedError, match=str(status)):
        find_handler("http").execute(EXECUTE, INPUTS, LATE, {"url": service.url}, GATED)
    assert len(service.seen) == 1


@pytest.mark.parametrize("status", [302, 307, 408, 500, 502, 503])
def test_any_other_answer_leaves_it_in_doubt_and_is_not_followed_or_repeated(service: Service, status: int) -> None:
    service.answer = (status, {"Location": f"{service.url}/elsewhere"}, b"{}")
    with pytest.raises(RuntimeError):
        find_handler("http").execute(EXECUTE, INPUTS, LATE, {"url": service.url}, GATED)
    assert len(service.seen) == 1


def test_an_answer_that_is_lost_leaves_it_in_doubt(service: Service) -> None:
    service.cut = True
    with pytest.raises(Exception) as lost:  # noqa: PT011 - any but one
        find_handler("http").execute(EXECUTE, INPUTS, LATE, {"url": service.url}, GATED)
    assert not isinstance(lost.value, NotExecutedError)
    assert len(service.seen) == 1


def test_a_service_that_is_away_is_certain_and_can_be_read_later() -> None:
    with contextlib.closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        connection = {"url": f"http://127.0.0.1:{unused.getsockname()[1]}"}
        with pytest.raises(NotExecutedError, match="cannot be reached"):
            find_handler("http").execute(EXECUTE, INPUTS, LATE, connection, GATED)
        with pytest.raises(TargetDownError):
            find_handler("http").plan(EXECUTE, INPUTS, connection, READER)


@pytest.mark.parametrize(
    ("status", "error"), [(403, DraftError), (429, TargetDownError), (500, TargetDownError), (302, TargetDownError)]
)
def test_what_cannot_be_read_is_told_from_what_cannot_be_read_now(
    service: Service, status: int, error: type[Exception]
) -> None:
    service.answer = (status, {}, b"{}")
    with pytest.raises(error):
        find_handler("http").plan(EXECUTE, INPUTS, {"url": service.url}, READER)


def test_what_is_not_there_yet_is_nothing(service: Service) -> None:
    service.answer = (404, {}, b"no JSON")
    plan = find_handler("http").plan(EXECUTE, INPUTS, {"url": service.url}, READER)
    assert [(c.before, c.after) for c in plan.changes] == [(None, 12)]


@pytest.mark.parametrize("order", ["", ".", "..", None])
def test_no_input_leaves_its_place_in_the_path(order: str | None) -> None:
    with pytest.raises(DraftError):
        find_handler("http").plan(EXECUTE, {"order": order}, {"url": "https://crm.test"}, None)


def test_a_bearer_travels_over_https_only() -> None:
    for url in ("http://crm.test", "ftp://crm.test", "http://127.0.0.1.evil.test"):
        with pytest.raises(SettingsError):
            find_handler("http").plan(EXECUTE, INPUTS, {"url": url}, None)


def test_no_variable_sends_it_elsewhere(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert find_handler("http").execute(EXECUTE, INPUTS, LATE, {"url": service.url}, GATED)["status"] == 200
