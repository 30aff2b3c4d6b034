"""Signed tokens, stored keys, client certificates and wrapped secret ids, used and misused with real credentials."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import threading
from typing import TYPE_CHECKING, Any

import jwt
import pytest
import requests
from agent_plan import PATHS
from backend_agents import FORBIDDEN, NIGHTLY, ask, nightly_agent, nightly_client, open_issuer, wrap_secret_id
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from test_agent_logins import log_in

from narrowgate.runtime import LoginRefusedError, RevokedError, login

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rehearsal.live import LiveRehearsal

PAYMENTS = str(PATHS[NIGHTLY, "payments"])
RATES = str(PATHS[NIGHTLY, "exchange-rates"])
LEDGER = str(PATHS[NIGHTLY, "ledger"])
SPIFFE_ID = f"spiffe://dev.acme.example/dev/{NIGHTLY}/ledger"
VALUE = "a-key-that-only-people-see"


@pytest.fixture
def agent(rehearsal: LiveRehearsal) -> Iterator[Any]:
    """The nightly agent's own token in a plain client, to try what the library never would."""
    with nightly_client(rehearsal) as client:
        yield client


@pytest.fixture
def stranger(rehearsal: LiveRehearsal) -> Iterator[Any]:
    """Another workflow's agent."""
    client = rehearsal.vault(log_in(rehearsal, "ticket-drafting"))
    yield client
    client.auth.token.revoke_self()


# -- signed tokens


def verify(rehearsal: LiveRehearsal, token: str) -> dict[str, Any]:
    """Check a token as a tool does: with Vault's published keys, without any credential of its own."""
    address = f"{rehearsal.vault('').url}/v1/identity/oidc"
    with requests.Session() as session:
        session.trust_env = False
        session.verify = str(rehearsal.layout.ca_certificate)
        keys = jwt.PyJWKSet.from_dict(session.get(f"{address}/.well-known/keys", timeout=10).json())
    key = keys[jwt.get_unverified_header(token)["kid"]]
    audience = "https://payments.dev.example.com"
    said: dict[str, Any] = jwt.decode(
        token, key, algorithms=["ES256"], audience=audience, issuer=address, options={"require": ["exp", "iat", "aud"]}
    )
    return said


def test_a_tool_knows_workflow_actions_and_scope_from_the_token(rehearsal: LiveRehearsal) -> None:
    with nightly_agent(rehearsal) as own:
        said = verify(rehearsal, own.bearer("payments").token)
    assert (said["workflow"], said["tool"], said["environment"]) == (NIGHTLY, "payments", "dev")
    assert said["actions"] == ["flag", "read"]
    assert said["scope"] == {"region": "emea"}
    assert said["exp"] - said["iat"] == 300
    assert "requester" not in said


def test_an_agent_has_no_say_in_what_its_token_claims(rehearsal: LiveRehearsal, agent: Any) -> None:  # noqa: ANN401 - hvac
    asked = "ttl=24h&client_id=https://other&template=%7B%7D&workflow=other&scope=all"
    answer = ask(agent, "GET", f"{PAYMENTS}?{asked}")
    said = verify(rehearsal, answer.json()["data"]["token"])
    assert (said["workflow"], said["scope"], said["exp"] - said["iat"]) == (NIGHTLY, {"region": "emea"}, 300)
    for path in ("identity/oidc/role/nightly-reconciliation.payments", "identity/oidc/key/narrowgate", PAYMENTS):
        assert ask(agent, "POST", path, {"template": "{}", "ttl": "24h"}).status_code == FORBIDDEN


def test_a_token_for_another_tool_or_changed_by_hand_is_refused(rehearsal: LiveRehearsal) -> None:
    with nightly_agent(rehearsal) as own:
        token = own.bearer("payments").token
    head, claims, signature = token.split(".")
    forged = jwt.encode({"workflow": NIGHTLY}, ec.generate_private_key(ec.SECP256R1()), algorithm="ES256")
    for bad in (f"{head}.{claims[:-4]}AAAA.{signature}", f"{head}.{forged.split('.')[1]}.{signature}"):
        with pytest.raises(jwt.InvalidTokenError):
            verify(rehearsal, bad)


