"""The approvers' page as a process of its own, and a browser without scripts. Not a test module."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import subprocess
import threading
import time
from typing import TYPE_CHECKING

import requests
from gate_bench import PEOPLE
from gate_cli import COMMAND, SECONDS, executor_environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gate_bench import GateBench


class Browser(requests.Session):
    """Somebody's browser: it keeps cookies, and sends forms as browsers do."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.trust_env = False
        self.url = url

    def open(self, path: str, **named: object) -> requests.Response:
        return self.get(f"{self.url}{path}", timeout=SECONDS, **named)  # type: ignore[arg-type]

    def submit(self, path: str, follow: bool = True, **fields: str) -> requests.Response:  # noqa: FBT001, FBT002 - a test's
        headers = {"Origin": self.url, "Sec-Fetch-Site": "same-origin"}
        return self.post(f"{self.url}{path}", data=fields, headers=headers, timeout=SECONDS, allow_redirects=follow)

    def log_in(self, bench: GateBench, user: str, wanted: str = "/") -> requests.Response:
        return self.submit("/login", token=bench.sign(user, "approvers", *PEOPLE[user]), next=wanted)

    def decide(self, request: str, verdict: str, reason: str = "Papers checked.") -> requests.Response:
        """Open the case, and press a button."""
        page = self.open(f"/cases/{request}").text
        return self.submit(f"/cases/{request}", verdict=verdict, reason=reason, **hidden(page))


def hidden(page: str) -> dict[str, str]:
    """Return the hidden fields of the decision's form, or else of the log-out's."""
    part = page[page.index('<form class="decide"') :] if '<form class="decide"' in page else page
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', part))


def choose_port() -> int:
    with contextlib.closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


class Served:
    """The running page; `log` is all that it has written."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self.process, self.url, self.log = process, url, ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log += line

    def browser(self) -> Browser:
        return Browser(self.url)

    def end(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(SECONDS)
        self._reader.join(SECONDS)
        if self.process.stderr is not None:
            self.process.stderr.close()
        return code


@contextlib.contextmanager
def serve_page(bench: GateBench, folder: Path, *options: str, port: int | None = None) -> Iterator[Served]:
    """Serve the page of `bench` on `port`, or on one of its own."""
    port = port or choose_port()
    command = [*COMMAND, "approvals", "serve", "--port", str(port), *options]
    env = executor_environment(bench, folder)
    served = Served(subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True), f"http://127.0.0.1:{port}")
    try:
        deadline = time.monotonic() + SECONDS
        while True:
            with contextlib.suppress(requests.ConnectionError):
                if served.browser().open("/healthz").text == "ok":
                    break
            assert served.process.poll() is None, served.log
            assert time.monotonic() < deadline, served.log
            time.sleep(0.1)
        yield served
    finally:
        served.end()
