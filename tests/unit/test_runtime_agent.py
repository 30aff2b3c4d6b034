"""The agent's side, against a scripted Vault: what it sends, when it renews, what each error says, what never shows."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import requests
import stamina

from narrowgate.runtime import (
    AccessRefusedError,
    ExpiredError,
    GatedActionError,
    LoginRefusedError,
    ManifestError,
    NotDeclaredError,
    RevokedError,
    ToolUnavailableError,
    VaultSealedError,
    VaultUnavailableError,
    aio,
    login,
    read_manifest,
)
from narrowgate.runtime import clock as runtime_clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

JWT = "eyJhbGciOiJFUzI1NiJ9.the-users-token.signature"
TOKEN = "hvs.the-agents-vault-token"
PASSWORD = "the-database-password-123"
MANIFEST: dict[str, Any] = {
    "version": 1,
    "workflow": "summaries",
    "environment": "dev",
    "vault": {"address": "https://vault.test:8200"},
    "login": {"mount": "agents/summaries", "role": "agent", "audience": "narrowgate:dev:summaries"},
    "tools": {
        "incidents": {
            "backend": "postgres",
            "path": "narrowgate-database/creds/summaries.incidents",
            "actions": {
                "read": {"access": "read", "impact": "low", "gated": False},
                "close": {"access": "write", "impact": "high", "gated": True},
            },
            "connection": {"host": "127.0.0.1", "port": 1, "database": "operations", "sslmode": "disable"},
        },
        "logs": {
            "backend": "aws",
            "path": "narrowgate-aws/sts/summaries.logs",
            "actions": {"search": {"access": "read", "impact": "low", "gated": False}},
            "connection": {"region": "eu-central-1", "endpoint_url": "http://127.0.0.1:1"},
        },
        "crm": {
            "backend": "bearer",
            "path": "identity/oidc/token/summaries.crm",
            "actions": {"note": {"access": "write", "impact": "low", "gated": False}},
            "connection": {"audience": "https://crm.test", "issuer": "https://vault.test:8200/v1/identity/oidc"},
        },
        "pager": {
            "backend": "kv",
            "path": "narrowgate-kv/data/pager/keys",
            "actions": {"page": {"access": "write", "impact": "low", "gated": False}},
            "connection": {"static": True, "max_age_seconds": 3600},
        },
        "payouts": {
            "backend": "postgres",
            "actions": {"pay": {"access": "write", "impact": "high", "gated": True}},
        },
    },
}


def run_alone(work: Any) -> None:  # noqa: ANN401 - any coroutine
    """Run `work` in a loop of its own; `asyncio.run` would leave the thread of the tests after it without one."""
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(work)
    finally:
        loop.close()


class Vault:
    """Answers requests by path: a status with a JSON body, an exception, or a list of them in turn."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, dict[str, str], Any]] = []
        self.answers: dict[str, Any] = {
            "auth/agents/summaries/login": (200, self.auth()),
            "auth/token/renew-self": (200, self.auth()),
            "auth/token/lookup-self": (200, {"data": {}}),
            "auth/token/revoke-self": (204, None),
            "narrowgate-database/creds/summaries.incidents": (200, self.lease(username="v-1", password=PASSWORD)),
            "identity/oidc/token/summaries.crm": (200, {"data": {"token": "the-signed-token-1", "ttl": 300}}),
            "narrowgate-kv/data/pager/keys": (
                200,
                {
                    "data": {
                        "data": {"key": PASSWORD},
                        "metadata": {"version": 3, "created_time": "2020-01-01T00:00:00Z"},
                    }
                },
            ),
            "narrowgate-aws/sts/summaries.logs": (
                200,
                self.lease(access_key="ASIA", secret_key="the-secret-key-1", security_token="the-session-1"),
            ),
        }

    @staticmethod
    def auth(token: str = TOKEN, seconds: int = 900) -> dict[str, Any]:
        return {"auth": {"client_token": token, "lease_duration": seconds, "renewable": True}}

    @staticmethod
    def lease(**data: str) -> dict[str, Any]:
        return {"lease_id": "some/lease", "lease_duration": 900, "data": data}

    def request(self, method: str, url: str, **arguments: Any) -> requests.Response:  # noqa: ANN401 - as requests has them
        assert url.startswith("https://vault.test:8200/v1/")
        assert arguments["allow_redirects"] is False
        assert 0 < max(arguments["timeout"]) < 60
        path = url.partition("/v1/")[2]
        self.calls.append((method.upper(), path, arguments["headers"], arguments.get("json")))
        answer = self.answers[path]
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if isinstance(answer, Exception):
            raise answer
        response = requests.Response()
        response.status_code, body = answer
        response._content = b"" if body is None else json.dumps(body).encode()  # noqa: SLF001 - requests has no other way
        return response

    def paths(self) -> list[str]:
        return [path for _, path, _, _ in self.calls]


