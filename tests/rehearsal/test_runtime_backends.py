"""Tokens, secrets and certificates from a real OpenBao, by the library an agent imports, from compiled documents."""

from __future__ import annotations

import asyncio
import dataclasses
import socket
import ssl
import threading
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography import x509
from loops import run_alone
from test_compile_vault_documents import CATALOGUE, deploy, find, make

from narrowgate.compile import compile_plan
from narrowgate.declarations import load_environment, load_plan
from narrowgate.runtime import NotDeclaredError, RevokedError, aio, login
from rehearsal import bao, idp
from rehearsal.pki import ensure_server_certificate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from narrowgate.compile.documents import PlanDocuments
    from narrowgate.runtime import Agent
    from rehearsal.live import LiveRehearsal

WORKFLOW = "operations"


class Operator:
    """The operator's hands, for what makes mounts and roles by plain requests."""

    def __init__(self, servers: LiveRehearsal) -> None:
        self.session = bao.open_session(servers.layout)
        self.session.headers["X-Vault-Token"] = bao.log_in_operator(servers.layout)
        self.address = bao.get_address(servers.layout)

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, dict[str, Any]]:
        answer = self.session.request(method, f"{self.address}/v1/{path}", json=body, timeout=10)
        return answer.status_code, answer.json() if answer.content else {}

    def write_policy(self, name: str, text: str) -> bool:
        return self.ask("PUT", f"sys/policies/acl/{name}", {"policy": text})[0] == 204


@pytest.fixture(scope="module")
def documents(servers: LiveRehearsal) -> PlanDocuments:
    environment = load_environment(CATALOGUE, "test")
    identity = dataclasses.replace(
        environment.identity, jwks_url=None, public_keys=(idp.read_public_key(servers.layout),)
    )
    vault = dataclasses.replace(
        environment.vault,
        address=bao.get_address(servers.layout),
        ca_pem=servers.layout.ca_certificate.read_text(encoding="ascii"),
        namespace=None,
    )
    return compile_plan(load_plan(CATALOGUE, dataclasses.replace(environment, identity=identity, vault=vault)))


@pytest.fixture(scope="module")
def operator(servers: LiveRehearsal, documents: PlanDocuments) -> Operator:
    made: Any = Operator(servers)
    foundation = documents.foundation
    make(made, f"identity/oidc/key/{foundation.signing_key}", {"allowed_client_ids": ["*"], "algorithm": "ES256"})
    make(made, f"sys/mounts/{foundation.pki_mount}", {"type": "pki"})
    make(made, f"{foundation.pki_mount}/root/generate/internal", {"common_name": "ca"})
    make(made, f"sys/mounts/{foundation.kv_mount}", {"type": "kv", "options": {"version": "2"}})
    deploy(made, find(documents, WORKFLOW))
    return made


def sign(servers: LiveRehearsal, **claims: Any) -> str:  # noqa: ANN401 - a claim's value is any JSON
    subject = idp.look_up("alice", ["operators"], WORKFLOW)
    return idp.sign_token(servers.layout, subject, aud=f"narrowgate:test:{WORKFLOW}", **claims)


@pytest.fixture
def agent(servers: LiveRehearsal, documents: PlanDocuments, operator: Operator) -> Iterator[Agent]:
    assert operator
    with login(dict(find(documents, WORKFLOW).manifest), sign(servers)) as logged_in:
        yield logged_in


def test_a_bearer_token_carries_the_user_and_holds_against_the_published_keys(agent: Agent, operator: Operator) -> None:
    bearer = agent.bearer("crm")
    keys = jwt.PyJWKSet.from_dict(operator.ask("GET", "identity/oidc/.well-known/keys")[1])
    key = keys[jwt.get_unverified_header(bearer.token)["kid"]]
    said = jwt.decode(bearer.token, key, algorithms=["ES256"], audience=bearer.audience)
    assert (said["requester"], said["workflow"], said["tool"]) == ("alice", WORKFLOW, "crm")
    assert 0 < bearer.seconds_left <= said["exp"] - said["iat"]
    assert agent.bearer("crm") is bearer


def test_a_secret_is_that_of_the_tool(agent: Agent) -> None:
    secret = agent.secret("pager")
    assert secret["key"] == "k"
    assert secret.version >= 1
    assert secret.written_at is not None