@pytest.mark.parametrize("path", [PAYMENTS, RATES, LEDGER])
def test_another_workflows_agent_gets_nothing(stranger: Any, path: str) -> None:  # noqa: ANN401 - hvac
    for method in ("GET", "POST", "LIST"):
        assert ask(stranger, method, path, {"uri_sans": SPIFFE_ID}).status_code == FORBIDDEN


# -- stored keys


@pytest.fixture(scope="module")
def filled(rehearsal: LiveRehearsal) -> int:
    """A person puts the key into Vault; returns its version."""
    operator = rehearsal.vault()
    refused = ask(operator, "POST", RATES, {"data": {"key": VALUE}})
    assert refused.status_code == requests.codes.bad_request
    assert "check-and-set" in refused.text
    answer = ask(operator, "POST", RATES, {"options": {"cas": 0}, "data": {"key": VALUE}})
    if answer.status_code == requests.codes.bad_request:  # an earlier run on the same servers put it there
        version = operator.read(RATES)["data"]["metadata"]["version"]
        answer = ask(operator, "POST", RATES, {"options": {"cas": version}, "data": {"key": VALUE}})
    assert answer.status_code == requests.codes.ok, answer.text
    return int(answer.json()["data"]["version"])


@pytest.mark.usefixtures("filled")
def test_a_key_is_read_by_its_agent(rehearsal: LiveRehearsal) -> None:
    with nightly_agent(rehearsal) as own:
        assert own.secret("exchange-rates")["key"] == VALUE


def test_a_key_is_neither_written_nor_listed_nor_looked_about(agent: Any, filled: int) -> None:  # noqa: ANN401 - hvac
    mount, _, name = RATES.partition("/data/")
    body = {"options": {"cas": filled}, "data": {"key": "mine"}}
    for method, path in (
        ("POST", RATES),
        ("PATCH", RATES),
        ("DELETE", RATES),
        ("GET", f"{mount}/metadata/{name}"),
        ("POST", f"{mount}/metadata/{name}"),
        ("DELETE", f"{mount}/metadata/{name}"),
        ("LIST", f"{mount}/metadata/exchange-rates"),
        ("LIST", f"{mount}/metadata"),
        ("GET", f"{mount}/data/exchange-rates"),
        ("GET", f"{mount}/data/exchange-rates/other"),
        ("GET", f"{mount}/data/payments/api-key"),
        ("GET", f"{mount}/config"),
        ("POST", f"{mount}/undelete/{name}"),
        ("PUT", f"{mount}/destroy/{name}"),
    ):
        # Vault wants its own type of a patch before it asks what the caller may do
        kind = {"Content-Type": "application/merge-patch+json"} if method == "PATCH" else {}
        answer = ask(agent, method, path, None if method == "GET" else body, **kind)
        assert answer.status_code == FORBIDDEN, (method, path)
    assert ask(agent, "GET", RATES).json()["data"]["data"] == {"key": VALUE}


@pytest.mark.usefixtures("filled")
def test_a_keys_owner_and_age_are_in_vault_and_its_value_in_no_state(rehearsal: LiveRehearsal) -> None:
    said = rehearsal.vault().read(RATES.replace("/data/", "/metadata/"))["data"]
    assert said["custom_metadata"] == {
        "managed-by": "narrowgate",
        "max-age-seconds": str(30 * 86400),
        "owner": "finance-operations",
        "tool": "exchange-rates",
    }
    plain = ("--non-interactive", "--color", "never")
    rehearsal.run("pulumi", "up", "--yes", "--skip-preview", "--refresh", "--expect-no-changes", *plain)
    assert VALUE not in rehearsal.run("pulumi", "stack", "export", "--show-secrets").stdout
    assert ask(rehearsal.vault(), "GET", RATES).json()["data"]["data"] == {"key": VALUE}


# -- client certificates