@pytest.fixture
def vault(monkeypatch: pytest.MonkeyPatch) -> Iterator[Vault]:
    server = Vault()
    monkeypatch.setattr(requests.Session, "request", lambda _, method, url, **more: server.request(method, url, **more))
    monkeypatch.setenv("VAULT_TOKEN", "hvs.somebody-elses")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere.pem")
    with stamina.set_testing(testing=True, attempts=3):
        yield server


def errors(*words: str) -> dict[str, list[str]]:
    return {"errors": list(words)}


def test_logs_in_with_its_jwt_and_ends_what_it_began(vault: Vault) -> None:
    with login(MANIFEST, JWT) as agent:
        credential = agent.credential("incidents")
        assert credential.values["password"] == PASSWORD
        assert 890 < credential.seconds_left <= 900
    methods = [(method, path, headers.get("X-Vault-Token"), body) for method, path, headers, body in vault.calls]
    assert methods == [
        ("POST", "auth/agents/summaries/login", None, {"role": "agent", "jwt": JWT}),
        ("GET", "narrowgate-database/creds/summaries.incidents", TOKEN, None),
        ("POST", "auth/token/revoke-self", TOKEN, None),
    ]


def test_logs_out_also_when_the_agents_code_fails(vault: Vault) -> None:
    with pytest.raises(ZeroDivisionError), login(MANIFEST, JWT):
        raise ZeroDivisionError
    assert vault.paths()[-1] == "auth/token/revoke-self"


def test_a_failing_log_out_is_a_warning_not_an_error(vault: Vault, caplog: pytest.LogCaptureFixture) -> None:
    vault.answers["auth/token/revoke-self"] = requests.ConnectionError(TOKEN)
    with caplog.at_level(logging.WARNING), login(MANIFEST, JWT):
        pass
    assert "agent.revoke-failed" in caplog.text
    assert TOKEN not in caplog.text


def test_after_the_block_nothing_is_had(vault: Vault) -> None:
    with login(MANIFEST, JWT) as agent:
        pass
    before = len(vault.calls)
    with pytest.raises(ExpiredError, match="logged out"):
        agent.credential("incidents")
    assert len(vault.calls) == before


LOGIN_ANSWERS: dict[str, tuple[Any, type[Exception], int]] = {
    "the wrong group": ((400, errors('claim "/groups" does not match')), LoginRefusedError, 1),
    "no mount": ((403, errors("permission denied")), LoginRefusedError, 1),
    "an expired token": ((400, errors("error validating token: token is expired")), ExpiredError, 1),
    "a sealed vault": ((503, errors("Vault is sealed")), VaultSealedError, 3),
    "an inner error": ((500, errors("internal error")), ToolUnavailableError, 3),
    "nobody there": (requests.ConnectionError("refused"), VaultUnavailableError, 3),
    "no answer in time": (requests.ReadTimeout("slow"), VaultUnavailableError, 3),
    "another certificate": (requests.exceptions.SSLError("CERTIFICATE_VERIFY_FAILED"), VaultUnavailableError, 1),
    "a redirect": ((307, None), VaultUnavailableError, 1),
    "no token in the answer": ((200, {"auth": None}), VaultUnavailableError, 1),
    "no JSON": ((200, "text"), VaultUnavailableError, 1),
}