def test_a_certificate_shows_its_one_name_to_a_server(
    servers: LiveRehearsal, agent: Agent, operator: Operator, documents: PlanDocuments
) -> None:
    """A real TLS server that trusts only this CA takes it; its lifetime is the declared one."""
    certificate = agent.certificate("ledger")
    parsed = x509.load_pem_x509_certificate(certificate.certificate_pem.encode())
    whole = parsed.not_valid_after_utc - parsed.not_valid_before_utc
    assert 0 < certificate.seconds_left <= whole.total_seconds() - 30
    ca = operator.ask("GET", f"{documents.foundation.pki_mount}/cert/ca")[1]["data"]["certificate"]
    seen = talk(servers, certificate.ssl_context(), ca)
    assert ("URI", certificate.uri_san) in seen["subjectAltName"]
    assert agent.certificate("ledger") is certificate


def talk(servers: LiveRehearsal, client: ssl.SSLContext, ca: str) -> dict[str, Any]:
    """Shake hands with a server that asks for a certificate of `ca`, and return what the server saw of the client."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.verify_mode = ssl.CERT_REQUIRED
    server.load_verify_locations(cadata=ca)
    own = ensure_server_certificate(servers.layout, "bao")
    server.load_cert_chain(own.chain, own.key)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    ours, theirs = socket.socketpair()
    seen: dict[str, Any] = {}

    def serve() -> None:
        with server.wrap_socket(theirs, server_side=True) as connection:
            seen.update(connection.getpeercert() or {})
            connection.sendall(b"hello")

    thread = threading.Thread(target=serve)
    thread.start()
    ours.settimeout(10)
    with client.wrap_socket(ours) as connection:
        assert connection.recv(5) == b"hello"
    thread.join(10)
    return seen


def test_the_twin_for_asyncio_gets_the_same(
    servers: LiveRehearsal, documents: PlanDocuments, operator: Operator
) -> None:
    assert operator

    async def use() -> tuple[str, str, str]:
        async with aio.login(dict(find(documents, WORKFLOW).manifest), sign(servers)) as agent:
            bearer, secret, certificate = await asyncio.gather(
                agent.bearer("crm"), agent.secret("pager"), agent.certificate("ledger")
            )
            return bearer.audience, secret["key"], certificate.uri_san

    assert run_alone(use()) == (
        "https://crm.internal.example",
        "k",
        "spiffe://test.acme.example/test/operations/ledger",
    )


def test_a_revoked_login_is_followed_by_a_new_one_where_the_token_can_be_had_again(
    servers: LiveRehearsal, documents: PlanDocuments, operator: Operator
) -> None:
    workflow = find(documents, WORKFLOW)
    mount = workflow.auth_mount.path
    with login(dict(workflow.manifest), lambda: sign(servers)) as agent:
        agent.bearer("crm")
        assert operator.ask("PUT", f"sys/leases/revoke-prefix/auth/{mount}", {})[0] in {200, 204}
        assert agent.credential("pager").values["data"] == {"key": "k"}
        # Somebody stops the workflow: no login any more, and all tokens end
        role = f"auth/{mount}/role/{workflow.auth_role.name}"
        assert operator.ask("DELETE", role)[0] == 204
        try:
            assert operator.ask("PUT", f"sys/leases/revoke-prefix/auth/{mount}", {})[0] in {200, 204}
            with pytest.raises(RevokedError, match="takes no new one"):
                agent.credential("pager")
        finally:
            make(operator, role, dict(workflow.auth_role.settings))  # type: ignore[arg-type]  # it has an oracle's methods
        assert agent.credential("pager").values["data"] == {"key": "k"}


def test_no_token_is_left_behind(servers: LiveRehearsal, documents: PlanDocuments, operator: Operator) -> None:
    def count() -> int:
        return len(operator.ask("LIST", "auth/token/accessors")[1]["data"]["keys"])

    before = count()
    with login(dict(find(documents, WORKFLOW).manifest), lambda: sign(servers)) as agent:
        agent.bearer("crm")
        assert count() == before + 1
        with pytest.raises(NotDeclaredError, match="behind pki") as caught:
            agent.bearer("ledger")
        assert caught.value.hint == "Call agent.certificate('ledger')."
    assert count() == before