def test_a_certificate_has_exactly_its_one_name(rehearsal: LiveRehearsal) -> None:
    with nightly_agent(rehearsal) as own:
        held = own.certificate("ledger")
    certificate = x509.load_pem_x509_certificate(held.certificate_pem.encode())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert list(names) == [x509.UniformResourceIdentifier(SPIFFE_ID)]
    assert not list(certificate.subject)
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert certificate.not_valid_after_utc <= dt.datetime.now(dt.UTC) + dt.timedelta(minutes=31)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"ttl": "5m"},
        {"common_name": "admin"},
        {"uri_sans": "spiffe://dev.acme.example/dev/vendor-onboarding/ledger"},
        {"uri_sans": SPIFFE_ID.replace("/dev/", "/prod/")},
        {"uri_sans": f"{SPIFFE_ID},spiffe://dev.acme.example/dev/other/ledger"},
        {"uri_sans": [SPIFFE_ID, "spiffe://dev.acme.example/dev/other/ledger"]},
        {"uri_sans": f"{SPIFFE_ID}/more"},
        {"uri_sans": SPIFFE_ID, "common_name": "admin"},
        {"uri_sans": SPIFFE_ID, "alt_names": "payments.dev.example.com"},
        {"uri_sans": SPIFFE_ID, "ip_sans": "127.0.0.1"},
        {"uri_sans": SPIFFE_ID, "other_sans": "1.3.6.1.4.1.311.20.2.3;UTF8:admin"},
        {"uri_sans": SPIFFE_ID, "not_after": "2099-01-01T00:00:00Z"},
    ],
)
def test_a_certificate_of_another_name_or_none_is_refused(agent: Any, body: dict[str, object]) -> None:  # noqa: ANN401 - hvac
    assert ask(agent, "POST", LEDGER, body).status_code == FORBIDDEN


@pytest.mark.parametrize(
    "path",
    [
        LEDGER.replace("/issue/", "/sign/"),
        LEDGER.replace("/issue/", "/roles/"),
        "narrowgate-pki/sign-verbatim",
        "narrowgate-pki/root/sign-intermediate",
        "narrowgate-pki/root/generate/exported",
        "narrowgate-pki/revoke",
        "narrowgate-pki/issuer/default",
    ],
)
def test_the_authority_does_nothing_else_for_an_agent(agent: Any, path: str) -> None:  # noqa: ANN401 - hvac
    assert ask(agent, "POST", path, {"uri_sans": SPIFFE_ID}).status_code == FORBIDDEN


def test_a_longer_life_is_not_granted(agent: Any) -> None:  # noqa: ANN401 - hvac
    answer = ask(agent, "POST", LEDGER, {"uri_sans": SPIFFE_ID, "ttl": "24h"})
    if answer.status_code == requests.codes.ok:
        ends = dt.datetime.fromtimestamp(answer.json()["data"]["expiration"], dt.UTC)
        assert ends <= dt.datetime.now(dt.UTC) + dt.timedelta(minutes=31)
    else:
        assert answer.status_code == requests.codes.bad_request


def make_server(folder: Path, authority: str) -> tuple[ssl.SSLContext, str]:
    """Return a TLS server's context that takes only clients of `authority`, and its own certificate as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
    file = folder / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_text(private.decode() + pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=authority)
    return context, pem


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext) -> list[str]:
    """Return the URI names that the server sees in the client's certificate."""
    seen: list[str] = []

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        try:
            with server.wrap_socket(connection, server_side=True) as secured:
                names = (secured.getpeercert() or {}).get("subjectAltName", ())
                seen.extend(str(name) for kind, name in names if kind == "URI")  # type: ignore[misc]
                secured.sendall(b"welcome")
        except ssl.SSLError:
            connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        try:
            with (
                socket.create_connection(listener.getsockname(), timeout=10) as plain,
                client.wrap_socket(plain, server_hostname="localhost") as secured,
            ):
                assert secured.recv(16) == b"welcome"
        finally:
            thread.join(10)
    return seen