@pytest.mark.parametrize("answer", sorted(LOGIN_ANSWERS))
def test_each_refused_login_has_its_error_and_only_failures_are_tried_again(vault: Vault, answer: str) -> None:
    reply, kind, attempts = LOGIN_ANSWERS[answer]
    vault.answers["auth/agents/summaries/login"] = reply
    with pytest.raises(kind) as caught, login(MANIFEST, JWT):
        pass
    assert caught.type is kind
    assert vault.paths().count("auth/agents/summaries/login") == attempts
    assert caught.value.code != "agent-error"
    assert caught.value.hint


def test_a_passing_failure_is_not_seen(vault: Vault) -> None:
    path = "narrowgate-database/creds/summaries.incidents"
    vault.answers[path] = [requests.ConnectionError("x"), (503, errors("Vault is sealed")), vault.answers[path]]
    with login(MANIFEST, JWT) as agent:
        assert agent.credential("incidents").values["username"] == "v-1"


def test_a_revoked_token_is_told_from_an_undeployed_path(vault: Vault) -> None:
    path = "narrowgate-database/creds/summaries.incidents"
    with login(MANIFEST, JWT) as agent:
        vault.answers[path] = (403, errors("2 errors occurred: permission denied; invalid token"))
        with pytest.raises(RevokedError):
            agent.credential("incidents")
        vault.answers[path] = (403, errors("permission denied"))
        with pytest.raises(AccessRefusedError, match=r"creds/summaries\.incidents"):
            agent.credential("incidents")


def test_an_undeclared_or_gated_action_never_reaches_vault(vault: Vault) -> None:
    with login(MANIFEST, JWT) as agent:
        before = len(vault.calls)
        for ask, kind in (
            (lambda: agent.aws("mail"), NotDeclaredError),
            (lambda: agent.postgres("incidents", action="delete"), NotDeclaredError),
            (lambda: agent.aws("incidents"), NotDeclaredError),
            (lambda: agent.postgres("incidents", action="close"), GatedActionError),
            (lambda: agent.postgres("payouts"), GatedActionError),
            (lambda: agent.credential("payouts", action="pay"), GatedActionError),
        ):
            with pytest.raises(kind) as caught:
                ask()
            assert caught.value.hint
        assert len(vault.calls) == before


class Clock:
    def __init__(self) -> None:
        self.ahead = 0.0
        self.real = runtime_clock.read

    def __call__(self) -> float:
        return self.real() + self.ahead


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    moved = Clock()
    monkeypatch.setattr("narrowgate.runtime.clock.read", moved)
    return moved


def test_the_token_is_renewed_before_it_ends(vault: Vault, clock: Clock) -> None:
    with login(MANIFEST, JWT) as agent:
        agent.credential("incidents")
        clock.ahead = 700
        agent.credential("incidents")
        assert vault.paths().count("auth/token/renew-self") == 1
        agent.credential("incidents")
        assert vault.paths().count("auth/token/renew-self") == 1


def test_a_callable_is_asked_again_when_the_whole_time_is_over(vault: Vault, clock: Clock) -> None:
    asked: list[int] = []

    def fresh() -> str:
        asked.append(1)
        return f"{JWT}{len(asked)}"

    path = "auth/agents/summaries/login"
    vault.answers[path] = [(200, vault.auth()), (200, vault.auth("hvs.the-second-token"))]
    with login(MANIFEST, fresh) as agent:
        clock.ahead = 1000
        agent.credential("incidents")
    assert len(asked) == 2
    tokens = [headers.get("X-Vault-Token") for _, path, headers, _ in vault.calls if path == "auth/token/revoke-self"]
    assert tokens == [TOKEN, "hvs.the-second-token"]


def test_an_over_login_by_a_text_is_expired(vault: Vault, clock: Clock) -> None:
    with login(MANIFEST, JWT) as agent:
        clock.ahead = 1000
        vault.answers["auth/agents/summaries/login"] = (400, errors("token is expired"))
        with pytest.raises(ExpiredError):
            agent.credential("incidents")


