"""The approvers' page as a process of its own, and a browser without scripts. Not a test module."""

from __future__ import annotations

import contextlib
import html
import re
import signal
import socket
import subprocess
import threading
import time
from typing import TYPE_CHECKING
from urllib.parse import urljoin

import requests
from gate_bench import PEOPLE
from gate_cli import COMMAND, SECONDS, executor_environment

from rehearsal import openid

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
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

    def choose_person(self, user: str, wanted: str = "/", follow: bool = True) -> requests.Response:  # noqa: FBT001, FBT002 - a test's
        """Begin a login, and press a name on the identity provider's page."""
        shown = self.open(f"/login/oidc?next={wanted}")
        form = re.search(r'<form method="post" action="([^"]+)"', shown.text)
        assert form is not None, shown.text
        address = urljoin(shown.url, html.unescape(form[1]))
        return self.post(address, data={"user": user}, timeout=SECONDS, allow_redirects=follow)

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
def serve_page(bench: GateBench, folder: Path, *options: str) -> Iterator[Served]:
    """Serve the page of `bench` on a port that the environment does not bind: people give it a token."""
    port = choose_port()
    command = [*COMMAND, "approvals", "serve", "--port", str(port), *options]
    with _run_page(command, executor_environment(bench, folder), f"http://127.0.0.1:{port}") as served:
        yield served


@contextlib.contextmanager
def serve_bound_page(bench: GateBench) -> Iterator[Served]:
    """Serve the page as the README says, at the address that the environment binds: people log in at the provider."""
    command = [str(bench.live.layout.venv / "bin" / "narrowgate"), "approvals", "serve"]
    with _run_page(command, bench.live.environment(), openid.get_page_address(bench.live.layout)) as served:
        yield served


@contextlib.contextmanager
def _run_page(command: list[str], env: Mapping[str, str], url: str) -> Iterator[Served]:
    served = Served(subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True), url)
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
