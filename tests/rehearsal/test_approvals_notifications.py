"""Messages about new cases, as a real executor sends them to a webhook: what they say, and what they never do."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from gate_cli import executor_environment, run
from test_executor_service import SECONDS, serving, wait_for_case, wait_for_end

from narrowgate.approvals.errors import SettingsError
from narrowgate.approvals.notifications import read_notifier

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gate_bench import GateBench


class Webhook(ThreadingHTTPServer):
    """Keeps what it is told."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Keeping)
        self.told: list[str] = []
        self.status = 200
        self.arrived = threading.Condition()

    def wait_for(self, words: str) -> str:
        with self.arrived:
            assert self.arrived.wait_for(lambda: any(words in text for text in self.told), SECONDS), self.told
            return next(text for text in self.told if words in text)


class Keeping(BaseHTTPRequestHandler):
    server: Webhook

    def do_POST(self) -> None:
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        with self.server.arrived:
            self.server.told.append(text)
            self.server.arrived.notify_all()
        self.send_response(self.server.status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with Webhook() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def write_places(folder: Path, webhook: Webhook) -> tuple[str, ...]:
    file = folder / "places"
    file.write_text(f"# the on-call channel\n\njson://127.0.0.1:{webhook.server_port}/the-webhooks-secret\n")
    return ("--notify-file", str(file), "--page", "https://approvals.test")


def test_a_case_is_announced_once_with_a_link_and_nothing_of_its_content(
    bench: GateBench, tmp_path: Path, webhook: Webhook
) -> None:
    with serving(bench, tmp_path, 2, *write_places(tmp_path, webhook)) as services:
        for service in services:
            service.wait_for("executor.serving")
        request = bench.draft("Private Name Oy", rationale="A private reason.")
        text = webhook.wait_for(request)
        bench.deny("ann", request)
        wait_for_end(bench, request)
        assert [service.stop() for service in services] == [0, 0]
    message = json.loads(text)
    assert message["title"] == "Approval needed: vendors.create"
    assert message["message"].endswith(f"https://approvals.test/cases/{request}")
    assert "vera" in message["message"]
    assert "1 of vendor-approvers" in message["message"]
    told = [text for text in webhook.told if request in text]
    assert len(told) == 1
    for secret in ("Private Name", "FI00 1234", "private reason", "sha256:", "approve?", "verdict"):
        assert secret not in told[0]
    for service in services:
        assert "the-webhooks-secret" not in service.text


def test_a_message_that_cannot_be_sent_holds_nothing_up(bench: GateBench, tmp_path: Path, webhook: Webhook) -> None:
    webhook.status = 500
    with serving(bench, tmp_path, 1, *write_places(tmp_path, webhook)) as (service,):
        request = bench.draft("Unheard Oy")
        wait_for_case(bench, request)
        service.wait_for("case.not-announced", request=request)
        bench.approve("ann", request)
        assert wait_for_end(bench, request)["state"] == "executed"
        assert service.stop() == 0
    assert "the-webhooks-secret" not in service.text


def test_places_that_are_none_are_told_without_their_secrets(bench: GateBench, tmp_path: Path) -> None:
    file = tmp_path / "places"
    file.write_text("json://127.0.0.1:1/x\nnonsense-a-secret\n")
    env = executor_environment(bench, tmp_path)
    words = ("executor", "run", "--tool", "vendors", "--notify-file", str(file))
    done = run(env, *words, "--page", "https://approvals.test")
    assert (done.returncode, "places:2" in done.stderr.replace("\n", ""), "a-secret" in done.stderr) == (2, True, False)
    assert run(env, *words).returncode == 2
    assert run(env, *words, "--page", "http://approvals.test").returncode == 2
    with pytest.raises(SettingsError):
        read_notifier(tmp_path / "none", "https://approvals.test")


def test_without_the_extra_a_hint_says_what_to_install(bench: GateBench, tmp_path: Path) -> None:
    (tmp_path / "places").write_text("")
    env = executor_environment(bench, tmp_path)
    for words in (
        ["executor", "run", "--tool", "vendors", "--notify-file", str(tmp_path / "places"), "--page", "https://a.test"],
        ["approvals", "serve"],
    ):
        program = (
            "import sys; sys.modules['apprise'] = sys.modules['uvicorn'] = None; "
            f"sys.argv = ['narrowgate', *{words!r}]; from narrowgate.cli import main; main()"
        )
        done = subprocess.run(
            [sys.executable, "-c", program], env=env, capture_output=True, text=True, timeout=SECONDS, check=False
        )
        assert (done.returncode, "narrowgate[approvals]" in done.stderr) == (2, True), done.stderr