def test_aws_credentials_refresh_and_the_users_own_settings_do_not_count(
    vault: Vault, clock: Clock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nothing-of-that-name")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://elsewhere.test")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOFTHEUSER")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with login(MANIFEST, JWT) as agent:
        session = agent.aws("logs")
        client = session.client("logs")
        assert client.meta.endpoint_url == "http://127.0.0.1:1"
        assert client.meta.region_name == "eu-central-1"
        credentials = session.get_credentials()
        assert credentials.get_frozen_credentials().access_key == "ASIA"
        vault.answers["narrowgate-aws/sts/summaries.logs"] = (
            200,
            vault.lease(access_key="ASIA2", secret_key="s2", security_token="t2"),
        )
        assert credentials.get_frozen_credentials().access_key == "ASIA"
        clock.ahead = 800
        assert credentials.get_frozen_credentials().access_key == "ASIA2"
    assert vault.paths().count("narrowgate-aws/sts/summaries.logs") == 2


def test_a_bearer_token_is_held_and_renewed_in_time(vault: Vault, clock: Clock) -> None:
    path = "identity/oidc/token/summaries.crm"
    with login(MANIFEST, JWT) as agent:
        bearer = agent.bearer("crm")
        assert (bearer.header, bearer.audience) == ("Bearer the-signed-token-1", "https://crm.test")
        request = requests.Request("GET", "https://crm.test", auth=bearer).prepare()
        assert request.headers["Authorization"] == "Bearer the-signed-token-1"
        assert agent.bearer("crm") is bearer
        clock.ahead = 250
        vault.answers[path] = (200, {"data": {"token": "the-signed-token-2", "ttl": 300}})
        assert agent.bearer("crm").token == "the-signed-token-2"
        assert bearer.seconds_left < 60
        vault.answers[path] = (200, {"data": {}})
        clock.ahead = 560
        with pytest.raises(ToolUnavailableError, match="without token"):
            agent.bearer("crm")


def test_a_secret_is_read_again_after_a_minute_and_said_to_be_too_old(
    vault: Vault, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING), login(MANIFEST, JWT) as agent:
        assert agent.secret("pager")["key"] == PASSWORD
        with pytest.raises(KeyError, match="the secret has key"):
            agent.secret("pager")["password"]
        assert vault.paths().count("narrowgate-kv/data/pager/keys") == 1
        clock.ahead = 61
        assert agent.secret("pager").version == 3
        vault.answers["narrowgate-kv/data/pager/keys"] = (200, {"data": {"data": None, "metadata": {}}})
        clock.ahead = 130
        with pytest.raises(ToolUnavailableError, match="no secret"):
            agent.secret("pager")
    assert "agent.secret-too-old" in caplog.text
    assert PASSWORD not in caplog.text


GONE = (403, {"errors": ["permission denied; invalid token"]})


def test_an_unknown_token_is_followed_by_one_new_login(vault: Vault) -> None:
    path = "identity/oidc/token/summaries.crm"
    vault.answers[path] = [GONE, vault.answers[path]]
    vault.answers["auth/agents/summaries/login"] = [(200, vault.auth()), (200, vault.auth("hvs.the-second-token"))]
    with login(MANIFEST, lambda: JWT) as agent:
        assert agent.bearer("crm").token == "the-signed-token-1"
    assert [headers.get("X-Vault-Token") for _, called, headers, _ in vault.calls if called == path] == [
        TOKEN,
        "hvs.the-second-token",
    ]


def test_a_new_login_that_is_refused_says_that_somebody_stopped_the_agent(vault: Vault) -> None:
    with login(MANIFEST, lambda: JWT) as agent:
        vault.answers["identity/oidc/token/summaries.crm"] = GONE
        vault.answers["auth/agents/summaries/login"] = (400, errors("role is locked"))
        with pytest.raises(RevokedError, match=r"takes no new one.*role is locked"):
            agent.bearer("crm")
        with pytest.raises(LoginRefusedError, match="role is locked"):
            agent.bearer("crm")


