from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
from typing import TYPE_CHECKING

import jwt
import pytest
from cryptography import x509

from rehearsal import idp, pki
from rehearsal.layout import EnvironmentLayout, Layout

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def layout(tmp_path: Path) -> EnvironmentLayout:
    return Layout(root=tmp_path / "state", cache=tmp_path / "cache").of("dev")


def read(layout: EnvironmentLayout, token: str, audience: str) -> dict[str, object]:
    claims: dict[str, object] = jwt.decode(
        token, idp.read_public_key(layout), algorithms=["ES256"], audience=audience, issuer=idp.issuer(layout)
    )
    return claims


def test_agents_token_names_user_agent_and_audience(layout: EnvironmentLayout) -> None:
    subject = idp.look_up("alice", workflow="incident-summarization")
    claims = read(layout, idp.sign_token(layout, subject), "narrowgate:dev:incident-summarization")
    assert claims["sub"] == "alice"
    assert claims["act"] == {"sub": "agent:incident-summarization"}
    assert claims["groups"] == ["on-call"]
    assert claims["exp"] == int(str(claims["iat"])) + 600


def test_persons_token_names_no_agent(layout: EnvironmentLayout) -> None:
    claims = read(layout, idp.sign_token(layout, idp.look_up("olivia")), "narrowgate:dev:people")
    assert "act" not in claims
    assert claims["groups"] == ["platform-engineers"]


def test_no_token_is_like_another(layout: EnvironmentLayout) -> None:
    subject = idp.look_up("alice")
    assert idp.sign_token(layout, subject) != idp.sign_token(layout, subject)


@pytest.mark.parametrize(
    ("user", "given", "groups"),
    [
        ("mallory", None, ()),
        ("nobody-knows", None, ()),
        ("alice", ["a", "b"], ("a", "b")),
        ("sam", [], ("service-desk",)),
    ],
)
def test_groups_come_from_the_caller_or_the_directory(
    user: str, given: list[str] | None, groups: tuple[str, ...]
) -> None:
    assert idp.look_up(user, given).groups == groups


def test_signing_key_is_made_once_and_private(layout: EnvironmentLayout) -> None:
    file = idp.ensure_key(layout)
    content = file.read_bytes()
    assert idp.ensure_key(layout).read_bytes() == content
    assert file.stat().st_mode & 0o777 == 0o600


def test_ca_may_sign_for_this_machine_only(layout: EnvironmentLayout) -> None:
    ca = x509.load_pem_x509_certificate(pki.ensure_ca(layout).read_bytes())
    constraints = ca.extensions.get_extension_for_class(x509.NameConstraints)
    assert constraints.critical
    permitted = constraints.value.permitted_subtrees or []
    networks = [name.value for name in permitted if isinstance(name, x509.IPAddress)]
    assert networks == [ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128")]
    assert [name.value for name in permitted if isinstance(name, x509.DNSName)] == ["localhost"]
    assert (layout.pki / "ca.key").stat().st_mode & 0o777 == 0o600


def test_server_certificate_is_kept_until_it_is_about_to_end(
    layout: EnvironmentLayout, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = pki.ensure_server_certificate(layout, "bao")
    first = made.chain.read_bytes()
    assert pki.ensure_server_certificate(layout, "bao").chain.read_bytes() == first

    monkeypatch.setattr(pki, "RENEW_BEFORE_DAYS", pki.SERVER_DAYS + 1)
    assert pki.ensure_server_certificate(layout, "bao").chain.read_bytes() != first


def test_clients_with_strict_checks_accept_the_certificate(layout: EnvironmentLayout) -> None:
    made = pki.ensure_server_certificate(layout, "bao")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(made.chain, made.key)
    client = ssl.create_default_context(cafile=str(layout.ca_certificate))
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with server.wrap_socket(connection, server_side=True) as tls:
                tls.sendall(b"hello")

        thread = threading.Thread(target=answer)
        thread.start()
        with (
            socket.create_connection(listener.getsockname()) as raw,
            client.wrap_socket(raw, server_hostname="127.0.0.1") as tls,
        ):
            assert tls.recv(5) == b"hello"
        thread.join(10)