def test_a_server_that_trusts_the_authority_knows_the_agent(rehearsal: LiveRehearsal, tmp_path: Path) -> None:
    authority = ask(rehearsal.vault(""), "GET", "narrowgate-pki/ca/pem").text
    server, pem = make_server(tmp_path, authority)
    with nightly_agent(rehearsal) as own:
        assert shake_hands(server, own.certificate("ledger").ssl_context(pem)) == [SPIFFE_ID]
        elsewhere, pem = make_server(tmp_path, rehearsal.layout.ca_certificate.read_text())
        with pytest.raises((ssl.SSLError, OSError)):
            shake_hands(elsewhere, own.certificate("ledger").ssl_context(pem))
    with pytest.raises((ssl.SSLError, OSError)):
        shake_hands(server, ssl.create_default_context(cadata=pem))


# -- wrapped secret ids


def test_a_wrapped_secret_id_logs_in_once(rehearsal: LiveRehearsal) -> None:
    wrapping = wrap_secret_id(rehearsal)
    with login(rehearsal.manifest(NIGHTLY), wrapping) as own:
        assert own.credential("payments").values["token"]
    with (
        pytest.raises(LoginRefusedError, match="used before"),
        login(rehearsal.manifest(NIGHTLY), wrapping),
    ):
        pass


def test_a_secret_id_itself_logs_in_once(rehearsal: LiveRehearsal) -> None:
    body = {"role_id": f"narrowgate:dev:{NIGHTLY}"}
    unwrapped = ask(rehearsal.vault(wrap_secret_id(rehearsal)), "POST", "sys/wrapping/unwrap").json()["data"]
    assert unwrapped["secret_id_num_uses"] == 1
    assert unwrapped["secret_id_ttl"] <= 300
    path = f"auth/agents/{NIGHTLY}/login"
    first, second = (
        ask(rehearsal.vault(""), "POST", path, {**body, "secret_id": unwrapped["secret_id"]}) for _ in range(2)
    )
    assert first.status_code == requests.codes.ok
    assert second.status_code in {requests.codes.bad_request, FORBIDDEN}
    rehearsal.vault(first.json()["auth"]["client_token"]).auth.token.revoke_self()
    for without in ({}, {"secret_id": ""}, {"secret_id": "00000000-0000-0000-0000-000000000000"}):
        refused = ask(rehearsal.vault(""), "POST", path, {**body, **without})
        assert refused.status_code in {requests.codes.bad_request, FORBIDDEN}


def test_who_starts_agents_gets_a_secret_id_only_wrapped(rehearsal: LiveRehearsal) -> None:
    issuer, path = open_issuer(rehearsal), f"auth/agents/{NIGHTLY}/role/agent/secret-id"
    assert ask(issuer, "POST", path).status_code == FORBIDDEN
    assert ask(issuer, "POST", path, **{"X-Vault-Wrap-TTL": "1h"}).status_code == FORBIDDEN
    for other in ("role/agent/role-id", "role/agent", "role/agent/custom-secret-id", "role/agent/secret-id-accessor/x"):
        answer = ask(issuer, "POST", f"auth/agents/{NIGHTLY}/{other}", {}, **{"X-Vault-Wrap-TTL": "60s"})
        assert answer.status_code == FORBIDDEN


def test_another_secret_in_the_same_wrapping_is_not_taken(rehearsal: LiveRehearsal) -> None:
    """Somebody who could exchange the wrapping token would choose as whom the agent logs in."""
    operator = rehearsal.vault()
    answer = ask(operator, "POST", "sys/wrapping/wrap", {"secret_id": "theirs"}, **{"X-Vault-Wrap-TTL": "60s"})
    wrapping = answer.json()["wrap_info"]["token"]
    with (
        pytest.raises(LoginRefusedError, match="something else than its secret id"),
        login(rehearsal.manifest(NIGHTLY), wrapping),
    ):
        pass
    lookup = ask(rehearsal.vault(""), "POST", "sys/wrapping/lookup", {"token": wrapping})
    assert lookup.status_code == requests.codes.ok, "it was unwrapped all the same"


def test_a_revoked_agent_cannot_come_back_with_its_secret_id(rehearsal: LiveRehearsal) -> None:
    with nightly_agent(rehearsal) as own:
        own.credential("payments")
        rehearsal.vault().sys.revoke_prefix(f"auth/agents/{NIGHTLY}")
        with pytest.raises(RevokedError):
            own.credential("ledger")