def test_a_token_that_dies_again_and_again_ends_in_an_error(vault: Vault) -> None:
    vault.answers["identity/oidc/token/summaries.crm"] = GONE
    with login(MANIFEST, lambda: JWT) as agent, pytest.raises(RevokedError):
        agent.bearer("crm")
    assert vault.paths().count("auth/agents/summaries/login") == 2


def test_logins_made_by_an_old_token_end_with_it(vault: Vault) -> None:
    with login(MANIFEST, lambda: JWT) as agent:
        first = agent.database_login("incidents")[1]
        assert agent.database_login("incidents")[1] is first
        vault.answers["identity/oidc/token/summaries.crm"] = [GONE, vault.answers["identity/oidc/token/summaries.crm"]]
        agent.bearer("crm")
        assert agent.database_login("incidents")[1] is not first


def test_a_rate_limit_is_waited_for(vault: Vault) -> None:
    path = "identity/oidc/token/summaries.crm"
    vault.answers[path] = [(429, errors("request path: rate limit quota exceeded")), vault.answers[path]]
    with login(MANIFEST, JWT) as agent:
        assert agent.bearer("crm").token == "the-signed-token-1"
        vault.answers[path] = (429, errors("rate limit quota exceeded"))
        agent._holders.clear()  # noqa: SLF001 - as if it were over
        with pytest.raises(VaultUnavailableError, match="rate limit"):
            agent.bearer("crm")


def test_a_clock_that_is_ahead_is_said(vault: Vault) -> None:
    said = "error validating token: invalid issued at (iat) claim: token is not yet valid"
    vault.answers["auth/agents/summaries/login"] = (400, errors(said))
    with pytest.raises(LoginRefusedError) as caught, login(MANIFEST, JWT):
        pass
    assert "clock" in (caught.value.hint or "")


def test_what_outlives_the_process_is_left_to_its_own_end(vault: Vault) -> None:
    with login(MANIFEST, JWT) as agent:
        agent.close(revoke=False)
    assert "auth/token/revoke-self" not in vault.paths()


def test_the_twin_for_asyncio_gives_the_same_and_ends_the_same(vault: Vault) -> None:
    async def use() -> None:
        async with aio.login(MANIFEST, JWT) as agent:
            first, second = await asyncio.gather(agent.bearer("crm"), agent.bearer("crm"))
            assert first is second is await agent.bearer("crm")
            assert (await agent.secret("pager"))["key"] == PASSWORD
            assert (await agent.credential("incidents")).values["username"] == "v-1"
            assert (await agent.aws("logs")).region_name == "eu-central-1"
            with pytest.raises(GatedActionError):
                await agent.postgres("payouts")

    run_alone(use())
    assert vault.paths().count("identity/oidc/token/summaries.crm") == 1
    assert vault.paths()[-1] == "auth/token/revoke-self"


def test_a_task_that_is_cancelled_while_it_logs_in_leaves_no_login(vault: Vault) -> None:
    started, goes_on = threading.Event(), threading.Event()

    def sign() -> str:
        started.set()
        assert goes_on.wait(10)
        return JWT

    async def use() -> None:
        async with aio.login(MANIFEST, sign):
            pytest.fail("it was cancelled")

    async def cancel() -> None:
        task = asyncio.create_task(use())
        await asyncio.to_thread(started.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        goes_on.set()
        await asyncio.to_thread(wait_for_revocation)

    def wait_for_revocation() -> None:
        deadline = time.monotonic() + 10
        while "auth/token/revoke-self" not in vault.paths():
            assert time.monotonic() < deadline
            time.sleep(0.01)

    run_alone(asyncio.wait_for(cancel(), 10))


def test_several_threads_share_one_agent(vault: Vault, clock: Clock) -> None:
    with login(MANIFEST, JWT) as agent:
        clock.ahead = 700
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(lambda _: agent.credential("incidents").values["username"], range(40)))
    assert found == ["v-1"] * 40
    assert vault.paths().count("auth/token/renew-self") == 1


