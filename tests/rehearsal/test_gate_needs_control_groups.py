"""A Vault without control groups would hand gated credentials out: no deploy gates anything on one.

Such a server is the real one behind a front that answers 404 where control groups are, as one without them does.
"""

from __future__ import annotations

import contextlib
import ssl
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
import requests

from narrowgate.approvals.canary import prove_gate
from narrowgate.approvals.errors import NoGateError
from narrowgate.control_groups import NoControlGroupsError, require_control_groups
from narrowgate.plan import VaultBinding
from rehearsal import bao
from rehearsal.pki import ensure_server_certificate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gate_bench import GateBench

PATH = "/v1/sys/control-group/"


@contextlib.contextmanager
def front_of(bench: GateBench, status: int) -> Iterator[str]:
    """Give the address of a front of the real Vault that answers `status` where control groups are."""
    layout, real = bench.live.layout, bao.get_address(bench.live.layout)
    asked = bao.open_session(layout)

    class Front(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.path.startswith(PATH):
                self.reply(status, b'{"errors":["1 error occurred: * unsupported path"]}')
                return
            headers = {name: value for name, value in self.headers.items() if name.startswith(("X-Vault", "Content-T"))}
            answer = asked.request(self.command, real + self.path, data=body, headers=headers, timeout=30)
            self.reply(answer.status_code, answer.content)

        def reply(self, code: int, content: bytes) -> None:
            self.send_response(code)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:  # noqa: ANN401 - the base's own
            return

        do_GET = do_LIST = do_POST = do_PUT = do_DELETE = answer  # noqa: N815 - the base calls them so

    certificate = ensure_server_certificate(layout, bao.NAME)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Front)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.chain, certificate.key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        asked.close()


def binding(bench: GateBench, address: str) -> VaultBinding:
    return VaultBinding(address, ca_pem=bench.live.layout.ca_certificate.read_text())


def test_a_server_with_control_groups_passes(bench: GateBench) -> None:
    require_control_groups(binding(bench, bao.get_address(bench.live.layout)), str(bench.root.token))


@pytest.mark.parametrize(
    ("status", "words"), [(404, "has no control groups"), (403, "answered 403"), (503, "answered 503")]
)
def test_whatever_is_no_clear_yes_refuses(bench: GateBench, status: int, words: str) -> None:
    with front_of(bench, status) as address, pytest.raises(NoControlGroupsError, match=words):
        require_control_groups(binding(bench, address), str(bench.root.token))


def test_nobody_to_ask_by_refuses(bench: GateBench, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:  # noqa: ANN401 - a path
    monkeypatch.delenv("VAULT_TOKEN", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(NoControlGroupsError, match="no login to ask by"):
        require_control_groups(binding(bench, bao.get_address(bench.live.layout)))


def test_a_server_that_is_not_there_refuses(bench: GateBench) -> None:
    with pytest.raises(NoControlGroupsError, match="ConnectionError"):
        require_control_groups(binding(bench, "https://127.0.0.1:1"), "s.x")


@pytest.mark.parametrize("command", [("preview",), ("up", "--yes", "--skip-preview")])
def test_a_deploy_is_refused_and_says_what_the_server_lacks(bench: GateBench, command: tuple[str, ...]) -> None:
    layout = bench.live.layout
    file = layout.project / f"Pulumi.{layout.stack}.yaml"
    kept, real = file.read_text(), bao.get_address(layout)
    before = bench.root.sys.list_acl_policies()["data"]["keys"]
    with front_of(bench, requests.codes.not_found) as address:
        file.write_text(kept.replace(real, address))
        try:
            done = bench.live.run("pulumi", *command, "--stack", layout.stack, check=False, VAULT_ADDR=address)
        finally:
            file.write_text(kept)
    assert done.returncode != 0
    said = " ".join((done.stdout + done.stderr).split())
    assert f"Vault at {address} has no control groups" in said, said[-3000:]
    assert "OpenBao from 2.7" in said
    assert bench.root.sys.list_acl_policies()["data"]["keys"] == before


def test_an_executor_serves_no_such_server(bench: GateBench) -> None:
    executor = bench.executor()
    with front_of(bench, requests.codes.not_found) as address:
        executor.gate = replace(bench.gate, address=address)
        executor.vault = type(executor.vault)(address, namespace=None, verify=bench.verify)
        with pytest.raises(NoGateError, match="no control groups"):
            prove_gate(executor)
