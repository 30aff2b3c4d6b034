"""A Vault on loopback with control groups and no revocation: what a preview of our stacks asks of the real one.

Not a test module. It answers these two questions by TLS, and nothing else.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import json
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._answer(200 if self.path == "/v1/narrowgate-revocations/config" else 403)

    def do_LIST(self) -> None:
        self._answer(404 if self.path.rstrip("/") == "/v1/narrowgate-revocations/metadata" else 403)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        # a server with control groups misses the accessor in an empty request
        self._answer(400 if self.path == "/v1/sys/control-group/request" else 403)

    def _answer(self, status: int) -> None:
        body = b'{"data": {}}' if status == 200 else b'{"errors": []}'
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def open_vault_without_records(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield its address, and its certificate as PEM."""
    pem = _write_certificate(folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "vault.pem")
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"https://127.0.0.1:{server.server_port}", pem
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def bind_own_stacks(stacks: Path, folder: Path) -> Iterator[dict[str, str]]:
    """Yield the configuration files in `stacks`, with the dev environment bound to such a Vault."""
    files = {path.name: path.read_text() for path in stacks.glob("Pulumi.*.yaml")}
    with open_vault_without_records(folder) as (address, certificate):
        declared = "address: https://vault.dev.example.com:8200"
        assert declared in files["Pulumi.dev.yaml"]
        bound = f"address: {address}\n      ca_pem: {json.dumps(certificate)}"
        yield {**files, "Pulumi.dev.yaml": files["Pulumi.dev.yaml"].replace(declared, bound)}


def _write_certificate(folder: Path) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "vault")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "vault.pem").write_bytes(private + pem)
    return pem.decode()