def raise_everything(vault: Vault) -> Iterator[str]:
    """Provoke every error that holds an answer of Vault's or a database's, and yield all that a log would show."""
    path = "narrowgate-database/creds/summaries.incidents"
    replies: list[Any] = [
        (403, errors(f"permission denied for {TOKEN}")),
        (500, errors(f"could not use {TOKEN}")),
        (200, {"data": None, "lease_id": TOKEN}),
        requests.ConnectionError(f"headers: {TOKEN}"),
    ]
    attempts: list[Callable[[], Any]] = []
    with login(MANIFEST, JWT) as agent:
        attempts = [lambda: agent.credential("incidents")] * len(replies)
        for reply, attempt in zip(replies, attempts, strict=True):
            vault.answers[path] = reply
            with pytest.raises(Exception) as caught:  # noqa: PT011 - each kind is tested above
                attempt()
            yield "".join(traceback.format_exception(caught.value))
        vault.answers[path] = (200, vault.lease(username="v-1", password=PASSWORD))
        with pytest.raises(ToolUnavailableError) as refused:
            agent.postgres("incidents")
        yield "".join(traceback.format_exception(refused.value))
        yield f"{agent!r} {agent.credential('incidents')!r} {agent._login!r} {agent._login._connection!r}"  # noqa: SLF001 - what a debugger prints
    vault.answers["auth/agents/summaries/login"] = (400, errors(f"malformed jwt {JWT}"))
    with pytest.raises(LoginRefusedError) as login_refused, login(MANIFEST, JWT):
        pass
    yield "".join(traceback.format_exception(login_refused.value))


def test_no_secret_shows_anywhere(
    vault: Vault, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.DEBUG):
        shown = list(raise_everything(vault))
    printed = capsys.readouterr()
    text = "\n".join([*shown, caplog.text, printed.out, printed.err])
    assert len(shown) == 7
    assert [secret for secret in (JWT, TOKEN, PASSWORD, "the-users-token") if secret in text] == []
    assert printed.out == ""


BAD_MANIFESTS: dict[str, Any] = {
    "a newer version": {**MANIFEST, "version": 2},
    "no version": {key: value for key, value in MANIFEST.items() if key != "version"},
    "a version that is true": {**MANIFEST, "version": True},
    "no login": {key: value for key, value in MANIFEST.items() if key != "login"},
    "tools in a list": {**MANIFEST, "tools": ["incidents"]},
    "plain http": {**MANIFEST, "vault": {"address": "http://vault.test"}},
}


@pytest.mark.parametrize("kind", sorted(BAD_MANIFESTS))
def test_a_manifest_that_cannot_be_read_is_refused(kind: str) -> None:
    with pytest.raises(ManifestError):
        read_manifest(BAD_MANIFESTS[kind])


def test_a_manifest_comes_from_the_file_that_the_environment_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NARROWGATE_MANIFEST", raising=False)
    with pytest.raises(ManifestError, match="no manifest"):
        read_manifest()
    file = tmp_path / "manifest.json"
    monkeypatch.setenv("NARROWGATE_MANIFEST", str(file))
    for content in (None, "{", "[]"):
        if content is not None:
            file.write_text(content)
        with pytest.raises(ManifestError, match=r"manifest\.json"):
            read_manifest()
    file.write_text(json.dumps(MANIFEST))
    manifest = read_manifest()
    assert manifest.workflow == "summaries"
    assert manifest.tools["payouts"].path is None
    assert manifest.tools["incidents"].actions["close"].gated


def test_the_token_comes_from_the_file_that_the_environment_names(
    vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NARROWGATE_TOKEN_FILE", raising=False)
    with pytest.raises(LoginRefusedError, match="no token"), login(MANIFEST):
        pass
    file = tmp_path / "token"
    monkeypatch.setenv("NARROWGATE_TOKEN_FILE", str(file))
    with pytest.raises(LoginRefusedError, match="cannot be read"), login(MANIFEST):
        pass
    file.write_text(f"{JWT}\n")
    with login(MANIFEST):
        pass
    assert vault.calls[0][3] == {"role": "agent", "jwt": JWT}
