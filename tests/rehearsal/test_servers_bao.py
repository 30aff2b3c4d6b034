from __future__ import annotations

import json
import socket
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import requests
from hvac.exceptions import Forbidden, InvalidRequest, VaultError

from rehearsal import bao, idp

if TYPE_CHECKING:
    import hvac

    from rehearsal.live import LiveRehearsal


def log_in(servers: LiveRehearsal, jwt: str) -> dict[str, object]:
    client = bao.open_client(servers.layout)
    answer: dict[str, object] = client.write_data(
        f"auth/{bao.PEOPLE_MOUNT}/login", data={"role": bao.OPERATOR_ROLE, "jwt": jwt}
    )["auth"]
    return answer


def test_only_the_rehearsals_ca_vouches_for_the_server(servers: LiveRehearsal) -> None:
    address = f"{bao.get_address(servers.layout)}/v1/sys/health"
    with bao.open_session(servers.layout) as session:
        assert session.get(address, timeout=5).json()["sealed"] is False
    with requests.Session() as session:
        session.trust_env = False
        with pytest.raises(requests.exceptions.SSLError):
            session.get(address, timeout=5)


def test_plain_http_is_not_spoken(servers: LiveRehearsal) -> None:
    with requests.Session() as session:
        session.trust_env = False
        answer = session.get(bao.get_address(servers.layout).replace("https:", "http:"), timeout=5)
    assert answer.status_code == 400


def test_ca_of_the_callers_environment_changes_nothing(servers: LiveRehearsal, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "AWS_CA_BUNDLE"):
        monkeypatch.setenv(name, "/nonexistent/ca.pem")
    assert bao.is_active(servers.layout)
    assert servers.vault().lookup_token()["data"]["policies"] == ["operator"]
    assert servers.aws("sts").get_caller_identity()["Account"] == "111111111111"


def test_root_token_is_revoked_and_kept_nowhere(servers: LiveRehearsal) -> None:
    entries = [json.loads(line) for line in bao.audit_file(servers.layout).read_text().splitlines()]
    revoked = [e for e in entries if e["type"] == "response" and e["request"]["path"] == "auth/token/revoke-self"]
    assert [e["auth"]["policies"] for e in revoked if "root" in e["auth"]["policies"]] == [["root"]]
    kept = [f for f in servers.layout.bao.glob("*") if f.is_file() and b"root_token" in f.read_bytes()]
    assert kept == []
    accessors = servers.vault().list("auth/token/accessors")["data"]["keys"]
    policies = [servers.vault().auth.token.lookup_accessor(a)["data"]["policies"] for a in accessors]
    assert ["root"] not in policies


def test_audit_file_holds_no_token_in_plain_text(servers: LiveRehearsal) -> None:
    token = servers.vault().token
    text = bao.audit_file(servers.layout).read_text()
    assert "auth/people/login" in text
    assert token not in text


def test_operator_logs_in_by_the_identity_providers_token(servers: LiveRehearsal) -> None:
    auth = log_in(servers, servers.token("olivia"))
    assert auth["token_policies"] == ["operator"]
    assert auth["lease_duration"] == bao.OPERATOR_TTL_SECONDS


@pytest.mark.parametrize(
    ("user", "workflow", "groups"),
    [
        ("mallory", None, None),
        ("alice", None, None),
        ("mallory", None, ["platform-engineer", "platform-engineers-emea"]),
        ("olivia", "incident-summarization", None),
    ],
    ids=["nobody", "on-call", "groups-like-it", "an-agent-for-the-operator"],
)
def test_nobody_else_becomes_operator(
    servers: LiveRehearsal, user: str, workflow: str | None, groups: list[str] | None
) -> None:
    with pytest.raises((InvalidRequest, Forbidden)):
        log_in(servers, servers.token(user, workflow, groups=groups))


def test_expired_and_foreign_tokens_are_refused(
    servers: LiveRehearsal, tmp_path_factory: pytest.TempPathFactory
) -> None:
    operator = idp.look_up(idp.OPERATOR)
    stranger = replace(servers.layout, root=tmp_path_factory.mktemp("stranger"))
    past = int(time.time()) - 3600
    for jwt in (
        idp.sign_token(servers.layout, operator, iat=past - 60, nbf=past - 60, exp=past),
        idp.sign_token(stranger, operator),
        idp.sign_token(servers.layout, operator, iss="https://elsewhere.example"),
    ):
        with pytest.raises(VaultError):
            log_in(servers, jwt)


def test_killed_server_comes_back_unsealed_with_its_data(servers: LiveRehearsal) -> None:
    servers.vault().sys.create_or_update_policy("kept", 'path "x" { capabilities = ["read"] }')
    process = servers.process(bao.NAME)
    assert process is not None
    process.kill()
    process.wait(10)
    assert not bao.is_active(servers.layout)
    assert bao.start_bao(servers.layout)
    assert "kept" in servers.vault().sys.list_policies()["data"]["policies"]
    servers.vault().sys.delete_policy("kept")


def test_start_of_a_running_server_changes_nothing(servers: LiveRehearsal) -> None:
    before = servers.process(bao.NAME)
    assert not bao.start_bao(servers.layout)
    assert servers.process(bao.NAME) == before


def test_port_that_another_program_took_is_given_up(servers: LiveRehearsal) -> None:
    old = servers.port(bao.NAME)
    servers.stop(bao.NAME)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", old))
        other.listen()
        assert bao.start_bao(servers.layout)
    assert servers.port(bao.NAME) != old
    assert servers.vault().lookup_token()["data"]["policies"] == ["operator"]


def test_unknown_token_is_refused(servers: LiveRehearsal) -> None:
    client: hvac.Client = servers.vault("not-a-token")
    with pytest.raises(Forbidden):
        client.lookup_token()
